"""SYNC_IOC_MERGE, FILE_INFO, SET_DEADLINE (kernel.md 2.3)."""

from collections.abc import Callable, Mapping
from errno import EBADF, EINVAL, ENOENT, ENOTTY
from typing import Any, Final

from syncline.kms_model.descriptors import is_open
from syncline.kms_model.fences.fence import Fence
from syncline.kms_model.fences.merge import merge, unwrap
from syncline.kms_model.fences.sync_file import NAME_SIZE, SyncFile
from syncline.kms_model.file import File
from syncline.kms_model.uapi import (
    DeviceError,
    FdReply,
    FenceInfo,
    Request,
    SyncFileInfo,
    SyncFileInfoReply,
    SyncFileMerge,
    SyncFileSetDeadline,
)

_DETACHED_DRIVER: Final = "detached-driver"
_DETACHED_TIMELINE: Final = "signaled-timeline"


def _sync_file(file: File, fd: int) -> SyncFile:
    """The ioctl's own descriptor. EBADF: none. ENOTTY: of another kind."""
    found = file.kernel.descriptors.find(fd, SyncFile)
    if found is None:
        raise DeviceError(ENOTTY if is_open(fd) else EBADF, "not a sync_file")
    return found


def merge_files(file: File, request: SyncFileMerge) -> FdReply:
    """EINVAL: flags, pad. ENOENT: fd2 is not a sync_file."""
    first = _sync_file(file, request.fd1)
    if request.flags or request.pad:
        raise DeviceError(EINVAL, "flags or pad")
    second = file.kernel.descriptors.find(request.fd2, SyncFile)
    if second is None:
        raise DeviceError(ENOENT, "fd2 is not a sync_file")
    name = request.name.encode()[: NAME_SIZE - 1].decode(errors="replace")
    both = merge(file.kernel, (first.fence, second.fence))
    fd = SyncFile(both, name).publish(file.kernel.descriptors, file.budget)
    if file.kernel.accesses is not None:
        file.kernel.accesses.given(file, fd, (first, second))
    return FdReply(fd)


def info(file: File, request: SyncFileInfo) -> SyncFileInfoReply:
    """EINVAL: flags, pad, or num_fences is neither 0 nor enough. The status is that of the first leaf not at 1."""
    found = _sync_file(file, request.fd)
    if request.flags or request.pad:
        raise DeviceError(EINVAL, "flags or pad")
    leaves = tuple(unwrap(found.fence))
    if file.kernel.accesses is not None and found.fence.signalled:
        file.kernel.accesses.learned(file, (found,), "SYNC_IOC_FILE_INFO")
    if not request.num_fences:
        return SyncFileInfoReply(_name(file, found), found.fence.status(), len(leaves), ())
    if request.num_fences < len(leaves):
        raise DeviceError(EINVAL, "more fences than room")
    fences = tuple(_describe(file, leaf) for leaf in leaves)
    status = next((fence.status for fence in fences if fence.status != 1), 1)
    return SyncFileInfoReply(_name(file, found), status, len(fences), fences)


def set_deadline(file: File, request: SyncFileSetDeadline) -> None:
    """EINVAL: pad."""
    found = _sync_file(file, request.fd)
    if request.pad:
        raise DeviceError(EINVAL, "pad")
    found.fence.set_deadline(request.deadline_ns)


def _describe(file: File, fence: Fence) -> FenceInfo:
    status = fence.status()
    driver, timeline = _names(file, fence)
    return FenceInfo(driver, timeline, status, fence.timestamp_ns)


def _names(file: File, fence: Fence) -> tuple[str, str]:
    if file.profile.detached_names and fence.detaches and fence.signalled:
        return _DETACHED_DRIVER, _DETACHED_TIMELINE
    return fence.driver, fence.timeline


def _name(file: File, found: SyncFile) -> str:
    if found.user_name:
        return found.user_name
    driver, timeline = _names(file, found.fence)
    fence = found.fence
    return f"{driver}-{timeline}{fence.context}-{fence.seqno}"[: NAME_SIZE - 1]


IOCTLS: Final[Mapping[type[Request[Any]], Callable[[File, Any], Any]]] = {
    SyncFileMerge: merge_files,
    SyncFileInfo: info,
    SyncFileSetDeadline: set_deadline,
}
