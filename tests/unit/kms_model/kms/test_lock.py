from collections.abc import Coroutine
from typing import Any

import pytest

from syncline.kms_model.kernel import Kernel
from syncline.kms_model.kms.lock import AcquireContext, Deadlock, ModesetLock, Tickets
from syncline.kms_model.task import ERESTARTSYS, Completion, Task
from syncline.kms_model.uapi import DeviceError


class Room:
    """Two locks, and tasks that take them in the order they name."""

    def __init__(self) -> None:
        self.kernel = Kernel()
        self.tickets = Tickets(self.kernel)
        self.one, self.two = ModesetLock(), ModesetLock()
        self.log: list[str] = []

    def spawn(self, coroutine: Coroutine[Any, Any, None]) -> Task[None]:
        task = self.kernel.spawn(coroutine)
        self.kernel.settle()
        return task

    async def hold(
        self, name: str, gate: Completion, *locks: ModesetLock, interruptible: bool = True
    ) -> None:
        context = self.tickets.acquire_context(interruptible=interruptible)
        try:
            for lock in locks:
                await self._take(name, context, lock, locks)
            self.log.append(f"{name} in")
            await self.kernel.wait(gate, interruptible=False)
            self.log.append(f"{name} out")
        finally:
            context.release()

    async def _take(
        self, name: str, context: AcquireContext, lock: ModesetLock, locks: tuple[ModesetLock, ...]
    ) -> None:
        try:
            await context.lock(lock)
        except Deadlock as deadlock:
            self.log.append(f"{name} backs off")
            await context.back_off(deadlock.contended)
            for again in locks:
                await context.lock(again)


def test_the_second_sleeps_until_the_first_lets_go() -> None:
    room = Room()
    gates = [Completion(), Completion()]
    room.spawn(room.hold("first", gates[0], room.one))
    room.spawn(room.hold("second", gates[1], room.one))
    assert room.log == ["first in"]

    gates[0].complete()
    room.kernel.settle()

    assert room.log == ["first in", "first out", "second in"]


def test_the_oldest_waiter_is_next_whoever_came_first() -> None:
    room = Room()
    gate = Completion()
    contexts = [room.tickets.acquire_context(interruptible=True) for _ in range(3)]

    async def take(context: AcquireContext, name: str) -> None:
        await context.lock(room.one)
        room.log.append(name)
        await room.kernel.wait(gate, interruptible=False)
        context.release()

    room.spawn(take(contexts[0], "holder"))
    room.spawn(take(contexts[2], "young"))
    room.spawn(take(contexts[1], "old"))
    gate.complete()
    room.kernel.settle()

    assert room.log == ["holder", "old", "young"]


def test_a_younger_holder_in_an_older_ones_way_backs_off_and_both_get_through() -> None:
    room = Room()
    middle, gate = Completion(), Completion()
    gate.complete()

    async def crosswise(name: str, first: ModesetLock, second: ModesetLock) -> None:
        context = room.tickets.acquire_context(interruptible=True)
        await context.lock(first)
        await room.kernel.wait(middle, interruptible=False)
        while True:
            try:
                await context.lock(first)
                await context.lock(second)
                break
            except Deadlock as deadlock:
                room.log.append(f"{name} backs off")
                await context.back_off(deadlock.contended)
        room.log.append(f"{name} in")
        context.release()

    old = room.spawn(crosswise("old", room.one, room.two))
    young = room.spawn(crosswise("young", room.two, room.one))
    middle.complete()
    room.kernel.settle()

    assert old.done
    assert young.done
    assert room.log == ["young backs off", "old in", "young in"]


def test_a_signal_ends_the_sleep_of_an_interruptible_waiter_and_wakes_the_next() -> None:
    room = Room()
    gates = [Completion(), Completion(), Completion()]
    room.spawn(room.hold("first", gates[0], room.one))
    second = room.spawn(room.hold("second", gates[1], room.one))
    room.spawn(room.hold("third", gates[2], room.one))

    second.interrupt()
    gates[0].complete()
    room.kernel.settle()

    with pytest.raises(DeviceError) as error:
        second.result()
    assert error.value.errno == ERESTARTSYS
    assert room.log == ["first in", "first out", "third in"]


def test_an_uninterruptible_waiter_sleeps_through_signals() -> None:
    room = Room()
    gates = [Completion(), Completion()]
    room.spawn(room.hold("first", gates[0], room.one))
    second = room.spawn(room.hold("second", gates[1], room.one, interruptible=False))

    second.interrupt()
    room.kernel.settle()
    assert not second.done
    gates[0].complete()
    room.kernel.settle()

    assert room.log[-1] == "second in"


def test_a_sleeping_holder_that_wants_no_lock_is_not_wounded_awake() -> None:
    room = Room()
    gates = [Completion(), Completion()]
    old = room.tickets.acquire_context(interruptible=True)
    room.spawn(room.hold("young", gates[0], room.one))

    async def take() -> None:
        await old.lock(room.one)
        room.log.append("old in")
        old.release()

    room.spawn(take())
    assert room.log == ["young in"]
    gates[0].complete()
    room.kernel.settle()

    assert room.log == ["young in", "young out", "old in"]
