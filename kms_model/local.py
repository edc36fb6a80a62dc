"""The device node inside the process: the same `DeviceFile` as a remote one, without a socket."""

import asyncio
import os
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any, TypeVar

from syncline.kms_model.deadlines import Deadline
from syncline.kms_model.device import Device
from syncline.kms_model.file import File
from syncline.kms_model.loops import Loop
from syncline.kms_model.task import Pending
from syncline.kms_model.uapi import AtomicReply, DeviceError, Fd, Request, one_by_one

R = TypeVar("R")


class LocalNode:
    """Drives a `Device` by a loop: keeps a timer at its next deadline and hears of closed descriptors."""

    def __init__(self, device: Device, loop: Loop) -> None:
        self.device = device
        self.loop = loop
        self._timer: Deadline | None = None
        self._closed_fds = device.kernel.descriptors.fileno()
        loop.add_reader(self._closed_fds, self._collect)
        self.arm()

    def open(self, node: str = "card") -> "LocalFile":
        """A new file description. Raises DeviceError(ENODEV)."""
        self.device.advance(self.loop.now_ns())
        return LocalFile(self, self.device.open(node))

    def arm(self) -> None:
        """Book the device's next deadline; after every entry into the device."""
        next_ns = self.device.next_deadline_ns()
        timer = self._timer
        if timer is not None:
            if timer.when_ns == next_ns:
                return
            timer.cancel()
        self._timer = None if next_ns is None else self.loop.call_at_ns(next_ns, self._tick)

    def close(self) -> None:
        """Stop driving. The device itself stays as it is."""
        self.loop.remove_reader(self._closed_fds)
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _tick(self) -> None:
        self._timer = None
        self.device.advance(self.loop.now_ns())
        self.arm()

    def _collect(self) -> None:
        self.device.collect(self.loop.now_ns())
        self.arm()


class LocalFile:
    """One open of a `LocalNode`: a `uapi.DeviceFile`."""

    def __init__(self, node: LocalNode, file: File) -> None:
        self.file = file
        self._node = node
        self._readable: tuple[int, int] | None = None
        self.answered_ns = 0

    def call(self, request: Request[R]) -> R:
        """Do it now. A call that would sleep is our mistake here: AssertionError."""
        pending = self.start(request)
        assert pending.done, f"{type(request).__name__} sleeps; await `wait` instead"
        self.answered_ns = self._node.loop.now_ns()
        return pending.result()

    def batch(self, requests: Sequence[Request[Any]]) -> tuple[list[Any], DeviceError | None]:
        return one_by_one(self.call, requests)

    async def wait(self, request: Request[R]) -> R:
        pending = self.start(request)
        if not pending.done:
            await _until_done(pending, self._node.arm)
        return pending.result()

    def start(self, request: Request[R]) -> Pending[R]:
        """Begin a call without waiting for it, as another thread would."""
        node = self._node
        pending = node.device.call(self.file, request, node.loop.now_ns())
        node.arm()
        return pending

    def read_events(self) -> list[Any]:
        events = self.file.read_events()
        if events and self._readable is not None and not self.file.has_events:
            os.read(self._readable[0], 1)
        return list(events)

    def fileno(self) -> int:
        if self._readable is None:
            reader, _ = self._readable = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
            self.file.on_readable = self._become_readable
            if self.file.has_events:
                self._become_readable()
            return reader
        return self._readable[0]

    def close_fd(self, fd: Fd) -> None:
        os.close(fd)

    def close(self) -> None:
        node = self._node
        node.device.close(self.file, node.loop.now_ns())
        node.arm()
        if self._readable is not None:
            for fd in self._readable:
                os.close(fd)
            self._readable = None

    def _become_readable(self) -> None:
        assert self._readable is not None, "only told once there is a pipe"
        os.write(self._readable[1], b"\1")


async def _until_done(pending: Pending[Any], arm: Callable[[], None]) -> None:
    """Sleep until the call is done. Being cancelled interrupts it; nobody takes its reply any more."""
    done = asyncio.Event()
    pending.add_done_callback(lambda _: done.set())
    try:
        await done.wait()
    except asyncio.CancelledError:
        pending.interrupt()
        pending.add_done_callback(_close_unclaimed)
        arm()
        raise


def _close_unclaimed(pending: Pending[Any]) -> None:
    with suppress(DeviceError):
        reply = pending.result()
        if isinstance(reply, AtomicReply):
            for _, fd in reply.out_fences:
                if fd >= 0:
                    os.close(fd)
