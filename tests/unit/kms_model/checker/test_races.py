"""The litmus programs of K21 and K22: who must come after whom on a buffer, and who need not. Numbers as in kernel.md 7."""

import gc
import os
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from display import Client, World

from syncline.kms_model.checker import (
    Ledger,
    Policy,
    Report,
    Severity,
    Violation,
    as_json,
    as_text,
    report_as_dot,
)
from syncline.kms_model.checker.moment import HISTORY_MAX
from syncline.kms_model.checker.races import Races
from syncline.kms_model.device import Device
from syncline.kms_model.gpu.job import Job
from syncline.kms_model.profiles import SYNCLINE
from syncline.kms_model.quirks import UPSTREAM
from syncline.kms_model.uapi import (
    Blit,
    CreateDumb,
    DmaBufExportSyncFile,
    DmaBufImportSyncFile,
    DmaBufSync,
    DmaBufSyncFlag,
    Fd,
    HandleFlag,
    Point,
    PrimeFdToHandle,
    PrimeHandleToFd,
    Priority,
    Submit,
    SwSyncCreateFence,
    SwSyncCreateTimeline,
    SwSyncInc,
    SyncFileInfo,
    SyncFileMerge,
    SyncobjCreate,
    SyncobjCreateUser,
    SyncobjEventfd,
    SyncobjFdToHandle,
    SyncobjHandleToFd,
    SyncobjQuery,
    SyncobjTimelineSignal,
    SyncobjTimelineWait,
    SyncobjTransfer,
    VgemFenceAttach,
    VgemFenceSignal,
    WaitFlag,
)

MS = 1_000_000
SIZE = (64, 64)
PITCH = 256
READ, WRITE, END = DmaBufSyncFlag.READ, DmaBufSyncFlag.WRITE, DmaBufSyncFlag.END
AT_POINT = HandleFlag.SYNC_FILE | HandleFlag.TIMELINE


class Bench:
    """A producer and a consumer that share one buffer `x`, and have a scratch buffer each."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.ledger = world.ledger
        self.screen = Client(world)
        self.producer, self.consumer = self.screen.file, world.device.open()
        self.producer.label, self.consumer.label = "producer", "consumer"
        self.x = self.call(self.producer, CreateDumb(*SIZE)).handle
        self.fd = self.keep(self.call(self.producer, PrimeHandleToFd(self.x)).fd)
        self.theirs = self.call(self.consumer, PrimeFdToHandle(self.fd)).handle
        self.scratch = {
            file: self.call(file, CreateDumb(*SIZE)).handle for file in (self.producer, self.consumer)
        }
        self.timeline = self.call(self.producer, SyncobjCreate()).handle
        shared = self.call(self.producer, SyncobjHandleToFd(self.timeline)).fd
        self.their_timeline = self.call(self.consumer, SyncobjFdToHandle(shared)).handle
        os.close(shared)

    def call(self, file: Any, request: Any) -> Any:
        return self.world.device.call(file, request, self.world.now_ns).result()

    def keep(self, fd: Fd) -> Fd:
        self.world.fds.append(fd)
        return fd

    def run(self, ms: float) -> None:
        self.world.run_ms(ms)

    def write(self, ms: float = 2, **more: Any) -> Any:
        """The producer's GPU paints `x`."""
        reply = self.call(self.producer, Submit(self.x, SIZE, PITCH, (), round(ms * MS), **more))
        return reply if reply.out_fence < 0 else self.keep(reply.out_fence)

    def read(self, ms: float = 2, **more: Any) -> Any:
        """The consumer's GPU copies `x` to its scratch buffer."""
        blit = Blit(
            source=self.theirs, source_size=SIZE, pitch=PITCH, src=(0, 0, 64 << 8, 64 << 8),
            dst=(0, 0, *SIZE), clip=((0, 0, *SIZE),),
        )  # fmt: skip
        target = self.scratch[self.consumer]
        reply = self.call(self.consumer, Submit(target, SIZE, PITCH, (blit,), round(ms * MS), **more))
        return reply if reply.out_fence < 0 else self.keep(reply.out_fence)

    def point(self, value: int) -> tuple[Point, ...]:
        return (Point(self.timeline, value),)

    def their_point(self, value: int) -> tuple[Point, ...]:
        return (Point(self.their_timeline, value),)

    @property
    def verdict(self) -> set[tuple[str, Severity]]:
        """Of the rules about buffers."""
        return {found for found in self.ledger.verdict() if found[0] in {"K21", "K22"}}

    @property
    def report(self) -> Report:
        (report,) = (each for each in self.ledger.reports.values() if each.rule in {"K21", "K22"})
        return report


RACE = {("K21", Severity.ERROR)}


@pytest.fixture
def bench() -> Iterator[Bench]:
    world = World(SYNCLINE, UPSTREAM)
    yield Bench(world)
    world.close()


# -- the ways in which a read comes after its write, and how to miss each ----------------------------


def by_point(bench: Bench) -> None:
    bench.write(out_points=bench.point(1))
    bench.read(in_points=bench.their_point(1))


def by_point_that_is_long_done(bench: Bench) -> None:
    bench.write(out_points=bench.point(1))
    bench.run(5)
    bench.call(bench.producer, SyncobjTimelineSignal((bench.timeline,), (2,)))
    bench.read(in_points=bench.their_point(1))


def by_sync_file(bench: Bench) -> None:
    bench.read(in_fence=bench.write(out_fence=True))


def by_merged_sync_file(bench: Bench) -> None:
    done = bench.write(out_fence=True)
    other = bench.keep(
        bench.call(bench.producer, SyncobjHandleToFd(signalled(bench), HandleFlag.SYNC_FILE)).fd
    )
    both = bench.keep(bench.call(bench.consumer, SyncFileMerge(other, done, "both")).fd)
    bench.run(5)
    bench.read(in_fence=both)


def by_import_and_transfer(bench: Bench) -> None:
    """A sync_file into a binary syncobj, from there to a point of another."""
    carrier = bench.call(bench.consumer, SyncobjCreate()).handle
    bench.call(bench.consumer, SyncobjFdToHandle(bench.write(out_fence=True), carrier, HandleFlag.SYNC_FILE))
    bench.call(bench.consumer, SyncobjTransfer(carrier, 0, bench.their_timeline, 7))
    bench.run(5)
    fence = bench.keep(
        bench.call(bench.consumer, SyncobjHandleToFd(bench.their_timeline, AT_POINT, point=7)).fd
    )
    bench.read(in_fence=fence)


def by_what_the_giver_of_another_fence_had_learned(bench: Bench) -> None:
    """The producer knows that its job is done; the point that it makes after this cannot be waited for before."""
    painted, other = bench.call(bench.producer, SyncobjCreate()).handle, signalled(bench)
    bench.write(out_points=(Point(painted, 1),))
    bench.run(5)
    bench.call(bench.producer, SyncobjQuery((painted,)))
    bench.call(bench.producer, SyncobjTransfer(other, 0, bench.timeline, 1))
    bench.read(in_points=bench.their_point(1))


def by_later_point(bench: Bench) -> None:
    """A point stands for all before it."""
    bench.write(out_points=bench.point(1))
    bench.call(bench.producer, SyncobjTimelineSignal((bench.timeline,), (5,)))
    bench.read(in_points=bench.their_point(5))


def by_waiting(bench: Bench) -> None:
    bench.write(out_points=bench.point(1))
    wait = SyncobjTimelineWait((bench.their_timeline,), (1,), bench.world.now_ns + 50 * MS, 0)
    bench.world.run_until_done(bench.world.device.call(bench.consumer, wait, bench.world.now_ns))
    bench.read()


def by_query(bench: Bench) -> None:
    bench.write(out_points=bench.point(1))
    bench.run(5)
    bench.call(bench.consumer, SyncobjQuery((bench.their_timeline,)))
    bench.read()


def by_eventfd(bench: Bench) -> None:
    """It is registered before anything was submitted."""
    bell = bench.keep(Fd(os.eventfd(0, os.EFD_NONBLOCK)))
    bench.call(bench.consumer, SyncobjEventfd(bench.their_timeline, 1, bell))
    bench.write(out_points=bench.point(1))
    bench.run(5)
    bench.read()


def by_eventfd_on_a_transfer_that_comes_late(bench: Bench) -> None:
    """The fence has signalled when it is handed on: the eventfd rings in the middle of that call."""
    bell = bench.keep(Fd(os.eventfd(0, os.EFD_NONBLOCK)))
    bench.call(bench.consumer, SyncobjEventfd(bench.their_timeline, 1, bell))
    carrier = bench.call(bench.producer, SyncobjCreate()).handle
    bench.write(out_points=(Point(carrier),))
    bench.run(5)
    bench.call(bench.producer, SyncobjTransfer(carrier, 0, bench.timeline, 1))
    bench.read()


def by_eventfd_on_an_import_that_comes_late(bench: Bench) -> None:
    bell = bench.keep(Fd(os.eventfd(0, os.EFD_NONBLOCK)))
    bench.call(bench.consumer, SyncobjEventfd(bench.their_timeline, 1, bell))
    done = bench.write(out_fence=True)
    bench.run(5)
    bench.call(bench.producer, SyncobjFdToHandle(done, bench.timeline, AT_POINT, point=1))
    bench.read()


def their_sync_file(bench: Bench) -> Fd:
    """Of the point that the producer's job will signal; the consumer got it from the machine, so it may poll it."""
    return bench.call(bench.consumer, SyncobjHandleToFd(bench.their_timeline, AT_POINT, point=1)).fd


def by_polling(bench: Bench) -> None:
    bench.write(out_points=bench.point(1))
    bench.keep(their_sync_file(bench))
    bench.run(5)
    bench.read()


def by_polling_and_closing(bench: Bench) -> None:
    bench.write(out_points=bench.point(1))
    fence = their_sync_file(bench)
    bench.run(5)
    os.close(fence)
    bench.world.device.collect(bench.world.now_ns)
    bench.read()


def sync_file_closed_too_soon(bench: Bench) -> None:
    bench.write(out_points=bench.point(1))
    os.close(their_sync_file(bench))
    bench.world.device.collect(bench.world.now_ns)
    bench.run(5)
    bench.read()


def by_file_info(bench: Bench) -> None:
    fence = bench.write(out_fence=True)
    bench.run(5)
    bench.call(bench.consumer, SyncFileInfo(fence))
    bench.read()


def by_implicit_fences(bench: Bench) -> None:
    bench.write(implicit=True)
    bench.read(implicit=True)


def by_export(bench: Bench) -> None:
    bench.write(implicit=True)
    bench.read(in_fence=bench.keep(bench.call(bench.consumer, DmaBufExportSyncFile(bench.fd, READ)).fd))


def by_import_into_the_buffer(bench: Bench) -> None:
    """L18, repaired."""
    fence = bench.write(out_fence=True)
    bench.call(bench.producer, DmaBufImportSyncFile(bench.fd, WRITE, fence))
    bench.read(implicit=True)


def by_user_fence(bench: Bench) -> None:
    """The engine signals one, and the consumer's engine looks at it."""
    mine = bench.call(bench.producer, SyncobjCreateUser()).handle
    fd = bench.keep(bench.call(bench.producer, SyncobjHandleToFd(mine)).fd)
    theirs = bench.call(bench.consumer, SyncobjFdToHandle(fd)).handle
    bench.write(out_points=(Point(mine, 3),))
    bench.read(user_in_points=(Point(theirs, 3),))


def by_user_fence_of_the_cpu(bench: Bench) -> None:
    mine = bench.call(bench.producer, SyncobjCreateUser()).handle
    fd = bench.keep(bench.call(bench.producer, SyncobjHandleToFd(mine)).fd)
    theirs = bench.call(bench.consumer, SyncobjFdToHandle(fd)).handle
    bench.read(user_in_points=(Point(theirs, 1),))
    bench.call(bench.producer, DmaBufSync(bench.fd, WRITE))
    bench.run(3)
    bench.call(bench.producer, DmaBufSync(bench.fd, WRITE | END))
    bench.call(bench.producer, SyncobjTimelineSignal((mine,), (1,)))


def by_sw_sync(bench: Bench) -> None:
    """The CPU has painted, and says so by a fence of its own."""
    timeline = bench.keep(bench.call(bench.producer, SwSyncCreateTimeline()).fd)
    fence = bench.keep(bench.call(bench.producer, SwSyncCreateFence(timeline, 1)).fd)
    bench.read(in_fence=fence)
    bench.call(bench.producer, DmaBufSync(bench.fd, WRITE))
    bench.call(bench.producer, DmaBufSync(bench.fd, WRITE | END))
    bench.call(bench.producer, SwSyncInc(timeline, 1))


def by_vgem(bench: Bench) -> None:
    bench.call(bench.producer, DmaBufSync(bench.fd, WRITE))
    fence = bench.call(bench.producer, VgemFenceAttach(bench.x, 1)).out_fence
    bench.read(implicit=True)
    bench.call(bench.producer, DmaBufSync(bench.fd, WRITE | END))
    bench.call(bench.producer, VgemFenceSignal(fence))


def by_waiting_on_the_cpu(bench: Bench) -> None:
    """DMA_BUF_IOCTL_SYNC waits for the job, and reads."""
    bench.write(implicit=True)
    start = bench.world.device.call(bench.consumer, DmaBufSync(bench.fd, READ), bench.world.now_ns)
    bench.world.run_until_done(start)
    bench.call(bench.consumer, DmaBufSync(bench.fd, READ | END))


def signalled(bench: Bench) -> int:
    return bench.call(bench.producer, SyncobjCreate(flags=1)).handle


def another_fence_from_somebody_who_knows_nothing(bench: Bench) -> None:
    bench.write()
    bench.run(5)
    bench.call(bench.producer, SyncobjTransfer(signalled(bench), 0, bench.timeline, 1))
    bench.read(in_points=bench.their_point(1))


def no_fence_at_all(bench: Bench) -> None:
    bench.write()
    bench.read()


def only_time(bench: Bench) -> None:
    """Long after: it went well on this machine."""
    bench.write(out_points=bench.point(1))
    bench.run(100)
    bench.read()


def point_signalled_by_hand(bench: Bench) -> None:
    """Missing acquire: the CPU signals what the job should have."""
    bench.write()
    bench.call(bench.producer, SyncobjTimelineSignal((bench.timeline,), (1,)))
    bench.read(in_points=bench.their_point(1))


def point_before_the_job(bench: Bench) -> None:
    bench.call(bench.producer, SyncobjTimelineSignal((bench.timeline,), (1,)))
    bench.write(out_points=bench.point(2))
    bench.read(in_points=bench.their_point(1))


def available_is_not_signalled(bench: Bench) -> None:
    bench.write(out_points=bench.point(1))
    bench.call(bench.consumer, SyncobjTimelineWait((bench.their_timeline,), (1,), 0, WaitFlag.AVAILABLE))
    bench.read()


def implicit_read_of_explicit_write(bench: Bench) -> None:
    """L18."""
    bench.write()
    bench.read(implicit=True)


def import_of_the_wrong_class(bench: Bench) -> None:
    """As a reader's fence it holds up writers only."""
    fence = bench.write(out_fence=True)
    bench.call(bench.producer, DmaBufImportSyncFile(bench.fd, READ, fence))
    bench.read(implicit=True)


def snapshot_before_the_write(bench: Bench) -> None:
    """A sync_file has the fences of when it was made (F68)."""
    early = bench.keep(bench.call(bench.consumer, DmaBufExportSyncFile(bench.fd, READ)).fd)
    bench.write(implicit=True)
    bench.read(in_fence=early)


def cpu_that_does_not_end(bench: Bench) -> None:
    bench.call(bench.producer, DmaBufSync(bench.fd, WRITE))
    bench.call(bench.producer, SyncobjTimelineSignal((bench.timeline,), (1,)))
    bench.read(in_points=bench.their_point(1))


def two_writers(bench: Bench) -> None:
    bench.write(priority=Priority.NORMAL)
    bench.write(priority=Priority.LOW)


def reuse_on_time(bench: Bench) -> None:
    """A write, a read after it, and the next write after that."""
    bench.write(out_points=bench.point(1))
    bench.read(in_points=bench.their_point(1), out_points=bench.their_point(2))
    bench.write(in_points=bench.point(2))


def reuse_too_early(bench: Bench) -> None:
    bench.write(out_points=bench.point(1))
    bench.read(in_points=bench.their_point(1), out_points=bench.their_point(2))
    bench.write(in_points=bench.point(1))


ORDERED = [
    by_point, by_point_that_is_long_done, by_sync_file, by_merged_sync_file, by_import_and_transfer,
    by_what_the_giver_of_another_fence_had_learned,
    by_later_point, by_waiting, by_query, by_eventfd, by_eventfd_on_a_transfer_that_comes_late,
    by_eventfd_on_an_import_that_comes_late, by_polling, by_polling_and_closing, by_file_info, by_implicit_fences, by_export,
    by_import_into_the_buffer, by_user_fence, by_user_fence_of_the_cpu, by_sw_sync, by_vgem,
    by_waiting_on_the_cpu, reuse_on_time,
]  # fmt: skip
UNORDERED = [
    no_fence_at_all, another_fence_from_somebody_who_knows_nothing, only_time, point_signalled_by_hand, point_before_the_job, available_is_not_signalled,
    implicit_read_of_explicit_write, import_of_the_wrong_class, snapshot_before_the_write,
    sync_file_closed_too_soon, cpu_that_does_not_end, two_writers, reuse_too_early,
]  # fmt: skip
Story = Callable[[Bench], None]


@pytest.mark.requirement("K21")
@pytest.mark.parametrize("story", ORDERED, ids=lambda story: story.__name__)
def test_an_access_that_waited_for_the_one_before_is_no_race(bench: Bench, story: Story) -> None:
    story(bench)
    bench.run(50)

    assert bench.verdict == set()


@pytest.mark.requirement("K21")
@pytest.mark.parametrize("story", UNORDERED, ids=lambda story: story.__name__)
def test_an_access_that_waited_for_nothing_is_a_race_whether_it_met_the_other_or_not(
    bench: Bench, story: Story
) -> None:
    story(bench)
    bench.run(50)

    assert bench.verdict == RACE


@pytest.mark.parametrize("story", [by_point, by_implicit_fences], ids=lambda story: story.__name__)
def test_an_engine_that_does_not_wait_for_what_it_should_is_found(
    bench: Bench, story: Story, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A mutant of the machine: promises of order count only when they are kept."""
    monkeypatch.setattr(Job, "take_dependency", lambda _: None)
    story(bench)
    bench.run(50)

    assert bench.verdict == RACE


# -- what a report says -------------------------------------------------------------------------------


def test_a_report_says_which_edge_is_missing_and_how_both_sides_came_about(bench: Bench) -> None:
    bench.write(8, label="frame 1")
    bench.call(bench.producer, SyncobjTimelineSignal((bench.timeline,), (1,)))
    bench.run(1)
    bench.read(in_points=bench.their_point(1), label="copy")
    bench.run(50)

    report = bench.report
    missing, *way = report.path
    assert "a read before its producer's fence" in report.what
    assert "they overlap" in report.what
    assert missing.kind == "missing"
    assert "(copy) of consumer" in missing.source
    assert "the end of job" in missing.target
    assert "(frame 1) of producer" in missing.target
    assert [step.why for step in way] == ["submitted by", "waits for point 1"] or any(
        step.target == "producer: SYNCOBJ_TIMELINE_SIGNAL" for step in way
    )
    assert "missing" in as_text(report)
    assert b'"missing"' in as_json(report)
    assert "color=red" in report_as_dot(report)


def test_a_race_that_did_not_happen_says_by_how_much(bench: Bench) -> None:
    only_time(bench)

    assert "this time the first had ended 98000000 ns before" in bench.report.what


def test_the_same_race_again_is_counted(bench: Bench) -> None:
    for _ in range(3):
        no_fence_at_all(bench)
        bench.run(20)

    assert sum(bench.ledger.counts.values()) >= 3
    assert len(bench.ledger.reports) <= 2, "the read before the write, and the write before the read"


def test_raise_ends_the_machine_at_the_first_race() -> None:
    device = Device()
    Races(device.kernel, Ledger(Policy.RAISE))
    file = device.open()
    handle = device.call(file, CreateDumb(*SIZE), 0).result().handle

    for priority in (Priority.LOW, Priority.NORMAL):
        device.call(file, Submit(handle, SIZE, PITCH, (), MS, priority=priority), 0)

    with pytest.raises(Violation, match="two writers"):
        device.advance(50 * MS)


# -- needless waits -----------------------------------------------------------------------------------


def scratch_job(bench: Bench, ms: float) -> tuple[Point, ...]:
    """The producer's engine does something else, in another queue, and signals point 9."""
    target, out = bench.scratch[bench.producer], bench.point(9)
    request = Submit(target, SIZE, PITCH, (), round(ms * MS), out_points=out, priority=Priority.LOW)
    bench.call(bench.producer, request)
    return out


@pytest.mark.requirement("K22")
def test_a_wait_for_other_buffers_is_reported_with_what_it_cost(bench: Bench) -> None:
    bench.write(2, in_points=scratch_job(bench, 10))
    bench.run(50)

    assert bench.verdict == {("K22", Severity.INFO)}
    assert "was held up for 10000000 ns by job" in bench.report.what


@pytest.mark.requirement("K22")
def test_a_wait_that_is_over_before_the_others_cost_nothing(bench: Bench) -> None:
    out = scratch_job(bench, 1)
    bench.read(8, out_points=bench.their_point(20))
    bench.write(2, in_points=(*out, *bench.point(20)))
    bench.run(50)

    assert bench.verdict == set()


@pytest.mark.requirement("K22")
def test_a_wait_for_other_buffers_by_which_the_own_ones_are_ordered_is_needed(bench: Bench) -> None:
    """The scratch job itself waits for the reader, so that who waits for it waits for the reader."""
    bench.read(8, out_points=bench.their_point(1))
    target = bench.scratch[bench.producer]
    request = Submit(
        target,
        SIZE,
        PITCH,
        (),
        MS,
        in_points=bench.point(1),
        out_points=bench.point(2),
        priority=Priority.LOW,
    )
    bench.call(bench.producer, request)
    bench.write(2, in_points=bench.point(2))
    bench.run(50)

    assert ("K21", Severity.ERROR) not in bench.verdict
    assert not any("of producer touches buffer 1," in report.what for report in bench.ledger.reports.values())


@pytest.mark.requirement("K22")
def test_of_a_fence_of_the_cpu_nobody_knows_what_it_is_good_for(bench: Bench) -> None:
    timeline = bench.keep(bench.call(bench.producer, SwSyncCreateTimeline()).fd)
    fence = bench.keep(bench.call(bench.producer, SwSyncCreateFence(timeline, 1)).fd)
    bench.write(in_fence=fence)
    bench.run(10)
    bench.call(bench.producer, SwSyncInc(timeline, 1))
    bench.run(50)

    assert bench.verdict == set()


# -- what it keeps ------------------------------------------------------------------------------------


def test_a_long_session_keeps_no_more_than_a_short_one(bench: Bench) -> None:
    """Hundreds of frames, and as many processes that come and go."""
    for frame in range(1, 400):
        bench.write(
            0.1, in_points=bench.point(2 * frame - 2)[: frame > 1], out_points=bench.point(2 * frame - 1)
        )
        file = bench.world.device.open()
        handle = bench.call(file, PrimeFdToHandle(bench.fd)).handle
        timeline = bench.call(file, SyncobjFdToHandle(bench.keep(shared(bench)))).handle
        blit = Blit(handle, SIZE, PITCH, (0, 0, 64 << 8, 64 << 8), (0, 0, *SIZE), ((0, 0, *SIZE),))
        target = bench.call(file, CreateDumb(*SIZE)).handle
        points = {"in_points": (Point(timeline, 2 * frame - 1),), "out_points": (Point(timeline, 2 * frame),)}
        bench.call(file, Submit(target, SIZE, PITCH, (blit,), MS // 10, **points))
        bench.run(1)
        bench.world.run_until_done(bench.world.device.close(file, bench.world.now_ns))
        os.close(bench.world.fds.pop())
        bench.world.device.collect(bench.world.now_ns)
    gc.collect()

    assert bench.verdict == set()
    gem = bench.producer.gems.get(bench.x)
    assert len(gem.resv.note.accesses) <= 2
    assert len(bench.producer.note.vector) < HISTORY_MAX // 4


def shared(bench: Bench) -> Fd:
    return bench.call(bench.producer, SyncobjHandleToFd(bench.timeline)).fd
