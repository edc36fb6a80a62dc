"""The render engine: one job at a time, for a turn of some slices; painting happens at the end of a turn."""

from collections.abc import Callable
from functools import partial
from typing import Final

from syncline.kms_model.deadlines import Deadline
from syncline.kms_model.gpu.job import Job
from syncline.kms_model.kernel import Kernel

SLICE_NS: Final = 500_000
"""The engine changes jobs at multiples of this only. A 60 Hz compositor then loses 3 % of its frame to a hog at
worst; shorter slices would spend a real core on waking up, which costs about 0.05 ms each time."""


class Engine:
    """Runs what it is given and says when the turn is over. Knows nothing of queues."""

    def __init__(self, kernel: Kernel, turn_over: Callable[[Job], None]) -> None:
        self.job: Job | None = None
        self._kernel = kernel
        self._turn_over = turn_over
        self._start_ns = 0
        self._end: Deadline | None = None
        self._turns = 0

    def run(self, job: Job, *, limit_ns: int, alone: bool) -> None:
        """Work on `job` until `limit_ns` of its own time is spent, at most; for one slice if it is not `alone`.

        An undisturbed job is not interrupted every slice only to be picked again: `yield_soon` is enough.
        """
        assert self.job is None, "one job at a time"
        self.job = job
        self._turns += 1
        turn_ns = SLICE_NS
        if alone:
            turn_ns = max(turn_ns, job.picture.step_ns(job.elapsed_ns, paint_ns=SLICE_NS))
        left_ns = min(job.picture.duration_ns, limit_ns) - job.elapsed_ns
        self._start_ns = self._kernel.now_ns
        self._book(self._start_ns + min(turn_ns, left_ns))

    def yield_soon(self, *, to_better: bool) -> None:
        """End the running turn with the slice it is in; `to_better` also one that has only just begun."""
        assert self._end is not None, "nothing runs"
        begun = max(0 if to_better else 1, -((self._start_ns - self._kernel.now_ns) // SLICE_NS))
        boundary_ns = self._start_ns + begun * SLICE_NS
        if boundary_ns < self._end.when_ns:
            self._end.cancel()
            self._book(boundary_ns)

    def stop(self) -> None:
        """Drop the running job as it is."""
        assert self._end is not None, "nothing runs"
        self._end.cancel()
        self._turns += 1
        self.job, self._end = None, None

    def _book(self, when_ns: int) -> None:
        self._end = self._kernel.call_at(when_ns, partial(self._finish_turn, self._turns))

    def _finish_turn(self, turn: int) -> None:
        if turn != self._turns:
            return  # stopped at this very instant
        job, self.job, self._end = self.job, None, None
        assert job is not None, "a turn has a job"
        job.elapsed_ns += self._kernel.now_ns - self._start_ns
        job.picture.paint_until(job.elapsed_ns)
        self._turn_over(job)
