"""Stories of one engine and several who want it, on a clock that only the story moves."""

from errno import ECANCELED, ESRCH, ETIME
from textwrap import dedent

import pytest

from syncline.kms_model.buffers.buffer import GemObject
from syncline.kms_model.fences.fence import Fence
from syncline.kms_model.gpu.engine import SLICE_NS
from syncline.kms_model.gpu.job import Entity, Job
from syncline.kms_model.gpu.picture import Picture, Pixels
from syncline.kms_model.gpu.scheduler import Scheduler
from syncline.kms_model.kernel import Kernel
from syncline.kms_model.trace import JobTrace, TraceEvent
from syncline.kms_model.uapi import Priority

MS = 1_000_000


class Bench:
    """A scheduler with the recorder on."""

    def __init__(self, *, timeout_ms: int = 5_000) -> None:
        self.lines: list[str] = []
        self.kernel = Kernel(trace=self._write)
        self.scheduler = Scheduler(self.kernel, timeout_ns=timeout_ms * MS)
        self._gem = GemObject(4096)

    def entity(self, priority: Priority = Priority.NORMAL) -> Entity:
        return Entity(self.kernel, priority)

    def submit(self, entity: Entity, label: str, *, ms: float, after: tuple[Fence, ...] = ()) -> Job:
        picture = Picture(Pixels(self._gem, 16, 16, 64), (), {}, int(ms * MS))
        job = entity.arm(picture, label)
        job.depend_on(after)
        self.scheduler.push(entity, job)
        self.kernel.settle()
        return job

    def run_until(self, ms: float) -> None:
        self.kernel.advance(int(ms * MS))

    def fence(self) -> Fence:
        return Fence(self.kernel.new_context(), 1, "test", "test")

    def signal(self, fence: Fence) -> None:
        fence.signal(self.kernel.now_ns)
        self.kernel.settle()

    def story(self) -> str:
        return "\n".join(self.lines)

    def _write(self, event: TraceEvent) -> None:
        assert isinstance(event, JobTrace)
        if event.stage != "queued":
            error = f" {event.error}" if event.error else ""
            self.lines.append(f"{event.t_ns / MS:.1f} ms  {event.label} {event.stage}{error}")


def test_an_idle_engine_starts_a_job_at_once_and_takes_exactly_its_duration() -> None:
    bench = Bench()
    bench.run_until(3)

    job = bench.submit(bench.entity(), "frame", ms=2.3)
    bench.run_until(100)

    assert job.scheduled.timestamp_ns == 3 * MS
    assert job.finished.timestamp_ns == 5.3 * MS
    assert job.finished.status() == 1


def test_the_compositor_waits_for_one_slice_of_the_hog_and_no_more() -> None:
    bench = Bench()

    bench.submit(bench.entity(), "hog", ms=40)
    bench.run_until(10.2)
    bench.submit(bench.entity(Priority.HIGH), "compositor", ms=1)
    bench.run_until(100)

    assert bench.story() == dedent("""\
        0.0 ms  hog run
        10.5 ms  compositor run
        11.5 ms  compositor done
        41.0 ms  hog done""")


@pytest.mark.parametrize("tenths", range(0, 400, 7))
def test_wherever_the_hog_is_the_compositor_waits_for_a_slice_at_most(tenths: int) -> None:
    bench = Bench()
    bench.submit(bench.entity(), "hog", ms=40)
    bench.run_until(tenths / 10)
    asked_ns = bench.kernel.now_ns

    job = bench.submit(bench.entity(Priority.HIGH), "compositor", ms=1)
    bench.run_until(100)

    assert job.scheduled.timestamp_ns - asked_ns <= SLICE_NS


def test_a_high_job_that_becomes_ready_at_the_instant_another_starts_goes_first() -> None:
    bench = Bench()
    hogs = bench.entity()
    frame = bench.submit(bench.entity(), "frame", ms=1)
    bench.submit(hogs, "hog", ms=40)
    bench.submit(bench.entity(Priority.HIGH), "compositor", ms=1, after=(frame.finished,))

    bench.run_until(4)

    assert "1.5 ms  frame done\n1.5 ms  compositor run" in bench.story()


def test_equals_take_turns_slice_by_slice() -> None:
    bench = Bench()

    long = bench.submit(bench.entity(), "long", ms=10)
    short = bench.submit(bench.entity(), "short", ms=2)
    bench.run_until(100)

    assert short.finished.timestamp_ns == 4 * MS
    assert long.finished.timestamp_ns == 12 * MS


def test_low_priority_work_gets_what_is_left() -> None:
    bench = Bench()

    low = bench.submit(bench.entity(Priority.LOW), "low", ms=2)
    bench.run_until(0.6)
    normal = bench.submit(bench.entity(), "normal", ms=5)
    bench.run_until(100)

    assert normal.finished.timestamp_ns == 6 * MS
    assert low.finished.timestamp_ns == 7 * MS


def test_jobs_of_one_entity_run_in_order_even_when_a_later_one_could_start() -> None:
    bench = Bench()
    entity, gate = bench.entity(), bench.fence()

    bench.submit(entity, "first", ms=1, after=(gate,))
    bench.submit(entity, "second", ms=1)
    bench.run_until(5)
    bench.signal(gate)
    bench.run_until(100)

    assert bench.story() == dedent("""\
        5.0 ms  first run
        6.0 ms  first done
        6.0 ms  second run
        7.0 ms  second done""")


@pytest.mark.requirement("K16")
def test_both_fences_of_a_job_carry_one_seqno_in_two_contexts() -> None:
    bench = Bench()
    entity = bench.entity()

    jobs = [bench.submit(entity, "frame", ms=1) for _ in range(3)]

    assert [(job.scheduled.seqno, job.finished.seqno) for job in jobs] == [(1, 1), (2, 2), (3, 3)]
    assert {job.finished.context - job.scheduled.context for job in jobs} == {1}


def test_a_job_does_not_wait_for_its_own_entity() -> None:
    bench = Bench()
    entity = bench.entity()
    first = bench.submit(entity, "first", ms=1)

    second = bench.submit(entity, "second", ms=1, after=(first.finished, first.scheduled))

    assert second.take_dependency() is None


def test_of_one_context_only_the_latest_fence_is_waited_for() -> None:
    bench = Bench()
    context = bench.kernel.new_context()
    early, late = (Fence(context, seqno, "test", "test") for seqno in (1, 2))

    job = bench.entity().arm(Picture(Pixels(GemObject(4096), 16, 16, 64), (), {}, 0), "frame")
    job.depend_on([late, early])

    assert job.take_dependency() is late
    assert job.take_dependency() is None


@pytest.mark.requirement("K16")
def test_a_dependency_that_ended_in_error_does_not_cancel_who_waited_for_it() -> None:
    bench = Bench()
    gate = bench.fence()
    job = bench.submit(bench.entity(), "frame", ms=1, after=(gate,))

    gate.set_error(ECANCELED)
    bench.signal(gate)
    bench.run_until(100)

    assert job.finished.status() == 1


def test_a_job_that_runs_too_long_ends_with_etime_and_takes_its_queue_with_it() -> None:
    bench = Bench(timeout_ms=100)
    guilty = bench.entity()

    bench.submit(guilty, "endless", ms=1_000_000)
    bench.submit(guilty, "behind", ms=1)
    bench.submit(bench.entity(), "innocent", ms=1)
    bench.run_until(1_000)

    assert bench.story() == dedent(f"""\
        0.0 ms  endless run
        0.5 ms  innocent run
        2.0 ms  innocent done
        101.0 ms  endless done {-ETIME}
        101.0 ms  behind done {-ECANCELED}""")
    assert guilty.guilty


def test_time_spent_waiting_for_others_is_not_held_against_a_job() -> None:
    bench = Bench(timeout_ms=100)
    slow = bench.submit(bench.entity(Priority.LOW), "slow", ms=50)

    bench.submit(bench.entity(), "busy", ms=90)
    bench.submit(bench.entity(), "busy too", ms=90)
    bench.run_until(1_000)

    assert slow.finished.status() == 1
    assert slow.finished.timestamp_ns == 230 * MS


def test_when_a_file_closes_what_runs_ends_well_and_what_waits_ends_with_esrch() -> None:
    bench = Bench()
    entity, gate = bench.entity(), bench.fence()
    bench.submit(entity, "running", ms=5)
    bench.submit(entity, "gated", ms=5, after=(gate,))
    bench.submit(entity, "queued", ms=5)

    bench.run_until(1)
    bench.scheduler.kill(entity)
    bench.run_until(20)
    bench.signal(gate)

    assert bench.story() == dedent(f"""\
        0.0 ms  running run
        5.0 ms  running done
        20.0 ms  gated done {-ESRCH}
        20.0 ms  queued done {-ESRCH}""")


def test_a_killed_job_that_only_lacks_the_engine_ends_at_once() -> None:
    bench = Bench()
    entity = bench.entity()
    bench.submit(bench.entity(Priority.HIGH), "compositor", ms=5)
    job = bench.submit(entity, "frame", ms=5)

    bench.scheduler.kill(entity)

    assert job.finished.status() == -ESRCH
    assert bench.kernel.now_ns == 0


def test_a_killed_job_that_has_begun_and_lost_its_turn_still_ends_well() -> None:
    bench = Bench()
    entity = bench.entity()
    job = bench.submit(entity, "frame", ms=5)
    bench.run_until(1)
    bench.submit(bench.entity(Priority.HIGH), "compositor", ms=5)
    bench.run_until(2)

    bench.scheduler.kill(entity)
    bench.run_until(100)

    assert job.finished.status() == 1


def test_a_job_without_duration_or_work_is_done_at_the_instant_it_starts() -> None:
    bench = Bench()
    bench.run_until(4)

    job = bench.submit(bench.entity(), "nothing", ms=0)
    assert job.finished.status() == 0
    bench.run_until(4)

    assert job.finished.timestamp_ns == 4 * MS


def test_the_earliest_deadline_is_kept() -> None:
    bench = Bench()
    job = bench.submit(bench.entity(), "frame", ms=5)

    for deadline_ns in (30, 20, 25):
        job.finished.set_deadline(deadline_ns)

    assert job.finished.deadline_ns == 20


def test_an_undisturbed_job_wakes_the_machine_about_sixteen_times() -> None:
    bench = Bench()
    bench.submit(bench.entity(), "hog", ms=40)

    wakes = 0
    while (next_ns := bench.kernel.next_deadline_ns()) is not None:
        bench.kernel.advance(next_ns)
        wakes += 1

    assert wakes == 16
