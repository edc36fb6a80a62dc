"""Buffers that are given back too early, twice, for somebody else, or never."""

from typing import Any

from mutants.mutant import LOW, Broken, breaks
from syncline.compositor.core.buffer import Buffer
from syncline.compositor.core.commits import Commits
from syncline.compositor.core.compositor import Compositor
from syncline.compositor.core.constraint import Fenced
from syncline.compositor.core.errors import Violation
from syncline.compositor.core.loan import Loan
from syncline.compositor.core.release import Releases
from syncline.compositor.core.state import UNATTACHED, PendingState
from syncline.compositor.core.surface import Surface
from syncline.compositor.core.syncobj import Error, SyncPoint
from syncline.compositor.wayland.syncobj import (
    WpLinuxDrmSyncobjSurfaceV1 as SyncSurface,
    WpLinuxDrmSyncobjTimelineV1 as WireTimeline,
)
from syncline.kms_model.uapi import (
    DeviceError,
    SyncobjQuery,
    SyncobjTimelineSignal,
    SyncobjTimelineWait,
    WaitFlag,
)

# Too early, or too much.


@breaks("S71", at=(Releases, "lend"), killed_by="REL-02")
def releases_at_commit(lend: Broken, self: Releases, loan: Loan) -> None:
    """The release point is signalled when the buffer is committed."""
    lend(self, loan)
    if loan.release is not None:
        point = loan.release
        self._device.call(SyncobjTimelineSignal(handles=(point.timeline.handle,), points=(point.value,)))


@breaks("S91", at=(Releases, "_hand_over"), killed_by="REL-16")
def runs_ahead(hand_over: Broken, self: Releases, *what: Any) -> None:
    """Release timelines are moved one further than asked."""
    *fences, release = what
    hand_over(self, *fences, SyncPoint(release.timeline, release.value + 1))


@breaks("S25", at=(Releases, "_hand_over"), killed_by="REL-35")
def signals_the_low_word(hand_over: Broken, self: Releases, *what: Any) -> None:
    """Release points are reached in their low 32 bits."""
    *fences, release = what
    hand_over(self, *fences, SyncPoint(release.timeline, release.value & LOW))


@breaks("S26", at=(SyncSurface, "set_release_point"), killed_by="VAL-36")
def reaches_replaced_points(set_point: Broken, self: SyncSurface, timeline: WireTimeline, point: int) -> None:
    """A release point that is replaced before the commit is reached as if its buffer were not needed."""
    before = self.surface.pending.release
    if before is not None:
        signal = SyncobjTimelineSignal(handles=(before.timeline.handle,), points=(before.value,))
        self.session.core.device.call(signal)
    set_point(self, timeline, point)


# For somebody else.


@breaks("S73", at=(Releases, "lend"), killed_by="REL-09")
def keeps_the_buffers_first_point(lend: Broken, self: Releases, loan: Loan) -> None:
    """A buffer committed again keeps the release point that it had."""
    for other in self.open:
        if other.buffer is loan.buffer and other.surface == loan.surface and other.is_current:
            loan.release = other.release
    lend(self, loan)


@breaks("S87", at=(Releases, "lend"), killed_by="REL-10")
def keeps_one_point_for_all_surfaces(lend: Broken, self: Releases, loan: Loan) -> None:
    """A buffer on two surfaces has the release point of the first."""
    for other in self.open:
        if other.buffer is loan.buffer and other.surface != loan.surface:
            loan.release = other.release
    lend(self, loan)


# Never.


@breaks("S70", at=(Releases, "_reach_point"), killed_by="REL-01 OBJ-17")
def forgets_every_release(_reach: Broken, self: Releases, loan: Loan, *_: Any, **_how: Any) -> None:
    """No release point is ever reached."""
    loan.point_reached = True


@breaks("S70", at=(Releases, "_reach_point"), killed_by="REL-28")
def releases_with_fences_only(
    reach: Broken, self: Releases, loan: Loan, *fence: Any, is_idle: bool, now_ns: int
) -> None:
    """Without a fence to hand on a release point is not reached."""
    if loan.fences:
        reach(self, loan, *fence, is_idle=False, now_ns=now_ns)
    loan.point_reached = True


@breaks("S78", at=(Commits, "_replace_content"), killed_by="REL-08")
def keeps_what_was_never_shown(
    replace: Broken, self: Commits, surface: Surface, loan: Loan | None, now_ns: int
) -> None:
    """Frames superseded before a frame took them are not given back."""
    if any(update.loan is surface.content for update in surface.fresh if update.loan is not None):
        surface.content = None
    replace(self, surface, loan, now_ns)


@breaks("S93", at=(Commits, "_replace_content"), killed_by="SUB-05")
def keeps_what_was_cached(
    replace: Broken, self: Commits, surface: Surface, loan: Loan | None, now_ns: int
) -> None:
    """Cached updates of a sub-surface that were replaced in the cache are not given back."""
    cached = [update.loan for update in surface.fresh if update.synchronized]
    if surface.content is not None and surface.content in cached:
        surface.content = None
    replace(self, surface, loan, now_ns)


@breaks("S79", at=(Commits, "_replace_content"), killed_by="REL-03")
def keeps_what_null_removed(
    replace: Broken, self: Commits, surface: Surface, loan: Loan | None, now_ns: int
) -> None:
    """What a NULL removes is not given back."""
    if loan is None and surface.current.attached is None:
        surface.content = None
    replace(self, surface, loan, now_ns)


@breaks("S80", at=(Commits, "_replace_content"), killed_by="REL-04 ACQ-13 REL-15")
def keeps_what_dead_surfaces_showed(
    replace: Broken, self: Commits, surface: Surface, loan: Loan | None, now_ns: int
) -> None:
    """What a surface shows when it is destroyed is not given back."""
    if loan is None and surface.current.attached is not None:
        surface.content = None
    replace(self, surface, loan, now_ns)


@breaks("S94", at=(Commits, "discard"), killed_by="ACQ-13 SUB-09")
def keeps_what_dead_surfaces_waited_for(
    discard: Broken, self: Commits, surface: Surface, now_ns: int
) -> None:
    """What a surface has queued when it is destroyed is not given back."""
    for update in surface.queue:
        self._stage.waits.cancel(update, now_ns)
        update.loan = None
    discard(self, surface, now_ns)


@breaks("S94 S80", at=(Releases, "retire"), killed_by="ACQ-13")
def wants_the_acquire_first(retire: Broken, self: Releases, loan: Loan, now_ns: int) -> None:
    """Nothing is given back before its acquire point, though nobody read it."""
    if loan.acquire is not None:
        question = SyncobjTimelineWait(
            handles=(loan.acquire.timeline.handle,), points=(loan.acquire.value,), flags=WaitFlag.FOR_SUBMIT
        )
        try:
            self._device.call(question)
        except DeviceError:
            return
    retire(self, loan, now_ns)


@breaks("S81", at=(Compositor, "destroy_buffer"), killed_by="REL-05 REL-13")
def buffers_take_their_points_along(destroy: Broken, self: Compositor, buffer: Buffer, now_ns: int) -> None:
    """The release points of a wl_buffer that is destroyed are forgotten."""
    for loan in self._stage.releases.open:
        if loan.buffer is buffer and loan.explicit:
            loan.point_reached = True
    destroy(self, buffer, now_ns)


@breaks("C12", at=(Compositor, "destroy_buffer"), killed_by="REL-05")
def buffers_take_their_content_along(destroy: Broken, self: Compositor, buffer: Buffer, now_ns: int) -> None:
    """What shows a wl_buffer shows nothing when that is destroyed."""
    for surface in self._surfaces():
        if surface.content is not None and surface.content.buffer is buffer:
            self._commits._replace_content(surface, None, now_ns)
            surface.extent = None
            self._layout.changed()
    self._layout.settle(now_ns)
    destroy(self, buffer, now_ns)


@breaks("S81", at=(Compositor, "destroy_buffer"), killed_by="ACQ-15")
def buffers_take_waiting_frames_along(destroy: Broken, self: Compositor, buffer: Buffer, now_ns: int) -> None:
    """An update that waits with a wl_buffer that is destroyed never becomes ready."""
    for update in self._stage.waits._pending.values():
        for constraint in update.constraints:
            if update.loan is None or update.loan.buffer is not buffer or not isinstance(constraint, Fenced):
                continue
            if constraint.watch is not None:
                del self._stage.waits._by_watch[constraint.watch]
                self._stage.watcher.unwatch(constraint.watch)
                constraint.watch = None
                constraint.since_ns = now_ns + 10**12
    destroy(self, buffer, now_ns)


@breaks("S82", at=(SyncSurface, "on_destroyed"), killed_by="REL-06")
def objects_take_their_points_along(on_destroyed: Broken, self: SyncSurface) -> None:
    """The release points of a surface whose object is destroyed are forgotten."""
    for loan in self.session.core._stage.releases.open:
        if loan.surface == self.surface.number and loan.explicit:
            loan.point_reached = True
    on_destroyed(self)


@breaks("S82", at=(SyncSurface, "on_destroyed"), killed_by="ACQ-17")
def objects_take_their_waits_along(on_destroyed: Broken, self: SyncSurface) -> None:
    """Updates of a surface whose object is destroyed wait no longer."""
    core, now_ns = self.session.core, self.session.now_ns
    for update in self.surface.queue:
        core._stage.waits.cancel(update, now_ns)
    core._commits.settle(self.surface.root, now_ns)
    on_destroyed(self)


@breaks("S85", at=(Releases, "_send_release"), killed_by="VAL-32")
def never_says_release(_send: Broken, self: Releases, loan: Loan, now_ns: int) -> None:
    """wl_buffer.release does not come for dma-bufs, with points or without."""
    loan.event_sent = True
    loan.buffer.implicit_loans -= 1


@breaks("S92", at=(Commits, "_check"), killed_by="REL-17")
def refuses_points_that_are_past(check: Broken, self: Commits, surface: Surface, state: PendingState) -> Any:
    """A release point that its timeline has passed is an error."""
    if state.release is not None and state.attached is not UNATTACHED:
        (value,) = self._stage.device.call(SyncobjQuery(handles=(state.release.timeline.handle,))).points
        if value >= state.release.value:
            raise Violation(Error.CONFLICTING_POINTS, "reached already")
    return check(self, surface, state)


@breaks("S99", at=(Releases, "_end"), killed_by="REL-22")
def answers_in_one_way(end: Broken, self: Releases, loan: Loan) -> None:
    """get_release is not answered for commits with points."""
    if loan.explicit:
        loan.callbacks = ()
    end(self, loan)


@breaks("S70", at=(Releases, "_reach_point"), killed_by="LIF-07")
def forgets_one_release_in_fifty(reach: Broken, self: Releases, loan: Loan, *fence: Any, **how: Any) -> None:
    """Of many release points one is not reached."""
    count = vars(self).setdefault("count", 0)
    vars(self)["count"] = count + 1
    if count % 50 == 49:
        loan.point_reached = True
    else:
        reach(self, loan, *fence, **how)
