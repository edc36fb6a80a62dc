"""SYNCOBJ_EVENTFD: one increment of an eventfd when a point signals or appears (kernel.md 2.7)."""

import os
import select
from errno import EBADF, EINVAL
from typing import Final

from syncline.kms_model.budget import Budget
from syncline.kms_model.descriptors import is_eventfd, is_open
from syncline.kms_model.fence import Fence
from syncline.kms_model.file import File
from syncline.kms_model.syncobj import Source
from syncline.kms_model.syncobj_find import find_syncobj
from syncline.kms_model.uapi import DeviceError, SyncobjEventfd, WaitFlag

_AVAILABLE: Final = int(WaitFlag.AVAILABLE)


def eventfd(file: File, request: SyncobjEventfd) -> None:
    """EINVAL: flags, pad, or not an eventfd. ENOENT: handle. EBADF: not a descriptor. EMFILE: over the budget."""
    if request.flags & ~_AVAILABLE or request.pad:
        raise DeviceError(EINVAL, "unknown flag, or pad")
    syncobj = find_syncobj(file, request.handle)
    if not is_open(request.fd):
        raise DeviceError(EBADF, "not a descriptor")
    if not is_eventfd(request.fd):
        raise DeviceError(EINVAL, "not an eventfd")
    syncobj.watch(EventfdEntry(file.budget, request))


class EventfdEntry:
    """A registration: fires once, and goes with its syncobj if that goes first."""

    __slots__ = ("_available", "_budget", "_fd", "_point")

    def __init__(self, budget: Budget, request: SyncobjEventfd) -> None:
        self._fd = -1
        budget.charge()
        self._budget = budget
        self._fd = os.dup(request.fd)
        self._point = request.point
        self._available = bool(request.flags & _AVAILABLE)

    def changed(self, source: Source) -> bool:
        fence = source.find(self._point)
        if fence is None:
            return False
        if self._available or not fence.add_callback(self._fire):
            self._fire(fence)
        return True

    def _fire(self, _fence: Fence) -> None:
        # A write to a full eventfd would block; eventfd_signal does not, and the counter stays full.
        poller = select.poll()
        poller.register(self._fd, select.POLLOUT)
        if poller.poll(0):
            os.eventfd_write(self._fd, 1)
        self._close()

    def _close(self) -> None:
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1
            self._budget.refund()

    def __del__(self) -> None:
        self._close()
