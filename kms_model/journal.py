"""The machine's event stream on a descriptor: one JSON object to a line, never waiting for who reads it."""

import os
from collections.abc import Callable
from typing import Final

import msgspec

from syncline.kms_model.loops import Loop
from syncline.kms_model.trace import TraceEvent, Warn

UNREAD_MAX: Final = 4 << 20
"""Bytes that a slow reader may leave waiting. What comes after is lost, and counted in a `warn` line."""


class Journal:
    """Owns the descriptor. `write` is what a `Kernel` takes as its `trace`."""

    def __init__(self, loop: Loop, fd: int) -> None:
        os.set_blocking(fd, False)
        self._loop = loop
        self._fd = fd
        self._encode: Callable[[TraceEvent], bytes] = msgspec.json.Encoder().encode
        self._unread = bytearray()
        self._lost = 0
        self._booked = False

    def write(self, event: TraceEvent) -> None:
        """Take one event. It is written when the machine has done what it is at."""
        if len(self._unread) > UNREAD_MAX:
            self._lost += 1
            return
        if self._lost:
            lost, self._lost = self._lost, 0
            self.write(Warn(event.t_ns, "journal", f"{lost} events were lost to a slow reader"))
        self._unread += self._encode(event) + b"\n"
        if not self._booked:
            self._booked = True
            self._loop.call_soon(self._flush)

    def close(self) -> None:
        """Write what the reader takes now."""
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
        self._booked = False


def open_sink(where: str) -> int:
    """The descriptor of `--events`: a path to be written, or `fd:N`, an inherited one. Raises OSError."""
    if where.startswith("fd:") and where[3:].isdigit():
        return os.dup(int(where[3:]))
    return os.open(where, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o644)
