"""When to start a frame: the vblank grid, and a margin learned from what frames have cost."""

from bisect import bisect_left, insort
from collections import deque
from dataclasses import dataclass
from typing import Final

WINDOW: Final = 128
"""Costs remembered. Composed frames are measured now and then, so this is some seconds of a busy screen."""
ENOUGH: Final = 8
USUAL: Final = 95
"""Percent of frames that cost no more than what we reckon with, before the safety.

The rest is mostly the machine standing still for longer than any margin: a p99 of so few is the second worst
of them, and two hiccups would cost every frame of the next seconds milliseconds.
"""
TAIL: Final = 3
"""If what is usual is beyond this many medians, the machine is busy: every frame would pay for it."""


@dataclass(slots=True)
class VblankGrid:
    """Vblanks come at `last_ns` + k x `refresh_ns`; every flip event puts the grid right again."""

    refresh_ns: int
    last_ns: int
    last_sequence: int

    def seen(self, *, time_ns: int, sequence: int) -> None:
        self.last_ns, self.last_sequence = time_ns, sequence

    def next_after(self, when_ns: int) -> int:
        """The first vblank later than `when_ns`."""
        return self.last_ns + ((when_ns - self.last_ns) // self.refresh_ns + 1) * self.refresh_ns

    def target_for(self, *, now_ns: int, margin_ns: int) -> int:
        """The first vblank that a frame begun now, or later but in time, can make."""
        return self.next_after(now_ns + margin_ns - 1)


class Costs:
    """What frames of one kind have cost lately, and the margin that follows.

    Outliers alone do not raise it above the first guess: see TAIL.
    """

    __slots__ = ("_first_ns", "_limit_ns", "_seen_ns", "_sorted_ns", "_usual_ns")

    def __init__(self, *, first_ns: int, limit_ns: int) -> None:
        self._first_ns = first_ns
        self._limit_ns = limit_ns
        self._seen_ns: deque[int] = deque()
        """In the order they came, at most WINDOW."""
        self._sorted_ns: list[int] = []
        """The same, the least first."""
        self._usual_ns = 0

    @property
    def is_sure(self) -> bool:
        return len(self._seen_ns) >= ENOUGH

    def margin_ns(self, safety_ns: int) -> int:
        """The first guess, until enough is known."""
        return min(self._usual_ns + safety_ns if self.is_sure else self._first_ns, self._limit_ns)

    def learn(self, cost_ns: int) -> None:
        seen = self._sorted_ns
        if len(seen) == WINDOW:
            del seen[bisect_left(seen, self._seen_ns.popleft())]
        self._seen_ns.append(max(cost_ns, 0))
        insort(seen, self._seen_ns[-1])
        usual_ns = seen[(len(seen) * USUAL - 1) // 100]
        self._usual_ns = min(usual_ns, max(TAIL * seen[len(seen) // 2], self._first_ns))


class Margin:
    """How long before the vblank a frame must be begun: what is usual among measured costs, plus a safety.

    A cost runs from the planned latch to the moment the flip could happen: late wake, our own work, the
    commit's way to the kernel, the composition in the GPU's queue. Frames with and without a composition differ
    too much to be learned from together. Frames that waited for a client's fence teach nothing about us.
    """

    def __init__(self, *, first_ns: int, safety_ns: int, alone_safety_ns: int, refresh_ns: int) -> None:
        self.composed = Costs(first_ns=first_ns, limit_ns=refresh_ns)
        self.direct = Costs(first_ns=first_ns, limit_ns=refresh_ns)
        self._safety_ns = safety_ns
        self._alone_safety_ns = alone_safety_ns
        self.is_shared = False
        """Several clients are on the screen, and late together."""
        self.expects_composition = True
        """What the next frame will be, as far as is known: what the last one was, or what damage says since.

        To begin a direct frame early costs it milliseconds, to begin a composed one late costs all of them a refresh.
        """

    @property
    def value_ns(self) -> int:
        return self._of(composed=self.expects_composition)

    def missed(self, *, composed: bool) -> None:
        """A vblank was missed and it was our fault: what we believed was too little."""
        (self.composed if composed else self.direct).learn(self._of(composed=composed) + self._safety_ns)

    def _of(self, *, composed: bool) -> int:
        if composed:
            return self.composed.margin_ns(self._safety_ns)
        return self.direct.margin_ns(self._safety_ns if self.is_shared else self._alone_safety_ns)
