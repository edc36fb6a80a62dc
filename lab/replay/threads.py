"""Threads of a scenario on model time: each runs until it must wait; when all wait, time moves to the next deadline."""

from collections import deque
from collections.abc import Callable, Coroutine, Generator
from typing import Any, Final, Protocol

from syncline.kms_model.deadlines import Calendar

NS_PER_MS: Final = 1_000_000


class Stuck(Exception):
    """Every thread waits and nothing is due: on a real kernel the run is killed after its limit."""


class Ticking(Protocol):
    """What is below the threads and has deadlines of its own: the kernel."""

    def next_deadline_ns(self) -> int | None: ...

    def advance(self, now_ns: int) -> None: ...

    def settle(self) -> None:
        """Look after what user space did behind its back: closed descriptors."""
        ...


class Interrupt(Protocol):
    """Deliver a signal to the call a thread sits in."""

    def __call__(self, *, is_restarting: bool) -> None: ...


class Park:
    """One wait of one thread. The first `wake` ends it, later ones do nothing."""

    def __init__(self, runnable: "deque[Park]") -> None:
        self._runnable = runnable
        self._woken = False
        self.thread: Thread | None = None

    def wake(self) -> None:
        if not self._woken:
            self._woken = True
            self._runnable.append(self)

    def __await__(self) -> "Generator[Park, None, None]":
        yield self


class Thread:
    """A running coroutine; `interrupt` is what a signal does to the call it sits in, if anything."""

    def __init__(self, body: Coroutine[Park, None, None]) -> None:
        self._body = body
        self.done = False
        self.interrupt: Interrupt | None = None

    def step(self) -> None:
        """Run until the next wait."""
        try:
            self._body.send(None).thread = self
        except StopIteration:
            self.done = True

    def abandon(self) -> None:
        self._body.close()


class Threads:
    """The scheduler and the clock. Woken threads run in the order they were woken."""

    def __init__(self, kernel: Ticking, *, start_ns: int) -> None:
        self._kernel = kernel
        self.now_ns = start_ns
        self._calendar = Calendar()
        self._runnable: deque[Park] = deque()
        self._pollers: dict[Park, Callable[[], bool]] = {}
        self.current: Thread | None = None

    def start(self, body: Coroutine[Any, None, None]) -> Thread:
        """A new thread; it runs when the others wait."""
        thread = Thread(body)
        park = Park(self._runnable)
        park.thread = thread
        park.wake()
        return thread

    def run(self, main: Coroutine[Any, None, None], *, limit_ns: int) -> None:
        """Run until `main` has ended. Raises Stuck when it cannot, or not within `limit_ns`."""
        thread = self.start(main)
        end_ns = self.now_ns + limit_ns
        while not thread.done:
            if self._runnable:
                self._step(self._runnable.popleft())
            elif not self._poll():
                self._leap(end_ns)

    def _step(self, park: Park) -> None:
        assert park.thread is not None, "a park is awaited before anybody can wake it"
        self.current = park.thread
        self.current.step()
        self.current = None

    def _poll(self) -> bool:
        for park, is_ready in list(self._pollers.items()):
            if is_ready():
                park.wake()
        return bool(self._runnable)

    def _leap(self, end_ns: int) -> None:
        due = [
            at_ns
            for at_ns in (self._calendar.next_ns(), self._kernel.next_deadline_ns())
            if at_ns is not None
        ]
        if not due or min(due) > end_ns:
            raise Stuck
        self.now_ns = max(self.now_ns, min(due))
        self._kernel.advance(self.now_ns)
        self._kernel.settle()
        for action in self._calendar.take_due(self.now_ns):
            action()

    def park(self) -> Park:
        return Park(self._runnable)

    async def breathe(self) -> None:
        """Let every thread run that was woken before this."""
        park = self.park()
        park.wake()
        await park

    async def sleep(self, ms: float) -> None:
        park = self.park()
        self._calendar.book(self.now_ns + round(ms * NS_PER_MS), park.wake)
        await park

    async def until(self, is_ready: Callable[[], bool], *, timeout_ms: float) -> bool:
        """Wait for a condition that is looked at whenever everybody else waits. False: it timed out."""
        if is_ready() or timeout_ms == 0:
            return is_ready()
        park = self.park()
        deadline = None
        if timeout_ms > 0:  # poll(2): negative is for ever
            deadline = self._calendar.book(self.now_ns + round(timeout_ms * NS_PER_MS), park.wake)
        self._pollers[park] = is_ready
        try:
            await park
        finally:
            del self._pollers[park]
            if deadline is not None:
                deadline.cancel()
        return is_ready()
