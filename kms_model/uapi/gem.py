"""Buffers: dumb GEM objects, PRIME, and the dma-buf sync ioctls (uapi/linux/dma-buf.h)."""

from enum import IntEnum
from typing import Final

from syncline.kms_model.uapi.door import Fd, Record, Request
from syncline.kms_model.uapi.syncobj import FdReply, HandleReply

FORMAT_XRGB8888: Final = 0x34325258
FORMAT_ARGB8888: Final = 0x34325241
MODIFIER_LINEAR: Final = 0
MODIFIER_INVALID: Final = 0x00FF_FFFF_FFFF_FFFF


class DmaBufSyncFlag(IntEnum):
    """DMA_BUF_SYNC_*: READ and WRITE also for EXPORT/IMPORT_SYNC_FILE; END only for DmaBufSync."""

    READ = 1
    WRITE = 2
    END = 4


class CreateDumbReply(Record, frozen=True):
    """`pitch` and `size` in bytes. The memory itself is the memfd that PrimeHandleToFd gives."""

    handle: int
    pitch: int
    size: int


class CreateDumb(Request[CreateDumbReply], frozen=True):
    width: int
    height: int
    bpp: int = 32


class GemClose(Request[None], frozen=True):
    handle: int


class PrimeHandleToFd(Request[FdReply], frozen=True):
    """The dma-buf of a GEM object: a sealed memfd that may be mapped."""

    handle: int
    flags: int = 0


class PrimeFdToHandle(Request[HandleReply], frozen=True):
    """Importing a buffer that this file already has gives the handle it has (one GEM object, one handle)."""

    fd: Fd


class DmaBufExportSyncFile(Request[FdReply], frozen=True):
    fd: Fd
    flags: int


class DmaBufImportSyncFile(Request[None], frozen=True):
    fd: Fd
    flags: int
    sync_file: Fd


class DmaBufSync(Request[None], frozen=True):
    """DMA_BUF_IOCTL_SYNC: START (no END flag) may sleep on the buffer's fences."""

    fd: Fd
    flags: int


class DmaBufPollReply(Record, frozen=True):
    ready: int


class DmaBufPoll(Request[DmaBufPollReply], frozen=True):
    """poll(2) of a dma-buf without a timeout, which its descriptor here, a memfd, cannot answer.

    POLLIN: no WRITE fence is pending; POLLOUT: none that a writer waits for. Others are never ready.
    """

    fd: Fd
    events: int
