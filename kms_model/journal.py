"""Event streams on a descriptor: one JSON object to a line, never waiting for who reads it.

Like stdio, a file is written now and then, since nobody waits for it; whoever is at the other end of a pipe
hears of everything before the process sleeps.
"""

import os
import select
import stat
from collections.abc import Callable, Sequence
from typing import Final

import msgspec

from syncline.kms_model.deadlines import Deadline
from syncline.kms_model.loops import Loop
from syncline.kms_model.trace import TraceEvent, Warn

UNREAD_MAX: Final = 16 << 20
"""Bytes that a slow reader may leave waiting. What comes after is lost, and counted."""

TOGETHER: Final = 64
"""Events that are encoded in one go at the latest, and then written if it is to a file."""

FILE_NS: Final = 1_000_000_000
"""How long a file waits for an event."""

LAST_WORDS_MS: Final = 500
"""How long the end of a process waits for a reader that has stopped taking anything."""


class EventStream:
    """Owns the descriptor. Events are encoded and written when the process has done what it is at, or later."""

    def __init__(self, loop: Loop, fd: int, *, failed: Callable[[OSError], None] | None = None) -> None:
        """With `failed`, a full disk ends the stream and nothing else: it is told why, once."""
        os.set_blocking(fd, False)
        self._loop = loop
        self._fd = fd
        self._is_file = stat.S_ISREG(os.fstat(fd).st_mode)
        self._encode_lines = msgspec.json.Encoder().encode_lines
        self._events: list[msgspec.Struct] = []
        self._unread = bytearray()
        self._later: Deadline | None = None
        self._is_booked = False
        self._failed = failed
        self.is_broken = False
        """It has failed: what is written now is dropped."""
        self.lost = 0
        """Events that a slow reader has missed."""

    @property
    def is_full(self) -> bool:
        """The reader is so far behind that what is written now is lost."""
        return len(self._unread) > UNREAD_MAX

    def write(self, events: Sequence[msgspec.Struct]) -> None:
        """Take events in order."""
        if not events or self.is_broken:
            return
        if self.is_full:
            self.lost += len(events)
            return
        self._events += events
        is_much = len(self._events) >= TOGETHER
        if is_much:
            self._encode()
        if not self._is_booked and (is_much or not self._is_file):
            self._is_booked = True
            self._loop.call_last(self._flush)
        elif not self._is_booked and self._later is None:
            self._later = self._loop.call_at_ns(self._loop.now_ns() + FILE_NS, self._flush)

    def _encode(self) -> None:
        self._unread += self._encode_lines(self._events)
        self._events.clear()

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
        if self._later is not None:
            self._later.cancel()
            self._later = None
        self._encode()
        try:
            while self._unread:
                del self._unread[: os.write(self._fd, self._unread)]
        except BlockingIOError:
            self._loop.add_writer(self._fd, self._flush)
            return
        except BrokenPipeError:
            self._unread.clear()  # the reader has gone, as it may
        except OSError as error:
            if self._failed is None:
                raise
            self._unread.clear()
            self.is_broken = True
            self._failed(error)
        self._loop.remove_writer(self._fd)
        self._is_booked = False


class Journal:
    """The machine's event stream; `write` is what a `Kernel` takes as its `trace`. Losses are told in it."""

    def __init__(self, loop: Loop, fd: int, *, failed: Callable[[OSError], None] | None = None) -> None:
        self._stream = EventStream(loop, fd, failed=failed)

    def write(self, event: TraceEvent) -> None:
        """Take one event."""
        stream = self._stream
        if stream.lost and not stream.is_full:
            lost, stream.lost = stream.lost, 0
            stream.write([Warn(event.t_ns, "journal", f"{lost} events were lost to a slow reader")])
        stream.write([event])

    @property
    def is_broken(self) -> bool:
        """It has failed."""
        return self._stream.is_broken

    def close(self) -> None:
        """Write what the reader takes."""
        self._stream.close()


def open_sink(where: str) -> int:
    """The descriptor of `--events`: a path to be written, or `fd:N`, an inherited one. Raises OSError."""
    if where.startswith("fd:") and where[3:].isdigit():
        return os.dup(int(where[3:]))
    return os.open(where, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o644)
