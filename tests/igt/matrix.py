"""The wait matrices: every set of wait flags with every set of states of what is waited for (kernel.md, appendix A)."""

from collections.abc import Iterator
from dataclasses import dataclass
from enum import IntEnum
from errno import EINVAL, ETIME
from functools import reduce
from itertools import chain, combinations
from operator import or_
from typing import Final, TypeVar

from igt.flavour import U64_MAX, Flavour
from igt.machine import SHORT_MS, Machine

from syncline.kms_model.uapi import WaitFlag

T = TypeVar("T")


class State(IntEnum):
    """What has happened to a syncobj."""

    UNSUBMITTED = 0
    SUBMITTED = 1
    SIGNALED = 2


_FLAG_WORDS: Final = {WaitFlag.ALL: "all", WaitFlag.FOR_SUBMIT: "for-submit", WaitFlag.AVAILABLE: "available"}
_APPEARING: Final = WaitFlag.FOR_SUBMIT | WaitFlag.AVAILABLE


@dataclass(frozen=True)
class Case:
    """One subtest: its syncobjs take the states in turn, and the last state repeats."""

    flavour: Flavour
    points: tuple[int, ...]
    flags: int
    states: tuple[State, ...]

    @property
    def errno(self) -> int:
        """How the wait has to end (kernel.md 2.7)."""
        if State.UNSUBMITTED in self.states and not self.flags & _APPEARING:
            return EINVAL
        enough = all if self.flags & WaitFlag.ALL else any
        return 0 if enough(self._satisfies(state) for state in self.states) else ETIME

    @property
    def name(self) -> str:
        words = [word for flag, word in _FLAG_WORDS.items() if flag & self.flags]
        words += [state.name.lower() for state in self.states]
        how_many = "single" if len(self.points) == 1 else "multi"
        return "-".join((*self._prefix(), how_many, "wait", *words))

    async def play(self, machine: Machine) -> None:
        """Wait with a timeout that has passed, with one to come, and with the u64 that C callers take for forever."""
        handles = [machine.create() for _ in self.points]
        for index, (handle, point) in enumerate(zip(handles, self.points, strict=True)):
            self._bring(machine, handle, point, self.states[min(index, len(self.states) - 1)])
        assert machine.errno(self.flavour.wait(handles, 0, self.flags, self.points)) == self.errno
        soon_ns = machine.in_ns(SHORT_MS)
        soon = self.flavour.wait(handles, soon_ns, self.flags, self.points)
        if self.errno == ETIME:
            assert await machine.wait_errno(soon) == ETIME
            assert machine.is_time(soon_ns)
            return
        assert machine.errno(soon) == self.errno
        assert machine.errno(self.flavour.wait(handles, U64_MAX, self.flags, self.points)) == self.errno

    def _satisfies(self, state: State) -> bool:
        return state is State.SIGNALED or (state is State.SUBMITTED and bool(self.flags & WaitFlag.AVAILABLE))

    def _prefix(self) -> tuple[str, ...]:
        if self.errno == ETIME and self.flavour.names_timeouts:
            return ("etime",)
        return ("invalid",) if self.errno == EINVAL else ()

    def _bring(self, machine: Machine, handle: int, point: int, state: State) -> None:
        if state is State.UNSUBMITTED:
            return
        timeline = machine.attach(handle, point)
        if state is State.SIGNALED:
            machine.inc(timeline)


def cases(flavour: Flavour) -> Iterator[Case]:
    """All of a program. IGT's loop over the bits ends one short, so that everything at once is no subtest."""
    flags_of = [reduce(or_, flags, 0) for flags in _subsets(flavour.flags)]
    for flags in flags_of:
        for state in State:
            yield Case(flavour, (flavour.point,), flags, (state,))
        for states in _subsets(tuple(State)):
            everything = flags == flags_of[-1] and states == tuple(State)
            if states and not everything:
                yield Case(flavour, flavour.mixed, flags, states)


def _subsets(things: tuple[T, ...]) -> Iterator[tuple[T, ...]]:
    return chain.from_iterable(combinations(things, size) for size in range(len(things) + 1))
