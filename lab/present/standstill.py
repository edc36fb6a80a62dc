"""Standstills of the machine: what its witness saw of them, and which missed vblanks they excuse."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import msgspec

NS_PER_MS: Final = 1_000_000


class Standstill(msgspec.Struct, frozen=True, kw_only=True):
    """A core ran nobody from `from_ns` until `to_ns`, and perhaps since up to one step of the witness before."""

    core: int
    from_ns: int
    to_ns: int


class Statement(msgspec.Struct, frozen=True, kw_only=True):
    """Of the witness. `priority` of SCHED_RR, 0: it was refused, and nothing was watched."""

    priority: int
    cpu_percent: float
    """What it took itself, of one core, all its threads."""
    standstills: Sequence[Standstill]

    @property
    def counts(self) -> bool:
        """Only who comes before everything of ours may say that the machine stood still."""
        return self.priority > 0

    @property
    def sentence(self) -> str:
        """How often, how long."""
        if not self.counts:
            return "Nobody watched for standstills, as SCHED_RR was refused: no missed vblank is called the machine's."
        spans_ns = [until_ns - since_ns for since_ns, until_ns in together(self.standstills)]
        if not spans_ns:
            return "The machine never stood still for more than a millisecond."
        longest, whole = max(spans_ns) / NS_PER_MS, sum(spans_ns) / NS_PER_MS
        times = "once" if len(spans_ns) == 1 else f"{len(spans_ns)} times"
        return (
            f"The machine stood still {times}, for {longest:.1f} ms at the longest and {whole:.1f} ms in all."
        )

    @property
    def conditions(self) -> str:
        """How it was watched and at what price, as part of a sentence."""
        if not self.counts:
            return "no witness of standstills"
        return f"the witness of standstills under SCHED_RR at priority {self.priority}, for {self.cpu_percent:.1f} % of a core"


NOBODY: Final = Statement(priority=0, cpu_percent=0.0, standstills=())
"""Without SCHED_RR."""


def together(standstills: Sequence[Standstill]) -> list[tuple[int, int]]:
    """From and until when any core stood still: cores of a virtual machine often do so at the same time."""
    spans: list[tuple[int, int]] = []
    for each in sorted(standstills, key=lambda each: each.from_ns):
        if spans and each.from_ns <= spans[-1][1]:
            spans[-1] = (spans[-1][0], max(spans[-1][1], each.to_ns))
        else:
            spans.append((each.from_ns, each.to_ns))
    return spans


@dataclass(frozen=True, kw_only=True, slots=True)
class Misses:
    """The vblanks that one frame has missed, by whose fault; they sum to all of them.

    `before_arrival`: their latch was over when the commit had reached the compositor.
    """

    before_arrival: int
    by_client: int
    by_compositor: int
    by_machine: int | None


@dataclass(frozen=True, kw_only=True, slots=True)
class Overrun:
    """At `vblank_ns` the output took a frame whose latch was planned for `latch_ns`, to be shown at `target_ns` already."""

    latch_ns: int
    target_ns: int
    vblank_ns: int


@dataclass(frozen=True, kw_only=True, slots=True)
class Course:
    """What is known of a frame that missed `missed` vblanks before the one at `presented_ns`.

    `not_ready` and `unused` are the compositor's own account: vblanks gone by before and after the update was ready.
    """

    commit_ns: int
    received_ns: int
    presented_ns: int
    refresh_ns: int
    margin_ns: int
    missed: int
    not_ready: int
    unused: int
    overruns: Sequence[Overrun] = ()
    """Of its output."""


def share(course: Course, statement: Statement) -> Misses:
    """Whose fault: first those whose latch the commit came too late for, then the client's, then the compositor's.

    The machine takes over a vblank of the compositor's if a core stood still between the latch planned for it and that
    vblank, or did so to the frame that the output took then instead; and one before arrival if the commit had been in
    time and a core stood still before it was received.
    """
    unused = min(course.unused, course.missed)
    not_ready = min(course.not_ready, course.missed - unused)  # a late latch may have succeeded all the same
    early = course.missed - unused - not_ready
    if not statement.counts:
        return Misses(before_arrival=early, by_client=not_ready, by_compositor=unused, by_machine=None)
    stood = together(statement.standstills)
    vblanks_ns = [course.presented_ns - number * course.refresh_ns for number in range(course.missed, 0, -1)]
    delayed = sum(
        course.commit_ns <= vblank_ns - course.margin_ns
        and overlaps(stood, course.commit_ns, min(course.received_ns, vblank_ns))
        for vblank_ns in vblanks_ns[:early]
    )
    stalled = sum(
        _halted(course, stood, vblank_ns - course.margin_ns, vblank_ns)
        for vblank_ns in vblanks_ns[course.missed - unused :]
    )
    return Misses(
        before_arrival=early - delayed,
        by_client=not_ready,
        by_compositor=unused - stalled,
        by_machine=delayed + stalled,
    )


def _halted(course: Course, stood: Sequence[tuple[int, int]], latch_ns: int, vblank_ns: int) -> bool:
    return overlaps(stood, latch_ns, vblank_ns) or any(
        _halted(course, stood, each.latch_ns, each.target_ns)
        for each in course.overruns
        if abs(each.vblank_ns - vblank_ns) < course.refresh_ns / 2 < each.vblank_ns - each.target_ns
    )


def overlaps(spans: Sequence[tuple[int, int]], from_ns: int, to_ns: int) -> bool:
    """Whether they have an instant in common with `from_ns` to `to_ns`; one that ends when the other begins has not."""
    return any(since_ns < to_ns and until_ns > from_ns for since_ns, until_ns in spans)
