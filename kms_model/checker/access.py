"""Accesses to a buffer: which of those that went before does a new one not come after?"""

from collections.abc import Iterator
from typing import Final
from weakref import WeakKeyDictionary

from syncline.kms_model.accesses import NotedResv
from syncline.kms_model.buffers.resv import Usage
from syncline.kms_model.checker.moment import Moment, Thread, fold

_CLASSES: Final = (Usage.KERNEL, Usage.WRITE, Usage.READ)
"""What somebody asks for. Nobody waits for BOOKKEEP but who moves the memory."""


class Access:
    """From `begin` on, until its thread has come to `end_tick` (None: it is still going on)."""

    __slots__ = ("begin", "begun_ns", "end_tick", "ended_ns", "writes")

    def __init__(self, begin: Moment, begun_ns: int, *, writes: bool, end_tick: int | None = None) -> None:
        self.begin = begin
        self.begun_ns = begun_ns
        self.ended_ns: int | None = None
        self.end_tick = end_tick
        self.writes = writes

    @property
    def thread(self) -> Thread:
        return self.begin.thread

    def is_before(self, moment: Moment) -> bool:
        """It had ended, and `moment` knows that."""
        thread = self.begin.thread
        if thread is moment.thread:
            return True  # a thread does not race with itself
        return self.end_tick is not None and moment.vector.get(thread.number, 0) >= self.end_tick


class Buffer:
    """The accesses that a new one may conflict with: at most one read for each thread, and the last writes."""

    __slots__ = ("_behind", "accesses", "number", "users")

    def __init__(self, number: int) -> None:
        self.number = number
        self.accesses: list[Access] = []
        self.users: WeakKeyDictionary[Thread, None] = WeakKeyDictionary()
        """Files that had to do with it: they tell each other, in messages that nobody here can see."""
        self._behind: dict[int, tuple[Moment, ...]] = {}

    @property
    def name(self) -> str:
        return f"buffer {self.number}"

    def behind(self, usage: int) -> tuple[Moment, ...]:
        """Moments of all fences up to a class."""
        moments: tuple[Moment, ...] = ()
        for each in _CLASSES:
            if each <= usage and each in self._behind:
                moments = fold(moments, self._behind[each])
        return moments

    def publish(self, usage: int, moments: tuple[Moment, ...]) -> None:
        if usage in _CLASSES:
            self._behind[usage] = fold(self._behind.get(usage, ()), moments)

    def enter(self, new: Access) -> Iterator[Access]:
        """A new access. Gives those that it conflicts with and does not come after."""
        kept = []
        for old in self.accesses:
            if old.is_before(new.begin):
                if not new.writes and (old.writes or old.thread is not new.thread):
                    kept.append(old)
                continue
            if old.writes or new.writes:
                yield old
            if old.end_tick is None or not new.writes:
                kept.append(old)
        kept.append(new)
        self.accesses = kept

    def open_of(self, thread: Thread, *, writes: bool) -> Access | None:
        """The access of that thread that is still going on."""
        return next(
            (
                each
                for each in self.accesses
                if each.thread is thread and each.writes is writes and each.end_tick is None
            ),
            None,
        )


class Buffers:
    """Every buffer that was seen, known by its reservation object, and numbered in that order."""

    def __init__(self) -> None:
        self._count = 0

    def of(self, resv: NotedResv) -> Buffer:
        if not isinstance(resv.note, Buffer):
            self._count += 1
            resv.note = Buffer(self._count)
        return resv.note
