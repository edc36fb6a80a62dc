"""Updates that are applied too early or in the wrong order."""

from dataclasses import replace
from errno import ETIME
from typing import Any

from mutants.mutant import LOW, Broken, breaks
from syncline.compositor.core import commits
from syncline.compositor.core.commits import Commits
from syncline.compositor.core.constraint import AcquirePoint, ConstraintState
from syncline.compositor.core.state import UNATTACHED
from syncline.compositor.core.surface import ContentUpdate, Surface
from syncline.compositor.core.syncobj import SyncPoint
from syncline.compositor.core.waits import Waits
from syncline.kms_model.uapi import (
    DeviceError,
    SyncobjTimelineWait,
)

FAR_NS = 10**15
LEAK_EVERY = 64


def _let_go(update: ContentUpdate) -> None:
    for constraint in update.constraints:
        constraint.state = ConstraintState.RELEASED


# Too early.


@breaks("S56", at=(Waits, "await_point"), killed_by="ACQ-03 ACQ-05 ACQ-31 SUB-04 SUB-08 PRE-05")
def does_not_wait(_await: Broken, self: Waits, update: ContentUpdate, **_: Any) -> None:
    """Acquire points are ignored."""


@breaks("S56 G4", at=(Waits, "_begin"), killed_by="ACQ-03 TEA-02")
def takes_any_fence(
    begin: Broken, self: Waits, update: ContentUpdate, constraint: AcquirePoint, now_ns: int
) -> None:
    """An image is ready when its fence exists, and nobody else waits for it."""
    constraint.available_is_enough = True
    begin(self, update, constraint, now_ns)


def _instead(constraint: AcquirePoint, value: int) -> AcquirePoint:
    return replace(constraint, point=SyncPoint(constraint.point.timeline, value))


@breaks("S56", at=(Waits, "_begin"), killed_by="ACQ-05")
def waits_for_the_point_before(
    begin: Broken, self: Waits, update: ContentUpdate, constraint: AcquirePoint, now_ns: int
) -> None:
    """The wait is for one value less."""
    begin(self, update, _instead(constraint, max(constraint.point.value - 1, 1)), now_ns)


@breaks("S25", at=(Waits, "_begin"), killed_by="ACQ-06")
def waits_for_the_low_word(
    begin: Broken, self: Waits, update: ContentUpdate, constraint: AcquirePoint, now_ns: int
) -> None:
    """Acquire points are waited for in their low 32 bits."""
    begin(self, update, _instead(constraint, constraint.point.value & LOW), now_ns)


@breaks("S57", at=(Waits, "_begin"), killed_by="ACQ-02")
def takes_errors_for_signals(
    begin: Broken, self: Waits, update: ContentUpdate, constraint: AcquirePoint, now_ns: int
) -> None:
    """Whatever the machine answers but a timeout means ready, also that there is no fence yet."""
    handle, point = constraint.point.timeline.handle, constraint.point.value
    try:
        self._device.call(SyncobjTimelineWait(handles=(handle,), points=(point,), flags=0))
    except DeviceError as refusal:
        if refusal.errno == ETIME:
            begin(self, update, constraint, now_ns)


@breaks("S56", at=(Waits, "point_ready"), killed_by="ACQ-30")
def believes_every_wake(_ready: Broken, self: Waits, watch: int, now_ns: int) -> Any:
    """An eventfd that rings is a point reached."""
    update, constraint = self._by_watch.pop(watch)
    constraint.watch = None
    self._release(update, constraint, now_ns)
    return update


@breaks("S56 S68", at=(Waits, "_begin"), killed_by="ACQ-28")
def takes_a_failed_wait_for_a_signal(
    begin: Broken, self: Waits, update: ContentUpdate, constraint: AcquirePoint, now_ns: int
) -> None:
    """What cannot be waited for is ready."""
    begin(self, update, constraint, now_ns)
    if constraint.state is ConstraintState.PENDING and constraint.watch is None:
        self._release(update, constraint, now_ns)


@breaks("S56", at=(commits, "enqueue"), killed_by="SUB-04")
def merges_waits_away(enqueue: Broken, new: ContentUpdate) -> None:
    """A cached update without a buffer takes the wait of the one before with it."""
    if new.synchronized and new.loan is None:
        for old in new.surface.queue:
            _let_go(old)
    enqueue(new)


@breaks("S56 S87", at=(Commits, "_constrain"), killed_by="ACQ-31 SUB-08")
def waits_once_per_buffer(constrain: Broken, self: Commits, update: ContentUpdate, now_ns: int) -> None:
    """A buffer that another surface has too is not waited for again."""
    loan = update.loan
    others = [each for each in self._stage.releases.open if loan and each.surface != loan.surface]
    if loan is None or loan.buffer not in {each.buffer for each in others}:
        constrain(self, update, now_ns)


# Out of order, or not whole.


@breaks("S60 C5", at=(commits, "enqueue"), killed_by="ACQ-08 ACQ-09 ACQ-10")
def newer_updates_overtake(enqueue: Broken, new: ContentUpdate) -> None:
    """A newer update does not let an older one wait."""
    for old in new.surface.queue:
        _let_go(old)
    enqueue(new)


@breaks("S60 C10", at=(commits, "enqueue"), killed_by="ACQ-09")
def null_overtakes(enqueue: Broken, new: ContentUpdate) -> None:
    """A NULL does not let an older update wait."""
    if new.state.attached is None:
        for old in new.surface.queue:
            _let_go(old)
    enqueue(new)


@breaks("S60 S69", at=(commits, "enqueue"), killed_by="ACQ-10")
def bufferless_updates_overtake(enqueue: Broken, new: ContentUpdate) -> None:
    """An update without a buffer does not let an older one wait."""
    if new.state.attached is UNATTACHED:
        for old in new.surface.queue:
            _let_go(old)
    enqueue(new)


@breaks("S60", at=(Commits, "commit"), killed_by="ACQ-08")
def newer_buffers_drop_unready_ones(commit: Broken, self: Commits, surface: Surface, now_ns: int) -> None:
    """A commit with a buffer throws away what waits."""
    if surface.pending.attached is not UNATTACHED:
        queue = list(surface.queue)
        surface.queue.clear()
        for update in queue:
            update.applied = True
            self._stage.waits.cancel(update, now_ns)
            self._stage.feedback.discard_update(update)
            if update.loan is not None:
                self._stage.releases.retire(update.loan, now_ns)
    commit(self, surface, now_ns)


@breaks("S59", at=(Commits, "commit"), killed_by="ACQ-02")
def blanks_while_it_waits(commit: Broken, self: Commits, surface: Surface, now_ns: int) -> None:
    """What was shown goes when its successor is committed, ready or not."""
    commit(self, surface, now_ns)
    if surface.queue and surface.queue[-1].loan is not None:
        self._replace_content(surface, None, now_ns)
        surface.extent = None
        self._layout.changed()
        self._layout.settle(now_ns)


@breaks("S69", at=(Commits, "commit"), killed_by="ACQ-10")
def crops_at_commit(commit: Broken, self: Commits, surface: Surface, now_ns: int) -> None:
    """A viewport takes effect at once, its buffer when it is ready."""
    commit(self, surface, now_ns)
    if surface.queue and surface.content is not None:
        surface.current.viewport_source = surface.queue[-1].state.viewport_source
        surface.current.viewport_destination = surface.queue[-1].state.viewport_destination
        surface.extent = self._extent(surface)
