"""What is left of an operating system: a clock, deadlines, tasks, irq work, contexts, descriptors.

One `Kernel` may carry several devices. Nothing in it reads a clock: whoever owns it moves the time.
"""

from collections import deque
from collections.abc import Awaitable, Callable, Coroutine
from itertools import count
from typing import Any, TypeVar

from syncline.kms_model.accesses import AccessObserver
from syncline.kms_model.deadlines import Calendar
from syncline.kms_model.descriptors import Descriptors
from syncline.kms_model.faults import Faults
from syncline.kms_model.observer import Observer
from syncline.kms_model.task import Sleep, Task, Waitable
from syncline.kms_model.trace import TraceEvent, Warn

R = TypeVar("R")


class Kernel:
    """Shared by every device of one machine. Enter through `advance` and `Device.call` only."""

    def __init__(self, *, now_ns: int = 0, trace: Callable[[TraceEvent], None] | None = None) -> None:
        self.now_ns = now_ns
        self.trace = trace
        self.observer: Observer | None = None
        self.accesses: AccessObserver | None = None
        self.descriptors = Descriptors()
        self.faults = Faults(self)
        self.leaked: list[object] = []
        """What has a reference that nobody will ever drop."""
        self._calendar = Calendar()
        self.call_at = self._calendar.book
        """Run an action with the clock at an instant; equal instants in the order of booking."""
        self.next_deadline_ns = self._calendar.next_ns
        """When `advance` is next needed, if ever."""
        self._contexts = count(1)
        self._ready: deque[Task[Any]] = deque()
        self._irq_work: deque[Callable[[], None]] = deque()
        self._settling = False

    def new_context(self) -> int:
        """A fence context: 64 bit, from 1, never reused."""
        return next(self._contexts)

    def defer(self, action: Callable[[], None]) -> None:
        """Irq work: run `action` before the current entry into the kernel returns."""
        self._irq_work.append(action)

    def spawn(self, coroutine: Coroutine[Any, Any, R]) -> Task[R]:
        """Start a kernel worker. It runs when the current code has returned."""
        task: Task[R] = Task(kernel=self, coroutine=coroutine)
        self._ready.append(task)
        return task

    def make_ready(self, task: Task[Any]) -> None:
        self._ready.append(task)

    def wait(
        self, thing: Waitable, *, deadline_ns: int | None = None, interruptible: bool = True
    ) -> Awaitable[bool]:
        """Sleep until `thing` is done: True. False at the deadline. Raises Interrupted on a signal."""
        return Sleep(thing, deadline_ns, interruptible)

    def advance(self, now_ns: int) -> None:
        """Move the clock, stopping at each deadline on the way. Never backwards."""
        self.settle()
        while (next_ns := self._calendar.next_ns()) is not None and next_ns <= now_ns:
            self.now_ns = max(self.now_ns, next_ns)
            for action in self._calendar.take_due(self.now_ns):
                action()
                self.settle()
        self.now_ns = max(self.now_ns, now_ns)

    def settle(self, *, tasks: bool = True) -> None:
        """Run irq work and ready tasks until everybody sleeps. Nested calls leave it to the outermost.

        Without `tasks` they stay ready: irq work belongs to the call that caused it, they have threads of their own.
        """
        if self._settling or not (self._irq_work or self._ready):
            return
        self._settling = True
        try:
            while True:
                if self._irq_work:
                    self._irq_work.popleft()()
                elif self._ready and tasks:
                    self._ready.popleft().step()
                else:
                    return
        finally:
            self._settling = False

    def report(self, event: TraceEvent) -> None:
        if self.trace is not None:
            self.trace(event)
        if self.observer is not None and isinstance(event, Warn):
            self.observer.warned(event.rule, event.what)
