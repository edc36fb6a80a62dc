"""What is to happen when: booked calls in the order of their instants."""

from collections.abc import Callable
from heapq import heapify, heappop, heappush
from itertools import count
from typing import Final

import msgspec

_FEW: Final = 32


class Deadline(msgspec.Struct, order=True):
    """A booked call. `cancel` forgets it. The `number` of its booking decides between equal instants."""

    when_ns: int
    number: int
    action: Callable[[], None] | None

    def cancel(self) -> None:
        self.action = None


class Calendar:
    """Deadlines in order; ties run in the order they were booked."""

    def __init__(self) -> None:
        self._heap: list[Deadline] = []
        self._numbers = count()
        self._sweep_at = _FEW

    def book(self, when_ns: int, action: Callable[[], None]) -> Deadline:
        if len(self._heap) >= self._sweep_at:
            self._sweep()
        deadline = Deadline(when_ns, next(self._numbers), action)
        heappush(self._heap, deadline)
        return deadline

    def next_ns(self) -> int | None:
        heap = self._heap
        while heap:
            if heap[0].action is not None:
                return heap[0].when_ns
            heappop(heap)
        return None

    def take_due(self, now_ns: int) -> list[Callable[[], None]]:
        heap = self._heap
        due: list[Callable[[], None]] = []
        while heap and heap[0].when_ns <= now_ns:
            action = heappop(heap).action
            if action is not None:
                due.append(action)
        return due

    def _sweep(self) -> None:
        """Most are limits of ten seconds that were cancelled after one frame. Now and then, it costs nothing on average."""
        self._heap = [deadline for deadline in self._heap if deadline.action is not None]
        heapify(self._heap)
        self._sweep_at = 2 * len(self._heap) + _FEW
