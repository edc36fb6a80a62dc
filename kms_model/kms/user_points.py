"""User fences in a commit: the points it waits for, the point it owes, and what may not be mixed (kernel.md 6.6).

A user point has no dma_fence, so nothing here may become one: a commit that waits for user space can
promise nothing but user points in return (UR1, UR3).
"""

from collections.abc import Iterator, Sequence
from errno import EINVAL
from typing import Final

from syncline.kms_model.file import File
from syncline.kms_model.kms.objects import Blob, Crtc, PlaneState
from syncline.kms_model.kms.point import OutPoint, UserPoint
from syncline.kms_model.kms.state import AtomicState
from syncline.kms_model.observer import Accepted
from syncline.kms_model.syncobj.find import find_syncobj
from syncline.kms_model.uapi import USER_FENCE_POISON, USER_POINT, DeviceError
from syncline.kms_model.user_fence.user_fence import UserSyncobj

MAX_POINTS: Final = 64
"""User points that one plane may wait for (EINVAL beyond)."""


def in_points(file: File, blob: Blob | None) -> tuple[UserPoint, ...]:
    """IN_USER_FENCE. EINVAL: malformed, not user fences, or no such point. ENOENT: unknown handle."""
    points = tuple(UserPoint(syncobj.slot, point) for syncobj, point in _entries(file, blob))
    if len(points) > MAX_POINTS:
        raise DeviceError(EINVAL, "too many user points for one plane")
    return points


def out_point(file: File, blob: Blob | None) -> OutPoint | None:
    """OUT_USER_FENCE: one entry. Also EACCES: the caller holds the syncobj for reading only."""
    entries = list(_entries(file, blob))
    if not entries:
        return None
    if len(entries) > 1:
        raise DeviceError(EINVAL, "a CRTC owes one point")
    ((syncobj, point),) = entries
    syncobj.check_put(point)
    return OutPoint(syncobj.slot, point)


def _entries(file: File, blob: Blob | None) -> Iterator[tuple[UserSyncobj, int]]:
    if blob is None:
        return
    if len(blob.data) % USER_POINT.size:
        raise DeviceError(EINVAL, "no array of user points")
    for handle, pad, point in USER_POINT.iter_unpack(blob.data):
        syncobj = find_syncobj(file, handle)
        if pad or not isinstance(syncobj, UserSyncobj) or not 0 < point < USER_FENCE_POISON:
            raise DeviceError(EINVAL, f"{handle}@{point} is no point of a user fence")
        yield syncobj, point


class Mixed(DeviceError):
    """EINVAL: fences that may not be in one commit (K15)."""

    def __init__(self, why: str) -> None:
        super().__init__(EINVAL, why)


def accepted(state: AtomicState, *, parked: bool) -> Accepted:
    """What an observer is told of the fences of a commit."""
    outs = [crtc.event.fence for crtc in state.crtcs.values() if crtc.event is not None]
    outs += [new.writeback.out_fence for new in state.connectors.values() if new.writeback is not None]
    return Accepted(
        crtc_ids=tuple(crtc.id for crtc in state.crtcs),
        parked=parked,
        waits_for_user=bool(state.user_points),
        dma_outs=[fence for fence in outs if fence is not None],
        user_outs=sum(
            crtc.event is not None and crtc.event.point is not None for crtc in state.crtcs.values()
        ),
        implicit_user=any(_has_user_fence(new) for new in state.planes.values()),
    )


def check_user_points(state: AtomicState) -> None:
    """UR1, UR3, UR10, UR13 and UR15, all EINVAL. By what was supplied: no value is looked at (UR12)."""
    dma_out = bool(state.out_pointers or state.writeback_pointers)
    if dma_out and state.out_points:
        raise Mixed("out-fences of both kinds in one commit (UR3)")
    for plane, new in state.planes.items():
        if new.user_points and new.fb is None:
            raise DeviceError(EINVAL, f"plane {plane.id} waits for a user fence but shows nothing")
        if dma_out and _has_user_fence(new):
            raise Mixed("a dma_fence of a buffer with an implicit user fence (UR15)")
    if state.out_points:
        check_out_points(state)
    if not state.user_points:
        return
    if dma_out:
        raise Mixed("a dma_fence may not depend on a user fence (UR1)")
    if len(state.crtcs) > 1:
        raise DeviceError(EINVAL, "user fences and more than one CRTC (UR10)")
    if any(crtc_state.needs_modeset for crtc_state in state.crtcs.values()):
        raise DeviceError(EINVAL, "a modeset cannot wait for user space (UR10)")


def check_out_points(state: AtomicState) -> None:
    """UR13: the points that commits owe to one slot increase, also from CRTC to CRTC of one commit."""
    last: dict[object, int] = {}
    for crtc in state.crtcs:
        owed = state.out_points.get(crtc)
        if owed is not None:
            if owed.point <= last.get(owed.slot, owed.slot.last_out):
                raise DeviceError(EINVAL, f"point {owed.point} does not come after the last one (UR13)")
            last[owed.slot] = owed.point


def _has_user_fence(new: PlaneState) -> bool:
    return new.fb is not None and new.fb.gem.resv.user_fence is not None


def hint_deadline(crtc: Crtc, points: Sequence[UserPoint]) -> None:
    """When the screen wants them, as an advisory word in the slot (Q12)."""
    if crtc.vblank.running:
        for each in points:
            each.slot.page.store_deadline(each.slot.offset, crtc.vblank.deadline_ns())
