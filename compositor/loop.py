"""The only place of the compositor that waits: device, clients, watched points and deadlines on one loop."""

import os
import select
from collections.abc import Callable, Mapping
from errno import ETIME
from typing import Final

from syncline.compositor.core.compositor import Compositor
from syncline.compositor.core.policy import Policy
from syncline.compositor.core.report import ReportEvent
from syncline.compositor.wayland.server import Server
from syncline.kms_model.deadlines import Deadline
from syncline.kms_model.loops import Loop
from syncline.kms_model.uapi import (
    DeviceError,
    DeviceFile,
    Fd,
    SyncobjEventfd,
    SyncobjTimelineWait,
    WaitFlag,
)
from syncline.protocol.trace import Observer

WATCHDOG_NS: Final = 1_000_000_000
"""How long a lost wake-up can go unnoticed (ACQ-29)."""


class Watches:
    """The core's `Watcher`: SYNCOBJ_EVENTFD registrations, whose eventfds are used again, and sync_files."""

    def __init__(self, loop: Loop, device: DeviceFile, on_ready: Callable[[int], None]) -> None:
        self._loop = loop
        self._device = device
        self._on_ready = on_ready
        self._watched: dict[int, tuple[int, int, bool]] = {}
        self._fences: set[int] = set()
        self._idle: list[int] = []
        self._watchdog: Deadline | None = None

    def watch(self, handle: int, point: int, *, available: bool) -> int:
        """The eventfd's number is the watch's. Raises DeviceError."""
        fd = self._idle.pop() if self._idle else _eventfd()
        try:
            self._device.call(_registration(handle, point, fd, available=available))
        except DeviceError:
            os.close(fd)
            raise
        self._begin(fd, handle, point, available=available)
        return fd

    def ask(self, handle: int, point: int, *, available: bool) -> int | None:
        """First the registration, so that nothing gets lost in between."""
        fd = self._idle.pop() if self._idle else _eventfd()
        question = _question((handle,), (point,), available=available)
        _, refusal = self._device.batch((_registration(handle, point, fd, available=available), question))
        if refusal is not None and refusal.errno == ETIME:
            self._begin(fd, handle, point, available=available)
            return fd
        os.close(fd)  # it has rung, or may yet
        if refusal is not None:
            raise refusal
        return None

    def _begin(self, fd: int, handle: int, point: int, *, available: bool) -> None:
        self._watched[fd] = (handle, point, available)
        self._loop.add_reader(fd, lambda: self._fire(fd))
        if self._watchdog is None:
            self._book_watchdog()

    def watch_fence(self, fence: Fd) -> int | None:
        """Its own number is the watch's."""
        patience = select.poll()
        patience.register(fence, select.POLLIN)
        if patience.poll(0):
            os.close(fence)
            return None
        self._fences.add(fence)
        self._loop.add_reader(fence, lambda: self._signalled(fence))
        return fence

    def unwatch(self, watch: int) -> None:
        """The device may still ring an eventfd, so it is not used again."""
        if watch in self._fences:
            self._fences.remove(watch)
        else:
            del self._watched[watch]
        self._loop.remove_reader(watch)
        os.close(watch)

    def close(self) -> None:
        if self._watchdog is not None:
            self._watchdog.cancel()
        for fd in [*self._watched, *self._fences]:
            self.unwatch(fd)
        for fd in self._idle:
            os.close(fd)

    def _signalled(self, fence: int) -> None:
        self.unwatch(fence)
        self._on_ready(fence)

    def _fire(self, fd: int) -> None:
        os.eventfd_read(fd)
        self._retire(fd)
        self._idle.append(fd)
        self._on_ready(fd)

    def _retire(self, fd: int) -> None:
        del self._watched[fd]
        self._loop.remove_reader(fd)

    def _book_watchdog(self) -> None:
        self._watchdog = self._loop.call_at_ns(self._loop.now_ns() + WATCHDOG_NS, self._bark)

    def _bark(self) -> None:
        """Ask about everything that is waited for, in two calls however much that is."""
        self._watchdog = None
        for available in (False, True):
            while (fd := self._missed(available=available)) is not None:
                self._retire(fd)
                os.close(fd)  # it may yet ring
                self._on_ready(fd)
        if self._watched:
            self._book_watchdog()

    def _missed(self, *, available: bool) -> int | None:
        asked = [fd for fd, watched in self._watched.items() if watched[2] is available]
        if not asked:
            return None
        handles = tuple(self._watched[fd][0] for fd in asked)
        points = tuple(self._watched[fd][1] for fd in asked)
        try:
            reply = self._device.call(_question(handles, points, available=available))
        except DeviceError as refusal:
            if refusal.errno == ETIME:
                return None
            raise
        assert reply.first_signaled is not None, "without ALL the kernel says which"
        return asked[reply.first_signaled]


def _registration(handle: int, point: int, fd: int, *, available: bool) -> SyncobjEventfd:
    flags = WaitFlag.AVAILABLE if available else 0
    return SyncobjEventfd(handle=handle, point=point, fd=Fd(fd), flags=flags)


def _question(handles: tuple[int, ...], points: tuple[int, ...], *, available: bool) -> SyncobjTimelineWait:
    flags = WaitFlag.FOR_SUBMIT | (WaitFlag.AVAILABLE if available else 0)
    return SyncobjTimelineWait(handles=handles, points=points, flags=flags)


def _eventfd() -> int:
    try:
        return os.eventfd(0, os.EFD_CLOEXEC | os.EFD_NONBLOCK)
    except OSError as error:
        raise DeviceError(error.errno or 0, "no eventfd to be had") from error


class Driver:
    """A compositor at work on a loop, real or virtual: one input, everything it caused, the next input."""

    def __init__(
        self,
        loop: Loop,
        device: DeviceFile,
        *,
        policy: Policy,
        caps: Mapping[str, int],
        report: Callable[[list[ReportEvent]], None],
        observer: Observer | None = None,
    ) -> None:
        """Lights the screens. Raises DeviceError. `observer` sees every message."""
        self._loop = loop
        self._device = device
        self._deadline: Deadline | None = None
        self._watches = Watches(loop, device, self._point_ready)
        self.core = Compositor(device, self._watches, policy=policy, now_ns=loop.now_ns())
        self.server = Server(
            self.core,
            clock=loop.now_ns,
            caps=caps,
            report=report,
            settled=self._book_deadline,
            later=loop.call_soon,
            observer=observer,
        )
        loop.add_reader(device.fileno(), self._read_device)
        self.server.settle()

    def close(self) -> None:
        """Hang up on every client, give back every point, leave the device file as it was found."""
        self._loop.remove_reader(self._device.fileno())
        self.server.close()
        self.core.close(self._loop.now_ns())
        self._watches.close()
        if self._deadline is not None:
            self._deadline.cancel()

    def _read_device(self) -> None:
        for event in self._device.read_events():
            self.server.device_event(event)

    def _point_ready(self, watch: int) -> None:
        self.server.point_ready(watch)

    def _tick(self) -> None:
        self._deadline = None
        self.server.tick()

    def _book_deadline(self) -> None:
        next_ns = self.server.next_deadline_ns()
        if self._deadline is not None:
            if self._deadline.when_ns == next_ns:
                return
            self._deadline.cancel()
        self._deadline = None if next_ns is None else self._loop.call_at_ns(next_ns, self._tick)
