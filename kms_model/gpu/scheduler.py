"""Which job gets the engine next: drm_sched's rules (kernel.md 2.10) over a preemptible engine.

Every entity has a ring of its own on the hardware, as with firmware scheduling (xe, panthor), so jobs of
different entities really overlap. A dependency on another entity therefore waits for *finished*: waiting for
*scheduled* alone is right only where one ring runs everything in order.
"""

from collections import deque
from collections.abc import Iterable
from errno import ECANCELED, ESRCH, ETIME
from functools import partial
from typing import Final

from syncline.kms_model.fences.fence import Fence
from syncline.kms_model.gpu.engine import Engine
from syncline.kms_model.gpu.job import ENGINE, Entity, Job
from syncline.kms_model.kernel import Kernel
from syncline.kms_model.trace import JobTrace
from syncline.kms_model.uapi import Priority

JOB_TIMEOUT_NS: Final = 5_000_000_000
"""Engine time, not waiting time, after which a job counts as hung (xe's default)."""


class Scheduler:
    """HIGH before NORMAL before LOW; among equals one slice each in turn."""

    def __init__(self, kernel: Kernel, *, timeout_ns: int = JOB_TIMEOUT_NS) -> None:
        self._kernel = kernel
        self._timeout_ns = timeout_ns
        self._engine = Engine(kernel, self._turn_over)
        self._running: Entity | None = None
        self._ready: dict[Priority, deque[Entity]] = {
            priority: deque() for priority in sorted(Priority, reverse=True)
        }

    def push(self, entity: Entity, job: Job) -> None:
        """Queue an armed job. It starts when its turn has come and its dependencies are signalled."""
        entity.push(job)
        self._report("queued", job)
        if len(entity.queue) == 1:
            self._look_at_head(entity)

    def kill(self, entity: Entity) -> None:
        """Its file closed: what runs ends normally, the rest ends with -ESRCH once its dependencies are done."""
        entity.killed = True
        head = entity.queue[0] if entity.queue else None
        if head is None or head.started:
            return
        if entity in self._ready[entity.priority]:
            self._ready[entity.priority].remove(entity)
            self._look_at_head(entity)
        elif head.stop_waiting_for_user():
            self._look_at_head(entity)

    def reset(self, entities: Iterable[Entity]) -> None:
        """The hardware forgets what it was given: that ends with -ECANCELED. What still waits runs afterwards."""
        if self._running is not None:
            self._engine.stop()
            self._running = None
        for entity in entities:
            if entity.queue and entity.queue[0].started:
                if entity in self._ready[entity.priority]:
                    self._ready[entity.priority].remove(entity)
                self._end(entity.queue.popleft(), ECANCELED)
                self._look_at_head(entity)
        if self._running is None:
            self._dispatch()

    def _look_at_head(self, entity: Entity) -> None:
        """Wait for what the head job needs next, or line up for the engine. Doomed jobs end right here."""
        while entity.queue:
            job = entity.queue[0]
            again = partial(self._look_again, entity, job)
            while (fence := job.take_dependency()) is not None:
                if fence.add_callback(again):
                    return
            if not entity.killed and job.wait_for_user(again):
                return
            if not (entity.killed or job.error):
                self._line_up(entity)
                return
            entity.queue.popleft()
            self._end(job, ESRCH if entity.killed else job.error)

    def _look_again(self, entity: Entity, job: Job, _fence: Fence | None = None) -> None:
        """The signal may come from anywhere; the queues are touched from clean ground only."""

        def look() -> None:
            if entity.queue and entity.queue[0] is job:
                self._look_at_head(entity)

        self._kernel.defer(look)

    def _line_up(self, entity: Entity) -> None:
        self._ready[entity.priority].append(entity)
        if self._running is None:
            self._dispatch()
        elif entity.priority >= self._running.priority:
            self._engine.yield_soon(to_better=entity.priority > self._running.priority)

    def _dispatch(self) -> None:
        """Give the idle engine to the first entity of the highest priority."""
        entity = next((queue.popleft() for queue in self._ready.values() if queue), None)
        self._running = entity
        if entity is None:
            return
        job = entity.queue[0]
        has_rivals = bool(self._ready[entity.priority])  # better ones would have been first
        self._engine.run(job, limit_ns=self._timeout_ns, alone=not has_rivals)
        if not job.started:
            job.started = True
            if self._kernel.accesses is not None:
                self._kernel.accesses.job_begins(job)
            self._report("run", job)
            job.scheduled.signal(self._kernel.now_ns)

    def _turn_over(self, job: Job) -> None:
        entity = self._running
        assert entity is not None, "only a running entity has a turn"
        self._running = None
        if job.elapsed_ns >= job.picture.duration_ns:
            entity.queue.popleft()
            self._end(job, 0)
            self._look_at_head(entity)
        elif job.elapsed_ns >= self._timeout_ns:
            self._hang(entity)
        else:
            self._ready[entity.priority].append(entity)
        if self._running is None:
            self._dispatch()

    def _hang(self, entity: Entity) -> None:
        """The watchdog: the job ends with -ETIME, what its entity has queued behind it with -ECANCELED."""
        entity.guilty = True
        job = entity.queue.popleft()
        for later in entity.queue:
            later.error = ECANCELED
        self._end(job, ETIME)
        self._look_at_head(entity)

    def _end(self, job: Job, error: int) -> None:
        now_ns = self._kernel.now_ns
        job.scheduled.signal(now_ns)
        fault = self._kernel.faults.strikes("failed-job")
        if fault is not None:
            error = error or fault.errno
        if error:
            job.finished.set_error(error)
        self._report("done", job)
        if self._kernel.accesses is not None:
            self._kernel.accesses.job_ends(job)
        job.finished.signal(now_ns)

    def _report(self, stage: str, job: Job) -> None:
        if self._kernel.trace is None:
            return
        finished = job.finished
        self._kernel.report(
            JobTrace(
                self._kernel.now_ns,
                stage,
                finished.context,
                finished.seqno,
                ENGINE,
                job.label,
                finished.error,
            )
        )
