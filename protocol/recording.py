"""Recordings: every message of a process, of whichever wire, with its time, as one MessagePack stream.

The first value is `["syncline recording", 1]`. Each further one is a message: `[t_ns, connection, way,
interface, object, message, arguments]`, where `way` is 0 for out, 1 for in, 2 for in and discarded. An object
among the arguments is `[interface, id]`, a new one `[interface, id, version]`, a descriptor its number then.
A recording that was cut off ends where it was.
"""

from collections.abc import Callable, Iterator
from typing import BinaryIO, Final

import msgpack  # type: ignore[import-untyped]  # it comes without stubs
import msgspec

from syncline.protocol import schema
from syncline.protocol.object import NewId, Object
from syncline.protocol.schema import Interface, Message
from syncline.protocol.trace import Mention, Said

HEADING: Final = ["syncline recording", 1]
OUT: Final = 0
IN: Final = 1
DISCARDED: Final = 2

_pack: Final = msgspec.msgpack.Encoder().encode


class NoRecording(ValueError):
    """A file that is none; the text says so."""


class Recorder:
    """An observer that writes to a file. `clock` gives ns of CLOCK_MONOTONIC.

    With `failed`, a full disk ends the recording and nothing else: it is told why, once.
    """

    def __init__(
        self, file: BinaryIO, clock: Callable[[], int], *, failed: Callable[[OSError], None] | None = None
    ) -> None:
        self._file = file
        self._clock = clock
        self._failed = failed
        self.is_broken = False
        """It has failed: what is said now is not recorded."""
        self._write(_pack(HEADING))

    def close(self) -> None:
        """Write what is left, and close the file."""
        try:
            self._file.close()
        except OSError as error:
            self._fail(error)

    def _write(self, data: bytes) -> None:
        try:
            self._file.write(data)
        except OSError as error:
            self._fail(error)

    def _fail(self, error: OSError) -> None:
        if self._failed is None:
            raise error
        if not self.is_broken:
            self.is_broken = True
            self._failed(error)

    def __call__(self, said: Said) -> None:
        if self.is_broken:
            return
        way = DISCARDED if said.discarded else IN if said.incoming else OUT
        message = said.message
        arguments = [_plain(each) for each in said.arguments]
        self._write(
            _pack(
                (
                    self._clock(),
                    said.connection,
                    way,
                    message.interface,
                    said.object_id,
                    message.name,
                    arguments,
                )
            )
        )


def _plain(value: object) -> object:
    match value:
        case NewId():
            return value.interface, value.id, value.version
        case Object():
            return value.interface, value.id
        case _:
            return value


def read(file: BinaryIO) -> Iterator[tuple[int, Said]]:
    """Every message with its time in ns, oldest first. Raises NoRecording."""
    values = msgpack.Unpacker(file, use_list=True)
    try:
        if next(values, None) != HEADING:
            raise NoRecording("not a recording of messages")
        for value in values:
            yield _said(value)
    except (msgpack.UnpackException, UnicodeDecodeError, TypeError, KeyError) as why:
        raise NoRecording(f"not a recording of messages ({type(why).__name__})") from why


def _said(value: object) -> tuple[int, Said]:
    match value:
        case [int(t_ns), str(connection), int(way), str(interface), int(id), str(name), list(arguments)]:
            message = _message(schema.interface(interface), name)
        case _:
            raise NoRecording("a message that is none")
    seen = tuple(Mention(*each) if isinstance(each, list) else each for each in arguments)
    if len(seen) != len(message.arguments):
        raise NoRecording(f"{message} with {len(seen)} arguments")
    return t_ns, Said(connection, id, message, seen, incoming=way != OUT, discarded=way == DISCARDED)


def _message(interface: Interface, name: str) -> Message:
    """No interface has a request and an event of one name."""
    try:
        return interface.request(name)
    except KeyError:
        return interface.event(name)
