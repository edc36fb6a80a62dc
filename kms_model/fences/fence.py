"""dma_fence: a kernel promise that something ends in bounded time (kernel.md 2.1)."""

from collections.abc import Callable
from typing import Final, Protocol

from syncline.kms_model.deadlines import Deadline
from syncline.kms_model.observer import FenceObserver, Observer

_HALF_WINDOW: Final = 1 << 31
_LOW_WORD: Final = (1 << 32) - 1
_WORST_ERRNO: Final = 4095

Callback = Callable[["Fence"], None]


class Clock(Protocol):
    """What containers and exporters need of the kernel."""

    @property
    def now_ns(self) -> int: ...

    observer: Observer | None

    def new_context(self) -> int: ...

    def defer(self, action: Callable[[], None]) -> None:
        """Irq work: run `action` soon, outside of every fence callback."""
        ...

    def call_at(self, when_ns: int, action: Callable[[], None]) -> Deadline: ...


class Fence:
    """One dma_fence. Exporters subclass it and override the hooks they have."""

    __slots__ = (
        "__weakref__", "_callbacks", "_enabled", "_signalled", "_waiters", "context", "driver", "error", "note",
        "observer", "seqno", "timeline", "timestamp_ns",
    )  # fmt: skip

    detaches = True
    """7.x: names are the detached ones after signalling. False for exporters with release or wait hooks."""
    wide = False
    """64-bit seqnos compare as plain integers, others in a 32-bit window."""

    depth: int = 0
    """How many chains are inside one another here."""

    def __init__(self, context: int, seqno: int, driver: str, timeline: str) -> None:
        self.context = context
        self.seqno = seqno
        self.driver = driver
        self.timeline = timeline
        self.error = 0
        self.timestamp_ns = 0
        self.observer: FenceObserver | None = None
        self.note: object | None = None
        self._signalled = False
        self._enabled = False
        self._waiters: list[Callable[[], None]] | None = None
        self._callbacks: dict[Callback, None] | None = None

    def poll_ns(self) -> int | None:
        """Hook: when it was done although nobody was told yet, or None. Being asked signals it."""
        return None

    def enable(self) -> int | None:
        """Hook, called once, for the first who waits. An instant: it is done already, and signals with it."""
        return None

    def keep(self, *, wanted: bool) -> None:
        """Hook for exporters that do not hold their fences: somebody waits for it, or nobody does any more."""

    def on_deadline(self, deadline_ns: int) -> None:
        """Hook: a hint when the result is wanted."""

    @property
    def signalled(self) -> bool:
        """Done, with or without error. May find out, and signal, right here (dma_fence_is_signaled)."""
        if self._signalled:
            return True
        done_ns = self.poll_ns()
        if done_ns is None:
            return False
        self.signal(done_ns)
        return True

    @property
    def told(self) -> bool:
        """Signalled, and everybody knows. Asking does not find out."""
        return self._signalled

    def status(self) -> int:
        """0 pending, 1 signalled, negative errno signalled with that error (dma_fence_get_status)."""
        if not self.signalled:
            return 0
        return self.error or 1

    def set_error(self, errno: int) -> None:
        """What to fail with, a positive errno, stored negative. Before signalling only (K7).

        Under an observer a mistake is a report, and ignored, as by the kernel, which warns.
        """
        if self.observer is not None and self.observer.refuse_error(errno, late=self._signalled):
            return
        assert not self._signalled, "an error comes before the signal"
        assert 1 <= errno <= _WORST_ERRNO, f"{errno} is no errno"
        self.error = -errno

    def signal(self, timestamp_ns: int) -> None:
        """Signal once; later calls change nothing. Waiters wake first, newest first, then callbacks in order."""
        if self._signalled:
            return
        self._signalled = True
        self.timestamp_ns = timestamp_ns
        waiters, callbacks = self._waiters, self._callbacks
        self._waiters = self._callbacks = None
        if self.observer is None:
            self._tell(waiters, callbacks)
            return
        self.observer.signals(timestamp_ns)
        try:
            self._tell(waiters, callbacks)
        finally:
            self.observer.signalled()

    def _tell(self, waiters: list[Callable[[], None]] | None, callbacks: dict[Callback, None] | None) -> None:
        if waiters:
            for wake in reversed(waiters):
                wake()
        if callbacks:
            for callback in callbacks:
                callback(self)

    def set_deadline(self, deadline_ns: int) -> None:
        """A hint when the result is wanted, CLOCK_MONOTONIC; only while pending, and no promise."""
        if not self.signalled:
            self.on_deadline(deadline_ns)

    def enable_signaling(self) -> bool:
        """Make sure the signal will come unasked. False: it came already (dma_fence_enable_sw_signaling)."""
        if self._signalled:
            return False
        if not self._enabled:
            self._enabled = True
            done_ns = self.enable()
            if done_ns is not None:
                self.signal(done_ns)
                return False
        return True

    def add_callback(self, callback: Callback) -> bool:
        """Run `callback` at the signal, after those added before. False (-ENOENT): signalled, not called."""
        if not self.enable_signaling():
            return False
        if not self._callbacks:
            self._callbacks = {}
            self.keep(wanted=True)
        assert callback not in self._callbacks, "one registration per callback"
        self._callbacks[callback] = None
        if self.observer is not None:
            self.observer.awaited()
        return True

    def remove_callback(self, callback: Callback) -> bool:
        """False: it ran, or was never added."""
        if not self._callbacks or callback not in self._callbacks:
            return False
        del self._callbacks[callback]
        if self.observer is not None:
            self.observer.forsaken()
        self._keep_if_wanted()
        return True

    def add_waiter(self, wake: Callable[[], None]) -> bool:
        """A blocking waiter goes to the head of the list. False: signalled already."""
        if self.signalled or not self.enable_signaling():
            return False
        if not self._waiters:
            self._waiters = []
            self.keep(wanted=True)
        self._waiters.append(wake)
        if self.observer is not None:
            self.observer.awaited()
        return True

    def remove_waiter(self, wake: Callable[[], None]) -> None:
        if self._waiters and wake in self._waiters:
            self._waiters.remove(wake)
            if self.observer is not None:
                self.observer.forsaken()
            self._keep_if_wanted()

    def _keep_if_wanted(self) -> None:
        if not self._callbacks and not self._waiters:
            self.keep(wanted=False)

    def is_later(self, other: "Fence") -> bool:
        """Later than `other` in the one context that both are of (dma_fence_is_later)."""
        if self.context != other.context and self.observer is not None:
            self.observer.compared(other)
            return False
        assert self.context == other.context, "seqnos of two contexts have no order (K8)"
        if self.wide:
            return self.seqno > other.seqno
        return 0 < ((self.seqno - other.seqno) & _LOW_WORD) < _HALF_WINDOW


class Stub(Fence):
    """A fence that is signalled from the start: dma_fence_allocate_private_stub, or the global stub."""

    __slots__ = ()

    def __init__(self, timestamp_ns: int) -> None:
        super().__init__(0, 0, "stub", "stub")
        self.signal(timestamp_ns)
