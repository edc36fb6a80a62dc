"""SYNCOBJ_WAIT and SYNCOBJ_TIMELINE_WAIT (kernel.md 2.7).

What is waited for is a snapshot: an entry keeps the fence it found at entry, or the first one that
appeared, whatever happens to the syncobj later.
"""

from collections.abc import Coroutine
from errno import EINVAL, ETIME
from typing import Any, Final

import msgspec

from syncline.kms_model.fences.fence import Fence
from syncline.kms_model.file import File
from syncline.kms_model.observer import Awaited
from syncline.kms_model.syncobj.find import find_array, point_array
from syncline.kms_model.syncobj.syncobj import Source, Syncobj
from syncline.kms_model.task import Bell
from syncline.kms_model.trace import WaitTrace
from syncline.kms_model.uapi import (
    DeviceError,
    SyncobjTimelineWait,
    SyncobjWait,
    SyncobjWaitReply,
    WaitFlag,
)

FOREVER_NS: Final = (1 << 63) - 1
UNWRITTEN: Final = 0xFFFF_FFFF
"""What first_signaled holds after sleeping with ALL."""
_BINARY_FLAGS: Final = int(WaitFlag.ALL | WaitFlag.FOR_SUBMIT | WaitFlag.DEADLINE)
_TIMELINE_FLAGS: Final = int(_BINARY_FLAGS | WaitFlag.AVAILABLE)
_ALL: Final = int(WaitFlag.ALL)
_APPEARING: Final = int(WaitFlag.FOR_SUBMIT | WaitFlag.AVAILABLE)
_AVAILABLE: Final = int(WaitFlag.AVAILABLE)
_DEADLINE: Final = int(WaitFlag.DEADLINE)


def wait(file: File, request: SyncobjWait) -> SyncobjWaitReply | Coroutine[Any, Any, SyncobjWaitReply]:
    if request.flags & ~_BINARY_FLAGS:
        raise DeviceError(EINVAL, "unknown flag")
    return _wait(file, request, None)


def timeline_wait(
    file: File, request: SyncobjTimelineWait
) -> SyncobjWaitReply | Coroutine[Any, Any, SyncobjWaitReply]:
    if request.flags & ~_TIMELINE_FLAGS:
        raise DeviceError(EINVAL, "unknown flag")
    return _wait(file, request, request.points)


def _wait(
    file: File, request: SyncobjWait | SyncobjTimelineWait, points: tuple[int, ...] | None
) -> SyncobjWaitReply | Coroutine[Any, Any, SyncobjWaitReply]:
    count = len(request.handles) if request.count is None else request.count
    if count == 0:
        return SyncobjWaitReply(None)
    syncobjs = find_array(file, request.handles, request.count)
    array = WaitArray(syncobjs, point_array(points, count), request.flags)
    if array.satisfied_at_entry():
        _tell(file, array)
        return SyncobjWaitReply(array.first)
    array.hint(request.deadline_ns)
    timeout_ns = _signed(request.timeout_ns)
    if timeout_ns <= file.kernel.now_ns:
        raise DeviceError(ETIME, "not yet")
    return _sleep(file, array, None if timeout_ns == FOREVER_NS else timeout_ns)


def _tell(file: File, array: "WaitArray") -> None:
    """What is signalled, as the file knows now. That a fence is there (AVAILABLE) says nothing of its end."""
    if file.kernel.accesses is not None:
        done = [entry for entry in array.entries if entry.fence is not None and entry.fence.told]
        points = [entry.syncobj.awaited(entry.point) for entry in done]
        file.kernel.accesses.learned(file, points, "waited for it")


async def _sleep(file: File, array: "WaitArray", deadline_ns: int | None) -> SyncobjWaitReply:
    kernel, who = file.kernel, file.label
    began_ns = kernel.now_ns
    kernel.report(WaitTrace(began_ns, who, "syncobj", end=False))
    array.watch()
    try:
        while not array.satisfied():
            if not await kernel.wait(array.bell, deadline_ns=deadline_ns):
                raise DeviceError(ETIME, "not in time")
    finally:
        array.leave()
        waited_ns = kernel.now_ns - began_ns
        kernel.report(WaitTrace(kernel.now_ns, who, "syncobj", end=True, waited_ns=waited_ns))
    _tell(file, array)
    return SyncobjWaitReply(array.first)


def _signed(value: int) -> int:
    """The u64 that C callers like to pass as -1 or ~0 is a time in the past."""
    return value - (1 << 64) if value >= 1 << 63 else value


class WaitEntry(msgspec.Struct, eq=False):
    """One syncobj and point of a wait, and the fence it settled for."""

    syncobj: Syncobj
    point: int
    bell: Bell
    fence: Fence | None
    armed: bool = False

    def changed(self, source: Source) -> bool:
        self.fence = source.find(self.point)
        if self.fence is None:
            return False
        self.bell.ring()
        return True

    def arm(self) -> bool:
        """Ring when the fence signals. False: it did."""
        if self.armed or self.fence is None:
            return True
        self.armed = self.fence.add_callback(self._signalled)
        return self.armed

    def disarm(self) -> None:
        if self.fence is None:
            self.syncobj.unwatch(self)
        elif self.armed:
            self.fence.remove_callback(self._signalled)

    def _signalled(self, _fence: Fence) -> None:
        self.bell.ring()


class WaitArray:
    """All entries of one wait. `first` is the user's first_signaled."""

    def __init__(self, syncobjs: list[Syncobj], points: tuple[int, ...], flags: int) -> None:
        self.bell = Bell()
        self.entries = [
            WaitEntry(syncobj, point, self.bell, syncobj.find(point))
            for syncobj, point in zip(syncobjs, points, strict=False)
        ]
        self.first = UNWRITTEN
        self._flags = flags
        if not flags & _APPEARING and any(entry.fence is None for entry in self.entries):
            raise DeviceError(EINVAL, "nothing submitted there")

    def satisfied_at_entry(self) -> bool:
        """Without sleeping: `first` is the first satisfied entry, with ALL too."""
        done = 0
        for index, entry in enumerate(self.entries):
            if self._is_done(entry):
                if done == 0:
                    self.first = index
                done += 1
        return done == len(self.entries) or (done > 0 and not self._flags & _ALL)

    def hint(self, deadline_ns: int) -> None:
        """With DEADLINE, pass it on to every fence that is there now, not to later ones."""
        if self._flags & _DEADLINE:
            for entry in self.entries:
                if entry.fence is None:
                    entry.syncobj.hint_deadline(deadline_ns)
                else:
                    entry.fence.set_deadline(deadline_ns)

    def watch(self) -> None:
        """Look out for what has no fence yet."""
        self.bell.subject = self
        for entry in self.entries:
            if entry.fence is None:
                entry.syncobj.watch(entry)

    def satisfied(self) -> bool:
        """With ALL, `first` stays what it was at entry."""
        done = 0
        for index, entry in enumerate(self.entries):
            if self._is_done(entry) or not entry.arm():
                if not self._flags & _ALL:
                    self.first = index
                    return True
                done += 1
        return done == len(self.entries)

    def awaited(self) -> Awaited:
        things = [entry.fence or entry.syncobj.awaited(entry.point) for entry in self.entries]
        return Awaited(things, any_of=not self._flags & _ALL)

    def leave(self) -> None:
        self.bell.subject = None  # it would keep us, and we our fences, until the cycle collector comes
        for entry in self.entries:
            entry.disarm()

    def _is_done(self, entry: WaitEntry) -> bool:
        fence = entry.fence
        return fence is not None and (self._flags & _AVAILABLE != 0 or fence.signalled)
