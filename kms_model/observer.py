"""What the machine tells whoever watches it: one attribute that is None, until a checker is put there.

The kernel has one `Observer`; an exporter tells it of every fence it makes, and the observer leaves one
`FenceObserver` on that fence, so that code which knows only the fence (a reservation object, a sync_file)
has somebody to tell. Nobody here may change what the machine does.
"""

from collections.abc import Coroutine, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol


@dataclass(frozen=True, kw_only=True, slots=True)
class Exporter:
    """What the maker of a kind of fence promises."""

    name: str
    bounded: bool = True
    """Hardware with a watchdog, a timer, a vblank: it signals whatever user space does (K2)."""
    bound_ns: int | None = None
    """How long after its own dependencies, at most."""
    ordered: bool = True
    """Seqnos of a context rise at publication, and signal in order (K8)."""
    test: bool = False
    """Exists for tests; known to break the contract."""


class Promise(Protocol):
    """A fence, as an observer may look at it: no question here makes it signal."""

    context: int
    seqno: int
    driver: str
    timeline: str
    error: int
    observer: "FenceObserver | None"

    @property
    def told(self) -> bool: ...


class AwaitedPoint(NamedTuple):
    """A point that has no fence: of a user fence, or one that nobody has submitted yet."""

    owner: object
    """The syncobj, or the slot behind it: the same for everybody who means this timeline."""
    point: int
    is_user: bool


class AwaitedLock(NamedTuple):
    lock: object
    kind: str


class Runner(Protocol):
    """A task of the machine."""

    done: bool
    coroutine: Coroutine[Any, Any, Any]


Thing = Promise | AwaitedPoint | AwaitedLock | Runner


class Awaited(NamedTuple):
    """What somebody sleeps for: all of `things`, or the first of them."""

    things: Sequence[Thing]
    any_of: bool = False


class Milestone(NamedTuple):
    """What one completion of a commit stands for: "hw_done", "flip_done", "cleanup_done"."""

    name: str

    def awaited(self) -> Awaited:
        """The display itself, which nobody holds up."""
        return Awaited(())


@dataclass(frozen=True, kw_only=True, slots=True)
class Accepted:
    """The fences of a commit that cannot fail any more, or (`parked`) that waits for user space first."""

    crtc_ids: tuple[int, ...]
    parked: bool
    waits_for_user: bool
    dma_outs: Sequence[Promise]
    user_outs: int
    implicit_user: bool
    """It shows a buffer with an implicit user fence."""


class Subject(Protocol):
    """Explains a bell or a completion: what has to happen before it rings."""

    def awaited(self) -> Awaited: ...


class FenceObserver(Protocol):
    """Hears of one fence."""

    def published(self, where: str) -> None:
        """Others can find it now: in a "dma_resv", "syncobj" or "sync_file"."""
        ...

    def depends(self, things: "Iterable[Thing]", why: str, *, expires: bool = False) -> None:
        """It cannot signal before these, unless it `expires`."""
        ...

    def misplaced(self, where: str) -> None:
        """A container, where only leaves may be."""
        ...

    def refuse_error(self, errno: int, *, late: bool) -> bool:
        """An error was set, `late` if after the signal. True: it must not be."""
        ...

    def signals(self, timestamp_ns: int) -> None:
        """Its callbacks are about to run, under its lock."""
        ...

    def signalled(self) -> None:
        """They have run."""
        ...

    def awaited(self) -> None:
        """A callback or a waiter was added."""
        ...

    def forsaken(self) -> None:
        """One was removed."""
        ...

    def compared(self, other: Promise) -> None:
        """With a fence of another context."""
        ...


class Observer(Protocol):
    """Hears of everything else."""

    def call_begins(self, file: object, who: str, what: str) -> None: ...

    def call_ends(self) -> None: ...

    def task_runs(self, task: Runner) -> None: ...

    def task_rests(self, task: Runner) -> None: ...

    def task_sleeps(self, task: Runner, waitable: object, deadline_ns: int | None) -> None: ...

    def task_wakes(self, task: Runner) -> None: ...

    def lock_taken(self, lock: object, kind: str) -> None: ...

    def lock_released(self, lock: object) -> None: ...

    def exported(
        self, fence: Promise, exporter: Exporter, *, lock: object | None = None, by: Runner | None = None
    ) -> None:
        """A fence was made. `lock` is what its callbacks run under, `by` the task that has to signal it."""
        ...

    def contained(self, container: Promise, kind: str, members: Sequence[Promise]) -> None:
        """An "array" of members, or a "chain" node of the one before (if any) and the one inside."""
        ...

    def committed(
        self, crtc_ids: tuple[int, ...], outs: Sequence[Promise], ins: Sequence[Promise]
    ) -> None: ...

    def must_not_wait(self) -> None:
        """The call that runs now promised not to sleep for fences, flips or user space: NONBLOCK, TEST_ONLY."""
        ...

    def commit_accepted(self, commit: Accepted) -> None:
        """By the task that runs now."""
        ...

    def commit_refused(self, why: str) -> None:
        """It mixed fences that must not be mixed."""
        ...

    def commit_returns(self, errno: int, written: Sequence[int], reply: Sequence[tuple[int, int]]) -> None:
        """The ioctl is over. `written`: pointers that -1 went through; `reply`: what is behind them in the end."""
        ...

    def flip_told(
        self, crtc_id: int, commit: object, time_ns: int, fence: Promise | None, signalled_ns: int
    ) -> None:
        """A CRTC told the flip of a commit: its event has `time_ns`, its out-fence (if any) `signalled_ns`."""
        ...

    def point_added(self, syncobj: object, *, point: int, last: int) -> None: ...

    def queried(self, syncobj: object, timeline: object, value: int) -> None: ...

    def job_points(self, ins: Sequence[AwaitedPoint], outs: Sequence[AwaitedPoint]) -> None:
        """What one job waits for and what it will signal."""
        ...

    def slot_watched(self, slot: object, *, signallers: int, is_mapped: bool) -> None: ...

    def slot_written(self, slot: object, by: object) -> None: ...

    def warned(self, rule: str, what: str) -> None:
        """The machine says it itself: a real kernel prints a warning here."""
        ...
