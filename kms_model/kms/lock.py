"""Modeset locks: one per CRTC and plane, one for all connectors, held to the end of an ioctl (kernel.md 3.4).

They are ww mutexes. Objects are locked in whatever order user space names them, so two commits may
want each other's: the older one wounds the younger, which drops everything and replays its whole
parse. A holder that sleeps on a fence is not disturbed, and that is the trap: everybody who needs one
of its objects sleeps too.
"""

from collections.abc import Callable
from itertools import count
from typing import Final

import msgspec

from syncline.kms_model.kernel import Kernel
from syncline.kms_model.observer import Awaited, AwaitedLock
from syncline.kms_model.task import Completion, Interrupted

KIND: Final = "modeset"
"""The lock class: all of them are one, ordered by age."""


class Deadlock(Exception):
    """-EDEADLK: an older ticket wants what we hold. Back off and replay."""

    def __init__(self, contended: "ModesetLock") -> None:
        super().__init__("back off")
        self.contended = contended


class Tickets:
    """Issues acquire contexts in order of age."""

    def __init__(self, kernel: Kernel) -> None:
        self._kernel = kernel
        self._stamps = count()

    def acquire_context(self, *, interruptible: bool) -> "AcquireContext":
        return AcquireContext(self._kernel, next(self._stamps), interruptible=interruptible)


class AcquireContext(msgspec.Struct, eq=False):
    """drm_modeset_acquire_ctx: what one call holds. `stamp`: its age."""

    _kernel: Kernel
    stamp: int
    interruptible: bool
    _held: "list[ModesetLock]" = []
    _wounded: bool = False
    _rouse: Callable[[], None] | None = None

    async def lock(self, lock: "ModesetLock") -> None:
        """Take it, sleeping if need be. Raises Deadlock, or Interrupted if the context is interruptible."""
        if lock.owner is self:
            return
        while lock.owner is not None:
            if self._wounded and self._held:
                raise Deadlock(lock)
            if self.stamp < lock.owner.stamp:
                lock.owner.wound()
            await self._sleep_for(lock)
        lock.owner = self
        self._held.append(lock)
        if self._kernel.observer is not None:
            self._kernel.observer.lock_taken(lock, KIND)

    async def back_off(self, contended: "ModesetLock") -> None:
        """drm_modeset_backoff: drop everything, then sleep for the lock that was fought over."""
        self.release()
        self._wounded = False
        await self.lock(contended)

    def release(self) -> None:
        held, self._held = self._held, []
        for lock in held:
            lock.owner = None
            if self._kernel.observer is not None:
                self._kernel.observer.lock_released(lock)
        for lock in held:
            if lock.waiters:
                lock.wake_oldest()

    def wound(self) -> None:
        self._wounded = True
        if self._rouse is not None:
            self._rouse()

    @property
    def holds_nothing(self) -> bool:
        return not self._held

    async def _sleep_for(self, lock: "ModesetLock") -> None:
        woken = Completion(lock)
        self._rouse = woken.complete
        lock.waiters.append((self.stamp, woken))
        try:
            await self._kernel.wait(woken, interruptible=self.interruptible)
        except Interrupted:
            lock.forget(woken)
            if lock.owner is None and lock.waiters:  # the wake-up may have been ours: pass it on
                lock.wake_oldest()
            raise
        finally:
            self._rouse = None
            lock.forget(woken)


class ModesetLock:
    """Free, or owned by one context. The oldest waiter is woken first."""

    __slots__ = ("owner", "waiters")

    def __init__(self) -> None:
        self.owner: AcquireContext | None = None
        self.waiters: list[tuple[int, Completion]] = []

    def awaited(self) -> Awaited:
        return Awaited((AwaitedLock(self, KIND),))

    def forget(self, woken: Completion) -> None:
        self.waiters = [waiter for waiter in self.waiters if waiter[1] is not woken]

    def wake_oldest(self) -> None:
        min(self.waiters, key=lambda waiter: waiter[0])[1].complete()
