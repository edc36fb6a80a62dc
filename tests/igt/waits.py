"""Subtests that syncobj_wait and syncobj_timeline share: delays, resets, snapshots and signals under a wait."""

from collections.abc import Iterator
from enum import IntEnum, auto
from errno import EINVAL, ETIME
from functools import partial
from random import Random

from igt.flavour import Flavour
from igt.machine import SHORT_MS, Machine, Story

from syncline.kms_model.task import ERESTARTSYS
from syncline.kms_model.uapi import SyncobjReset, WaitFlag

ALL = WaitFlag.ALL
FOR_SUBMIT = WaitFlag.FOR_SUBMIT


def shared(flavour: Flavour) -> Iterator[tuple[str, Story]]:
    """By name, those of one program."""
    yield "wait-delayed-signal", partial(delayed, flavour, 0)
    yield "wait-for-submit-delayed-submit", partial(delayed, flavour, FOR_SUBMIT)
    yield "wait-all-delayed-signal", partial(delayed, flavour, ALL)
    yield "wait-all-for-submit-delayed-submit", partial(delayed, flavour, ALL | FOR_SUBMIT)
    yield "reset-unsignaled", partial(reset_unsignalled, flavour)
    yield "reset-signaled", partial(reset_signalled, flavour, 1)
    yield "reset-multiple-signaled", partial(reset_signalled, flavour, 3)
    yield "reset-during-wait-for-submit", partial(reset_during_wait, flavour)
    for name, flags in (
        ("any", 0),
        ("all", ALL),
        ("for-submit", FOR_SUBMIT),
        ("all-for-submit", ALL | FOR_SUBMIT),
    ):
        yield f"wait-{name}-snapshot", partial(snapshot, flavour, flags)
        yield f"wait-{name}-complex", partial(all_stages, flavour, flags)
    yield "wait-any-interrupted", partial(interrupted, flavour, 0)
    yield "wait-all-interrupted", partial(interrupted, flavour, ALL)


async def delayed(flavour: Flavour, flags: int, machine: Machine) -> None:
    """The fence signals, or comes at all, while somebody waits."""
    handle = machine.create()
    if flags & FOR_SUBMIT:
        action = partial(machine.trigger, handle, flavour.point)
    else:
        action = partial(machine.inc, machine.attach(handle, flavour.point))
    when_ns = machine.later(action)
    await machine.file.wait(flavour.wait([handle], machine.patient_ns(2 * SHORT_MS), flags))
    assert machine.is_time(when_ns)


async def reset_unsignalled(flavour: Flavour, machine: Machine) -> None:
    """There is nothing to wait for before, and nothing afterwards."""
    handle = machine.create()
    assert machine.errno(flavour.wait([handle])) == EINVAL
    machine.call(SyncobjReset((handle,)))
    assert machine.errno(flavour.wait([handle])) == EINVAL


async def reset_signalled(flavour: Flavour, count: int, machine: Machine) -> None:
    """Signalled syncobjs have nothing to wait for after a reset."""
    handles = [machine.create() for _ in range(count)]
    for handle in handles:
        machine.trigger(handle, flavour.point)
    machine.call(flavour.wait(handles))
    machine.call(SyncobjReset(tuple(handles)))
    assert [machine.errno(flavour.wait([handle])) for handle in handles] == [EINVAL] * count


async def reset_during_wait(flavour: Flavour, machine: Machine) -> None:
    """A reset of an empty syncobj is nothing to whoever waits for its first fence."""
    handle = machine.create()

    def reset_and_trigger() -> None:
        machine.call(SyncobjReset((handle,)))
        machine.trigger(handle, flavour.point)

    when_ns = machine.later(reset_and_trigger)
    await machine.file.wait(flavour.wait([handle], machine.patient_ns(2 * SHORT_MS), FOR_SUBMIT))
    assert machine.is_time(when_ns)


async def snapshot(flavour: Flavour, flags: int, machine: Machine) -> None:
    """A waiter keeps the fence it found first, whatever the syncobj is given afterwards."""
    first, second = handles = machine.create(), machine.create()
    timelines = [] if flags & FOR_SUBMIT else [machine.attach(handle, flavour.point) for handle in handles]
    waiter = await machine.begin(flavour.wait(handles, machine.patient_ns(SHORT_MS), flags))
    await machine.moment()

    if flags & ALL and timelines:
        machine.inc(timelines[0])
    elif flags & ALL:
        machine.trigger(first, flavour.point)
    elif not timelines:
        machine.attach(first, flavour.point)  # submitted, but nobody will signal it
    await machine.moment()
    machine.call(SyncobjReset((first,)))
    await machine.moment()
    machine.attach(first, flavour.point)  # whoever looks again waits for this one in vain
    await machine.moment()
    assert await waiter.is_asleep()

    if timelines:
        machine.inc(timelines[1])
    else:
        machine.trigger(second, flavour.point)
    reply = await waiter.reply()
    assert flags & ALL or reply.first_signaled == 1


class Stage(IntEnum):
    """The life of a syncobj. Every visit brings it one further."""

    UNSUBMITTED = auto()
    SUBMITTED = auto()
    SIGNALED = auto()
    RESET = auto()
    RESUBMITTED = auto()


class Lives:
    """Eight syncobjs at different stages."""

    def __init__(self, machine: Machine, flavour: Flavour, *, submitted: bool) -> None:
        self.handles = [machine.create() for _ in range(8)]
        self.signalled: list[int] = []
        self._machine = machine
        self._point = flavour.point
        self._stages = [Stage.UNSUBMITTED] * len(self.handles)
        self._timelines = (
            {which: machine.attach(handle, self._point) for which, handle in enumerate(self.handles)}
            if submitted
            else {}
        )

    def visit(self, which: int) -> None:
        machine, handle, stage = self._machine, self.handles[which], self._stages[which]
        self._stages[which] = Stage(stage + 1)
        match stage:
            case Stage.UNSUBMITTED if which not in self._timelines:
                self._timelines[which] = machine.attach(handle, self._point)
            case Stage.SUBMITTED:
                machine.inc(self._timelines[which])
                machine.close(self._timelines[which])
                self.signalled.append(which)
            case Stage.SIGNALED:
                machine.call(SyncobjReset((handle,)))
            case Stage.RESET:
                machine.attach(handle, self._point)
            case _:
                pass  # submitted up front


async def all_stages(flavour: Flavour, flags: int, machine: Machine) -> None:
    """Syncobjs are submitted, signalled, reset and submitted again, in any order, under one waiter."""
    lives = Lives(machine, flavour, submitted=not flags & FOR_SUBMIT)
    waiter = await machine.begin(flavour.wait(lives.handles, machine.patient_ns(10 * SHORT_MS), flags))
    order = list(range(8)) * 4
    Random(8).shuffle(order)
    needed = 8 if flags & ALL else 1
    for which in order:
        assert await waiter.is_asleep()
        lives.visit(which)
        if len(lives.signalled) == needed:
            break
        await machine.moment()
    reply = await waiter.reply()
    assert flags & ALL or reply.first_signaled == lives.signalled[0]


async def interrupted(flavour: Flavour, flags: int, machine: Machine) -> None:
    """A signal ends the call. Made again and again with the same absolute timeout, it ends by that."""
    handle = machine.create()
    machine.attach(handle, flavour.point)
    waiter = await machine.begin(flavour.wait([handle], machine.patient_ns(SHORT_MS), flags))
    assert await waiter.interrupt() == ERESTARTSYS

    soon_ns = machine.in_ns(SHORT_MS)
    again = flavour.wait([handle], soon_ns, flags)
    while (end := await (await machine.start(again)).interrupt()) == ERESTARTSYS:
        await machine.moment()
    assert end == ETIME
    assert machine.is_time(soon_ns)
