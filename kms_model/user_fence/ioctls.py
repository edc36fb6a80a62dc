"""The calls that make and describe user fences, and what happens when their signallers die (kernel.md 6.2, 6.5)."""

from collections.abc import Callable, Coroutine, Mapping
from errno import EACCES, EBADF, ECANCELED, EINVAL, ENODEV, ENOENT, ENOSPC, EOPNOTSUPP, EPERM, ESRCH
from itertools import count
from typing import Any, Final
from weakref import WeakValueDictionary

from syncline.kms_model.descriptors import has_exited, is_pidfd
from syncline.kms_model.file import File
from syncline.kms_model.kernel import Kernel
from syncline.kms_model.profiles import Profile
from syncline.kms_model.syncobj.find import find_syncobj
from syncline.kms_model.syncobj.syncobj import Syncobj
from syncline.kms_model.uapi import (
    USER_FENCE_POISON,
    DeviceError,
    GemAttachUserFence,
    HandleReply,
    Request,
    SyncobjCreateUser,
    SyncobjMapUser,
    SyncobjMapUserReply,
    SyncobjQueryType,
    SyncobjQueryTypeReply,
    SyncobjSetSignaller,
    SyncobjType,
    UserFenceFlag,
)
from syncline.kms_model.user_fence.seqno_page import PAGE_SIZE, SeqnoPage
from syncline.kms_model.user_fence.user_fence import PrivilegedSlot, Slot, UserSyncobj

MAX_PAGES: Final = 64
"""Pages of slots per file; more is ENOSPC."""
_FLAGS: Final = int(UserFenceFlag.PRIVILEGED | UserFenceFlag.WC)
_EMPTY: Final = SyncobjQueryTypeReply(SyncobjType.EMPTY)
_DMA: Final = SyncobjQueryTypeReply(SyncobjType.DMA)


class UserFences:
    """Who owes what: the slots by file and queue, so that a death poisons what the dead owed."""

    def __init__(self, kernel: Kernel, profile: Profile) -> None:
        self._kernel = kernel
        self._present = profile.user_fences
        self._poison = profile.poison
        self._pages: dict[File | None, list[SeqnoPage]] = {None: []}
        self._slots: WeakValueDictionary[int, Slot] = WeakValueDictionary()
        self._serial = count()
        self._queues: set[int] = set()
        self._next_queue = count(1)

    def ioctls(self) -> Mapping[type[Request[Any]], Callable[[File, Any], Any]]:
        calls: dict[type[Request[Any]], Callable[[File, Any], Any]] = {
            SyncobjCreateUser: self.create,
            SyncobjQueryType: self.query_type,
            SyncobjSetSignaller: self.set_signaller,
            SyncobjMapUser: self.map_user,
            GemAttachUserFence: attach_to_buffer,
        }
        return calls if self._present else dict.fromkeys(calls, _refuse)

    def file_opened(self, file: File) -> None:
        self._pages[file] = []

    def file_closed(self, file: File) -> Coroutine[Any, Any, None] | None:
        del self._pages[file]
        self._bury(file)
        return None

    def create(self, file: File, request: SyncobjCreateUser) -> HandleReply:
        """EINVAL: flags or value. EPERM: PRIVILEGED. ENOSPC: MAX_PAGES are full."""
        if request.flags & ~_FLAGS or not 0 <= request.initial_value < USER_FENCE_POISON:
            raise DeviceError(EINVAL, "unknown flag, or value out of range")
        if request.flags & UserFenceFlag.PRIVILEGED:
            raise DeviceError(EPERM, "privileged slots are the kernel's")
        slot = Slot(self._kernel, self._page_of(file), self._poison, value=request.initial_value)
        slot.write_combined = bool(request.flags & UserFenceFlag.WC)
        slot.signallers.add(file)
        self._slots[next(self._serial)] = slot
        return HandleReply(file.syncobjs.add(UserSyncobj(slot, writable=True)))

    def create_privileged(self, *, watchdog_ns: int) -> PrivilegedSlot:
        """For the kernel's own queues: a slot that may back dma_fences, each bounded by the watchdog."""
        slot = PrivilegedSlot(self._kernel, self._page_of(None), self._poison, watchdog_ns=watchdog_ns)
        self._slots[next(self._serial)] = slot
        return slot

    def query_type(self, file: File, request: SyncobjQueryType) -> SyncobjQueryTypeReply:
        if request.pad:
            raise DeviceError(EINVAL, "pad")
        syncobj = find_syncobj(file, request.handle)
        if not isinstance(syncobj, UserSyncobj):
            return _EMPTY if syncobj.find(request.point) is None else _DMA
        slot = syncobj.slot
        value = slot.read()
        return SyncobjQueryTypeReply(
            SyncobjType.USER,
            byte_offset=slot.offset,
            width=64,
            write_combined=slot.write_combined,
            privileged=isinstance(slot, PrivilegedSlot),
            writable=syncobj.writable,
            status=slot.status,
            value=value,
        )

    def set_signaller(self, file: File, request: SyncobjSetSignaller) -> None:
        slot = _writable(find_syncobj(file, request.handle)).slot
        if request.queue:
            if request.queue not in self._queues:
                raise DeviceError(ESRCH, "no such queue")
            slot.signallers.add(request.queue)
        elif request.pidfd < 0:
            slot.signallers.add(file)
        else:
            self._oblige_process(slot, request.pidfd)

    def map_user(self, file: File, request: SyncobjMapUser) -> SyncobjMapUserReply:
        syncobj = _user(find_syncobj(file, request.handle))
        slot = syncobj.slot
        if request.write and (not syncobj.writable or isinstance(slot, PrivilegedSlot)):
            raise DeviceError(EACCES, "read only")
        return SyncobjMapUserReply(slot.page.export(write=request.write), PAGE_SIZE, slot.offset)

    def add_queue(self) -> int:
        """A GPU queue that may be named as signaller."""
        queue = next(self._next_queue)
        self._queues.add(queue)
        return queue

    def reset_queue(self, queue: int) -> None:
        """The kernel reset it: the slots it owed are poisoned with ECANCELED."""
        self._queues.remove(queue)
        for slot in list(self._slots.values()):
            if queue in slot.signallers:
                slot.poison(ECANCELED)

    def unplug(self) -> None:
        """Every slot is poisoned with ENODEV."""
        for slot in list(self._slots.values()):
            slot.poison(ENODEV)

    def _oblige_process(self, slot: Slot, pidfd: int) -> None:
        if not is_pidfd(pidfd):
            raise DeviceError(EBADF, "not a pidfd")
        if has_exited(pidfd):
            raise DeviceError(ESRCH, "it is gone already")
        process = _Process()
        slot.signallers.add(process)
        self._kernel.descriptors.watch_exit(pidfd, lambda: self._bury(process))

    def _bury(self, signaller: object) -> None:
        for slot in list(self._slots.values()):
            slot.forget(signaller)

    def _page_of(self, file: File | None) -> SeqnoPage:
        pages = self._pages[file]
        for page in pages:
            if not page.full:
                return page
        if len(pages) == MAX_PAGES:
            raise DeviceError(ENOSPC, "no slot left")
        pages.append(SeqnoPage())
        return pages[-1]


def attach_to_buffer(file: File, request: GemAttachUserFence) -> None:
    gem = file.gems.get(request.handle)
    if gem is None:
        raise DeviceError(ENOENT, f"no buffer {request.handle}")
    slot = _user(find_syncobj(file, request.syncobj)).slot if request.syncobj else None
    gem.resv.user_fence = None if slot is None else (slot, request.point)


class _Process:
    """A process that owes signals, known by its pidfd."""


def _user(syncobj: Syncobj) -> UserSyncobj:
    if not isinstance(syncobj, UserSyncobj):
        raise DeviceError(EINVAL, "not a user syncobj")
    return syncobj


def _writable(syncobj: Syncobj) -> UserSyncobj:
    user = _user(syncobj)
    if not user.writable:
        raise DeviceError(EACCES, "read only")
    return user


def _refuse(_file: File, _request: object) -> None:
    raise DeviceError(EOPNOTSUPP, "the device has no user fences")
