"""Timelines, points, and the commit rules of linux-drm-syncobj-v1."""

from dataclasses import dataclass
from typing import Protocol


@dataclass(eq=False, slots=True)
class Timeline:
    """One imported syncobj: a handle of our device file. Two imports are two timelines (S18).

    Destroying the protocol object cancels nothing (S21-S23): the handle goes with its last use.
    """

    handle: int
    uses: int = 1


@dataclass(frozen=True, slots=True)
class SyncPoint:
    """`value` is the whole 64 bits (S25)."""

    timeline: Timeline
    value: int


class Watcher(Protocol):
    """The loop edge's promise to tell of a point: SYNCOBJ_EVENTFD on an eventfd of its own.

    When the eventfd becomes readable the loop calls `Compositor.point_ready(watch, now_ns)`, once; the
    core asks the device again before it believes it (ACQ-28..30), and may call `watch` anew.
    """

    def watch(self, handle: int, point: int, *, available: bool) -> int:
        """Begin watching; never blocks. Returns a number not in use. Raises DeviceError.

        `available`: as soon as a fence exists (WaitFlag.AVAILABLE), not only when it has signalled.
        """
        ...

    def unwatch(self, watch: int) -> None:
        """Forget it. No `point_ready` for this number afterwards. Not called for one already reported."""
        ...
