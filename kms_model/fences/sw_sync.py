"""sw_sync: a timeline that user space moves by hand (debugfs; kernel.md 2.4).

An unbounded exporter: nothing promises that it ever signals (K2).
"""

import os
from collections.abc import Callable, Mapping
from errno import EBADF, EINVAL, ENOENT, ENOTTY
from typing import Any, Final
from weakref import WeakValueDictionary

from syncline.kms_model.descriptors import is_open
from syncline.kms_model.fences.fence import Fence
from syncline.kms_model.fences.sync_file import fence_of, publish_fence
from syncline.kms_model.file import File
from syncline.kms_model.kernel import Kernel
from syncline.kms_model.observer import Exporter
from syncline.kms_model.trace import FenceSignalled
from syncline.kms_model.uapi import (
    DeviceError,
    FdReply,
    Request,
    SwSyncCreateFence,
    SwSyncCreateTimeline,
    SwSyncDeadlineReply,
    SwSyncGetDeadline,
    SwSyncInc,
)

EXPORTER: Final = Exporter(name="sw_sync", bounded=False, ordered=False, test=True)
_WORD: Final = 1 << 32
_HALF: Final = 1 << 31


class SwSyncFence(Fence):
    """Done when the timeline's counter has reached `due`; `seqno` is its low word."""

    __slots__ = ("_owner", "deadline_ns", "due")

    detaches = False

    def __init__(self, owner: "SwSyncTimeline", due: int) -> None:
        super().__init__(owner.context, due % _WORD, "sw_sync", owner.name)
        self._owner = owner
        self.due = due
        self.deadline_ns: int | None = None

    def poll_ns(self) -> int | None:
        return self._owner.kernel.now_ns if self._owner.counter >= self.due else None

    def keep(self, *, wanted: bool) -> None:
        if wanted:
            self._owner.awaited.add(self)
        else:
            self._owner.awaited.discard(self)

    def on_deadline(self, deadline_ns: int) -> None:
        if self.deadline_ns is None or deadline_ns < self.deadline_ns:
            self.deadline_ns = deadline_ns


class SwSyncTimeline:
    """The counter, kept wider than its 32 bits, and the fences ahead of it that somebody else holds."""

    def __init__(self, kernel: Kernel, name: str) -> None:
        self.kernel = kernel
        self.name = name
        self.context = kernel.new_context()
        self.counter = 0
        self.awaited: set[SwSyncFence] = set()
        self._ahead: WeakValueDictionary[int, SwSyncFence] = WeakValueDictionary()

    def fence(self, value: int) -> SwSyncFence:
        """A fence at the 32-bit `value`; behind or at the counter it is done. A pending one is shared."""
        distance = (value - self.counter) % _WORD
        if distance >= _HALF:
            distance -= _WORD
        due = self.counter + distance
        fence = self._ahead.get(due)
        if fence is None:
            fence = SwSyncFence(self, due)
            if self.kernel.observer is not None:
                self.kernel.observer.exported(fence, EXPORTER, lock=self)
            if self.kernel.accesses is not None:
                self.kernel.accesses.fence_made(fence, None)
            if not fence.signalled:
                self._ahead[due] = fence
        return fence

    def reached_by(self, by: int) -> list[SwSyncFence]:
        """What `advance` will signal."""
        return [fence for due, fence in self._ahead.items() if due <= self.counter + by]

    def advance(self, by: int) -> None:
        self.counter += by
        for due in sorted(due for due in self._ahead if due <= self.counter):
            self._end(due, 0)

    def close(self) -> None:
        """What is still ahead ends with -ENOENT."""
        for due in sorted(self._ahead):
            self._end(due, ENOENT)

    def _end(self, due: int, errno: int) -> None:
        fence = self._ahead.pop(due, None)
        if fence is None:
            return
        if errno:
            fence.set_error(errno)
        self.awaited.discard(fence)
        now_ns = self.kernel.now_ns
        fence.signal(now_ns)
        self.kernel.report(
            FenceSignalled(now_ns, fence.context, fence.seqno, fence.driver, fence.timeline, fence.error)
        )


def create_timeline(file: File, _request: SwSyncCreateTimeline) -> FdReply:
    kernel = file.kernel
    timeline = SwSyncTimeline(kernel, file.label or "sw_sync")
    fd = os.memfd_create("sw_sync", os.MFD_CLOEXEC)
    return FdReply(kernel.descriptors.publish_file(fd, timeline, timeline.close))


def create_fence(file: File, request: SwSyncCreateFence) -> FdReply:
    fence = _timeline(file, request.timeline).fence(request.value)
    return FdReply(publish_fence(file.kernel.descriptors, fence, file.budget))


def increase(file: File, request: SwSyncInc) -> None:
    timeline, by = _timeline(file, request.timeline), request.value % _WORD
    if file.kernel.accesses is not None:
        file.kernel.accesses.fence_signalled(file, timeline.reached_by(by), "SW_SYNC_IOC_INC")
    timeline.advance(by)


def get_deadline(file: File, request: SwSyncGetDeadline) -> SwSyncDeadlineReply:
    """EINVAL: fields in use, not a sync_file, or not a fence of sw_sync. ENOENT: no deadline was set."""
    _timeline(file, request.timeline)
    if request.deadline_ns or request.pad:
        raise DeviceError(EINVAL, "deadline or pad")
    fence = fence_of(file.kernel.descriptors, request.fence)
    if not isinstance(fence, SwSyncFence):
        raise DeviceError(EINVAL, "not a sw_sync fence")
    if fence.deadline_ns is None:
        raise DeviceError(ENOENT, "no deadline")
    return SwSyncDeadlineReply(fence.deadline_ns)


def _timeline(file: File, fd: int) -> SwSyncTimeline:
    """EBADF: not a descriptor. ENOTTY: of another kind."""
    timeline = file.kernel.descriptors.find(fd, SwSyncTimeline)
    if timeline is None:
        raise DeviceError(ENOTTY if is_open(fd) else EBADF, "not a sw_sync timeline")
    return timeline


IOCTLS: Final[Mapping[type[Request[Any]], Callable[[File, Any], Any]]] = {
    SwSyncCreateTimeline: create_timeline,
    SwSyncCreateFence: create_fence,
    SwSyncInc: increase,
    SwSyncGetDeadline: get_deadline,
}
