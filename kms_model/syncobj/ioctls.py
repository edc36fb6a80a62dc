"""The drm_syncobj ioctls but for the waiting ones: checks in the kernel's order (kernel.md 2.5)."""

import os
from collections.abc import Callable, Coroutine, Mapping
from errno import EFAULT, EINVAL
from typing import Any, Final

from syncline.kms_model.fences.chain import ChainNode
from syncline.kms_model.fences.fence import Fence, Stub
from syncline.kms_model.fences.merge import flatten, merge
from syncline.kms_model.fences.sync_file import SyncFile, publish_fence
from syncline.kms_model.file import File
from syncline.kms_model.syncobj import eventfd as syncobj_eventfd, wait as syncobj_wait
from syncline.kms_model.syncobj.find import (
    find_array,
    find_fence,
    find_fence_waiting,
    find_syncobj,
    point_array,
)
from syncline.kms_model.syncobj.syncobj import Syncobj
from syncline.kms_model.trace import Warn
from syncline.kms_model.uapi import (
    CreateFlag,
    DeviceError,
    FdReply,
    HandleFlag,
    HandleReply,
    QueryFlag,
    Request,
    SyncobjCreate,
    SyncobjDestroy,
    SyncobjEventfd,
    SyncobjFdToHandle,
    SyncobjHandleToFd,
    SyncobjQuery,
    SyncobjQueryReply,
    SyncobjReset,
    SyncobjSignal,
    SyncobjTimelineSignal,
    SyncobjTimelineWait,
    SyncobjTransfer,
    SyncobjWait,
    UserFenceRight,
    WaitFlag,
)
from syncline.kms_model.user_fence.user_fence import UserSyncobj

MAX_DEPTH: Final = 16
"""Chains in chains (H1) go no deeper here. The real kernel's stack ends somewhere, too."""
_CREATE_FLAGS: Final = int(CreateFlag.SIGNALED)
_SYNC_FILE: Final = int(HandleFlag.SYNC_FILE)
_TIMELINE: Final = int(HandleFlag.TIMELINE)
_READ_ONLY: Final = int(UserFenceRight.READ_ONLY)
_LAST_SUBMITTED: Final = int(QueryFlag.LAST_SUBMITTED)
_FOR_SUBMIT: Final = int(WaitFlag.FOR_SUBMIT)


def create(file: File, request: SyncobjCreate) -> HandleReply:
    """EINVAL: unknown flag."""
    if request.flags & ~_CREATE_FLAGS:
        raise DeviceError(EINVAL, "unknown flag")
    file.kernel.faults.allocate("a syncobj")
    signalled = _private_stub(file) if request.flags else None
    return HandleReply(file.syncobjs.add(Syncobj(signalled)))


def _private_stub(file: File) -> Stub:
    file.kernel.faults.allocate("a stub")
    return Stub(file.kernel.now_ns)


def destroy(file: File, request: SyncobjDestroy) -> None:
    """EINVAL: pad, or unknown handle (H9: not ENOENT)."""
    if request.pad or file.syncobjs.remove(request.handle) is None:
        raise DeviceError(EINVAL, "pad, or no such syncobj")


def handle_to_fd(file: File, request: SyncobjHandleToFd) -> FdReply:
    """EINVAL: pad, flags, point, unknown handle (H9) or no fence. ENOENT: unknown handle with SYNC_FILE."""
    point = _checked_point(file, request.flags, request.pad, request.point)
    if request.flags & _SYNC_FILE:
        fence = find_fence(file, request.handle, point)
        sync_file = publish_fence(file.kernel.descriptors, fence, file.budget)
        if file.kernel.accesses is not None:
            source = find_syncobj(file, request.handle).awaited(point)
            file.kernel.accesses.given(file, sync_file, (source,))
        return FdReply(sync_file)
    syncobj = file.syncobjs.get(request.handle)
    if syncobj is None:
        raise DeviceError(EINVAL, "no such syncobj")
    if request.flags & _READ_ONLY:
        if not isinstance(syncobj, UserSyncobj):
            raise DeviceError(EINVAL, "only a user fence can be read only")
        syncobj = UserSyncobj(syncobj.slot, writable=False)
    fd = os.memfd_create("syncobj", os.MFD_CLOEXEC)
    return FdReply(file.kernel.descriptors.publish_file(fd, syncobj))


def fd_to_handle(file: File, request: SyncobjFdToHandle) -> HandleReply:
    """EINVAL: pad, flags, point or descriptor, which comes before ENOENT: unknown handle with SYNC_FILE."""
    point = _checked_point(file, request.flags, request.pad, request.point)
    descriptors = file.kernel.descriptors
    if request.flags & _SYNC_FILE:
        found_file = descriptors.find(request.fd, SyncFile)
        if found_file is None:
            raise DeviceError(EINVAL, "not a sync_file")
        syncobj = find_syncobj(file, request.handle)
        _import_fence(file, syncobj, found_file, point)
        return HandleReply(request.handle)
    found = descriptors.find(request.fd, Syncobj)
    if found is None:
        raise DeviceError(EINVAL, "not a syncobj")
    return HandleReply(file.syncobjs.add(found))


def _checked_point(file: File, flags: int, pad: int, point: int | None) -> int:
    """The timeline point meant, 0 for none. 6.12 knows neither the flag nor the field."""
    known = _SYNC_FILE | _TIMELINE if file.profile.point_sync_files else _SYNC_FILE
    if file.profile.user_fences:
        known |= _READ_ONLY
    if pad or flags & ~known:
        raise DeviceError(EINVAL, "pad or unknown flag")
    if point is None or not file.profile.point_sync_files:
        return 0
    if point and not flags & _SYNC_FILE:
        raise DeviceError(EINVAL, "a point without a sync_file")
    return point if flags & _TIMELINE else 0


def _import_fence(file: File, syncobj: Syncobj, sync_file: SyncFile, point: int) -> None:
    syncobj.check_put(point)
    fence = sync_file.fence
    if point and isinstance(fence, ChainNode) and not isinstance(syncobj, UserSyncobj):
        if file.quirks.chain_in_chain:
            nested = "a chain inside a chain (dma_fence_chain_init)"
            file.kernel.report(Warn(file.kernel.now_ns, "H1", nested))
        else:
            fence = flatten(file.kernel, fence)
    if point and not isinstance(syncobj, UserSyncobj):
        _allocate_imported_node(file, syncobj, fence)
    if file.kernel.accesses is not None:
        file.kernel.accesses.handed_on(file, syncobj.awaited(point), (sync_file,))
    _tell_if_written(file, syncobj, point, fence, "SYNCOBJ_FD_TO_HANDLE")
    _put(file, syncobj, point, fence)


def _allocate_imported_node(file: File, syncobj: Syncobj, fence: Fence) -> None:
    """ENOMEM: and the references that the call took are lost with it, unless repaired (H2)."""
    kernel = file.kernel
    try:
        kernel.faults.allocate("a chain node")
    except DeviceError:
        if file.quirks.failed_import_leaks:
            kernel.leaked += (fence, syncobj)
            kernel.report(Warn(kernel.now_ns, "H2", "a failed import leaks its fence and its syncobj"))
        raise


def _put(file: File, target: Syncobj, point: int, fence: Fence) -> None:
    """Leave `fence` as it is, unless it is deeper than a stack."""
    target.put(file.kernel, flatten(file.kernel, fence) if fence.depth > MAX_DEPTH else fence, point)


def transfer(file: File, request: SyncobjTransfer) -> Coroutine[Any, Any, None] | None:
    """ENOENT: handles, dst first. EINVAL: pad, flags, or nothing there yet; with FOR_SUBMIT ETIME after 5 s."""
    if request.pad:
        raise DeviceError(EINVAL, "pad")
    target = find_syncobj(file, request.dst_handle)
    source = find_syncobj(file, request.src_handle)
    if request.flags & ~_FOR_SUBMIT:
        raise DeviceError(EINVAL, "unknown flag")
    target.check_put(request.dst_point)
    if isinstance(source, UserSyncobj) and isinstance(target, UserSyncobj):
        if file.kernel.accesses is not None:
            behind = (source.awaited(request.src_point),)
            file.kernel.accesses.handed_on(file, target.awaited(request.dst_point), behind)
        target.slot.copy(source.slot, request.dst_point, request.src_point)
        return None
    fence = source.find(request.src_point)
    if fence is not None:
        _transfer(file, request, target, fence)
        return None
    if not request.flags:
        raise DeviceError(EINVAL, "nothing submitted there")
    return _transfer_later(file, request, target)


async def _transfer_later(file: File, request: SyncobjTransfer, target: Syncobj) -> None:
    fence = await find_fence_waiting(file, request.src_handle, request.src_point)
    _transfer(file, request, target, fence)


def _transfer(file: File, request: SyncobjTransfer, target: Syncobj, fence: Fence) -> None:
    """A timeline point gets the merged fence; point 0 gets it as it is, a chain node too (H7).

    ENOMEM: before anything can be seen of it.
    """
    point = request.dst_point
    if point and not isinstance(target, UserSyncobj):
        file.kernel.faults.allocate("a merged fence")
        fence = merge(file.kernel, [fence])
        file.kernel.faults.allocate("a chain node")
    source = file.syncobjs.get(request.src_handle)
    if file.kernel.accesses is not None and source is not None:
        file.kernel.accesses.handed_on(file, target.awaited(point), (source.awaited(request.src_point),))
    _tell_if_written(file, target, point, fence, "SYNCOBJ_TRANSFER")
    _put(file, target, point, fence)


def _tell_if_written(file: File, target: Syncobj, point: int, fence: Fence, call: str) -> None:
    """A stub stands for no work: the call itself raises the number, as TIMELINE_SIGNAL does."""
    if file.kernel.accesses is not None and isinstance(target, UserSyncobj) and isinstance(fence, Stub):
        file.kernel.accesses.signalled(file, (target.awaited(point),), call)


def reset(file: File, request: SyncobjReset) -> None:
    """EINVAL: pad, count 0. ENOENT: one unknown handle, nothing changes."""
    for syncobj in _checked_array(file, request):
        syncobj.replace(None)


def signal(file: File, request: SyncobjSignal) -> None:
    """EINVAL: pad, count 0. ENOENT: one unknown handle, nothing changes. A timeline loses its points.

    ENOMEM: those before it in the array are signalled, upstream too.
    """
    for syncobj in _checked_array(file, request):
        if file.kernel.accesses is not None:
            file.kernel.accesses.signalled(file, (syncobj.awaited(0),), "SYNCOBJ_SIGNAL")
        syncobj.replace(_private_stub(file))


def _checked_array(file: File, request: SyncobjReset | SyncobjSignal) -> list[Syncobj]:
    if request.pad or _is_empty(request):
        raise DeviceError(EINVAL, "pad or no handles")
    syncobjs = find_array(file, request.handles, request.count)
    for syncobj in syncobjs:
        syncobj.check_replace()
    return syncobjs


def _is_empty(request: SyncobjReset | SyncobjSignal | SyncobjTimelineSignal | SyncobjQuery) -> bool:
    return (len(request.handles) if request.count is None else request.count) == 0


def timeline_signal(file: File, request: SyncobjTimelineSignal) -> None:
    """EINVAL: flags, count 0. ENOENT: one unknown handle. EFAULT: points too short. ENOMEM. Nothing changes then."""
    if request.flags or _is_empty(request):
        raise DeviceError(EINVAL, "flags or no handles")
    syncobjs = find_array(file, request.handles, request.count)
    points = point_array(request.points, len(syncobjs))
    for syncobj, point in zip(syncobjs, points, strict=False):
        syncobj.check_signal(point, file)
    for _ in syncobjs:
        file.kernel.faults.allocate("a chain node")
    if file.kernel.accesses is not None:
        awaited = [syncobj.awaited(point) for syncobj, point in zip(syncobjs, points, strict=False)]
        file.kernel.accesses.signalled(file, awaited, "SYNCOBJ_TIMELINE_SIGNAL")
    for syncobj, point in zip(syncobjs, points, strict=False):
        syncobj.signal_point(file.kernel, point)


def query(file: File, request: SyncobjQuery) -> SyncobjQueryReply:
    """EINVAL: flags, count 0. ENOENT: unknown handle. EFAULT: NULL points."""
    if request.flags & ~_LAST_SUBMITTED or _is_empty(request):
        raise DeviceError(EINVAL, "unknown flag or no handles")
    syncobjs = find_array(file, request.handles, request.count)
    if request.null_points:
        raise DeviceError(EFAULT, "NULL points")
    if request.flags:
        return SyncobjQueryReply(tuple(syncobj.last_submitted() for syncobj in syncobjs))
    points = tuple(syncobj.query() for syncobj in syncobjs)
    observer = file.kernel.observer
    if observer is not None:
        for syncobj, point in zip(syncobjs, points, strict=True):
            observer.queried(syncobj, syncobj.timeline, point)
    if file.kernel.accesses is not None:
        reached = [syncobj.awaited(point) for syncobj, point in zip(syncobjs, points, strict=True) if point]
        file.kernel.accesses.learned(file, reached, "SYNCOBJ_QUERY")
    return SyncobjQueryReply(points)


BINARY_IOCTLS: Final[Mapping[type[Request[Any]], Callable[[File, Any], Any]]] = {
    SyncobjCreate: create,
    SyncobjDestroy: destroy,
    SyncobjHandleToFd: handle_to_fd,
    SyncobjFdToHandle: fd_to_handle,
    SyncobjWait: syncobj_wait.wait,
    SyncobjReset: reset,
    SyncobjSignal: signal,
}
"""Without DRM_CAP_SYNCOBJ these are EOPNOTSUPP."""

TIMELINE_IOCTLS: Final[Mapping[type[Request[Any]], Callable[[File, Any], Any]]] = {
    SyncobjTransfer: transfer,
    SyncobjTimelineWait: syncobj_wait.timeline_wait,
    SyncobjEventfd: syncobj_eventfd.eventfd,
    SyncobjTimelineSignal: timeline_signal,
    SyncobjQuery: query,
}
"""Without DRM_CAP_SYNCOBJ_TIMELINE these are EOPNOTSUPP."""
