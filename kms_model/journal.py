"""Event streams on a descriptor: one JSON object to a line, never waiting for who reads it."""

import os
import select
from collections.abc import Iterable
from typing import Final

import msgspec

from syncline.kms_model.loops import Loop
from syncline.kms_model.trace import TraceEvent, Warn

UNREAD_MAX: Final = 16 << 20
"""Bytes that a slow reader may leave waiting. What comes after is lost, and counted."""

LAST_WORDS_MS: Final = 500
"""How long the end of a process waits for a reader that has stopped taking anything."""


class EventStream:
    """Owns the descriptor. Events are written when the process has done what it is at."""

    def __init__(self, loop: Loop, fd: int) -> None:
        os.set_blocking(fd, False)
        self._loop = loop
        self._fd = fd
        self._encode = msgspec.json.Encoder().encode
        self._unread = bytearray()
        self._is_booked = False
        self.lost = 0
        """Events that a slow reader has missed."""

    @property
    def is_full(self) -> bool:
        """The reader is so far behind that what is written now is lost."""
        return len(self._unread) > UNREAD_MAX

    def write(self, events: Iterable[msgspec.Struct]) -> None:
        """Take events in order."""
        for event in events:
            if self.is_full:
                self.lost += 1
            else:
                self._unread += self._encode(event) + b"\n"
        if self._unread and not self._is_booked:
            self._is_booked = True
            self._loop.call_last(self._flush)

    def close(self) -> None:
        """Write the rest, as long as the reader keeps taking some of it."""
        patience = select.poll()
        patience.register(self._fd, select.POLLOUT)
        self._flush()
        while self._unread and patience.poll(LAST_WORDS_MS):
            self._flush()
        self._loop.remove_writer(self._fd)
        os.close(self._fd)

    def _flush(self) -> None:
        try:
            while self._unread:
                del self._unread[: os.write(self._fd, self._unread)]
        except BlockingIOError:
            self._loop.add_writer(self._fd, self._flush)
            return
        except BrokenPipeError:
            self._unread.clear()  # the reader has gone, as it may
        self._loop.remove_writer(self._fd)
        self._is_booked = False


class Journal:
    """The machine's event stream; `write` is what a `Kernel` takes as its `trace`. Losses are told in it."""

    def __init__(self, loop: Loop, fd: int) -> None:
        self._stream = EventStream(loop, fd)

    def write(self, event: TraceEvent) -> None:
        """Take one event."""
        stream = self._stream
        if stream.lost and not stream.is_full:
            lost, stream.lost = stream.lost, 0
            stream.write([Warn(event.t_ns, "journal", f"{lost} events were lost to a slow reader")])
        stream.write([event])

    def close(self) -> None:
        """Write what the reader takes."""
        self._stream.close()


def open_sink(where: str) -> int:
    """The descriptor of `--events`: a path to be written, or `fd:N`, an inherited one. Raises OSError."""
    if where.startswith("fd:") and where[3:].isdigit():
        return os.dup(int(where[3:]))
    return os.open(where, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o644)
