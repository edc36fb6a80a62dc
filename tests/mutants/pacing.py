"""Barriers and times that do not hold, or hold too much; and their objects."""

from collections.abc import Iterable
from typing import Any

from mutants.mutant import Broken, breaks
from syncline.compositor.core import commits, pacing, update as update_graph
from syncline.compositor.core.constraint import ConstraintState, TargetTime
from syncline.compositor.core.pacing import Pacing
from syncline.compositor.core.state import UNATTACHED
from syncline.compositor.core.surface import ContentUpdate, Surface
from syncline.compositor.wayland.pacing import (
    WpCommitTimerV1,
    WpCommitTimingManagerV1,
    WpFifoManagerV1,
    WpFifoV1,
    WpTearingControlManagerV1,
    WpTearingControlV1,
)
from syncline.compositor.wayland.surface import SurfaceFactory, WlSurface
from syncline.protocol.enums import WpCommitTimerV1 as TimerEnums
from syncline.protocol.errors import ProtocolError

NS_PER_S = 1_000_000_000
FAR_NS = 10**15
Codes = TimerEnums.Error


def _make_room(_check: Broken, self: SurfaceFactory, surface: WlSurface, interface: str, code: int) -> None:
    """A second object replaces the first."""
    self._session.surfaces[surface.surface].by_interface.pop(interface, None)


# Barriers.


@breaks("F1", at=(WpFifoManagerV1, "check_first"), killed_by="FIF-01")
def makes_several_fifos(*how: Any) -> None:
    """A surface may have two fifo objects."""
    _make_room(*how)


@breaks("F2", at=(WpFifoV1, "_check_surface"), killed_by="FIF-01")
def takes_barriers_of_orphans(_check: Broken, self: WpFifoV1) -> None:
    """Barriers for a surface that is gone are taken and forgotten."""


@breaks("F4", at=(Pacing, "latched"), killed_by="FIF-02")
def keeps_barriers(_latched: Broken, self: Pacing, surfaces: Iterable[Surface], now_ns: int) -> None:
    """A barrier does not fall with a latch, only after a second."""


@breaks("F4 F5", at=(Pacing, "applied"), killed_by="FIF-02 FIF-04")
def drops_barriers_at_once(applied: Broken, self: Pacing, update: ContentUpdate, now_ns: int) -> None:
    """A barrier falls when it is raised."""
    applied(self, update, now_ns)
    if update.surface in self._barriers:
        del self._barriers[update.surface]
        self._pass_barrier(update.surface, now_ns)


@breaks("F5", at=(Pacing, "_meets_barrier"), killed_by="FIF-02 FIF-04")
def ignores_barriers(_meets: Broken, self: Pacing, surface: Surface) -> bool:
    """Nobody waits for a barrier."""
    return False


@breaks("F5", at=(Pacing, "_meets_barrier"), killed_by="FIF-04")
def holds_only_who_sets_one_too(meets: Broken, self: Pacing, surface: Surface) -> bool:
    """A commit that waits and sets no barrier of its own is not held."""
    return bool(meets(self, surface) and surface.queue[-1].state.fifo_barrier)


@breaks("F6", at=(Pacing, "_meets_barrier"), killed_by="FIF-03")
def waits_without_a_barrier(_meets: Broken, self: Pacing, surface: Surface) -> bool:
    """Who waits for a barrier waits for one to come."""
    return True


@breaks("F3", at=(Pacing, "applied"), killed_by="FIF-09")
def sets_barriers_with_buffers_only(
    applied: Broken, self: Pacing, update: ContentUpdate, now_ns: int
) -> None:
    """A barrier set by a commit without a buffer is forgotten."""
    applied(self, update, now_ns)
    if update.state.attached is UNATTACHED and update.surface in self._barriers:
        del self._barriers[update.surface]
        self._pass_barrier(update.surface, now_ns)


@breaks("F7", at=(update_graph, "_holds"), killed_by="FIF-05")
def holds_synchronized_updates(_holds: Broken, constraint: Any, update: ContentUpdate) -> bool:
    """A synchronized sub-surface waits for barriers."""
    return bool(constraint.state is ConstraintState.PENDING)


@breaks("F8 F9", at=(Pacing, "applied"), killed_by="FIF-06")
def keeps_hidden_barriers(applied: Broken, self: Pacing, update: ContentUpdate, now_ns: int) -> None:
    """A barrier falls with a latch and nothing else, and where nothing is seen there is none."""
    applied(self, update, now_ns)
    if update.state.fifo_barrier:
        self._barriers[update.surface] = now_ns + FAR_NS


@breaks("F10", at=(WpFifoV1, "destroy"), killed_by="FIF-08")
def fifos_take_barriers_along(_destroy: Broken, self: WpFifoV1) -> None:
    """What was set goes with the fifo object."""
    if self.surface.alive:
        self.surface.pending.fifo_barrier = self.surface.pending.fifo_wait = False


# Times.


@breaks("T1", at=(WpCommitTimingManagerV1, "check_first"), killed_by="CTM-01")
def makes_several_timers(*how: Any) -> None:
    """A surface may have two commit timers."""
    _make_room(*how)


@breaks("T2", at=(WpCommitTimerV1, "set_timestamp"), killed_by="CTM-01")
def takes_any_nanoseconds(set_timestamp: Broken, self: WpCommitTimerV1, tv_sec: int, tv_nsec: int) -> None:
    """Nanoseconds beyond a second are carried over."""
    set_timestamp(self, tv_sec + tv_nsec // NS_PER_S, tv_nsec % NS_PER_S)


@breaks("T3", at=(WpCommitTimerV1, "set_timestamp"), killed_by="CTM-01 CTM-03")
def replaces_times(set_timestamp: Broken, self: WpCommitTimerV1, tv_sec: int, tv_nsec: int) -> None:
    """A second time of a cycle replaces the first."""
    self.surface.pending.target_time_ns = None
    set_timestamp(self, tv_sec, tv_nsec)


@breaks("T3 T8", at=(WpCommitTimerV1, "set_timestamp"), killed_by="CTM-03")
def does_not_count_past_times(
    set_timestamp: Broken, self: WpCommitTimerV1, tv_sec: int, tv_nsec: int
) -> None:
    """After a time that is past another one may be set."""
    set_timestamp(self, tv_sec, tv_nsec)
    if (self.surface.pending.target_time_ns or 0) <= self.session.now_ns:
        self.surface.pending.target_time_ns = None


@breaks("T4", at=(WpCommitTimerV1, "set_timestamp"), killed_by="CTM-01")
def takes_times_of_orphans(set_timestamp: Broken, self: WpCommitTimerV1, tv_sec: int, tv_nsec: int) -> None:
    """A time for a surface that is gone is taken and forgotten."""
    if self.surface.alive:
        set_timestamp(self, tv_sec, tv_nsec)


@breaks("T1 T2 T3 T4", at=(WpCommitTimerV1, "error"), killed_by="CTM-01")
def says_the_next_code(error: Broken, self: WpCommitTimerV1, code: int, text: str) -> ProtocolError:
    """Every code of a commit timer is one too high."""
    wrong: ProtocolError = error(self, code + 1, text)
    return wrong


@breaks("T5", at=(pacing, "_is_over"), killed_by="CTM-02")
def has_no_time(_is_over: Broken, constraint: TargetTime, surface: Surface, now_ns: int) -> bool:
    """Target times are ignored."""
    return True


@breaks("T8", at=(Pacing, "constrain"), killed_by="CTM-03")
def waits_for_past_times(
    constrain: Broken, self: Pacing, update: ContentUpdate, presumed: Any, now_ns: int
) -> None:
    """A time that was past at its commit never comes."""
    constrain(self, update, presumed, now_ns)
    time_ns = update.state.target_time_ns
    if time_ns is not None and time_ns <= now_ns:
        self._begin(update, TargetTime(time_ns), now_ns)


@breaks("T9", at=(Pacing, "_release"), killed_by="CTM-06 FIF-07")
def lets_one_constraint_do_for_all(
    release: Broken, self: Pacing, update: ContentUpdate, constraint: Any, now_ns: int
) -> None:
    """When its time has come an update waits for nothing else."""
    release(self, update, constraint, now_ns)
    for other in update.constraints:
        other.state = ConstraintState.RELEASED


@breaks("T6", at=(commits, "enqueue"), killed_by="CTM-04")
def untimed_updates_overtake(enqueue: Broken, new: ContentUpdate) -> None:
    """An update without a time does not let older ones wait for theirs."""
    for old in new.surface.queue:
        for constraint in old.constraints:
            if isinstance(constraint, TargetTime):
                constraint.state = ConstraintState.RELEASED
    enqueue(new)


@breaks("T7", at=(WpCommitTimerV1, "destroy"), killed_by="CTM-05")
def timers_take_times_along(_destroy: Broken, self: WpCommitTimerV1) -> None:
    """A time that was set goes with the timer."""
    if self.surface.alive:
        self.surface.pending.target_time_ns = None


# Tearing.


@breaks("G1", at=(WpTearingControlManagerV1, "check_first"), killed_by="TEA-01")
def makes_several_tearing_objects(*how: Any) -> None:
    """A surface may have two tearing objects."""
    _make_room(*how)


@breaks("G2", at=(WpTearingControlV1, "set_presentation_hint"), killed_by="TEA-01")
def refuses_hints_of_orphans(set_hint: Broken, self: WpTearingControlV1, hint: int) -> None:
    """A hint for a surface that is gone is an error."""
    if not self.surface.alive:
        raise self.error(0, "its wl_surface is gone")
    set_hint(self, hint)
