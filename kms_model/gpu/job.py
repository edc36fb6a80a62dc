"""Jobs and entities: what is submitted, and the queue it is submitted to (kernel.md 2.10)."""

from collections import deque
from collections.abc import Callable, Iterable
from typing import Final

from syncline.kms_model.fences.fence import Fence
from syncline.kms_model.gpu.picture import Picture
from syncline.kms_model.gpu.user_wait import UserWait
from syncline.kms_model.kernel import Kernel
from syncline.kms_model.observer import Exporter
from syncline.kms_model.uapi import Priority

ENGINE: Final = "render"
EXPORTER: Final = Exporter(
    name="drm_sched"
)  # the watchdog counts engine time, so there is no instant to name
MAX_QUEUED: Final = 256  # jobs of one entity; four seconds of a 60 Hz client that never waits


class JobFence(Fence):
    """A *scheduled* or *finished* fence. Keeps the earliest deadline that anybody set."""

    __slots__ = ("deadline_ns",)

    detaches = False  # drm_sched's fences have release hooks

    def __init__(self, context: int, seqno: int) -> None:
        super().__init__(context, seqno, "drm_sched", ENGINE)
        self.deadline_ns: int | None = None

    def on_deadline(self, deadline_ns: int) -> None:
        if self.deadline_ns is None or deadline_ns < self.deadline_ns:
            self.deadline_ns = deadline_ns


class Job:
    """One command list on its way: waits for its dependencies, runs in turns, ends."""

    __slots__ = (
        "_dependencies",
        "_user_waits",
        "elapsed_ns",
        "error",
        "finished",
        "label",
        "note",
        "picture",
        "scheduled",
        "started",
    )

    def __init__(self, picture: Picture, *, scheduled: JobFence, finished: JobFence, label: str) -> None:
        self.picture = picture
        self.scheduled = scheduled
        self.finished = finished
        self.label = label
        self.note: object | None = None
        self.started = False
        self.elapsed_ns = 0
        self.error = 0
        """The errno to end with, decided before the job runs (-ECANCELED preset); 0 when it may run."""
        self._dependencies: dict[int, Fence] = {}
        self._user_waits: list[UserWait] = []

    def depend_on(self, fences: Iterable[Fence]) -> None:
        """Wait for these first. Of each context only the latest; nothing of the own entity, which is in order."""
        own = (self.scheduled.context, self.finished.context)
        for fence in fences:
            if fence.context in own:
                continue
            known = self._dependencies.get(fence.context)
            if known is None or fence.is_later(known):
                self._dependencies[fence.context] = fence

    def take_dependency(self) -> Fence | None:
        """The next fence to wait for."""
        if not self._dependencies:
            return None
        return self._dependencies.pop(next(iter(self._dependencies)))

    def need(self, waits: Iterable[UserWait]) -> None:
        """Wait for these too, after all dependencies."""
        self._user_waits += waits

    def tell_needs(self, before: "Job | None") -> None:
        """Let an observer know what the finished fence depends on; `before` is ahead in the entity's order."""
        watched = self.finished.observer
        if watched is not None:
            watched.depends(self._dependencies.values(), "a dependency of the job")
            watched.depends([wait.awaited for wait in self._user_waits], "the engine waits for a user fence")
            if before is not None:
                watched.depends((before.finished,), "the job before it in its entity")

    def wait_for_user(self, reached: Callable[[], None]) -> bool:
        """Wait for the next user point and call `reached` then. False: none is left."""
        while self._user_waits and not self._user_waits[0].begin(reached):
            del self._user_waits[0]
        return bool(self._user_waits)

    def stop_waiting_for_user(self) -> bool:
        """Nobody may keep the job from ending: whoever was to signal owes it nothing. False: it did not wait."""
        waits, self._user_waits = self._user_waits, []
        return bool(waits) and waits[0].drop()


class Entity:
    """The jobs of one file at one priority, in strict order. Two fence contexts, one seqno."""

    def __init__(self, kernel: Kernel, priority: Priority) -> None:
        self.priority = priority
        self.queue: deque[Job] = deque()
        self.note: object | None = None
        self.guilty = False
        """A job of it hung: later ones are cancelled, new ones refused."""
        self.killed = False
        """Its file is gone: what has not begun never will."""
        self._kernel = kernel
        self._contexts = (kernel.new_context(), kernel.new_context())
        self._seqno = 0

    def arm(self, picture: Picture, label: str) -> Job:
        """A job with its fences. It has its place in the order only once it is pushed."""
        of_scheduled, of_finished = self._contexts
        scheduled, finished = JobFence(of_scheduled, self._seqno + 1), JobFence(of_finished, self._seqno + 1)
        if self._kernel.observer is not None:
            for fence in (scheduled, finished):
                self._kernel.observer.exported(fence, EXPORTER, lock=finished)
        return Job(picture, scheduled=scheduled, finished=finished, label=label)

    def push(self, job: Job) -> None:
        self._seqno += 1
        assert job.finished.seqno == self._seqno, "armed jobs are pushed in order (K16)"
        self.queue.append(job)
