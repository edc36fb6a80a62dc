"""What all rules share: the clock, who is at work, and where findings go."""

from collections.abc import Iterable
from heapq import heappop, heappush
from itertools import count
from typing import Protocol

from syncline.kms_model.checker.actors import Actors
from syncline.kms_model.checker.graph import Edge
from syncline.kms_model.checker.ledger import Ledger, Violation
from syncline.kms_model.checker.report import Report, Severity
from syncline.kms_model.checker.site import here


class Clock(Protocol):
    now_ns: int


class Expiring(Protocol):
    def overdue(self) -> int | None:
        """Looked at when its time has come. Gives when to look again, None for never."""
        ...


class Scene:
    def __init__(self, clock: Clock, ledger: Ledger) -> None:
        self.clock = clock
        self.ledger = ledger
        self.actors = Actors()
        self.under_locks: list[object] = []
        """The fence locks under which callbacks run now, the innermost last."""
        self._expiries: list[tuple[int, int, Expiring]] = []
        self._order = count()
        self._owed: list[Violation] = []

    def judge(
        self,
        rule: str,
        what: str,
        *,
        signature: str,
        severity: Severity = Severity.ERROR,
        objects: Iterable[str] = (),
        path: Iterable[Edge] = (),
        cycle: Iterable[Edge] = (),
        classes: str = "",
        consequence: str = "",
    ) -> None:
        """Enter a finding. `signature` is what it is by class, without the rule."""
        self.ledger.enter(
            Report(
                rule=rule,
                severity=severity,
                t_ns=self.clock.now_ns,
                signature=f"{rule} {signature}",
                what=what,
                actors=self.actors.chain,
                site=str(here()),
                objects=tuple(objects),
                path=tuple(edge.step() for edge in path),
                cycle=tuple(edge.step() for edge in cycle),
                classes=classes,
                consequence=consequence,
            )
        )

    def expect(self, when_ns: int, thing: Expiring) -> None:
        heappush(self._expiries, (when_ns, next(self._order), thing))

    def judge_later(self, rule: str, what: str, *, signature: str, objects: Iterable[str]) -> None:
        """The same from where nothing can be raised: while an object dies."""
        try:
            self.judge(rule, what, signature=signature, objects=objects)
        except Violation as violation:
            self._owed.append(violation)

    def look_at_the_clock(self) -> None:
        """Bounds are checked in passing: nothing wakes an idle machine for them. Raises what could not be before."""
        if self._owed:
            raise self._owed.pop()
        while self._expiries and self._expiries[0][0] < self.clock.now_ns:
            thing = heappop(self._expiries)[2]
            again_ns = thing.overdue()
            if again_ns is not None:
                self.expect(again_ns, thing)
