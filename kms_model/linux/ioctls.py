"""Records to structs, numbers to ioctls, and back."""

import fcntl
from collections.abc import Callable, Mapping
from errno import EINTR
from typing import Any, Final

from syncline.kms_model.linux import abi
from syncline.kms_model.uapi import (
    DeviceError,
    DmaBufExportSyncFile,
    DmaBufImportSyncFile,
    DmaBufSync,
    Fd,
    FdReply,
    FenceInfo,
    GetCap,
    GetCapReply,
    HandleReply,
    PrimeFdToHandle,
    Request,
    SwSyncCreateFence,
    SwSyncInc,
    SyncFileInfo,
    SyncFileInfoReply,
    SyncobjCreate,
    SyncobjDestroy,
    SyncobjEventfd,
    SyncobjFdToHandle,
    SyncobjHandleToFd,
    SyncobjQuery,
    SyncobjQueryReply,
    SyncobjReset,
    SyncobjTimelineSignal,
    SyncobjTimelineWait,
    SyncobjTransfer,
    SyncobjWaitReply,
    VgemFenceAttach,
    VgemFenceAttachReply,
    VgemFenceSignal,
)


def made(fd: int, ioctl: abi.Ioctl, /, **values: int | bytes) -> tuple[int, bytearray]:
    """ioctl(2), again after every signal: what it returned and what it left of its argument. Raises DeviceError."""
    argument = ioctl.layout.pack(**values)
    while True:
        try:
            return fcntl.ioctl(fd, ioctl.number, argument), argument
        except OSError as error:
            if error.errno != EINTR:
                raise DeviceError(error.errno or 0, f"ioctl {ioctl.number:#x}") from error


def told(fd: int, ioctl: abi.Ioctl, member: str, /, **values: int | bytes) -> int:
    """The same, and one member of the answer."""
    _, argument = made(fd, ioctl, **values)
    return ioctl.layout.read(argument, member)


# Of the node.


def _get_cap(node: int, request: GetCap) -> GetCapReply:
    return GetCapReply(told(node, abi.GET_CAP, "value", capability=request.capability))


def _import_gem(node: int, request: PrimeFdToHandle) -> HandleReply:
    return HandleReply(told(node, abi.PRIME_FD_TO_HANDLE, "handle", fd=request.fd))


def _attach_fence(node: int, request: VgemFenceAttach) -> VgemFenceAttachReply:
    values = {"handle": request.handle, "flags": request.flags, "pad": request.pad}
    return VgemFenceAttachReply(told(node, abi.VGEM_FENCE_ATTACH, "out_fence", **values))


def _signal_fence(node: int, request: VgemFenceSignal) -> None:
    made(node, abi.VGEM_FENCE_SIGNAL, fence=request.fence, flags=request.flags)


# Syncobjs.


def _create(node: int, request: SyncobjCreate) -> HandleReply:
    return HandleReply(told(node, abi.SYNCOBJ_CREATE, "handle", flags=request.flags))


def _destroy(node: int, request: SyncobjDestroy) -> None:
    made(node, abi.SYNCOBJ_DESTROY, handle=request.handle, pad=request.pad)


def _export(node: int, request: SyncobjHandleToFd) -> FdReply:
    ioctl, values = abi.SYNCOBJ_HANDLE_TO_FD, {"handle": request.handle, "fd": -1}
    if request.point is not None:
        ioctl, values = abi.SYNCOBJ_POINT_TO_FD, values | {"point": request.point}
    return FdReply(Fd(told(node, ioctl, "fd", flags=request.flags, pad=request.pad, **values)))


def _import(node: int, request: SyncobjFdToHandle) -> HandleReply:
    ioctl, values = abi.SYNCOBJ_FD_TO_HANDLE, {"handle": request.handle, "fd": int(request.fd)}
    if request.point is not None:
        ioctl, values = abi.SYNCOBJ_FD_TO_POINT, values | {"point": request.point}
    return HandleReply(told(node, ioctl, "handle", flags=request.flags, pad=request.pad, **values))


def _transfer(node: int, request: SyncobjTransfer) -> None:
    made(
        node, abi.SYNCOBJ_TRANSFER,
        src_handle=request.src_handle, src_point=request.src_point,
        dst_handle=request.dst_handle, dst_point=request.dst_point,
        flags=request.flags, pad=request.pad,
    )  # fmt: skip


def _wait(node: int, request: SyncobjTimelineWait) -> SyncobjWaitReply:
    handles = abi.numbers32(request.handles)
    points = None if request.points is None else abi.numbers64(request.points)
    first = told(
        node, abi.SYNCOBJ_TIMELINE_WAIT, "first_signaled",
        handles=abi.address(handles), points=abi.address(points),
        count_handles=_count(request.count, request.handles),
        timeout_nsec=request.timeout_ns, deadline_nsec=request.deadline_ns,
        flags=request.flags, pad=request.pad,
    )  # fmt: skip
    return SyncobjWaitReply(first)


def _watch(node: int, request: SyncobjEventfd) -> None:
    made(
        node, abi.SYNCOBJ_EVENTFD,
        handle=request.handle, point=request.point, fd=request.fd, flags=request.flags, pad=request.pad,
    )  # fmt: skip


def _reset(node: int, request: SyncobjReset) -> None:
    handles = abi.numbers32(request.handles)
    count = _count(request.count, request.handles)
    made(node, abi.SYNCOBJ_RESET, handles=abi.address(handles), count_handles=count, pad=request.pad)


def _signal(node: int, request: SyncobjTimelineSignal) -> None:
    handles = abi.numbers32(request.handles)
    points = None if request.points is None else abi.numbers64(request.points)
    made(
        node, abi.SYNCOBJ_TIMELINE_SIGNAL,
        handles=abi.address(handles), points=abi.address(points),
        count_handles=_count(request.count, request.handles), flags=request.flags,
    )  # fmt: skip


def _query(node: int, request: SyncobjQuery) -> SyncobjQueryReply:
    handles, points = abi.numbers32(request.handles), abi.numbers64((0,) * len(request.handles))
    made(
        node, abi.SYNCOBJ_QUERY,
        handles=abi.address(handles), points=abi.address(None if request.null_points else points),
        count_handles=_count(request.count, request.handles), flags=request.flags,
    )  # fmt: skip
    return SyncobjQueryReply(tuple(points))


def _count(stated: int | None, handles: tuple[int, ...]) -> int:
    return len(handles) if stated is None else stated


# Of other descriptors.


def _sync(_node: int, request: DmaBufSync) -> None:
    made(request.fd, abi.DMA_BUF_SYNC, flags=request.flags)


def _export_fences(_node: int, request: DmaBufExportSyncFile) -> FdReply:
    return FdReply(Fd(told(request.fd, abi.DMA_BUF_EXPORT_SYNC_FILE, "fd", flags=request.flags, fd=-1)))


def _import_fence(_node: int, request: DmaBufImportSyncFile) -> None:
    made(request.fd, abi.DMA_BUF_IMPORT_SYNC_FILE, flags=request.flags, fd=request.sync_file)


def _info(_node: int, request: SyncFileInfo) -> SyncFileInfoReply:
    room = abi.room(abi.SYNC_FENCE_INFO, request.num_fences)
    _, reply = made(
        request.fd, abi.SYNC_FILE_INFO,
        flags=request.flags, pad=request.pad, num_fences=request.num_fences,
        sync_fence_info=abi.address(room) if request.num_fences else 0,
    )  # fmt: skip
    layout, size = abi.SYNC_FILE_INFO.layout, abi.SYNC_FENCE_INFO.struct.size
    count = layout.read(reply, "num_fences")
    filled = room.tobytes()[: count * size]
    fences = tuple(_fence_info(filled[at : at + size]) for at in range(0, len(filled), size))
    return SyncFileInfoReply(layout.text(reply, "name"), layout.read(reply, "status"), count, fences)


def _fence_info(data: bytes) -> FenceInfo:
    layout = abi.SYNC_FENCE_INFO
    return FenceInfo(
        driver_name=layout.text(data, "driver_name"),
        obj_name=layout.text(data, "obj_name"),
        status=layout.read(data, "status"),
        timestamp_ns=layout.read(data, "timestamp_ns"),
    )


def _create_fence(_node: int, request: SwSyncCreateFence) -> FdReply:
    values: dict[str, int | bytes] = {"value": request.value, "name": request.name.encode(), "fence": -1}
    return FdReply(Fd(told(request.timeline, abi.SW_SYNC_CREATE_FENCE, "fence", **values)))


def _increase(_node: int, request: SwSyncInc) -> None:
    made(request.timeline, abi.SW_SYNC_INC, value=request.value)


IOCTLS: Final[Mapping[type[Request[Any]], Callable[[int, Any], Any]]] = {
    GetCap: _get_cap,
    PrimeFdToHandle: _import_gem,
    VgemFenceAttach: _attach_fence,
    VgemFenceSignal: _signal_fence,
    SyncobjCreate: _create,
    SyncobjDestroy: _destroy,
    SyncobjHandleToFd: _export,
    SyncobjFdToHandle: _import,
    SyncobjTransfer: _transfer,
    SyncobjTimelineWait: _wait,
    SyncobjEventfd: _watch,
    SyncobjReset: _reset,
    SyncobjTimelineSignal: _signal,
    SyncobjQuery: _query,
    DmaBufSync: _sync,
    DmaBufExportSyncFile: _export_fences,
    DmaBufImportSyncFile: _import_fence,
    SyncFileInfo: _info,
    SwSyncCreateFence: _create_fence,
    SwSyncInc: _increase,
}
"""Those that keep nothing here: the node's descriptor and the request make the reply."""
