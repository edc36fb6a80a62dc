"""Any jobs, from anybody, at any time: what must hold of the engine whatever they are."""

from dataclasses import dataclass, field

from hypothesis import given, settings, strategies as st

from syncline.kms_model.buffers.buffer import GemObject
from syncline.kms_model.gpu.engine import SLICE_NS
from syncline.kms_model.gpu.job import Entity, Job
from syncline.kms_model.gpu.picture import Picture, Pixels
from syncline.kms_model.gpu.scheduler import Scheduler
from syncline.kms_model.kernel import Kernel
from syncline.kms_model.uapi import Priority

US = 1_000
MANY = settings(max_examples=5 * settings().max_examples // 2)


@dataclass(frozen=True)
class Order:
    """A job that `entity` submits `pause_us` after the one before, waiting for some of the earlier jobs."""

    entity: int
    pause_us: int
    duration_us: int
    after: tuple[int, ...]


@dataclass
class Run:
    """What became of the orders: all jobs, when each was asked for, and the time at the end."""

    jobs: list[Job]
    entities: list[Entity]
    asked_ns: list[int] = field(default_factory=list)
    kill_ns: int | None = None


PRIORITIES = [Priority.HIGH, Priority.NORMAL, Priority.NORMAL, Priority.LOW]

orders = st.lists(
    st.builds(
        Order,
        st.integers(0, 3),
        st.integers(0, 3_000) | st.just(0),
        st.integers(0, 6_000) | st.integers(20_000, 60_000),
        st.lists(st.integers(0, 20), max_size=3).map(tuple),
    ),
    max_size=20,
)


def play(listed: list[Order], *, kill: int | None = None) -> Run:
    kernel = Kernel()
    scheduler = Scheduler(kernel)
    gem = GemObject(4096)
    run = Run([], [Entity(kernel, priority) for priority in PRIORITIES])
    for number, order in enumerate(listed):
        kernel.advance(kernel.now_ns + order.pause_us * US)
        if number == kill:
            scheduler.kill(run.entities[1])
            run.kill_ns = kernel.now_ns
        entity = run.entities[order.entity]
        if entity.killed:
            continue
        job = entity.arm(Picture(Pixels(gem, 16, 16, 64), (), {}, order.duration_us * US), str(number))
        job.depend_on(run.jobs[earlier].finished for earlier in order.after if earlier < len(run.jobs))
        scheduler.push(entity, job)
        kernel.settle()
        run.jobs.append(job)
        run.asked_ns.append(kernel.now_ns)
    kernel.advance(kernel.now_ns + 10**12)
    return run


@MANY
@given(orders)
def test_every_job_ends_after_exactly_its_own_engine_time(listed: list[Order]) -> None:
    run = play(listed)

    for job in run.jobs:
        assert job.finished.status() == 1
        assert job.elapsed_ns == job.picture.duration_ns
        assert job.finished.timestamp_ns - job.scheduled.timestamp_ns >= job.elapsed_ns


@MANY
@given(orders)
def test_the_engine_is_never_idle_while_somebody_could_run(listed: list[Order]) -> None:
    together = [Order(order.entity, 0, order.duration_us, ()) for order in listed]
    run = play(together)

    work_ns = sum(job.picture.duration_ns for job in run.jobs)
    assert max((job.finished.timestamp_ns for job in run.jobs), default=0) == work_ns


@MANY
@given(orders)
def test_jobs_of_an_entity_end_in_the_order_of_submission(listed: list[Order]) -> None:
    run = play(listed)

    for entity in run.entities:
        mine = [
            job
            for job in run.jobs
            if job.finished.context == entity.arm(run.jobs[0].picture, "").finished.context
        ]
        ends = [job.finished.timestamp_ns for job in mine]
        assert ends == sorted(ends)
        assert [job.finished.seqno for job in mine] == list(range(1, len(mine) + 1))


@MANY
@given(orders)
def test_a_ready_job_of_high_priority_waits_for_one_slice_of_others_at_most(listed: list[Order]) -> None:
    run = play(listed)
    high = run.entities[0].arm(Picture(Pixels(GemObject(4096), 1, 1, 4), (), {}, 0), "").finished.context

    free_ns = 0
    for job, asked_ns, order in zip(run.jobs, run.asked_ns, listed, strict=True):
        if job.finished.context != high:
            continue
        waited_for = [run.jobs[n].finished.timestamp_ns for n in order.after if n < run.jobs.index(job)]
        ready_ns = max([asked_ns, free_ns, *waited_for])
        assert job.scheduled.timestamp_ns - ready_ns <= SLICE_NS
        free_ns = job.finished.timestamp_ns


@MANY
@given(orders, st.integers(0, 19))
def test_killing_an_entity_ends_all_its_jobs_and_nobody_elses(listed: list[Order], kill: int) -> None:
    run = play(listed, kill=kill)

    for job in run.jobs:
        assert job.finished.signalled
        if job.finished.error:
            assert not job.started
            assert run.kill_ns is not None
            assert job.finished.timestamp_ns >= run.kill_ns
    killed = run.entities[1]
    assert not killed.queue
