"""Timelines, points, and the commit rules of linux-drm-syncobj-v1."""

from dataclasses import dataclass
from errno import EINVAL
from typing import Final, Protocol

from syncline.compositor.core.buffer import Buffer
from syncline.compositor.core.errors import Violation
from syncline.kms_model.uapi import (
    Cap,
    DeviceError,
    DeviceFile,
    Fd,
    GetCap,
    SyncobjFdToHandle,
    SyncobjQueryType,
    SyncobjType,
)
from syncline.protocol.enums import WpLinuxDrmSyncobjSurfaceV1

Error = WpLinuxDrmSyncobjSurfaceV1.Error


LOST: Final = 0
"""The handle of a syncobj that the machine could not take over: whatever asks for it is ENOENT, so that
nothing is ever reached on it. The client has done nothing wrong (S20, S102)."""


@dataclass(eq=False, slots=True)
class Timeline:
    """One imported syncobj: a handle of our device file. Two imports are two timelines (S18).

    Destroying the protocol object cancels nothing (S21-S23): the handle goes with its last use.
    """

    handle: int
    uses: int = 1
    is_user: bool = False
    """A user fence, as far as we ask (`Sync.USER`)."""
    may_signal: bool = True
    """Until the kernel says EACCES: the signallers of a user fence are others."""


@dataclass(frozen=True, slots=True)
class SyncPoint:
    """`value` is the whole 64 bits (S25)."""

    timeline: Timeline
    value: int


def has_user_fences(device: DeviceFile) -> bool:
    """Whether syncobjs may be user fences here."""
    try:
        return bool(device.call(GetCap(capability=Cap.SYNCOBJ_USER)).value)
    except DeviceError:  # a kernel that has never heard of them
        return False


def import_timeline(device: DeviceFile, fd: Fd, *, asks_type: bool) -> Timeline:
    """Takes `fd` over, also when it raises DeviceError(EINVAL): then it was no syncobj (S15)."""
    try:
        handle = device.call(SyncobjFdToHandle(fd=fd)).handle
    except DeviceError as refusal:
        if refusal.errno == EINVAL:
            raise
        return Timeline(LOST)
    finally:
        device.close_fd(fd)
    return Timeline(handle, is_user=asks_type and _is_user(device, handle))


def _is_user(device: DeviceFile, handle: int) -> bool:
    """One that does not say is waited for and signalled like any other, which is right for both kinds."""
    try:
        return device.call(SyncobjQueryType(handle=handle)).type is SyncobjType.USER
    except DeviceError:
        return False


class Watcher(Protocol):
    """The loop edge's promise to tell of a point: SYNCOBJ_EVENTFD on an eventfd of its own.

    When the eventfd becomes readable the loop calls `Compositor.point_ready(watch, now_ns)`, once; the
    core asks the device again before it believes it (ACQ-28..30), and may call `watch` anew.
    """

    def watch(self, handle: int, point: int, *, available: bool) -> int:
        """Begin watching; never blocks. Returns a number not in use. Raises DeviceError.

        `available`: as soon as a fence exists (WaitFlag.AVAILABLE), not only when it has signalled.
        """
        ...

    def ask(self, handle: int, point: int, *, available: bool) -> int | None:
        """`watch`, and ask in the same round trip: None if it is so already, and then nothing is watched.

        Raises DeviceError for either; nothing is watched then, too.
        """
        ...

    def watch_fence(self, fence: Fd) -> int | None:
        """The same for a sync_file, which is the watcher's from here on. None: it has signalled.

        It can be polled itself, so a wake of this kind is true and cannot get lost.
        """
        ...

    def unwatch(self, watch: int) -> None:
        """Forget it. No `point_ready` for this number afterwards. Not called for one already reported."""
        ...


@dataclass(frozen=True, slots=True)
class SyncPair:
    """What an explicit commit with a buffer brings."""

    acquire: SyncPoint
    release: SyncPoint


def check_points(
    buffer: Buffer | None, acquire: SyncPoint | None, release: SyncPoint | None
) -> SyncPair | None:
    """Both points if and only if a non-null buffer was attached in this cycle (protocol.md 1.0).

    Changes nothing: raises Violation(WpLinuxDrmSyncobjSurfaceV1.Error), or says what to do.
    """
    if buffer is None:
        if acquire is not None or release is not None:
            raise Violation(Error.NO_BUFFER, "sync points on a commit without a buffer")
        return None
    if acquire is None:
        raise Violation(Error.NO_ACQUIRE_POINT, "a buffer needs an acquire point")
    if release is None:
        raise Violation(Error.NO_RELEASE_POINT, "a buffer needs a release point")
    if not buffer.supports_explicit_sync:
        raise Violation(
            Error.UNSUPPORTED_BUFFER, f"no explicit sync for {buffer.origin.name.lower()} buffers"
        )
    if acquire.timeline is release.timeline and acquire.value >= release.value:
        raise Violation(
            Error.CONFLICTING_POINTS, f"acquire {acquire.value} is not below release {release.value}"
        )
    return SyncPair(acquire, release)
