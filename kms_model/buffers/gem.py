"""Dumb buffers, PRIME, and the dma-buf sync ioctls (kernel.md 2.8, 2.9)."""

import select
from collections.abc import Callable, Coroutine, Mapping
from errno import EBADF, EINVAL, ENOENT, ENOMEM, ENOTTY
from typing import Any, Final

from syncline.kms_model.accesses import Access, Reservation
from syncline.kms_model.buffers.buffer import DmaBuf, GemObject, round_to_pages
from syncline.kms_model.buffers.resv import Usage, usage_for
from syncline.kms_model.descriptors import is_open
from syncline.kms_model.fences.merge import leaves
from syncline.kms_model.fences.sync_file import SyncFile, publish_fence
from syncline.kms_model.file import File
from syncline.kms_model.syncobj.syncobj import GLOBAL_STUB
from syncline.kms_model.uapi import (
    CreateDumb,
    CreateDumbReply,
    DeviceError,
    DmaBufExportSyncFile,
    DmaBufImportSyncFile,
    DmaBufPoll,
    DmaBufPollReply,
    DmaBufSync,
    DmaBufSyncFlag,
    FdReply,
    GemClose,
    HandleReply,
    PrimeFdToHandle,
    PrimeHandleToFd,
    Request,
)

MAX_BUFFER: Final = 1 << 30
_PITCH_ALIGN: Final = 64
_CLOEXEC_RDWR: Final = 0o2000000 | 0o2
_RW: Final = int(DmaBufSyncFlag.READ | DmaBufSyncFlag.WRITE)
_SYNC_FLAGS: Final = int(_RW | DmaBufSyncFlag.END)


def create_dumb(file: File, request: CreateDumb) -> CreateDumbReply:
    """EINVAL: a zero or absurd size. ENOMEM: over MAX_BUFFER. ENOMEM, EMFILE: over the file's budget."""
    width, height, bpp = request.width, request.height, request.bpp
    if width <= 0 or height <= 0 or not 0 < bpp <= 128:
        raise DeviceError(EINVAL, "empty")
    pitch = -(-width * -(-bpp // 8) // _PITCH_ALIGN) * _PITCH_ALIGN
    size = round_to_pages(pitch * height)
    if size >= 1 << 32:
        raise DeviceError(EINVAL, "overflow")
    if size > MAX_BUFFER:
        raise DeviceError(ENOMEM, "larger than MAX_BUFFER")
    return CreateDumbReply(_handle_of(file, GemObject(size)), pitch, size)


def gem_close(file: File, request: GemClose) -> None:
    """EINVAL: unknown."""
    gem = file.gems.remove(request.handle)
    if gem is None:
        raise DeviceError(EINVAL, "no such buffer")
    del file.gem_handles[gem]
    file.budget.refund(gem.size)


def prime_handle_to_fd(file: File, request: PrimeHandleToFd) -> FdReply:
    """EINVAL: flags other than CLOEXEC and RDWR. ENOENT: unknown."""
    if request.flags & ~_CLOEXEC_RDWR:
        raise DeviceError(EINVAL, "flags")
    gem = file.gems.get(request.handle)
    if gem is None:
        raise DeviceError(ENOENT, "no such buffer")
    return FdReply(gem.export(file.kernel.descriptors))


def prime_fd_to_handle(file: File, request: PrimeFdToHandle) -> HandleReply:
    """EBADF: not a descriptor. EINVAL: not a dma-buf."""
    dmabuf = file.kernel.descriptors.find(request.fd, DmaBuf)
    if dmabuf is None:
        raise DeviceError(EINVAL if is_open(request.fd) else EBADF, "not a dma-buf")
    return HandleReply(_handle_of(file, dmabuf.import_object(request.fd)))


def _handle_of(file: File, gem: GemObject) -> int:
    """The handle the file has for the buffer, or a new one, which the file pays for."""
    handle = file.gem_handles.get(gem)
    if handle is None:
        file.budget.charge(gem.size)
        handle = file.gem_handles[gem] = file.gems.add(gem)
    return handle


def export_sync_file(file: File, request: DmaBufExportSyncFile) -> FdReply:
    """A snapshot of what an access has to wait for. EINVAL: flags."""
    dmabuf = _dmabuf(file, request.fd)
    write = _wants_write(request.flags)
    usage = usage_for(write=write)
    fence = dmabuf.resv.singleton(file.kernel, usage)
    fd = publish_fence(file.kernel.descriptors, fence or GLOBAL_STUB, file.budget)
    if file.kernel.accesses is not None:
        file.kernel.accesses.given(file, fd, (Reservation(dmabuf.resv, usage),))
    return FdReply(fd)


def import_sync_file(file: File, request: DmaBufImportSyncFile) -> None:
    """Every leaf becomes a fence of the buffer. EINVAL: flags, or not a sync_file."""
    dmabuf = _dmabuf(file, request.fd)
    usage = Usage.WRITE if _wants_write(request.flags) else Usage.READ
    found = file.kernel.descriptors.find(request.sync_file, SyncFile)
    if found is None:
        raise DeviceError(EINVAL, "not a sync_file")
    for leaf in list(leaves(found.fence)):
        dmabuf.resv.add(leaf, usage)
    if file.kernel.accesses is not None:
        file.kernel.accesses.handed_on(file, Reservation(dmabuf.resv, usage), (found,))


def sync(file: File, request: DmaBufSync) -> Coroutine[Any, Any, None] | None:
    """START waits for the buffer's fences, interruptibly and without limit; END does not. EINVAL: flags."""
    dmabuf = _dmabuf(file, request.fd)
    if request.flags & ~_SYNC_FLAGS or not request.flags & _RW:
        raise DeviceError(EINVAL, "flags")
    writes = bool(request.flags & DmaBufSyncFlag.WRITE)
    if request.flags & DmaBufSyncFlag.END:
        if file.kernel.accesses is not None:
            file.kernel.accesses.cpu_ends(file, Access(dmabuf.resv, writes))
        return None
    if dmabuf.resv.signalled(usage_for(write=writes)):
        _tell_begin(file, dmabuf, writes=writes)
        return None
    return _wait_for(file, dmabuf, writes=writes)


def poll(file: File, request: DmaBufPoll) -> DmaBufPollReply:
    """dma_buf_poll for somebody who does not wait. Like a waiter it has the fences signal unasked."""
    resv = _dmabuf(file, request.fd).resv
    ready = 0
    for event, write in ((select.POLLOUT, True), (select.POLLIN, False)):
        if request.events & event:
            pending = [fence for fence in resv.pending(usage_for(write=write)) if fence.enable_signaling()]
            ready |= 0 if pending else event
    return DmaBufPollReply(ready)


async def _wait_for(file: File, dmabuf: DmaBuf, *, writes: bool) -> None:
    usage = usage_for(write=writes)
    while (fence := next(dmabuf.resv.pending(usage), None)) is not None:
        await file.kernel.wait(fence)
    _tell_begin(file, dmabuf, writes=writes)


def _tell_begin(file: File, dmabuf: DmaBuf, *, writes: bool) -> None:
    accesses = file.kernel.accesses
    if accesses is not None:
        accesses.learned(file, (Reservation(dmabuf.resv, usage_for(write=writes)),), "DMA_BUF_IOCTL_SYNC")
        accesses.cpu_begins(file, Access(dmabuf.resv, writes))


def _dmabuf(file: File, fd: int) -> DmaBuf:
    """EBADF: not a descriptor. ENOTTY: of another kind."""
    dmabuf = file.kernel.descriptors.find(fd, DmaBuf)
    if dmabuf is None:
        raise DeviceError(ENOTTY if is_open(fd) else EBADF, "not a dma-buf")
    return dmabuf


def _wants_write(flags: int) -> bool:
    if flags & ~_RW or not flags & _RW:
        raise DeviceError(EINVAL, "flags")
    return bool(flags & DmaBufSyncFlag.WRITE)


IOCTLS: Final[Mapping[type[Request[Any]], Callable[[File, Any], Any]]] = {
    CreateDumb: create_dumb,
    GemClose: gem_close,
    PrimeHandleToFd: prime_handle_to_fd,
    PrimeFdToHandle: prime_fd_to_handle,
    DmaBufExportSyncFile: export_sync_file,
    DmaBufImportSyncFile: import_sync_file,
    DmaBufPoll: poll,
    DmaBufSync: sync,
}
