"""The door itself: what a request is, how it fails, and who may be asked."""

from collections.abc import Callable, Sequence
from typing import Any, Generic, NewType, Protocol, TypeVar

import msgspec

Fd = NewType("Fd", int)
"""A descriptor in the caller's process. Requests lend theirs; replies give theirs away."""

R = TypeVar("R")


class Request(msgspec.Struct, Generic[R], frozen=True, tag=True, tag_field="record", array_like=True):
    """One ioctl (or read, close, mmap): the record that goes in; `R` is the record that comes out."""


class Record(msgspec.Struct, frozen=True, tag=True, tag_field="record", array_like=True):
    """A plain value inside requests, replies and events."""


class DeviceError(Exception):
    """The machine's refusal. `errno` is Linux's; `writes` are the user pointers written on the way out.

    A failing atomic commit still writes -1 through OUT_FENCE_PTR: `writes` holds (pointer, value) pairs.
    """

    def __init__(self, errno: int, why: str = "", writes: tuple[tuple[int, int], ...] = ()) -> None:
        super().__init__(errno, why)
        self.errno = errno
        self.why = why
        self.writes = writes


class DeviceFile(Protocol):
    """An open of the device node. The same whether the device is in this process or behind a socket."""

    @property
    def answered_ns(self) -> int:
        """When the last `call` or `batch` came back: what a caller's clock said then, CLOCK_MONOTONIC."""
        ...

    def call(self, request: Request[R]) -> R:
        """Do it, as a blocking ioctl would. Raises DeviceError. In process it must not need to sleep."""
        ...

    def batch(self, requests: Sequence[Request[Any]]) -> tuple[list[Any], DeviceError | None]:
        """Several calls one after the other, in one round trip where there are any.

        The first that fails is the last: its error, and the replies before.
        """
        ...

    async def wait(self, request: Request[R]) -> R:
        """The same for calls that may sleep. Cancelling is a signal: the call ends with ERESTARTSYS."""
        ...

    def read_events(self) -> "list[Any]":
        """Drain read(2) of the DRM fd: the events of `uapi.mode` in order; empty when there are none."""
        ...

    def fileno(self) -> int:
        """A descriptor that polls readable while `read_events` has something to give."""
        ...

    def close_fd(self, fd: Fd) -> None:
        """close(2), for callers that may not know the operating system."""
        ...

    def close(self) -> None:
        """Close the file: handles, waits, pending commits and events go as the kernel would let them go."""
        ...


def one_by_one(
    call: Callable[[Request[Any]], Any], requests: Sequence[Request[Any]]
) -> tuple[list[Any], DeviceError | None]:
    """`DeviceFile.batch` where calls cost no round trip."""
    replies: list[Any] = []
    for request in requests:
        try:
            replies.append(call(request))
        except DeviceError as refusal:
            return replies, refusal
    return replies, None
