"""IGT's sw_sync: timelines that user space moves by hand, and sync_files of their fences."""

import os
import socket
from errno import EBADF, ENOENT
from functools import partial
from random import Random

from igt import child
from igt.machine import SHORT_MS, Machine
from igt.place import Place
from igt.program import Program

from syncline.kms_model.uapi import Fd, SwSyncCreateFence, SyncFileInfo, SyncFileMerge

ACTIVE, SIGNALLED = 0, 1
PRIMES = (2, 3, 5, 7, 11, 13, 17, 19, 23, 29, 31, 37, 41, 43, 47, 53, 59, 61, 67, 71, 73, 79, 83, 89, 97)
THREADS = 8
ROUNDS = 16
"""IGT makes thousands; what can go wrong between eight threads goes wrong in the first few."""
program = Program("sw_sync")


def merge(machine: Machine, first: int, second: int) -> Fd:
    return machine.call(SyncFileMerge(Fd(first), Fd(second))).fd


@program.subtest("alloc_timeline")
async def a_timeline(machine: Machine) -> None:
    machine.close(machine.timeline())


@program.subtest("alloc_fence")
async def a_fence(machine: Machine) -> None:
    timeline = machine.timeline()
    machine.close(machine.fence(timeline, 0))
    machine.close(timeline)


@program.subtest("alloc_fence_invalid_timeline")
async def no_fence_without_a_timeline(machine: Machine) -> None:
    assert machine.errno(SwSyncCreateFence(Fd(-1), 0)) == EBADF


@program.subtest("timeline_closed")
async def closing_a_timeline_ends_its_fences_in_error(machine: Machine) -> None:
    timeline = machine.timeline()
    fence = machine.fence(timeline, 1)
    machine.close(timeline)
    assert await machine.readable(fence, machine.close_ms)
    assert machine.call(SyncFileInfo(fence)).status == -ENOENT


@program.subtest("timeline_closed_signaled")
async def a_fence_stays_signalled_after_its_timeline(machine: Machine) -> None:
    timeline = machine.timeline()
    fence = machine.fence(timeline, 1)
    machine.inc(timeline)
    machine.close(timeline)
    assert await machine.readable(fence)


@program.subtest("alloc_merge_fence")
async def fences_of_two_timelines_merge(machine: Machine) -> None:
    first, second = (machine.fence(machine.timeline(), 1) for _ in range(2))
    merge(machine, second, first)


@program.subtest("sync_busy")
async def a_fence_signals_when_its_timeline_gets_there(machine: Machine) -> None:
    timeline = machine.timeline()
    fence = machine.fence(timeline, 5)
    assert not await machine.readable(fence)
    for by, done in ((1, False), (4, True), (5, True)):
        machine.inc(timeline, by)
        assert await machine.readable(fence) == done
    value = 10
    for prime in PRIMES:
        value += prime
        fence = machine.fence(timeline, value)
        assert not await machine.readable(fence)
        machine.inc(timeline, prime)
        assert await machine.readable(fence)
        machine.close(fence)


@program.subtest("sync_busy_fork")
async def a_forked_process_moves_the_timeline(machine: Machine) -> None:
    timeline = machine.timeline()
    fence = machine.fence(timeline, 1)
    assert not await machine.readable(fence)
    with machine.forked(child.step_inherited, timeline):
        assert await machine.readable(fence, 20 * SHORT_MS)


@program.subtest("sync_busy_fork_unixsocket")
async def a_process_that_was_sent_the_timeline_moves_it(machine: Machine) -> None:
    timeline = machine.timeline()
    fence = machine.fence(timeline, 1)
    ours, theirs = socket.socketpair()
    with ours, theirs, machine.forked(child.step_received, theirs.fileno()):
        assert not await machine.readable(fence)
        socket.send_fds(ours, [b"timeline"], [timeline])
        assert await machine.readable(fence, 20 * SHORT_MS)


@program.subtest("sync_merge_invalid")
async def only_a_sync_file_merges(machine: Machine) -> None:
    fence = machine.fence(machine.timeline(), 1)
    assert machine.errno(SyncFileMerge(fence, Fd(-1))) == ENOENT
    assert machine.errno(SyncFileMerge(fence, Fd(machine.file.fileno()))) == ENOENT
    assert machine.errno(SyncFileMerge(fence, machine.open("/proc/self/exe"))) == ENOENT


@program.subtest("sync_merge")
async def of_one_timeline_the_latest_fence_counts(machine: Machine) -> None:
    timeline = machine.timeline()
    fences = [machine.fence(timeline, value) for value in (1, 2, 3)]
    merged = merge(machine, fences[2], merge(machine, fences[0], fences[1]))
    assert [machine.statuses(fence) for fence in (*fences, merged)] == [[ACTIVE]] * 4
    for fence, end in zip(fences, (ACTIVE, ACTIVE, SIGNALLED), strict=True):
        machine.inc(timeline)
        assert machine.statuses(fence) == [SIGNALLED]
        assert machine.statuses(merged) == [end]


@program.subtest("sync_merge_same")
async def a_fence_merges_with_itself(machine: Machine) -> None:
    timeline = machine.timeline()
    fence = machine.fence(timeline, 1)
    merged = merge(machine, fence, fence)
    assert machine.statuses(fence) == machine.statuses(merged) == [ACTIVE]
    machine.inc(timeline)
    assert machine.statuses(fence) == machine.statuses(merged) == [SIGNALLED]


@program.subtest("sync_multi_timeline_wait")
async def of_several_timelines_every_fence_counts(machine: Machine) -> None:
    timelines = [machine.timeline() for _ in range(3)]
    first, second, third = (machine.fence(timeline, 5) for timeline in timelines)
    merged = merge(machine, third, merge(machine, first, second))
    assert machine.statuses(merged) == [ACTIVE] * 3
    assert not await machine.readable(merged)
    for signalled, timeline in enumerate(timelines, 1):
        machine.inc(timeline, 5)
        assert sorted(machine.statuses(merged)) == [ACTIVE] * (3 - signalled) + [SIGNALLED] * signalled
    assert await machine.readable(merged, SHORT_MS)


class Tally:
    """A number that threads share. Each of them touches it in its turn only, and fences say whose turn it is."""

    def __init__(self) -> None:
        self.value = 0


@program.subtest("sync_multi_consumer")
async def consumers_take_turns_that_a_producer_gives(machine: Machine) -> None:
    timeline, tally = machine.timeline(), Tally()
    consumed = machine.eventfd(os.EFD_SEMAPHORE)

    async def consume(which: int, other: Machine) -> None:
        for turn in range(which, THREADS * ROUNDS, THREADS):
            fence = other.fence(timeline, turn)
            assert await other.readable(fence, 10 * SHORT_MS)
            assert tally.value == turn
            os.eventfd_write(consumed, 1)
            other.close(fence)

    async def produce(other: Machine) -> None:
        for _ in range(THREADS * ROUNDS):
            assert await other.readable(consumed, 10 * SHORT_MS)
            os.eventfd_read(consumed)
            tally.value += 1
            other.inc(timeline)

    await machine.threads([partial(consume, which) for which in range(THREADS)] + [produce])
    assert tally.value == THREADS * ROUNDS


@program.subtest("sync_multi_consumer_producer")
async def threads_give_each_other_turns(machine: Machine) -> None:
    timeline, tally = machine.timeline(), Tally()

    async def take_turns(which: int, other: Machine) -> None:
        for turn in range(which, THREADS * ROUNDS, THREADS):
            fence = other.fence(timeline, turn)
            assert await other.readable(fence, 10 * SHORT_MS)
            assert tally.value == turn
            tally.value += 1
            other.inc(timeline)
            other.close(fence)

    await machine.threads([partial(take_turns, which) for which in range(THREADS)])
    assert tally.value == THREADS * ROUNDS


async def wait_by_asking(machine: Machine, fence: int) -> bool:
    """Without poll(2): look at the status until nothing is active."""
    while ACTIVE in (statuses := machine.statuses(fence)):
        await machine.moment()
    return set(statuses) == {SIGNALLED}


@program.subtest("sync_multi_producer_single_consumer")
async def a_consumer_waits_for_all_producers_of_a_round(machine: Machine) -> None:
    producers = 5
    done = [machine.timeline() for _ in range(producers)]
    consumed, made = machine.timeline(), [Tally() for _ in range(producers)]

    async def produce(which: int, other: Machine) -> None:
        for turn in range(ROUNDS):
            fence = other.fence(consumed, turn)
            assert await (other.readable(fence, 10 * SHORT_MS) if which else wait_by_asking(other, fence))
            made[which].value += 1
            other.inc(done[which])
            other.close(fence)

    async def consume(other: Machine) -> None:
        for turn in range(1, ROUNDS + 1):
            merged = other.fence(done[0], turn)
            for timeline in done[1:]:
                both = merge(other, other.fence(timeline, turn), merged)
                other.close(merged)
                merged = both
            assert await (
                other.readable(merged, 10 * SHORT_MS) if turn % 2 else wait_by_asking(other, merged)
            )
            assert [tally.value for tally in made] == [turn] * producers
            other.inc(consumed)

    await machine.threads([*(partial(produce, which) for which in range(producers)), consume])


@program.subtest("sync_expired_merge")
async def signalled_fences_merge_into_a_signalled_one(machine: Machine) -> None:
    timeline = machine.timeline()
    machine.inc(timeline, 100)
    expired = machine.fence(timeline, 1)
    assert await machine.readable(expired)
    for _ in range(ROUNDS):
        assert await machine.readable(merge(machine, expired, expired))


@program.subtest("sync_random_merge")
async def a_thousand_fences_of_32_timelines_merge(machine: Machine) -> None:
    """One fence is left of each timeline, the latest."""
    random = Random(32)
    timelines = [machine.timeline() for _ in range(32)]
    latest: dict[Fd, int] = {}
    merged = None
    for _ in range(1024):
        timeline, value = random.choice(timelines), random.randrange(1, 1 << 31)
        latest[timeline] = max(latest.get(timeline, 0), value)
        fence = machine.fence(timeline, value)
        if merged is not None:
            both = merge(machine, fence, merged)
            machine.close(fence)
            machine.close(merged)
            fence = both
        merged = fence
    assert merged is not None
    assert machine.statuses(merged) == [ACTIVE] * len(latest)
    for timeline, value in latest.items():
        assert not await machine.readable(merged)
        machine.inc(timeline, value)
    assert await machine.readable(merged)


def test_sw_sync(machine: Place, subtest: str) -> None:
    machine.run(program, subtest)


def test_all_of_sw_sync_is_here() -> None:
    program.assert_complete()
