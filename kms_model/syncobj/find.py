"""Looking up syncobjs for an ioctl: handle arrays, and the fence behind a handle and point."""

from collections.abc import Coroutine
from errno import EFAULT, EINVAL, ENOENT, ENOMEM, ETIME
from typing import Any, Final

from syncline.kms_model.fences.fence import Fence
from syncline.kms_model.file import File
from syncline.kms_model.observer import Awaited
from syncline.kms_model.syncobj.syncobj import Source, Syncobj
from syncline.kms_model.task import Bell
from syncline.kms_model.trace import WaitTrace, Warn
from syncline.kms_model.uapi import DeviceError
from syncline.kms_model.user_fence.user_fence import UserSyncobj

WAIT_FOR_SUBMIT_NS: Final = 5_000_000_000
"""The longest an ioctl sleeps for a point to be submitted: the last-resort stall."""
STALL: Final = "stall"
"""Reason in the trace: user space asked for a fence before there was one."""
STALL_USER: Final = "stall on a user fence"
"""The last-resort stall (F25, F26): a dma_fence is wanted of a user point, so the call waits until it is signalled."""
MAX_COUNT: Final = 1 << 20
"""Larger arrays are beyond what kmalloc gives: ENOMEM."""


def find_syncobj(file: File, handle: int) -> Syncobj:
    """ENOENT: unknown."""
    syncobj = file.syncobjs.get(handle)
    if syncobj is None:
        raise DeviceError(ENOENT, f"no syncobj {handle}")
    return syncobj


def find_array(file: File, handles: tuple[int, ...], count: int | None) -> list[Syncobj]:
    """The first `count` handles. ENOMEM: absurd count. EFAULT: fewer were passed. ENOENT: unknown."""
    if count is not None and count != len(handles):
        if count > MAX_COUNT:
            file.kernel.report(Warn(file.kernel.now_ns, "alloc", f"{count} handles are too many for kmalloc"))
            raise DeviceError(ENOMEM, "too many handles")
        if count > len(handles):
            raise DeviceError(EFAULT, "the handle array is shorter")
        handles = handles[:count]
    return [find_syncobj(file, handle) for handle in handles]


def point_array(points: tuple[int, ...] | None, count: int) -> tuple[int, ...]:
    """One point per syncobj; NULL means zeros. EFAULT: fewer were passed."""
    if points is None:
        return (0,) * count
    if len(points) < count:
        raise DeviceError(EFAULT, "the point array is shorter")
    return points


def find_fence(file: File, handle: int, point: int) -> Fence:
    """drm_syncobj_find_fence without waiting. ENOENT: unknown. EINVAL: no fence, or point not materialised."""
    fence = find_syncobj(file, handle).find(point)
    if fence is None:
        raise DeviceError(EINVAL, f"point {point} is not materialised")
    return fence


class SubmitWait:
    """Waits until `point` of a syncobj has a fence."""

    __slots__ = ("bell", "fence", "point", "syncobj")

    def __init__(self, syncobj: Syncobj, point: int) -> None:
        self.syncobj = syncobj
        self.point = point
        self.fence: Fence | None = None
        self.bell = Bell(self)

    def awaited(self) -> Awaited:
        return Awaited((self.syncobj.awaited(self.point),))

    def changed(self, source: Source) -> bool:
        self.fence = source.find(self.point)
        if self.fence is None:
            return False
        self.bell.ring()
        return True


def find_fence_waiting(file: File, handle: int, point: int) -> Coroutine[Any, Any, Fence]:
    """drm_syncobj_find_fence with WAIT_FOR_SUBMIT. ETIME after 5 s; Interrupted by a signal; holds no lock (K6)."""
    return _find_fence_waiting(file, find_syncobj(file, handle), point)


async def _find_fence_waiting(file: File, syncobj: Syncobj, point: int) -> Fence:
    kernel = file.kernel
    began_ns = kernel.now_ns
    wait = SubmitWait(syncobj, point)
    syncobj.watch(wait)
    reason = STALL_USER if isinstance(syncobj, UserSyncobj) else STALL
    kernel.report(WaitTrace(began_ns, file.label, reason, end=False))
    try:
        while wait.fence is None:
            if not await kernel.wait(wait.bell, deadline_ns=began_ns + WAIT_FOR_SUBMIT_NS):
                raise DeviceError(ETIME, f"point {point} was not submitted in time")
    finally:
        syncobj.unwatch(wait)
        waited_ns = kernel.now_ns - began_ns
        kernel.report(WaitTrace(kernel.now_ns, file.label, reason, end=True, waited_ns=waited_ns))
    return wait.fence
