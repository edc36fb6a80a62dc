"""SYNCOBJ_EVENTFD: one increment of an eventfd when a point signals or appears (kernel.md 2.7)."""

import fcntl
import os
import select
from collections.abc import Callable
from errno import EINVAL
from typing import Final

from syncline.kms_model.budget import Budget
from syncline.kms_model.descriptors import check_eventfd
from syncline.kms_model.fences.fence import Fence
from syncline.kms_model.file import File
from syncline.kms_model.syncobj.find import find_syncobj
from syncline.kms_model.syncobj.syncobj import Source
from syncline.kms_model.uapi import DeviceError, SyncobjEventfd, WaitFlag

_AVAILABLE: Final = int(WaitFlag.AVAILABLE)


def eventfd(file: File, request: SyncobjEventfd) -> None:
    """EINVAL: flags, pad, or not an eventfd. ENOENT: handle. EBADF: not a descriptor.

    ENOMEM. EMFILE: over the budget, which only what is still to come is charged to.
    """
    if request.flags & ~_AVAILABLE or request.pad:
        raise DeviceError(EINVAL, "unknown flag, or pad")
    syncobj = find_syncobj(file, request.handle)
    check_eventfd(request.fd)
    file.kernel.faults.allocate("an eventfd entry")
    if file.kernel.faults.armed and _goes_wrong(file, request.fd):
        return
    hear = _silence
    if file.kernel.accesses is not None and not request.flags:
        hear = file.kernel.accesses.listener(file, syncobj.awaited(request.point))
    fence = syncobj.find(request.point)
    if fence is None:
        syncobj.watch(EventfdEntry(file.budget, request, hear))
    elif request.flags or not fence.enable_signaling():
        hear()
        _increment(request.fd)
    else:
        EventfdEntry(file.budget, request, hear).follow(fence)


def _silence() -> None:
    """Nobody watches."""


def _goes_wrong(file: File, fd: int) -> bool:
    """Whether nothing is to be registered."""
    faults = file.kernel.faults
    if faults.strikes("spurious-wake", file):
        _increment(fd)
    return faults.strikes("lost-wake", file) is not None


class EventfdEntry:
    """A registration: fires once, and goes with its syncobj if that goes first."""

    __slots__ = ("_available", "_budget", "_fd", "_hear", "_point")

    def __init__(self, budget: Budget, request: SyncobjEventfd, hear: Callable[[], None]) -> None:
        """`hear` is called as it fires."""
        self._fd = -1
        budget.charge()
        self._budget = budget
        self._hear = hear
        self._fd = os.dup(request.fd)
        self._point = request.point
        self._available = bool(request.flags & _AVAILABLE)

    def changed(self, source: Source) -> bool:
        fence = source.find(self._point)
        if fence is None:
            return False
        self.follow(fence)
        return True

    def follow(self, fence: Fence) -> None:
        """Fire with `fence`, or with AVAILABLE because there is one."""
        if self._available or not fence.add_callback(self._fire):
            self._fire(fence)

    def _fire(self, _fence: Fence) -> None:
        self._hear()
        _increment(self._fd)
        self._close()

    def _close(self) -> None:
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1
            self._budget.refund()

    def __del__(self) -> None:
        self._close()


def _increment(fd: int) -> None:
    """eventfd_signal: never sleeps, and leaves a full counter full, where write(2) may do otherwise."""
    if fcntl.fcntl(fd, fcntl.F_GETFL) & os.O_NONBLOCK or _has_room(fd):
        try:
            os.eventfd_write(fd, 1)
        except BlockingIOError:
            return  # full


def _has_room(fd: int) -> bool:
    poller = select.poll()
    poller.register(fd, select.POLLOUT)
    return bool(poller.poll(0))
