"""SYNCOBJ_EVENTFD: one increment of an eventfd when a point signals or appears (kernel.md 2.7)."""

import os
import select
from errno import EBADF, EINVAL
from typing import Final

from syncline.kms_model.descriptors import is_eventfd, is_open
from syncline.kms_model.fence import Fence
from syncline.kms_model.file import File
from syncline.kms_model.syncobj import Source
from syncline.kms_model.syncobj_find import find_syncobj
from syncline.kms_model.uapi import DeviceError, SyncobjEventfd, WaitFlag

_AVAILABLE: Final = int(WaitFlag.AVAILABLE)


def eventfd(file: File, request: SyncobjEventfd) -> None:
    """EINVAL: flags, pad, or not an eventfd. ENOENT: handle. EBADF: not a descriptor."""
    if request.flags & ~_AVAILABLE or request.pad:
        raise DeviceError(EINVAL, "unknown flag, or pad")
    syncobj = find_syncobj(file, request.handle)
    if not is_open(request.fd):
        raise DeviceError(EBADF, "not a descriptor")
    if not is_eventfd(request.fd):
        raise DeviceError(EINVAL, "not an eventfd")
    syncobj.watch(EventfdEntry(os.dup(request.fd), request.point, available=bool(request.flags & _AVAILABLE)))


class EventfdEntry:
    """A registration: fires once, and goes with its syncobj if that goes first."""

    __slots__ = ("_available", "_fd", "_point")

    def __init__(self, fd: int, point: int, *, available: bool) -> None:
        self._fd = fd
        self._point = point
        self._available = available

    def changed(self, source: Source) -> bool:
        fence = source.find(self._point)
        if fence is None:
            return False
        if self._available or not fence.add_callback(self._fire):
            self._fire(fence)
        return True

    def _fire(self, _fence: Fence) -> None:
        fd, self._fd = self._fd, -1
        # A write to a full eventfd would block; eventfd_signal does not, and the counter stays full.
        poller = select.poll()
        poller.register(fd, select.POLLOUT)
        if poller.poll(0):
            os.eventfd_write(fd, 1)
        os.close(fd)

    def __del__(self) -> None:
        if self._fd >= 0:
            os.close(self._fd)
