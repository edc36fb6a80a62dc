"""Telling clients what became of their frames: frame callbacks, presentation feedback, frame reports."""

from collections.abc import Iterable
from typing import Final, NamedTuple

from syncline.compositor.core.effects import Discarded, Effect, FrameDone, Presented
from syncline.compositor.core.frame import Frame
from syncline.compositor.core.journal import Journal
from syncline.compositor.core.output import Output
from syncline.compositor.core.report import FrameReport
from syncline.compositor.core.schedule import VblankGrid
from syncline.compositor.core.state import UNATTACHED
from syncline.compositor.core.surface import ContentUpdate, Surface
from syncline.kms_model.uapi import FlipComplete
from syncline.protocol.enums import WpPresentationFeedback

_Kind = WpPresentationFeedback.Kind
BY_HARDWARE = _Kind.VSYNC | _Kind.HW_CLOCK | _Kind.HW_COMPLETION
FLAGS = {
    (is_torn, is_direct): (_Kind(0) if is_torn else BY_HARDWARE)
    | (_Kind.ZERO_COPY if is_direct else _Kind(0))
    for is_torn in (False, True)
    for is_direct in (False, True)
}
"""Of a frame that was torn (PRE-08), of content that was on a plane. Combining flags takes Python microseconds."""


class Feedback:
    """Frame callbacks of what no output shows come once per `hidden_frame_ns` (C18, S95)."""

    def __init__(self, journal: Journal, effects: list[Effect], *, hidden_frame_ns: int) -> None:
        self._journal = journal
        self._effects = effects
        self._hidden_frame_ns = hidden_frame_ns
        self._overdue_ns: dict[Surface, int] = {}
        """Surfaces with frame callbacks, and when these are answered if no frame takes them; soonest first."""
        self._before: dict[Output, tuple[Frame, int]] = {}
        """Each output's last presented frame, and its vblank."""

    # -- applied ----------------------------------------------------------------------------------

    def applied(self, update: ContentUpdate, now_ns: int) -> None:
        """New content makes what was not yet latched superseded (P4); a bufferless update does not (P12)."""
        surface = update.surface
        if surface.fresh and update.state.attached is not UNATTACHED:
            self.discard(surface)
        surface.fresh.append(update)
        if update.state.frame_callbacks:
            surface.frame_callbacks.extend(update.state.frame_callbacks)
            self._overdue_ns.setdefault(surface, now_ns + self._hidden_frame_ns)

    def discard(self, surface: Surface) -> None:
        """Its applied updates will never be shown."""
        fresh, surface.fresh = surface.fresh, []
        for update in fresh:
            self.discard_update(update)

    def discard_update(self, update: ContentUpdate) -> None:
        """Also for updates that were never applied."""
        if update.state.feedbacks:
            self._effects.append(Discarded(tuple(update.state.feedbacks)))
        if update.loan is not None:
            self._journal.framed(_report(update, output="", presented=None, is_direct=False))

    def lose_image(self, update: ContentUpdate) -> None:
        """Its picture will not be shown; its other state, and its callbacks, are still to come."""
        self.discard_update(update)
        update.state.feedbacks = []

    def forget(self, surface: Surface) -> None:
        """The surface goes: its callbacks are not answered any more."""
        self.discard(surface)
        surface.frame_callbacks.clear()
        self._overdue_ns.pop(surface, None)

    # -- latched and presented --------------------------------------------------------------------

    def latch(self, surface: Surface, frame: Frame) -> None:
        """The frame takes over what the surface has to say."""
        for update in surface.fresh:
            update.latched_ns, update.target_ns = frame.latched_ns, frame.target_ns
        frame.updates.extend(surface.fresh)
        frame.callbacks.extend(surface.frame_callbacks)
        surface.fresh, surface.frame_callbacks = [], []
        self._overdue_ns.pop(surface, None)

    def presented(self, output: Output, frame: Frame, flip: FlipComplete) -> None:
        """`flip.time_ns` is when the frame's first light left the output; of a torn one, as near as we know."""
        chances = Chances(output.grid, frame, self._before.get(output))
        if not frame.is_torn:  # that vblank is still to be had
            self._before[output] = frame, flip.time_ns
        for update in frame.updates:
            is_direct = update.loan is not None and frame.shows_directly(update.loan)
            if update.state.feedbacks:
                self._effects.append(
                    Presented(
                        tuple(update.state.feedbacks), output, flip.time_ns, output.refresh_ns,
                        flip.sequence, FLAGS[frame.is_torn, is_direct],
                    )
                )  # fmt: skip
            if update.loan is None:
                continue
            self._journal.framed(
                _report(
                    update, output=output.name, presented=(flip, frame, chances), is_direct=is_direct
                )
            )  # fmt: skip
        self.answer(frame.callbacks, flip.time_ns)

    def take_back(self, surface: Surface, frame: Frame, now_ns: int) -> None:
        """A frame of that surface alone is not shown after all: the next one takes over what it had to say."""
        if not all(update.loan is surface.content for update in frame.updates):
            self.abandon(frame, now_ns)  # superseded (P4), or gone
            return
        for update in frame.updates:
            update.ready_ns = now_ns
        surface.fresh[:0] = frame.updates
        if frame.callbacks:
            surface.frame_callbacks[:0] = frame.callbacks
            self._overdue_ns.setdefault(surface, now_ns + self._hidden_frame_ns)

    def abandon(self, frame: Frame, now_ns: int) -> None:
        """The output went with the frame in the air."""
        for update in frame.updates:
            self.discard_update(update)
        self.answer(frame.callbacks, now_ns)

    def answer(self, callbacks: list[object], time_ns: int) -> None:
        if callbacks:
            self._effects.append(FrameDone(tuple(callbacks), time_ns))

    # -- hidden -----------------------------------------------------------------------------------

    @property
    def deadline_ns(self) -> int | None:
        return next(iter(self._overdue_ns.values()), None)

    def tick(self, now_ns: int) -> None:
        """Answer surfaces that no frame has taken for long."""
        while (due_ns := self.deadline_ns) is not None and due_ns <= now_ns:
            surface = next(iter(self._overdue_ns))
            del self._overdue_ns[surface]
            callbacks, surface.frame_callbacks = surface.frame_callbacks, []
            self.answer(callbacks, now_ns)

    def check_invariants(self, surfaces: Iterable[Surface]) -> None:
        for surface in surfaces:
            assert bool(surface.frame_callbacks) == (surface in self._overdue_ns)


class Chances:
    """Which vblank something that is there at an instant could have made."""

    def __init__(self, grid: VblankGrid, frame: Frame, before: tuple[Frame, int] | None) -> None:
        self._grid = grid
        self._margin_ns = frame.target_ns - frame.planned_ns
        self._before = before

    def vblank_ns(self, there_ns: int) -> int:
        """The margin may have shrunk since: what came after a latch has missed that vblank all the same."""
        target_ns = self._grid.target_for(now_ns=there_ns, margin_ns=self._margin_ns)
        if self._before is not None and there_ns > self._before[0].planned_ns:
            # Targets are a nanosecond off the grid at times.
            midway_ns = self._before[0].target_ns + self._grid.refresh_ns // 2
            return max(target_ns, self._grid.next_after(midway_ns))
        return target_ns

    def free_vblank_ns(self) -> int:
        """The first that was to be had after a frame which waited for some client's fence."""
        if self._before is None or not self._before[0].waits_for:
            return 0
        return self._grid.target_for(now_ns=self._before[1], margin_ns=self._margin_ns)

    def refreshes(self, *, since_ns: int, until_ns: int) -> int:
        return max(0, round((until_ns - since_ns) / self._grid.refresh_ns))


class Blame(NamedTuple):
    """Refreshes that an update came late, by whose fault."""

    client: int = 0
    others: int = 0
    us: int = 0


NOBODY: Final = Blame()


def _blame(update: ContentUpdate, flip: FlipComplete, frame: Frame, chances: Chances) -> Blame:
    assert update.ready_ns is not None
    asked_ns = ready_ns = possible_ns = chances.vblank_ns(update.committed_ns)
    if not chances.refreshes(since_ns=asked_ns, until_ns=flip.time_ns):
        return NOBODY  # as almost always: it is where it was meant to be
    if update.ready_ns > update.committed_ns:
        ready_ns = possible_ns = chances.vblank_ns(update.ready_ns)
    if update.surface.shown_since_ns > update.ready_ns:
        possible_ns = chances.vblank_ns(update.surface.shown_since_ns)
    free_ns = max(possible_ns, chances.free_vblank_ns())
    # By the vblank that showed it at the latest: a late latch takes what was ready too late for a punctual one.
    by_client = chances.refreshes(since_ns=asked_ns, until_ns=min(ready_ns, flip.time_ns))
    by_others = chances.refreshes(since_ns=possible_ns, until_ns=min(free_ns, flip.time_ns))
    late = chances.refreshes(since_ns=free_ns, until_ns=flip.time_ns)
    if not frame.waits_for:
        return Blame(by_client, by_others, late)
    if update.loan in frame.waits_for:
        return Blame(by_client + late, by_others)
    return Blame(by_client, by_others + late)


def _report(
    update: ContentUpdate,
    *,
    output: str,
    presented: tuple[FlipComplete, Frame, Chances] | None,
    is_direct: bool,
) -> FrameReport:
    blame, sequence, presented_ns = NOBODY, 0, None
    if presented is not None:
        flip, frame, chances = presented
        presented_ns, sequence = flip.time_ns, flip.sequence
        blame = _blame(update, flip, frame, chances)
    return FrameReport(
        t_ns=presented_ns or update.ready_ns or update.committed_ns,
        client=update.surface.client.name, surface=update.surface.number, update=update.number,
        sync=update.sync, output=output, committed_ns=update.committed_ns, ready_ns=update.ready_ns,
        latched_ns=update.latched_ns, target_ns=update.target_ns, presented_ns=presented_ns,
        sequence=sequence, zero_copy=is_direct, waited_for=update.waited_for,
        missed_by_client=blame.client, missed_by_others=blame.others, missed_by_us=blame.us,
    )  # fmt: skip
