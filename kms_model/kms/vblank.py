"""The vertical blank: a counter and timestamps by arithmetic, and a timer only while somebody waits.

Vblank number n of a running CRTC is at `base + (n - base count) * frame`, exactly, with a frame of
htotal * vtotal / clock. Nobody ticks: an idle screen costs nothing and its counter is right when it
is asked for. Whoever wants a vblank queues for a number; one timer is booked for the earliest. When
the machine wakes late, the number and the timestamp are those of the grid all the same.

With variable refresh the grid is stretched: an idle screen repeats its frame every longest frame
time, and an armed flip moves the next vblank forward, to now or to the end of the shortest frame.
"""

from collections.abc import Callable
from operator import itemgetter
from typing import Final

from syncline.kms_model.deadlines import Deadline
from syncline.kms_model.kernel import Kernel
from syncline.kms_model.task import Completion
from syncline.kms_model.uapi import ModeInfo

NS_PER_MS: Final = 1_000_000
_MHZ_NS: Final = 1_000_000_000_000
_SEQUENCE: Final = itemgetter(0)

Entry = Callable[[int, int], None]
"""Told the sequence and the time of its vblank."""


class Grid:
    """The instants of vblanks, from a first one on. Frames are fractions of a nanosecond: no drift."""

    __slots__ = (
        "_before_ns", "_count", "_denominator", "_frame", "_idle_frame", "_start_ns", "mode", "varies",
    )  # fmt: skip

    def __init__(self, mode: ModeInfo, *, start_ns: int, count: int, vrr_min_mhz: int = 0) -> None:
        self.mode = mode
        self._frame = mode.htotal * mode.vtotal * NS_PER_MS
        self._denominator = mode.clock_khz
        self._start_ns = self._before_ns = start_ns
        self._count = count
        self._idle_frame = self._frame
        if vrr_min_mhz:
            self._idle_frame = max(self._frame, _MHZ_NS * self._denominator // vrr_min_mhz)
        self.varies = self._idle_frame > self._frame

    def time_of(self, count: int) -> int:
        """When vblank `count` is (or was), if nobody flips on a screen with variable refresh."""
        if count < self._count:
            return self._before_ns
        return self._start_ns + (count - self._count) * self._idle_frame // self._denominator

    def nominal_after(self, now_ns: int) -> int:
        """Where the vblank after the newest one would be at the mode's own refresh."""
        count = self.count_at(now_ns)
        if not self.varies:
            return self.time_of(count + 1)
        return self.time_of(count) + self._frame // self._denominator

    def count_at(self, now_ns: int) -> int:
        """The newest vblank at or before `now_ns`."""
        if now_ns < self._start_ns:
            return self._count - 1
        passed = ((now_ns - self._start_ns + 1) * self._denominator - 1) // self._idle_frame
        return self._count + passed

    def pull(self, now_ns: int) -> None:
        """A flip was armed: the coming vblank is as early as the shortest frame allows."""
        count = self.count_at(now_ns)
        self._before_ns = self.time_of(count)
        self._start_ns = max(now_ns, self._before_ns + self._frame // self._denominator)
        self._count = count + 1


class Vblank:
    """drm_vblank_crtc of one CRTC."""

    def __init__(self, kernel: Kernel, *, lead_ns: int = 0) -> None:
        """`lead_ns`: how long before being switched on its timer began."""
        self._kernel = kernel
        self._lead_ns = lead_ns
        self._grid: Grid | None = None
        self._count = 0
        self._time_ns = 0
        self._queue: list[tuple[int, Entry]] = []
        self._timer: Deadline | None = None
        self._vrr_min_mhz = 0

    @property
    def running(self) -> bool:
        return self._grid is not None

    def last(self) -> tuple[int, int]:
        """Number and time of the newest vblank; of the last before it stopped, (0, now) if it never ran."""
        if self._grid is not None:
            self._count = self._grid.count_at(self._kernel.now_ns)
            self._time_ns = self._grid.time_of(self._count)
        return self._count, self._time_ns or self._kernel.now_ns

    def next_ns(self) -> int:
        """The coming vblank, after now. The CRTC must be running."""
        assert self._grid is not None, "no vblank on a CRTC that is off"
        return self._grid.time_of(self._grid.count_at(self._kernel.now_ns) + 1)

    def deadline_ns(self) -> int:
        """What fences are told: the coming vblank as if the refresh did not vary, so perhaps past (kernel.md 3.7)."""
        assert self._grid is not None, "no vblank on a CRTC that is off"
        return self._grid.nominal_after(self._kernel.now_ns)

    def start(self, mode: ModeInfo, *, vrr_min_mhz: int = 0) -> None:
        """drm_crtc_vblank_on. The counter moves by one, so that no number is seen before and after."""
        count, _ = self.last()
        now_ns = self._kernel.now_ns
        start_ns = now_ns - self._lead_ns
        self._grid = Grid(mode, start_ns=start_ns, count=count + 1, vrr_min_mhz=vrr_min_mhz)
        self._vrr_min_mhz = vrr_min_mhz

    def vary(self, vrr_min_mhz: int) -> None:
        """Variable refresh down to `vrr_min_mhz` from the newest vblank on; 0: fixed again."""
        if self._grid is not None and self._vrr_min_mhz != vrr_min_mhz:
            count, time_ns = self.last()
            self._grid = Grid(self._grid.mode, start_ns=time_ns, count=count, vrr_min_mhz=vrr_min_mhz)
            self._vrr_min_mhz = vrr_min_mhz
            self._rebook()

    def stop(self) -> None:
        """drm_crtc_vblank_off. Whoever still waits is told the last vblank there was."""
        count, time_ns = self.last()
        self._grid = None
        queue, self._queue = self._queue, []
        self._rebook()
        for _, entry in queue:
            entry(count, time_ns)

    def arm(self, entry: Entry) -> None:
        """drm_crtc_arm_vblank_event: at the coming vblank."""
        assert self._grid is not None, "no vblank on a CRTC that is off"
        count = self._grid.count_at(self._kernel.now_ns)
        if self._grid.varies:
            self._grid.pull(self._kernel.now_ns)
        self.queue(count + 1, entry)

    def queue(self, sequence: int, entry: Entry) -> None:
        """At vblank `sequence`, which is still to come."""
        self._queue.append((sequence, entry))
        self._rebook()

    def forget(self, entry: Entry) -> None:
        self._queue = [queued for queued in self._queue if queued[1] is not entry]
        self._rebook()

    async def wait(self, *, sequence: int, deadline_ns: int, interruptible: bool) -> bool:
        """Sleep until vblank `sequence` has come. False at the deadline."""
        came = Completion()

        def tell(_sequence: int, _time_ns: int) -> None:
            came.complete()

        self.queue(sequence, tell)
        try:
            return await self._kernel.wait(came, deadline_ns=deadline_ns, interruptible=interruptible)
        finally:
            self.forget(tell)

    def _rebook(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._queue and self._grid is not None:
            sequence, _ = min(self._queue, key=_SEQUENCE)
            when_ns = self._grid.time_of(sequence)
            self._timer = self._kernel.call_at(when_ns, self._interrupt)

    def _interrupt(self) -> None:
        """The vblank irq: everybody whose number has come, in the order they queued."""
        assert self._grid is not None, "the timer is cancelled with the grid"
        self._timer = None
        sequence, _ = min(self._queue, key=_SEQUENCE)
        due = [entry for wanted, entry in self._queue if wanted == sequence]
        self._queue = [queued for queued in self._queue if queued[0] != sequence]
        time_ns = self._grid.time_of(sequence)
        self._rebook()
        for entry in due:
            entry(sequence, time_ns)
