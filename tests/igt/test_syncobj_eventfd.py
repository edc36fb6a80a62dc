"""IGT's syncobj_eventfd: an eventfd that counts when a point signals, or is there at all."""

import os
from errno import EINVAL, ENOENT
from functools import partial

from igt.machine import Machine
from igt.place import Place
from igt.program import Program

from syncline.kms_model.uapi import CreateFlag, SyncobjEventfd, WaitFlag

BAD = 0xDEAD_BEEF
program = Program("syncobj_eventfd")


@program.subtest("invalid-bad-flags")
async def unknown_flags(machine: Machine) -> None:
    handle = machine.create(CreateFlag.SIGNALED)
    assert machine.errno(SyncobjEventfd(handle, 0, machine.eventfd(), flags=BAD)) == EINVAL


@program.subtest("invalid-illegal-handle")
async def an_unknown_handle(machine: Machine) -> None:
    assert machine.errno(SyncobjEventfd(0, 0, machine.eventfd())) == ENOENT


@program.subtest("invalid-illegal-eventfd")
async def a_descriptor_of_another_kind(machine: Machine) -> None:
    handle = machine.create(CreateFlag.SIGNALED)
    assert machine.errno(SyncobjEventfd(handle, 0, machine.open(os.devnull))) == EINVAL


@program.subtest("invalid-bad-pad")
async def a_pad_that_is_not_zero(machine: Machine) -> None:
    handle = machine.create(CreateFlag.SIGNALED)
    assert machine.errno(SyncobjEventfd(handle, 0, machine.eventfd(), pad=BAD)) == EINVAL


class Registered:
    """Two eventfds at a point: of its signalling, and of its being there. `fired` says which have since it was asked."""

    def __init__(self, machine: Machine, handle: int, point: int) -> None:
        self._eventfds = machine.eventfd(), machine.eventfd()
        for eventfd, flags in zip(self._eventfds, (0, WaitFlag.AVAILABLE), strict=True):
            machine.call(SyncobjEventfd(handle, point, eventfd, flags))

    def fired(self) -> tuple[int, int]:
        signalled, available = (_taken(eventfd) for eventfd in self._eventfds)
        return signalled, available


def _taken(eventfd: int) -> int:
    try:
        return os.eventfd_read(eventfd)
    except BlockingIOError:
        return 0


async def submitted(point: int, machine: Machine) -> None:
    handle = machine.create()
    timeline = machine.attach(handle, point)
    registered = Registered(machine, handle, point)
    assert registered.fired() == (0, 1)
    machine.inc(timeline)
    assert registered.fired() == (1, 0)


async def unsubmitted(point: int, machine: Machine) -> None:
    handle = machine.create()
    registered = Registered(machine, handle, point)
    await machine.moment()
    assert registered.fired() == (0, 0)
    timeline = machine.attach(handle, point)
    assert registered.fired() == (0, 1)
    machine.inc(timeline)
    assert registered.fired() == (1, 0)


async def signalled(point: int, machine: Machine) -> None:
    handle = machine.create()
    machine.inc(machine.attach(handle, point))
    assert Registered(machine, handle, point).fired() == (1, 1)


for kind, point in (("binary", 0), ("timeline", 1)):
    program.add(f"{kind}-wait", partial(submitted, point))
    program.add(f"{kind}-wait-before-signal", partial(unsubmitted, point))
    program.add(f"{kind}-wait-signaled", partial(signalled, point))


def test_syncobj_eventfd(machine: Place, subtest: str) -> None:
    machine.run(program, subtest)


def test_all_of_syncobj_eventfd_is_here() -> None:
    program.assert_complete()
