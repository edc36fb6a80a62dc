"""What a subtest needs of a machine, the same in this process on virtual time and behind a device node on real time."""

import asyncio
import os
import select
from abc import ABC, abstractmethod
from collections.abc import Callable, Coroutine, Sequence
from contextlib import AbstractContextManager
from typing import Any, Generic, TypeVar

from syncline.kms_model.loops import RealLoop, VirtualLoop
from syncline.kms_model.uapi import (
    DeviceError,
    DeviceFile,
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
    SyncobjTransfer,
)

R = TypeVar("R")
Story = Callable[["Machine"], Coroutine[Any, Any, None]]

MS = 1_000_000
SHORT_MS = 100
"""How long a wait lasts that only the clock ends."""
PATIENCE_MS = 30_000
"""Real time that a wait may take which something else ends. A busy host must not decide a test."""


class Sleeper(ABC, Generic[R]):
    """A call on its way, as if a thread of its own had made it."""

    @abstractmethod
    async def is_asleep(self) -> bool: ...

    @abstractmethod
    async def reply(self) -> R: ...

    @abstractmethod
    async def interrupt(self) -> int:
        """Deliver a signal; the errno the call ends with, 0 if none."""


class Machine(ABC):
    """An open of the device, a clock, and what IGT's libraries do with them. Descriptors are closed at the end."""

    close_ms = 0
    """How long after close(2) the object may still be there."""

    def __init__(self, file: DeviceFile, loop: VirtualLoop | RealLoop) -> None:
        self.file = file
        self.loop = loop
        self._fds: list[int] = []

    @abstractmethod
    async def start(self, request: Request[R]) -> Sleeper[R]:
        """Make a call without waiting for its end."""

    @abstractmethod
    async def moment(self) -> None:
        """Time for whoever could have woken up by now: 20 ms of virtual time, or a round trip to the node."""

    @abstractmethod
    def patient_ns(self, delay_ms: int) -> int:
        """The timeout of a wait that is to succeed: `delay_ms` of virtual time from now, or PATIENCE_MS."""

    @abstractmethod
    def is_time(self, when_ns: int) -> bool:
        """A call that `when_ns` was to end has just ended: is it then, or, on real time, not before?"""

    @abstractmethod
    def forked(self, life: Callable[[DeviceFile, int], None], fd: int) -> AbstractContextManager[None]:
        """Let another process that has the descriptor `fd` live `life` meanwhile, to its good end."""

    @abstractmethod
    async def threads(self, lives: Sequence[Story]) -> None:
        """Run each with an open of its own beside the others, and all to their ends."""

    async def begin(self, request: Request[R]) -> Sleeper[R]:
        """Make a call and see that it sleeps."""
        sleeper = await self.start(request)
        assert await sleeper.is_asleep()
        return sleeper

    def in_ns(self, delay_ms: int) -> int:
        return self.loop.now_ns() + delay_ms * MS

    def later(self, action: Callable[[], None]) -> int:
        """Do `action` when SHORT_MS have passed. When that is, in ns."""
        when_ns = self.in_ns(SHORT_MS)
        self.loop.call_at_ns(when_ns, action)
        return when_ns

    def call(self, request: Request[R]) -> R:
        reply = self.file.call(request)
        if isinstance(reply, FdReply):
            self._fds.append(reply.fd)
        return reply

    def errno(self, request: Request[Any]) -> int:
        """0, or what a call that does not sleep is refused with."""
        try:
            self.call(request)
        except DeviceError as refusal:
            return refusal.errno
        return 0

    async def wait_errno(self, request: Request[Any]) -> int:
        """The same for one that may sleep."""
        try:
            await self.file.wait(request)
        except DeviceError as refusal:
            return refusal.errno
        return 0

    def close(self, fd: int) -> None:
        self._fds.remove(fd)
        self.file.close_fd(Fd(fd))

    def end(self) -> None:
        for fd in tuple(self._fds):
            self.close(fd)
        self.file.close()

    async def readable(self, fd: int, within_ms: int = 0) -> bool:
        """poll(2), as sync_fence_wait does: False is -ETIME. On real time a success may take PATIENCE_MS."""
        if not within_ms or polls_in(fd):
            return polls_in(fd)
        ready = asyncio.Event()
        self.loop.add_reader(fd, ready.set)
        try:
            async with asyncio.timeout((self.patient_ns(within_ms) - self.loop.now_ns()) / 1e9):
                await ready.wait()
        except TimeoutError:
            return False
        finally:
            self.loop.remove_reader(fd)
        return True

    def eventfd(self, flags: int = 0) -> Fd:
        fd = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC | flags)
        self._fds.append(fd)
        return Fd(fd)

    def open(self, path: str) -> Fd:
        """A descriptor that is none of the device's."""
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        self._fds.append(fd)
        return Fd(fd)

    def create(self, flags: int = 0) -> int:
        return self.call(SyncobjCreate(flags)).handle

    def timeline(self) -> Fd:
        return self.call(SwSyncCreateTimeline()).fd

    def fence(self, timeline: int, value: int) -> Fd:
        return self.call(SwSyncCreateFence(Fd(timeline), value)).fd

    def inc(self, timeline: int, by: int = 1) -> None:
        self.call(SwSyncInc(Fd(timeline), by))

    def statuses(self, fence: int) -> list[int]:
        """Of each fence in a sync_file: 0 active, 1 signalled, negative an error."""
        count = self.call(SyncFileInfo(Fd(fence))).num_fences
        return [info.status for info in self.call(SyncFileInfo(Fd(fence), count)).fences]

    def put(self, handle: int, sync_file: int, point: int = 0) -> None:
        """Put a fence into a syncobj, or at a point of it by way of another."""
        carrier = self.create() if point else handle
        self.call(SyncobjFdToHandle(Fd(sync_file), carrier, HandleFlag.SYNC_FILE))
        if point:
            self.call(SyncobjTransfer(carrier, 0, handle, point))

    def attach(self, handle: int, point: int = 0) -> Fd:
        """Put a pending fence there; its timeline, which one step signals."""
        timeline = self.timeline()
        fence = self.fence(timeline, 1)
        self.put(handle, fence, point)
        self.close(fence)
        return timeline

    def trigger(self, handle: int, point: int = 0) -> None:
        """Put a fence there and signal it."""
        timeline = self.attach(handle, point)
        self.inc(timeline)
        self.close(timeline)

    def signal(self, handle: int, point: int) -> None:
        self.call(SyncobjTimelineSignal((handle,), (point,)))

    def query(self, handle: int) -> int:
        return self.call(SyncobjQuery((handle,))).points[0]


def polls_in(fd: int) -> bool:
    poller = select.poll()
    poller.register(fd, select.POLLIN)
    return bool(poller.poll(0))
