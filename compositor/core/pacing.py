"""Waiting for time: fifo barriers and target times.

Both are about latches, not about clocks. A barrier falls right after the latch that could have shown the
update which raised it (F4); a target time is over as soon as the next latch is for a vblank that is not
before it (T5), so that the update is in the first frame that may show it and in none earlier. Where no
output shows the surface there are no latches: barriers fall at the rate of hidden frame callbacks, which
throttles and cannot deadlock (F8, F9), and times are what the clock says.
"""

from collections import deque
from collections.abc import Iterable
from typing import Final

from syncline.compositor.core.constraint import ConstraintState, FifoBarrier, Paced, TargetTime
from syncline.compositor.core.journal import Journal
from syncline.compositor.core.output import Output
from syncline.compositor.core.surface import ContentUpdate, Surface

FAR_NS: Final = (1 << 63) - 1
"""What comes later comes then: the kernel's clock ends here, the protocol's 64 bits of seconds do not."""


class Pacing:
    """Every barrier that stands and every target time in the future, by surface."""

    def __init__(self, journal: Journal, *, hidden_frame_ns: int) -> None:
        self._journal = journal
        self._hidden_frame_ns = hidden_frame_ns
        self._barriers: dict[Surface, int] = {}
        """When each falls at the latest."""
        self._timed: dict[Surface, deque[tuple[ContentUpdate, TargetTime]]] = {}
        """In commit order. Only the first is looked at: the queue keeps the others behind it anyhow (T6)."""

    # -- updates ----------------------------------------------------------------------------------

    def constrain(self, update: ContentUpdate, presumed: Output | None, now_ns: int) -> None:
        """What the update, newest of its queue, has to wait for. Nothing for times that are past (T8).

        `presumed` is where a tree not yet mapped is expected to appear.
        """
        surface, state = update.surface, update.state
        if state.fifo_wait and self._meets_barrier(surface):
            self._begin(update, FifoBarrier(), now_ns)
        if state.target_time_ns is None:
            return
        constraint = TargetTime(min(state.target_time_ns, FAR_NS), presumed)
        if not _is_over(constraint, surface, now_ns):
            self._begin(update, constraint, now_ns)
            self._timed.setdefault(surface, deque()).append((update, constraint))

    def _meets_barrier(self, surface: Surface) -> bool:
        """One that stands, or one that an update ahead of the newest will raise (F5)."""
        ahead = list(surface.queue)[:-1]
        return surface in self._barriers or any(update.state.fifo_barrier for update in ahead)

    def applied(self, update: ContentUpdate, now_ns: int) -> None:
        """It raises its barrier (F4). A wait that did not count, being synchronized, is over (F7)."""
        if update.constraints:
            self._cancel(update, now_ns)
        if update.state.fifo_barrier:
            self._barriers.setdefault(update.surface, now_ns + self._hidden_frame_ns)

    def discard(self, surface: Surface, updates: Iterable[ContentUpdate], now_ns: int) -> None:
        """The surface goes, with what it had queued."""
        self._barriers.pop(surface, None)
        self._timed.pop(surface, None)
        for update in updates:
            self._cancel(update, now_ns)

    def _begin(self, update: ContentUpdate, constraint: Paced, now_ns: int) -> None:
        update.constraints.append(constraint)
        self._journal.wait_begins(update, constraint.why, now_ns)

    def _cancel(self, update: ContentUpdate, now_ns: int) -> None:
        for constraint in update.constraints:
            if isinstance(constraint, Paced) and constraint.state is ConstraintState.PENDING:
                constraint.state = ConstraintState.CANCELLED
                self._journal.wait_ends(update, constraint.why, now_ns)

    def _release(self, update: ContentUpdate, constraint: Paced, now_ns: int) -> None:
        constraint.state = ConstraintState.RELEASED
        update.waited_for = constraint.why
        self._journal.wait_ends(update, constraint.why, now_ns)

    # -- latches and time -------------------------------------------------------------------------

    def latched(self, surfaces: Iterable[Surface], now_ns: int) -> None:
        """A latching deadline of their output has passed, with or without something to latch."""
        if self._barriers:
            for surface in surfaces:
                if surface in self._barriers:
                    self._barriers[surface] = now_ns

    def has_barrier(self, surface: Surface) -> bool:
        return surface in self._barriers

    @property
    def deadline_ns(self) -> int | None:
        if not self._barriers and not self._timed:
            return None
        dues = [_due_ns(timed[0][1], surface) for surface, timed in self._timed.items()]
        return min([*self._barriers.values(), *dues], default=None)

    def tick(self, now_ns: int) -> Iterable[Surface]:
        """Surfaces for whose updates a barrier fell or a time came."""
        if not self._barriers and not self._timed:
            return ()
        fallen = [surface for surface, due_ns in self._barriers.items() if due_ns <= now_ns]
        for surface in fallen:
            del self._barriers[surface]
            self._pass_barrier(surface, now_ns)
        reached = [surface for surface in list(self._timed) if self._pass_times(surface, now_ns)]
        return dict.fromkeys([*fallen, *reached])

    def _pass_barrier(self, surface: Surface, now_ns: int) -> None:
        """Nobody waits any more for the barrier that fell, up to the update that raises the next."""
        for update in surface.queue:
            for constraint in update.constraints:
                if isinstance(constraint, FifoBarrier) and constraint.state is ConstraintState.PENDING:
                    self._release(update, constraint, now_ns)
            if update.state.fifo_barrier:
                return

    def _pass_times(self, surface: Surface, now_ns: int) -> bool:
        timed, any_passed = self._timed[surface], False
        while timed and _is_over(timed[0][1], surface, now_ns):
            self._release(*timed.popleft(), now_ns)
            any_passed = True
        if not timed:
            del self._timed[surface]
        return any_passed

    def check_invariants(self) -> None:
        assert all(surface.alive for surface in (*self._barriers, *self._timed))
        for timed in self._timed.values():
            assert timed
            for update, constraint in timed:
                assert constraint.state is ConstraintState.PENDING
                assert not update.applied


def _is_over(constraint: TargetTime, surface: Surface, now_ns: int) -> bool:
    output = _pacer(constraint, surface)
    aim_ns = now_ns if output is None else max(now_ns, output.aim_from(now_ns))
    return aim_ns >= constraint.time_ns


def _due_ns(constraint: TargetTime, surface: Surface) -> int:
    output = _pacer(constraint, surface)
    return (
        constraint.time_ns if output is None else min(constraint.time_ns, output.turn_of(constraint.time_ns))
    )


def _pacer(constraint: TargetTime, surface: Surface) -> Output | None:
    is_mapped = surface.root.content is not None
    return surface.paced_by if is_mapped else constraint.presumed
