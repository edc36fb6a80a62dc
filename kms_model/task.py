"""Sleeping calls and kernel workers: coroutines that the machine itself resumes, in model time.

A handler that may sleep is an `async def` and reads like kernel code: it awaits
`kernel.wait(fence, deadline_ns=…)` and nothing else. No asyncio is involved, so the same code runs
inside a node process, on the virtual loop and in a unit test that only moves the clock.
"""

from collections.abc import Callable, Coroutine, Generator
from enum import Enum, auto
from typing import Any, Final, Generic, Protocol, TypeVar

import msgspec

from syncline.kms_model.deadlines import Deadline
from syncline.kms_model.observer import Observer, Subject
from syncline.kms_model.uapi import DeviceError

R = TypeVar("R")
T = TypeVar("T")

ERESTARTSYS: Final = 512
"""What an interrupted call ends with inside the kernel. User space sees EINTR, or the call is made again."""


class Interrupted(Exception):
    """A signal arrived while the task slept interruptibly: -ERESTARTSYS."""


class Woken(Enum):
    """How a sleep ended."""

    DONE = auto()
    DEADLINE = auto()
    SIGNAL = auto()


class Waitable(Protocol):
    """What a task can sleep on: a `Fence` or a `Completion`."""

    def add_waiter(self, wake: Callable[[], None]) -> bool:
        """Call `wake` once when done. False: already done, `wake` is not kept."""
        ...

    def remove_waiter(self, wake: Callable[[], None]) -> None: ...


class Completion(msgspec.Struct, eq=False):
    """struct completion: done once, for everybody who waits now or later. `subject` explains it to observers."""

    subject: Subject | None = None
    done: bool = False
    _waiters: list[Callable[[], None]] = []

    def complete(self, _cause: object = None) -> None:
        """Fits as a callback of a fence or of a pending call."""
        self.done = True
        waiters, self._waiters = self._waiters, []
        for wake in waiters:
            wake()

    def add_waiter(self, wake: Callable[[], None]) -> bool:
        if self.done:
            return False
        self._waiters.append(wake)
        return True

    def remove_waiter(self, wake: Callable[[], None]) -> None:
        if wake in self._waiters:
            self._waiters.remove(wake)


class Bell(msgspec.Struct, eq=False):
    """wake_up_process: may ring many times. A ring that nobody waited for is kept for the next waiter."""

    subject: Subject | None = None
    _rung: bool = False
    _waiter: Callable[[], None] | None = None

    def ring(self) -> None:
        waiter, self._waiter = self._waiter, None
        if waiter is None:
            self._rung = True
        else:
            waiter()

    def add_waiter(self, wake: Callable[[], None]) -> bool:
        if self._rung:
            self._rung = False
            return False
        assert self._waiter is None, "a bell has one sleeper"
        self._waiter = wake
        return True

    def remove_waiter(self, wake: Callable[[], None]) -> None:
        if self._waiter == wake:
            self._waiter = None


class Sleep(msgspec.Struct, eq=False):
    """What `kernel.wait` gives: awaiting it is True when the thing is done, False at the deadline."""

    waitable: Waitable
    deadline_ns: int | None
    interruptible: bool

    def __await__(self) -> Generator["Sleep", bool, bool]:
        return (yield self)


class Scheduler(Protocol):
    """What a task needs of the kernel it runs in."""

    now_ns: int
    observer: Observer | None

    def call_at(self, when_ns: int, action: Callable[[], None]) -> Deadline: ...

    def make_ready(self, task: "Task[Any]") -> None: ...

    def settle(self) -> None: ...


class Pending(msgspec.Struct, Generic[R], eq=False):
    """A call on its way. Most are done when `Device.call` returns."""

    done: bool = False
    _reply: Any = None
    _error: DeviceError | None = None
    _callbacks: "list[Callable[[Pending[R]], None]]" = []

    @staticmethod
    def succeeded(reply: T) -> "Pending[T]":
        return Pending(done=True, _reply=reply)

    @staticmethod
    def failed(error: DeviceError) -> "Pending[Any]":
        return Pending(done=True, _error=error.with_traceback(None))

    def result(self) -> R:
        """The reply. Raises the DeviceError the call ended with; only when `done`."""
        assert self.done, "the call still sleeps"
        if self._error is None:
            reply: R = self._reply
            return reply
        try:
            raise self._error
        finally:
            del self  # the traceback would hold us, and we it: buffers must not wait for the cycle collector

    def interrupt(self) -> None:
        """Deliver a signal: an interruptible sleep ends with ERESTARTSYS. Nothing if done."""

    def add_done_callback(self, callback: "Callable[[Pending[R]], None]") -> None:
        """Call back once when done; at once if it is."""
        if self.done:
            callback(self)
        else:
            self._callbacks.append(callback)

    def _finish(self, reply: Any, error: DeviceError | None) -> None:
        self.done, self._reply, self._error = True, reply, error
        callbacks, self._callbacks = self._callbacks, []
        for callback in callbacks:
            callback(self)


class Task(Pending[R], kw_only=True):
    """One coroutine on its way. An exception that is not a DeviceError is ours and comes out of `step`."""

    kernel: Scheduler
    coroutine: Coroutine[Sleep, Any, R]
    _sleep: Sleep | None = None
    _timer: Deadline | None = None
    _outcome: Woken | None = None
    _signal_pending: bool = False

    def step(self) -> None:
        """Run until the next real sleep, or to the end."""
        observer = self.kernel.observer
        if observer is not None:
            observer.task_runs(self)
        try:
            outcome = self._outcome
            while (sleep := self._resume(outcome)) is not None:
                outcome = self._lie_down(sleep)
                if outcome is None:
                    break
        finally:
            if observer is not None:
                observer.task_rests(self)

    def interrupt(self) -> None:
        if self.done:
            return
        self._signal_pending = True
        if self._sleep is not None and self._sleep.interruptible:
            self._wake(Woken.SIGNAL)
            self.kernel.settle()

    def _resume(self, outcome: Woken | None) -> Sleep | None:
        try:
            if outcome is Woken.SIGNAL:
                self._signal_pending = False
                return self.coroutine.throw(Interrupted())
            return self.coroutine.send(None if outcome is None else outcome is Woken.DONE)
        except StopIteration as stop:
            self._finish(stop.value, None)
        except Interrupted:
            self._finish(None, DeviceError(ERESTARTSYS, "interrupted by a signal"))
        except DeviceError as error:
            self._finish(None, error.with_traceback(None))
        except OSError as error:
            self._finish(None, self._refusal(error))
        return None

    def _refusal(self, error: OSError) -> DeviceError:
        """What the operating system below us refused. A worker has nobody to tell, so it is a fault."""
        raise error

    def _lie_down(self, sleep: Sleep) -> Woken | None:
        """Begin to sleep. An answer other than None: there is no need to."""
        if not sleep.waitable.add_waiter(self._done_waiting):
            return Woken.DONE
        answer: Woken | None = None
        if sleep.deadline_ns is not None and sleep.deadline_ns <= self.kernel.now_ns:
            answer = Woken.DEADLINE
        elif sleep.interruptible and self._signal_pending:
            answer = Woken.SIGNAL
        if answer is not None:
            sleep.waitable.remove_waiter(self._done_waiting)
            return answer
        self._sleep = sleep
        if sleep.deadline_ns is not None:
            self._timer = self.kernel.call_at(sleep.deadline_ns, self._time_out)
        if self.kernel.observer is not None:
            self.kernel.observer.task_sleeps(self, sleep.waitable, sleep.deadline_ns)
        return None

    def _done_waiting(self) -> None:
        self._wake(Woken.DONE)

    def _time_out(self) -> None:
        self._wake(Woken.DEADLINE)

    def _wake(self, outcome: Woken) -> None:
        """Make the task ready with `outcome`. Only the first wake-up of a sleep counts."""
        sleep, self._sleep = self._sleep, None
        if sleep is None:
            return
        if outcome is not Woken.DONE:
            sleep.waitable.remove_waiter(self._done_waiting)
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._outcome = outcome
        if self.kernel.observer is not None:
            self.kernel.observer.task_wakes(self)
        self.kernel.make_ready(self)
