"""Time. The two loops of the project: one waits for the clock, the other moves it.

Both are asyncio loops with one more verb, `call_at_ns`, whose deadlines are CLOCK_MONOTONIC
nanoseconds. asyncio's own timers are rounded up to whole milliseconds by epoll, so on the real
loop every deadline goes through one timerfd; on the virtual loop nothing sleeps: when nothing is
ready the clock jumps to the next deadline. Equal deadlines run in the order they were booked.
"""

import asyncio
import ctypes
import gc
import os
import selectors
import struct
import time
from collections.abc import Callable, Coroutine
from contextvars import Context
from functools import partial
from typing import Any, Final, Protocol, TypeVar, TypeVarTuple

from syncline.kms_model.deadlines import Calendar, Deadline
from syncline.kms_model.edges import Edges

T = TypeVar("T")
Ts = TypeVarTuple("Ts")
L = TypeVar("L", bound="RealLoop | VirtualLoop")

NS_PER_S: Final = 1_000_000_000
DEVICE_PRIORITY: Final = 2  # the machine comes before those who call it
COMPOSITOR_PRIORITY: Final = 1
VIRTUAL_EPOCH_NS: Final = NS_PER_S  # not zero: 0 means "now" or "never" in many a kernel argument


class Loop(Protocol):
    """What the edges need of time. `RealLoop` and `VirtualLoop` are both this and an asyncio loop."""

    def now_ns(self) -> int: ...

    def call_at_ns(self, when_ns: int, action: Callable[[], None]) -> Deadline: ...

    def add_reader(self, fd: int, callback: Callable[[], None], /) -> None: ...

    def remove_reader(self, fd: int, /) -> bool: ...

    def add_writer(self, fd: int, callback: Callable[[], None], /) -> None: ...

    def remove_writer(self, fd: int, /) -> bool: ...

    def call_soon(self, callback: Callable[[], None], /) -> object: ...

    def call_last(self, action: Callable[[], None]) -> None:
        """Run `action` once everything that is ready now has run, without another turn of the loop."""
        ...


_libc = ctypes.CDLL(None, use_errno=True)
_TFD_NONBLOCK_CLOEXEC: Final = os.O_NONBLOCK | os.O_CLOEXEC
_TFD_TIMER_ABSTIME: Final = 1
_ITIMERSPEC: Final = struct.Struct("qqqq")


monotonic_ns: Final = time.monotonic_ns
"""The clock of the real loop, for who blocks outside of any."""


class RealLoop(asyncio.SelectorEventLoop):
    """asyncio on CLOCK_MONOTONIC with nanosecond deadlines through one timerfd.

    What wakes it is called at once, see `edges`; tasks and futures are asyncio's as ever.
    """

    def __init__(self) -> None:
        self._edges = Edges(tidy=self._tidy, failed=partial(_report, self))
        super().__init__(self._edges)
        self._calendar = Calendar()
        self._leftovers: list[Callable[[], None]] = []
        self._armed_ns: int | None = None
        """What the timer is set to; None: it is off, or has rung."""
        self._timerfd: int = _libc.timerfd_create(time.CLOCK_MONOTONIC, _TFD_NONBLOCK_CLOEXEC)
        if self._timerfd < 0:
            raise OSError(ctypes.get_errno(), "timerfd_create")
        self._edges.watch_timer(self._timerfd, self._expire)

    # -- time -------------------------------------------------------------------------------------

    now_ns = staticmethod(monotonic_ns)

    def call_at_ns(self, when_ns: int, action: Callable[[], None]) -> Deadline:
        return self._calendar.book(when_ns, action)

    def call_last(self, action: Callable[[], None]) -> None:
        self._leftovers.append(action)

    def _tidy(self) -> None:
        if self._leftovers:
            leftovers, self._leftovers = self._leftovers, []
            for action in leftovers:
                action()
        when_ns = self._calendar.next_ns()
        if when_ns != self._armed_ns:
            self._arm(when_ns)

    def _arm(self, when_ns: int | None) -> None:
        self._armed_ns = when_ns
        at_s, at_ns = divmod(max(when_ns, 1), NS_PER_S) if when_ns is not None else (0, 0)
        itimerspec = _ITIMERSPEC.pack(0, 0, at_s, at_ns)
        if _libc.timerfd_settime(self._timerfd, _TFD_TIMER_ABSTIME, itimerspec, None):
            raise OSError(ctypes.get_errno(), "timerfd_settime")

    def _expire(self) -> None:
        self._armed_ns = None
        for action in self._calendar.take_due(monotonic_ns()):
            action()

    # -- descriptors ------------------------------------------------------------------------------

    def add_reader(self, fd: Any, callback: Callable[[*Ts], Any], *args: *Ts) -> None:
        """`fd` is a plain number, as everywhere here."""
        self._edges.set_reader(fd, partial(callback, *args) if args else callback)

    def remove_reader(self, fd: Any) -> bool:
        return self._edges.set_reader(fd, None)

    def add_writer(self, fd: Any, callback: Callable[[*Ts], Any], *args: *Ts) -> None:
        self._edges.set_writer(fd, partial(callback, *args) if args else callback)

    def remove_writer(self, fd: Any) -> bool:
        return self._edges.set_writer(fd, None)

    # -- what asyncio is asked for ----------------------------------------------------------------

    def call_soon(
        self, callback: Callable[[*Ts], object], *args: *Ts, context: Context | None = None
    ) -> asyncio.Handle:
        self._edges.is_wanted = True
        return super().call_soon(callback, *args, context=context)

    def call_at(
        self,
        when: float,
        callback: Callable[[*Ts], object],
        *args: *Ts,
        context: Context | None = None,
    ) -> asyncio.TimerHandle:
        self._edges.is_wanted = True
        return super().call_at(when, callback, *args, context=context)

    def stop(self) -> None:
        self._edges.is_wanted = True
        super().stop()

    def close(self) -> None:
        if not self.is_closed():
            os.close(self._timerfd)
        super().close()


def _report(loop: asyncio.AbstractEventLoop, fault: Exception) -> None:
    loop.call_exception_handler({"message": "in a callback", "exception": fault})


class _Leap(selectors.EpollSelector):
    """A selector that never sleeps: when nothing is ready it asks the loop to move the clock."""

    def __init__(self) -> None:
        super().__init__()
        self.leap: Callable[[float | None], None] = lambda _: None

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        ready = super().select(0)
        if not ready and (timeout is None or timeout > 0):
            self.leap(timeout)
        return ready


class VirtualLoop(asyncio.SelectorEventLoop):
    """asyncio on a clock that jumps to the next deadline. Same program, same seed, same bytes out.

    Raises AssertionError when nothing is ready and no deadline is left: on virtual time that wait
    could never end.
    """

    def __init__(self, start_ns: int = VIRTUAL_EPOCH_NS) -> None:
        self._now_ns = start_ns
        self._calendar = Calendar()
        selector = _Leap()
        super().__init__(selector)
        selector.leap = self._leap

    def now_ns(self) -> int:
        return self._now_ns

    def time(self) -> float:
        return self._now_ns / NS_PER_S

    def call_at_ns(self, when_ns: int, action: Callable[[], None]) -> Deadline:
        return self._calendar.book(when_ns, action)

    def call_last(self, action: Callable[[], None]) -> None:
        self.call_soon(action)

    def _leap(self, timeout: float | None) -> None:
        next_ns = self._calendar.next_ns()
        if timeout is not None:
            asyncio_ns = self._now_ns + max(1, round(timeout * NS_PER_S))
            next_ns = asyncio_ns if next_ns is None else min(next_ns, asyncio_ns)
        assert next_ns is not None, "virtual time stands still: everybody waits and nothing is due"
        self._now_ns = max(self._now_ns, next_ns)
        for action in self._calendar.take_due(self._now_ns):
            try:
                action()
            except Exception as fault:  # noqa: BLE001  every one of them is the loop's to report
                _report(self, fault)


class _Crash:
    """An exception in a callback is ours: it ends the run and comes out of it, never just a log line."""

    def __init__(self) -> None:
        self.fault: BaseException | None = None
        self._main: asyncio.Task[Any] | None = None

    def watch(self, loop: asyncio.AbstractEventLoop, main: asyncio.Task[Any] | None) -> None:
        self._main = main
        loop.set_exception_handler(self._handle)

    def _handle(self, _loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        self.fault = self.fault or context.get("exception") or RuntimeError(context["message"])
        if self._main is not None:
            self._main.cancel()


async def _loudly(loop: L, main: Callable[[L], Coroutine[Any, Any, T]]) -> T:
    crash = _Crash()
    assert isinstance(loop, asyncio.AbstractEventLoop)
    crash.watch(loop, asyncio.current_task())
    try:
        return await main(loop)
    finally:
        if crash.fault is not None:
            raise crash.fault  # whatever became of main on its way out


def run_real(main: Callable[[RealLoop], Coroutine[Any, Any, T]]) -> T:
    """Run `main(loop)` to its end on the real loop."""
    with asyncio.Runner(loop_factory=RealLoop) as runner:
        loop = runner.get_loop()
        assert isinstance(loop, RealLoop)
        return runner.run(_loudly(loop, main))


def run_virtual(main: Callable[[VirtualLoop], Coroutine[Any, Any, T]]) -> T:
    """Run `main(loop)` to its end on a virtual loop that starts at VIRTUAL_EPOCH_NS."""
    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        loop = runner.get_loop()
        assert isinstance(loop, VirtualLoop)
        return runner.run(_loudly(loop, main))


def be_prompt(priority: int) -> bool:
    """Ask for SCHED_RR at `priority`, as compositors do, so that a vblank does not wait behind other programs.

    Also takes what start-up made out of the garbage collector's sight: scanning it costs milliseconds.
    False: the system did not allow the priority, and the rest holds all the same.
    """
    gc.collect()
    gc.freeze()
    try:
        os.sched_setscheduler(0, os.SCHED_RR | os.SCHED_RESET_ON_FORK, os.sched_param(priority))
    except PermissionError:
        return False
    return True


async def sleep_until(loop: Loop, when_ns: int) -> None:
    """Sleep to an absolute instant on either loop."""
    woken = asyncio.Event()
    deadline = loop.call_at_ns(when_ns, woken.set)
    try:
        await woken.wait()
    finally:
        deadline.cancel()
