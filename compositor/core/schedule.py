"""When to start a frame: the vblank grid, and a margin learned from what frames have cost."""

from collections import deque
from dataclasses import dataclass, field
from typing import Final

WINDOW: Final = 128
"""Costs remembered. Composed frames are measured now and then, so this is some seconds of a busy screen."""
ENOUGH: Final = 8
TAIL: Final = 3
"""A p99 beyond this many medians is the machine being busy, not our cost: every frame would pay for it."""


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


@dataclass(slots=True)
class Margin:
    """How long before the vblank a frame must be begun: p99 of measured costs plus a safety.

    Outliers alone do not raise it above the first guess: see TAIL.

    A cost runs from the planned latch to the moment the flip could happen: late wake, our own work, the
    composition in the GPU's queue. Frames that waited for a client's fence teach nothing about us.
    """

    first_ns: int
    safety_ns: int
    refresh_ns: int
    _costs_ns: deque[int] = field(default_factory=lambda: deque(maxlen=WINDOW))
    _value_ns: int = 0

    def __post_init__(self) -> None:
        self._value_ns = min(self.first_ns, self.refresh_ns)

    @property
    def value_ns(self) -> int:
        return self._value_ns

    def learn(self, cost_ns: int) -> None:
        self._costs_ns.append(max(cost_ns, 0))
        if len(self._costs_ns) >= ENOUGH:
            costs = sorted(self._costs_ns)
            p99_ns = costs[(len(costs) * 99 - 1) // 100]
            bearable_ns = max(TAIL * costs[len(costs) // 2], self.first_ns)
            self._value_ns = min(min(p99_ns, bearable_ns) + self.safety_ns, self.refresh_ns)

    def missed(self) -> None:
        """A vblank was missed and it was our fault: what we believed was too little."""
        self.learn(self._value_ns + self.safety_ns)
