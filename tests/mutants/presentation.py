"""Presentation feedback that is lost, doubled, early or wrong."""

from typing import Any

from msgspec.structs import replace

from mutants.mutant import Broken, breaks
from syncline.compositor.core.commits import Commits
from syncline.compositor.core.effects import Discarded, Presented
from syncline.compositor.core.feedback import Feedback
from syncline.compositor.core.state import UNATTACHED
from syncline.compositor.core.surface import ContentUpdate, Surface
from syncline.compositor.wayland.presentation import WpPresentation, WpPresentationFeedback as WireFeedback
from syncline.protocol.enums import WpPresentationFeedback
from syncline.protocol.object import NewId

NS_PER_S = 1_000_000_000
CLOCK_PROCESS = 2
Kind = WpPresentationFeedback.Kind


@breaks("P1", at=(WpPresentation, "__init__"), killed_by="PRE-01")
def tells_its_clock_twice(init: Broken, self: WpPresentation, new: NewId, session: Any) -> None:
    """The clock changes after it was told."""
    init(self, new, session)
    self.send("clock_id", CLOCK_PROCESS)


@breaks("P2", at=(Feedback, "discard_update"), killed_by="PRE-02")
def loses_discarded_feedback(_discard: Broken, self: Feedback, update: ContentUpdate) -> None:
    """Feedback of what is not shown never ends."""


@breaks("P2", at=(WireFeedback, "answer"), killed_by="PRE-02")
def ends_twice(answer: Broken, self: WireFeedback, effect: Presented | Discarded) -> None:
    """What is presented is discarded as well."""
    if isinstance(effect, Presented):
        self.send("discarded")
    answer(self, effect)


@breaks("P3", at=(WireFeedback, "_tell"), killed_by="PRE-04")
def tells_each_its_own_time(tell: Broken, self: WireFeedback, effect: Presented) -> None:
    """Feedbacks of one commit differ by nanoseconds."""
    tell(self, replace(effect, time_ns=effect.time_ns + self.id))


@breaks("P4", at=(Feedback, "applied"), killed_by="PRE-03")
def presents_what_was_superseded(applied: Broken, self: Feedback, update: ContentUpdate, now_ns: int) -> None:
    """Feedback of a superseded update says that it was presented, with its successor."""
    attached, update.state.attached = update.state.attached, UNATTACHED
    applied(self, update, now_ns)
    update.state.attached = attached


@breaks("P5", at=(WireFeedback, "_tell"), killed_by="PRE-06")
def names_the_output_twice(tell: Broken, self: WireFeedback, effect: Presented) -> None:
    """sync_output comes twice for every binding."""
    for output in self._session.outputs.get(effect.output, ()):
        self.send("sync_output", output)
    tell(self, effect)


@breaks("P5", at=(WireFeedback, "_tell"), killed_by="PRE-06")
def names_one_binding(tell: Broken, self: WireFeedback, effect: Presented) -> None:
    """sync_output comes for the first binding of the output only."""
    bound = self._session.outputs.get(effect.output, [])
    kept, bound[1:] = bound[1:], []
    tell(self, effect)
    bound += kept


@breaks("P6", at=(WireFeedback, "_tell"), killed_by="PRE-05")
def carries_no_seconds(_tell: Broken, self: WireFeedback, effect: Presented) -> None:
    """One second is told in nanoseconds."""
    seconds, nanoseconds = divmod(effect.time_ns, NS_PER_S)
    told = (seconds - 1, nanoseconds + NS_PER_S, effect.refresh_ns, effect.sequence, effect.flags)
    self.send("presented", *told)


@breaks("P8", at=(WireFeedback, "_tell"), killed_by="PRE-07")
def tells_half_the_rate(tell: Broken, self: WireFeedback, effect: Presented) -> None:
    """The refresh is told twice as long as it is."""
    tell(self, replace(effect, refresh_ns=effect.refresh_ns * 2))


@breaks("P8", at=(WireFeedback, "_tell"), killed_by="PRE-10")
def tells_old_clients_another_rate(tell: Broken, self: WireFeedback, effect: Presented) -> None:
    """Version 1 is told half of the refresh."""
    tell(self, replace(effect, refresh_ns=effect.refresh_ns // (1 if self.version > 1 else 2)))


@breaks("P9", at=(WireFeedback, "_tell"), killed_by="PRE-07")
def counts_by_two(tell: Broken, self: WireFeedback, effect: Presented) -> None:
    """The sequence counts every retrace twice."""
    tell(self, replace(effect, sequence=effect.sequence * 2))


@breaks("P11", at=(WireFeedback, "_tell"), killed_by="PRE-05")
def tells_the_refresh_before(tell: Broken, self: WireFeedback, effect: Presented) -> None:
    """Timestamps are three refreshes early."""
    tell(self, replace(effect, time_ns=effect.time_ns - 3 * effect.refresh_ns))


@breaks("P12", at=(Feedback, "applied"), killed_by="PRE-09")
def forgets_bufferless_feedback(applied: Broken, self: Feedback, update: ContentUpdate, now_ns: int) -> None:
    """Feedback of commits without a buffer is dropped."""
    if update.state.attached is UNATTACHED:
        update.state.feedbacks.clear()
    applied(self, update, now_ns)


@breaks("S100 P11", at=(Commits, "commit"), killed_by="ACQ-02 PRE-05")
def presents_at_commit(commit: Broken, self: Commits, surface: Surface, now_ns: int) -> None:
    """Feedback comes with the commit."""
    feedbacks, surface.pending.feedbacks = surface.pending.feedbacks, []
    if feedbacks and self._screens:
        output = self._screens[0].output
        self._stage.effects.append(Presented(tuple(feedbacks), output, now_ns, output.refresh_ns, 0, Kind(0)))
    commit(self, surface, now_ns)


@breaks("P10", at=(WireFeedback, "_tell"), killed_by="PRE-08")
def claims_zero_copy(tell: Broken, self: WireFeedback, effect: Presented) -> None:
    """Everything was shown without a copy."""
    tell(self, replace(effect, flags=effect.flags | Kind.ZERO_COPY))


@breaks("P10", at=(WireFeedback, "_tell"), killed_by="PRE-08")
def claims_vsync(tell: Broken, self: WireFeedback, effect: Presented) -> None:
    """Torn frames were synchronized to the display."""
    tell(self, replace(effect, flags=effect.flags | Kind.VSYNC))
