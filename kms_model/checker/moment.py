"""Happens-before: threads, moments on them, and what each moment knows of all others.

A *thread* is what happens one thing after the other: the calls of a file, the jobs of a queue, the flips of a
CRTC. A *moment* is one of these things, with a vector clock: of every thread, how far it had come when that
could be known here. Moment A came before B if B's vector has A. A moment may be named before it happens (the
end of a job is what its fence stands for); what it knows is complete once it does, and only then somebody
can learn of it.
"""

from collections import deque
from collections.abc import Iterable
from itertools import count
from typing import Final, NamedTuple
from weakref import WeakValueDictionary

Vector = dict[int, int]
"""By thread number: the newest tick that is known."""

HISTORY_MAX: Final = 512
"""Moments whose causes are kept for reports. Older ones still count; how they came about is forgotten."""
_PRUNE_EVERY: Final = 64


class Cause(NamedTuple):
    why: str
    moment: "Moment"


class Moment:
    """Number `tick` of its thread. `buffers` is what was touched up to it, None if nobody can tell."""

    __slots__ = ("buffers", "came_ns", "causes", "t_ns", "thread", "tick", "vector", "what")

    def __init__(
        self,
        thread: "Thread",
        what: str,
        t_ns: int,
        causes: tuple[Cause, ...],
        buffers: frozenset[int] | None,
    ) -> None:
        self.thread = thread
        self.tick = thread.tick
        self.vector: Vector = dict(thread.vector)
        self.what = what
        self.t_ns = t_ns
        self.causes = causes
        self.buffers = buffers
        self.came_ns: int | None = t_ns
        """None: it has still to come."""

    def knows(self, other: "Moment") -> bool:
        """`other` came before this one."""
        return self.vector.get(other.thread.number, 0) >= other.tick

    def learn(self, cause: Cause) -> None:
        """As it happens: it comes after `cause`, too, unless that has still to come, whatever was promised."""
        if cause.moment.came_ns is not None and not self.knows(cause.moment):
            merge(self.vector, cause.moment.vector)
            self.causes += (cause,)

    def follow(self, before: "Moment | None") -> None:
        """As it happens: the one before it on its thread, which it was made after, has happened, too."""
        if before is not None:
            merge(self.vector, before.vector)

    def __str__(self) -> str:
        if self.thread.kind == "process":
            return f"{self.thread.name}: {self.what}"
        return f"{self.what} of {self.thread.name}"


class Thread:
    """`vector` is the present: what the next moment will know."""

    __slots__ = ("__weakref__", "_causes", "_threads", "kind", "name", "newest", "number", "tick", "vector")

    def __init__(self, threads: "Threads", kind: str, name: str) -> None:
        self._threads = threads
        self.number = threads.enter(self)
        self.kind = kind
        self.name = name
        self.tick = 0
        self.vector: Vector = {}
        self.newest: Moment | None = None
        self._causes: list[Cause] = []

    def learn(self, moments: Iterable[Moment], why: str) -> None:
        """From now on it comes after all of them."""
        for moment in moments:
            if moment.came_ns is not None and self.vector.get(moment.thread.number, 0) < moment.tick:
                merge(self.vector, moment.vector)
                self._causes.append(Cause(why, moment))

    def promise(self, what: str, t_ns: int, *, buffers: frozenset[int]) -> Moment:
        """The next moment of the thread, which will come. Until then nobody learns of it."""
        moment = self.step(what, t_ns, buffers=buffers)
        moment.came_ns = None
        return moment

    def step(self, what: str, t_ns: int, *, buffers: frozenset[int] | None = None) -> Moment:
        """The next moment of the thread, which others may come to know of."""
        self.tick = tick = self.tick + 1
        self.vector[self.number] = tick
        causes = tuple(self._causes)
        if self.newest is not None:
            causes = (Cause("before it, in order", self.newest), *causes)
        self._causes.clear()
        self.newest = moment = Moment(self, what, t_ns, causes, buffers)
        self._threads.keep(moment)
        if tick % _PRUNE_EVERY == 0:
            self._threads.prune(self.vector)
        return moment

    def present(self, what: str, t_ns: int) -> Moment:
        """What it knows by now, whatever it touched: a moment of its own only where the newest one is not that."""
        if self.newest is None or self._causes or self.newest.buffers is not None:
            return self.step(what, t_ns)
        return self.newest


class Threads:
    """All threads that anybody still has to be compared with, and the latest moments."""

    def __init__(self) -> None:
        self._numbers = count(1)
        self._alive: WeakValueDictionary[int, Thread] = WeakValueDictionary()
        self._latest: deque[Moment] = deque()

    def enter(self, thread: Thread) -> int:
        number = next(self._numbers)
        self._alive[number] = thread
        return number

    def keep(self, moment: Moment) -> None:
        self._latest.append(moment)
        if len(self._latest) > HISTORY_MAX:
            self._latest.popleft().causes = ()

    def prune(self, vector: Vector) -> None:
        """Forget threads of which no moment and no access is left: nothing will be compared with them."""
        for number in [number for number in vector if number not in self._alive]:
            del vector[number]


def merge(into: Vector, other: Vector) -> None:
    for number, tick in other.items():
        if into.get(number, 0) < tick:
            into[number] = tick


def fold(old: tuple[Moment, ...], new: tuple[Moment, ...]) -> tuple[Moment, ...]:
    """Both, without what the new ones know anyway."""
    if not old:
        return new
    if len(old) == len(new) == 1 and new[0].knows(old[0]):
        return new
    return new + tuple(one for one in old if one not in new and not any(after.knows(one) for after in new))
