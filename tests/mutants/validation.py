"""Commits that are taken though they are wrong, or blamed for something else."""

from typing import Any

from mutants.mutant import LOW, Broken, breaks
from syncline.compositor.core import commits
from syncline.compositor.core.buffer import Buffer, Origin
from syncline.compositor.core.commits import Commits
from syncline.compositor.core.errors import Violation
from syncline.compositor.core.state import UNATTACHED, PendingState
from syncline.compositor.core.surface import Surface
from syncline.compositor.core.syncobj import Error, SyncPair, SyncPoint
from syncline.compositor.wayland.buffer import WlBuffer
from syncline.compositor.wayland.session import Session
from syncline.compositor.wayland.surface import WlSurface
from syncline.compositor.wayland.syncobj import (
    WpLinuxDrmSyncobjSurfaceV1 as SyncSurface,
    WpLinuxDrmSyncobjTimelineV1 as WireTimeline,
)
from syncline.protocol.enums import WlSurface as WlSurfaceEnums

MaybeBuffer = Buffer | None
MaybePoint = SyncPoint | None
MaybePair = SyncPair | None


def _forgiven(
    codes: set[Error], check: Broken, buffer: MaybeBuffer, acquire: MaybePoint, release: MaybePoint
) -> MaybePair:
    """Commits with these errors are taken, as far as they can be."""
    try:
        pair: MaybePair = check(buffer, acquire, release)
    except Violation as violation:
        if violation.code not in codes:
            raise
        pair = SyncPair(acquire, release) if buffer and acquire and release else None
    return pair


# What is taken though it is wrong.


@breaks("S38 S39 S40", at=(commits, "check_points"), killed_by="VAL-02 VAL-03 VAL-04 LIF-05")
def needs_no_points(check: Broken, *commit: Any) -> MaybePair:
    """A buffer with one point or none is taken, and is an implicit one."""
    return _forgiven({Error.NO_ACQUIRE_POINT, Error.NO_RELEASE_POINT}, check, *commit)


@breaks("S40 S101", at=(commits, "check_points"), killed_by="VAL-04 LIF-05")
def takes_buffers_without_any_point(check: Broken, *commit: Any) -> MaybePair:
    """One point is too few, none is fine."""
    return None if commit[1] is None and commit[2] is None else check(*commit)


@breaks(
    "S34 S35 S36 S37", at=(commits, "check_points"), killed_by="VAL-05 VAL-06 VAL-07 VAL-08 VAL-09 VAL-10"
)
def needs_no_buffer(check: Broken, *commit: Any) -> MaybePair:
    """Points without a buffer are taken and forgotten."""
    return _forgiven({Error.NO_BUFFER}, check, *commit)


@breaks("S37", at=(Commits, "_check"), killed_by="VAL-08")
def takes_the_shown_buffer_for_the_pending_one(
    check: Broken, self: Commits, surface: Surface, state: PendingState
) -> Any:
    """Points without an attach pass if the surface shows a buffer."""
    if surface.content is not None and state.attached is UNATTACHED:
        state.acquire = state.release = None
    return check(self, surface, state)


@breaks("S36", at=(Commits, "_check"), killed_by="VAL-09 VAL-13")
def looks_away_from_null(check: Broken, self: Commits, surface: Surface, state: PendingState) -> Any:
    """A commit of NULL is not looked at."""
    if surface.explicit and state.attached is None:
        return None
    return check(self, surface, state)


@breaks("S54", at=(commits, "check_points"), killed_by="VAL-26")
def takes_shared_memory_without_points(
    check: Broken, buffer: MaybeBuffer, acquire: MaybePoint, release: MaybePoint
) -> MaybePair:
    """Shared memory is judged as if the surface had no object."""
    if buffer is not None and buffer.origin is Origin.UPLOAD:
        return None
    pair: MaybePair = check(buffer, acquire, release)
    return pair


@breaks("S41", at=(commits, "check_points"), killed_by="VAL-25 VAL-27")
def forgets_points_of_other_buffers(check: Broken, *commit: Any) -> MaybePair:
    """A buffer without explicit sync is taken with points that nobody looks at."""
    try:
        pair: MaybePair = check(*commit)
    except Violation as violation:
        if violation.code is not Error.UNSUPPORTED_BUFFER:
            raise
        pair = None
    return pair


@breaks("S42", at=(commits, "check_points"), killed_by="VAL-16 VAL-17 VAL-21")
def sees_no_conflicts(check: Broken, *commit: Any) -> MaybePair:
    """Acquire and release of one timeline may be any two values."""
    return _forgiven({Error.CONFLICTING_POINTS}, check, *commit)


@breaks("S42", at=(commits, "check_points"), killed_by="VAL-16")
def sees_no_conflict_in_equal_points(
    check: Broken, buffer: MaybeBuffer, acquire: MaybePoint, release: MaybePoint
) -> MaybePair:
    """Only an acquire point above the release point conflicts."""
    if buffer and acquire and acquire == release:
        return SyncPair(acquire, release)
    pair: MaybePair = check(buffer, acquire, release)
    return pair


@breaks("S25", at=(commits, "check_points"), killed_by="VAL-21")
def compares_low_words(
    check: Broken, buffer: MaybeBuffer, acquire: MaybePoint, release: MaybePoint
) -> MaybePair:
    """Conflicts are looked for in the low 32 bits."""
    if acquire and release and (acquire.value & LOW) < (release.value & LOW):
        return SyncPair(acquire, release)
    pair: MaybePair = check(buffer, acquire, release)
    return pair


# What is set by the wrong request, and what stays that should not.


@breaks("S26", at=(SyncSurface, "set_acquire_point"), killed_by="ACQ-18 VAL-20")
def keeps_the_first_point(set_point: Broken, self: SyncSurface, timeline: WireTimeline, point: int) -> None:
    """A second acquire point of a cycle does not replace the first."""
    if self.surface.pending.acquire is None:
        set_point(self, timeline, point)


@breaks("S27", at=(Commits, "commit"), killed_by="VAL-24")
def shares_points_between_surfaces(commit: Broken, self: Commits, surface: Surface, now_ns: int) -> None:
    """A commit uses up the points of every window."""
    commit(self, surface, now_ns)
    for other in self._shell._xdg:
        pending = other.pending
        pending.acquire = pending.release = None


@breaks("S28", at=(WlSurface, "attach"), killed_by="VAL-15")
def forgets_points_set_before_the_buffer(
    attach: Broken, self: WlSurface, buffer: WlBuffer | None, x: int, y: int
) -> None:
    """An attach clears the points of its cycle."""
    attach(self, buffer, x, y)
    self.surface.pending.acquire = self.surface.pending.release = None


@breaks("S29", at=(PendingState, "successor"), killed_by="VAL-23")
def points_stick(successor: Broken, self: PendingState) -> PendingState:
    """A commit does not use its points up."""
    after: PendingState = successor(self)
    after.acquire, after.release = self.acquire, self.release
    return after


@breaks("S47", at=(WlSurface, "attach"), killed_by="VAL-13 VAL-14")
def keeps_the_first_attach(attach: Broken, self: WlSurface, buffer: WlBuffer | None, x: int, y: int) -> None:
    """A second attach of a cycle does not replace the first."""
    if self._attached is UNATTACHED:
        attach(self, buffer, x, y)


@breaks("S48 C11", at=(WlSurface, "_content"), killed_by="VAL-30")
def condemns_destroyed_buffers(content: Broken, self: WlSurface, attached: Any) -> Any:
    """Committing a buffer destroyed while pending is invalid_size."""
    if isinstance(attached, WlBuffer) and not attached.alive:
        raise self.error(WlSurfaceEnums.Error.INVALID_SIZE, "it has no size any more")
    return content(self, attached)


@breaks("S46", at=(Session, "violated"), killed_by="VAL-34")
def punishes_bystanders(violated: Broken, self: Session, violation: Violation, **where: Any) -> Any:
    """With whoever breaks a rule go all other clients."""
    error = violated(self, violation, **where)
    for session in self.stage.sessions.values():
        for objects in session.surfaces.values():
            wire = objects.by_interface["wl_surface"]
            if session is not self:
                wire.connection.post_error(wire.error(WlSurfaceEnums.Error.NO_BUFFER, "guilt by association"))
    return error


@breaks("S46", at=(commits, "check_points"), killed_by="VAL-35")
def names_a_rule_that_was_kept(check: Broken, *commit: Any) -> MaybePair:
    """An unsupported buffer without a point lacks a buffer."""
    buffer, acquire, release = commit
    if buffer is not None and not buffer.supports_explicit_sync and not (acquire and release):
        raise Violation(Error.NO_BUFFER, "not one that counts")
    pair: MaybePair = check(*commit)
    return pair


@breaks("S34 S35", at=(commits, "check_points"), killed_by="VAL-10")
def looks_for_points_first(
    check: Broken, buffer: MaybeBuffer, acquire: MaybePoint, release: MaybePoint
) -> MaybePair:
    """One point without a buffer lacks the other point."""
    if buffer is None and (acquire is None) != (release is None):
        code = Error.NO_ACQUIRE_POINT if acquire is None else Error.NO_RELEASE_POINT
        raise Violation(code, "the other point")
    pair: MaybePair = check(buffer, acquire, release)
    return pair


@breaks("S38 S39", at=(commits, "check_points"), killed_by="VAL-02 VAL-03 LIF-08")
def mistakes_acquire_for_release(check: Broken, buffer: MaybeBuffer, *points: MaybePoint) -> MaybePair:
    """Missing acquire points are said to be missing release points, and the other way round."""
    swapped = {Error.NO_ACQUIRE_POINT: Error.NO_RELEASE_POINT, Error.NO_RELEASE_POINT: Error.NO_ACQUIRE_POINT}
    try:
        pair: MaybePair = check(buffer, *points)
    except Violation as violation:
        raise Violation(swapped.get(violation.code, violation.code), violation.text) from violation  # type: ignore[call-overload]
    return pair
