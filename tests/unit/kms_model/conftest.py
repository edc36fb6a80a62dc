"""A machine on a bench: one device, its files, and a hand on the clock."""

import os
import select
from collections.abc import Iterator
from typing import Any, TypeVar

import pytest

from syncline.kms_model.device import Device
from syncline.kms_model.file import File
from syncline.kms_model.profiles import SYNCLINE, Profile
from syncline.kms_model.task import Pending
from syncline.kms_model.trace import TraceEvent
from syncline.kms_model.uapi import (
    DeviceError,
    Fd,
    FdReply,
    HandleFlag,
    Request,
    SwSyncCreateFence,
    SwSyncCreateTimeline,
    SwSyncInc,
    SyncFileInfo,
    SyncobjCreate,
    SyncobjFdToHandle,
    SyncobjQuery,
    SyncobjTimelineSignal,
    SyncobjTimelineWait,
    SyncobjTransfer,
)

R = TypeVar("R")

MS = 1_000_000
BOOTED_NS = 1_000_000_000


class Rig:
    """What a test does to a device. Descriptors that replies give away are closed at the end."""

    def __init__(self, profile: Profile = SYNCLINE, **options: Any) -> None:
        self.events: list[TraceEvent] = []
        self.device = Device(profile, trace=self.events.append, **options)
        self.kernel = self.device.kernel
        self.device.advance(BOOTED_NS)
        self.file = self.device.open("card")
        self._fds: list[int] = []

    @property
    def now_ns(self) -> int:
        return self.kernel.now_ns

    def start(self, request: Request[R], file: File | None = None) -> Pending[R]:
        return self.device.call(file or self.file, request, self.now_ns)

    def call(self, request: Request[R], file: File | None = None) -> R:
        reply = self.start(request, file).result()
        if isinstance(reply, FdReply):
            self._fds.append(reply.fd)
        return reply

    def errno(self, request: Request[Any], file: File | None = None) -> int:
        with pytest.raises(DeviceError) as refusal:
            self.call(request, file)
        return refusal.value.errno

    def after_ms(self, delay_ms: float) -> None:
        self.device.advance(self.now_ns + round(delay_ms * MS))

    def in_ms(self, delay_ms: float) -> int:
        return self.now_ns + round(delay_ms * MS)

    def create(self, **fields: int) -> int:
        return self.call(SyncobjCreate(**fields)).handle

    def timeline(self) -> Fd:
        return self.call(SwSyncCreateTimeline()).fd

    def fence(self, timeline: Fd, value: int = 1) -> Fd:
        return self.call(SwSyncCreateFence(timeline, value)).fd

    def inc(self, timeline: Fd, value: int = 1) -> None:
        self.call(SwSyncInc(timeline, value))

    def put(self, handle: int, sync_file: Fd, point: int = 0) -> None:
        """Put a fence into a syncobj, or at a point of it, flattened as TRANSFER does."""
        if point == 0:
            self.call(SyncobjFdToHandle(sync_file, handle, HandleFlag.SYNC_FILE))
            return
        carrier = self.create()
        self.put(carrier, sync_file)
        self.call(SyncobjTransfer(carrier, 0, handle, point))

    def signal(self, handle: int, point: int) -> None:
        self.call(SyncobjTimelineSignal((handle,), (point,)))

    def query(self, handle: int, flags: int = 0) -> int:
        return self.call(SyncobjQuery((handle,), flags)).points[0]

    def poll_point(self, handle: int, point: int, flags: int = 0) -> int:
        """0, or the errno of a wait that does not sleep."""
        pending = self.start(SyncobjTimelineWait((handle,), (point,), 0, flags))
        try:
            pending.result()
        except DeviceError as refusal:
            return refusal.errno
        return 0

    def status(self, sync_file: Fd) -> int:
        return self.call(SyncFileInfo(sync_file)).status

    def readable(self, fd: int) -> bool:
        poller = select.poll()
        poller.register(fd, select.POLLIN)
        return bool(poller.poll(0))

    def eventfd(self) -> Fd:
        fd = Fd(os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC))
        self._fds.append(fd)
        return fd

    def count(self, eventfd: Fd) -> int:
        """What was added to an eventfd since it was last read."""
        try:
            return os.eventfd_read(eventfd)
        except BlockingIOError:
            return 0

    def close_fd(self, fd: int) -> None:
        self._fds.remove(fd)
        os.close(fd)
        self.device.collect(self.now_ns)

    def end(self) -> None:
        """Close everything, and see the machine forget everything."""
        for file in tuple(self.device.files):
            self.device.close(file, self.now_ns)
        for fd in self._fds:
            os.close(fd)
        self.device.collect(self.now_ns)
        assert not self.kernel.descriptors.known(), "nothing outside refers to these any more"
        self.kernel.descriptors.close()


@pytest.fixture
def rig() -> Iterator[Rig]:
    rig = Rig()
    yield rig
    rig.end()


@pytest.fixture
def make_rig() -> Iterator[Any]:
    """Rigs with other profiles or quirks."""
    rigs: list[Rig] = []

    def make(profile: Profile = SYNCLINE, **options: Any) -> Rig:
        rigs.append(Rig(profile, **options))
        return rigs[-1]

    yield make
    for rig in rigs:
        rig.end()
