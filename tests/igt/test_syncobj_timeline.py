"""IGT's syncobj_timeline: points of timelines, waiting for them, transferring them, and their order."""

import threading
from errno import EINVAL, ENOENT, ETIME
from random import Random

from igt.flavour import TIMELINE
from igt.machine import Machine
from igt.matrix import cases
from igt.place import Place
from igt.program import Program
from igt.waits import shared

from syncline.kms_model.uapi import (
    SyncobjFdToHandle,
    SyncobjHandleToFd,
    SyncobjQuery,
    SyncobjTimelineSignal,
    SyncobjTimelineWait,
    SyncobjTransfer,
    SyncobjWait,
    WaitFlag,
)

BAD = 0xDEAD_BEEF
FOR_SUBMIT = WaitFlag.FOR_SUBMIT
ALL = WaitFlag.ALL
program = Program("syncobj_timeline")
program.refuses(0, {"wait-zero-handles": SyncobjTimelineWait((), None)})
program.refuses(
    EINVAL,
    {
        "invalid-wait-bad-flags": SyncobjTimelineWait((), None, flags=BAD),
        "invalid-query-zero-handles": SyncobjQuery(()),
        "invalid-query-bad-pad": SyncobjQuery((0,), flags=BAD),
        "invalid-signal-zero-handles": SyncobjTimelineSignal((), None),
        "invalid-signal-bad-pad": SyncobjTimelineSignal((0,), None, flags=BAD),
        "invalid-transfer-bad-pad": SyncobjTransfer(0, 0, 0, 0, pad=BAD),
    },
)
program.refuses(
    ENOENT,
    {
        "invalid-wait-illegal-handle": SyncobjTimelineWait((0,), (0,)),
        "invalid-query-illegal-handle": SyncobjQuery((0,)),
        "invalid-signal-illegal-handle": SyncobjTimelineSignal((0,), None),
        "invalid-signal-illegal-point": SyncobjTimelineSignal((1,), (0,)),
        "invalid-transfer-illegal-handle": SyncobjTransfer(BAD, 1, BAD, 0),
    },
)


@program.subtest("invalid-query-one-illegal-handle")
async def one_illegal_handle_and_nothing_is_told(machine: Machine) -> None:
    first, last = machine.create(), machine.create()
    machine.call(SyncobjTimelineSignal((first, last), (1, 1)))
    assert machine.errno(SyncobjQuery((first, 0, last))) == ENOENT


@program.subtest("invalid-signal-one-illegal-handle")
async def one_illegal_handle_and_nothing_is_signalled(machine: Machine) -> None:
    first, last = machine.create(), machine.create()
    machine.call(SyncobjTimelineSignal((first, last), (1, 1)))
    machine.call(SyncobjTimelineWait((first, last), (1, 1), flags=ALL))
    assert machine.errno(SyncobjTimelineSignal((first, 0, last), (2, 2, 2))) == ENOENT
    assert machine.call(SyncobjQuery((first, last))).points == (1, 1)


@program.subtest("signal-array")
async def several_are_signalled_at_once(machine: Machine) -> None:
    handles = tuple(machine.create() for _ in range(4))
    machine.call(SyncobjTimelineSignal(handles, (1, 1, 1, 0)))
    machine.call(SyncobjTimelineWait(handles[:3], (1, 1, 1)))
    machine.call(SyncobjWait(handles[3:]))


@program.subtest("invalid-transfer-non-existent-point")
async def a_point_is_transferred_to_a_later_one_of_its_own_timeline(machine: Machine) -> None:
    handle = machine.create()
    machine.signal(handle, 63)
    machine.call(SyncobjTransfer(handle, 63, handle, 74))
    assert machine.query(handle) == 74


@program.subtest("transfer-timeline-point")
async def a_transferred_point_signals_like_its_source(machine: Machine) -> None:
    handle = machine.create()
    timeline = machine.attach(handle, 1)
    assert machine.query(handle) == 0
    assert machine.errno(SyncobjTimelineWait((handle,), (1,), flags=ALL)) == ETIME
    machine.inc(timeline)
    assert machine.query(handle) == 1
    machine.call(SyncobjTimelineWait((handle,), (1,), flags=ALL))
    machine.signal(handle, 2)
    machine.call(SyncobjTransfer(handle, 2, handle, 3))
    assert machine.query(handle) == 3


@program.subtest("signal")
async def a_signal_submits_and_signals(machine: Machine) -> None:
    handle = machine.create()
    assert machine.errno(SyncobjTimelineWait((handle,), (1,))) == EINVAL
    assert machine.errno(SyncobjTimelineWait((handle,), (1,), flags=FOR_SUBMIT)) == ETIME
    machine.signal(handle, 1)
    machine.call(SyncobjTimelineWait((handle,), (1,)))
    machine.call(SyncobjTimelineWait((handle,), (1,), flags=FOR_SUBMIT))


@program.subtest("signal-point-0")
async def both_kinds_of_wait_take_a_signalled_point_0(machine: Machine) -> None:
    handle = machine.create()
    machine.signal(handle, 0)
    machine.call(SyncobjTimelineWait((handle,), (0,)))
    machine.call(SyncobjWait((handle,), flags=FOR_SUBMIT))


@program.subtest("host-signal-points")
async def the_value_follows_the_host(machine: Machine) -> None:
    handle, value, random = machine.create(), 0, Random(1)
    for _ in range(100):
        value += random.randint(2, 1 << 31)
        machine.signal(handle, value)
        assert machine.query(handle) == value
        machine.call(SyncobjTimelineWait((handle,), (value,), flags=FOR_SUBMIT))
        machine.call(SyncobjTimelineWait((handle,), (value - 1,), flags=ALL))


@program.subtest("device-signal-unordered")
async def fences_that_signal_out_of_order_never_take_the_value_back(machine: Machine) -> None:
    handle, timeline = machine.create(), machine.timeline()
    signalled_by = (1, 3, 2, 5, 4)  # which step of the device signals points 1, 2, 3, 4, 5
    for point, step in enumerate(signalled_by, 1):
        machine.put(handle, machine.fence(timeline, step), point)
    seen = []
    for _ in signalled_by:
        machine.inc(timeline)
        seen.append(machine.query(handle))
        machine.call(SyncobjTimelineWait((handle,), (seen[-1],), flags=FOR_SUBMIT))
        machine.call(SyncobjTimelineWait((handle,), (seen[-1],), flags=ALL))
        if seen[-1] < 5:  # a later fence may have signalled, but its point waits for those before
            assert machine.errno(SyncobjTimelineWait((handle,), (seen[-1] + 1,), flags=ALL)) == ETIME
            assert machine.errno(SyncobjTimelineWait((handle,), (seen[-1] + 2,), flags=FOR_SUBMIT)) == ETIME
    assert seen == [1, 1, 3, 3, 5]


@program.subtest("device-submit-unordered")
async def points_that_are_submitted_out_of_order_still_signal(machine: Machine) -> None:
    handle, timeline = machine.create(), machine.timeline()
    for step, point in enumerate((1, 5, 3, 6, 7), 1):
        machine.put(handle, machine.fence(timeline, step), point)
    machine.inc(timeline, 3)
    assert machine.query(handle) == 5
    machine.call(SyncobjTimelineWait((handle,), (5,), flags=FOR_SUBMIT))
    machine.call(SyncobjTimelineWait((handle,), (5,), flags=ALL))


@program.subtest("host-signal-ordered")
async def the_host_does_not_overtake_the_device(machine: Machine) -> None:
    handle, timeline = machine.create(), machine.timeline()
    for point in range(1, 6):
        machine.put(handle, machine.fence(timeline, point), point)
    machine.inc(timeline, 3)
    assert machine.query(handle) == 3
    machine.signal(handle, 8)
    assert machine.query(handle) == 3
    assert machine.errno(SyncobjTimelineWait((handle,), (8,))) == ETIME
    machine.inc(timeline, 5)
    assert machine.query(handle) == 8


@program.subtest("32bits-limit")
async def the_value_only_grows_where_32_bits_end(machine: Machine) -> None:
    """Somebody else watches through another open of the device all the time."""
    handle, timeline = machine.create(), machine.timeline()
    shared_fd = machine.call(SyncobjHandleToFd(handle)).fd
    limit = (1 << 31) - 1
    points = (1, 5, limit + 5, limit + 6, limit * 2)
    over = threading.Event()

    async def watch(other: Machine) -> None:
        watched = other.call(SyncobjFdToHandle(shared_fd)).handle
        value = 0
        while not over.is_set():
            before, value = value, other.query(watched)
            assert before <= value
            await other.moment()

    async def drive(other: Machine) -> None:
        driven = other.call(SyncobjFdToHandle(shared_fd)).handle
        for step, point in enumerate(points, 1):
            other.put(driven, other.fence(timeline, step), point)
            await other.moment()
        for point in points:
            other.inc(timeline)
            assert other.query(driven) == point
            await other.moment()
        over.set()

    await machine.threads([watch, drive])
    assert machine.query(handle) == points[-1]


for case in cases(TIMELINE):
    program.add(case.name, case.play)
for name, story in shared(TIMELINE):
    program.add(name, story)


def test_syncobj_timeline(machine: Place, subtest: str) -> None:
    machine.run(program, subtest)


def test_all_of_syncobj_timeline_is_here() -> None:
    program.assert_complete()
