"""An open of a node, and the memory that it lends."""

import fcntl
import os
from collections.abc import Callable, Mapping, Sequence
from errno import EINVAL
from itertools import count
from pathlib import Path
from typing import Any, Final, TypeVar

from syncline.kms_model.linux import abi
from syncline.kms_model.linux.ioctls import IOCTLS, made, told
from syncline.kms_model.loops import monotonic_ns
from syncline.kms_model.uapi import (
    Cap,
    CreateDumb,
    CreateDumbReply,
    DeviceError,
    Fd,
    FdReply,
    GemClose,
    GetCap,
    PrimeHandleToFd,
    Request,
    SwSyncCreateTimeline,
    one_by_one,
)

R = TypeVar("R")

DRI: Final = Path("/dev/dri")
UDMABUF: Final = Path("/dev/udmabuf")
SW_SYNC: Final = Path("/sys/kernel/debug/sync/sw_sync")
SYSFS: Final = Path("/sys/class/drm")
RENDER_MINORS: Final = 128
FIRST_OWN_HANDLE: Final = 1 << 31
"""Memory of udmabuf is no GEM object of the node: its handles are ours, from where the kernel's do not come."""
PITCH_ALIGN: Final = 256
"""Bytes: what the pickiest importer asks of a linear buffer."""


def render_nodes() -> list[Path]:
    """Those that there are, in order."""
    return sorted(DRI.glob("renderD*"))


def vgem_node() -> Path | None:
    """The card node of the vgem driver, where fences can be made that are signalled by hand."""
    for card in sorted(DRI.glob("card*")):
        if (SYSFS / card.name / "device").resolve().name == "vgem":
            return card
    return None


def has_timelines(path: Path) -> bool:
    """The node can be opened and has timeline syncobjs."""
    try:
        file = LinuxFile(path)
    except DeviceError:
        return False
    try:
        return file.call(GetCap(capability=Cap.SYNCOBJ_TIMELINE)).value == 1
    except DeviceError:
        return False
    finally:
        file.close()


class LinuxFile:
    """One open of a node of /dev/dri. Raises DeviceError with open(2)'s errno.

    A request that is none of those here is EINVAL, as drm_ioctl says of another driver's number.
    """

    def __init__(self, path: Path) -> None:
        self._fd = _opened(path)
        self._own: dict[int, int] = {}
        """Memory of ours by handle: a dma-buf."""
        self._own_handles = count(FIRST_OWN_HANDLE)
        self.answered_ns = 0
        self._calls: Mapping[type[Request[Any]], Callable[[Any], Any]] = {
            CreateDumb: self._create_dumb,
            PrimeHandleToFd: self._export_gem,
            GemClose: self._close_gem,
            SwSyncCreateTimeline: self._open_sw_sync,
        }

    def call(self, request: Request[R]) -> R:
        """The ioctl. It blocks as long as that does."""
        reply: R
        if (own := self._calls.get(type(request))) is not None:
            reply = own(request)
        elif (ioctl := IOCTLS.get(type(request))) is not None:
            reply = ioctl(self._fd, request)
        else:
            raise DeviceError(EINVAL, f"{type(request).__name__} is not asked of a real node")
        self.answered_ns = monotonic_ns()
        return reply

    def batch(self, requests: Sequence[Request[Any]]) -> tuple[list[Any], DeviceError | None]:
        return one_by_one(self.call, requests)

    async def wait(self, request: Request[R]) -> R:
        """The same, and it blocks all the same. Who has to wait asks for SyncobjEventfd."""
        return self.call(request)

    def read_events(self) -> list[Any]:
        """None ever come: nothing that can be asked here has any."""
        return []

    def fileno(self) -> int:
        return self._fd

    def close_fd(self, fd: Fd) -> None:
        os.close(fd)

    def close(self) -> None:
        for fd in self._own.values():
            os.close(fd)
        self._own.clear()
        os.close(self._fd)

    # -- memory -----------------------------------------------------------------------------------

    def _create_dumb(self, request: CreateDumb) -> CreateDumbReply:
        """A render node has no dumb buffers: there it is udmabuf's memory. ENOENT, EACCES: there is none for us."""
        if os.minor(os.fstat(self._fd).st_rdev) < RENDER_MINORS:
            ioctl = abi.MODE_CREATE_DUMB
            _, reply = made(self._fd, ioctl, width=request.width, height=request.height, bpp=request.bpp)
            handle, pitch, size = (ioctl.layout.read(reply, name) for name in ("handle", "pitch", "size"))
            return CreateDumbReply(handle, pitch, size)
        pitch = _aligned(request.width * request.bpp // 8, to=PITCH_ALIGN)
        size = _aligned(pitch * request.height, to=os.sysconf("SC_PAGESIZE"))
        handle = next(self._own_handles)
        self._own[handle] = _udmabuf(size)
        return CreateDumbReply(handle, pitch, size)

    def _export_gem(self, request: PrimeHandleToFd) -> FdReply:
        """A descriptor that may be mapped for writing, too, as a modelled one may."""
        own = self._own.get(request.handle)
        if own is not None:
            return FdReply(Fd(os.dup(own)))
        flags = request.flags | os.O_RDWR | os.O_CLOEXEC
        return FdReply(
            Fd(told(self._fd, abi.PRIME_HANDLE_TO_FD, "fd", handle=request.handle, flags=flags, fd=-1))
        )

    def _close_gem(self, request: GemClose) -> None:
        own = self._own.pop(request.handle, None)
        if own is not None:
            os.close(own)
            return
        made(self._fd, abi.GEM_CLOSE, handle=request.handle)

    def _open_sw_sync(self, _request: SwSyncCreateTimeline) -> FdReply:
        """ENOENT, EACCES: debugfs is not mounted, not for us, or the kernel was built without."""
        return FdReply(Fd(_opened(SW_SYNC)))


def _opened(path: Path) -> int:
    try:
        return os.open(path, os.O_RDWR | os.O_CLOEXEC)
    except OSError as error:
        raise DeviceError(error.errno or 0, str(path)) from error


def _udmabuf(size: int) -> int:
    """A dma-buf of anonymous memory. The kernel wants it sealed against shrinking."""
    maker = _opened(UDMABUF)
    memory = os.memfd_create("syncline", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
    try:
        os.ftruncate(memory, size)
        fcntl.fcntl(memory, fcntl.F_ADD_SEALS, fcntl.F_SEAL_SHRINK)
        dma_buf, _ = made(maker, abi.UDMABUF_CREATE, memfd=memory, flags=abi.UDMABUF_FLAGS_CLOEXEC, size=size)
        return dma_buf
    finally:
        os.close(memory)
        os.close(maker)


def _aligned(number: int, *, to: int) -> int:
    return -(-number // to) * to
