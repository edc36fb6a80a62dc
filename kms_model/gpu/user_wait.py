"""The engine waits for a user fence: it looks at the memory, and nobody has promised anything (kernel.md 6.4)."""

from collections.abc import Callable

from syncline.kms_model.observer import AwaitedPoint
from syncline.kms_model.syncobj.syncobj import Source
from syncline.kms_model.user_fence.user_fence import UserSyncobj


class UserWait:
    """One point that a job needs before it may run."""

    __slots__ = ("_point", "_reached", "_syncobj", "_watching")

    def __init__(self, syncobj: UserSyncobj, point: int) -> None:
        self._syncobj = syncobj
        self._point = point
        self._watching = False
        self._reached: Callable[[], None] = _nobody

    @property
    def awaited(self) -> AwaitedPoint:
        return self._syncobj.awaited(self._point)

    def begin(self, reached: Callable[[], None]) -> bool:
        """Call `reached` once when the point is. False: it is already."""
        if self._syncobj.query() >= self._point:
            return False
        self._reached = reached
        self._watching = True
        self._syncobj.watch(self)
        return True

    def changed(self, _source: Source) -> bool:
        if self._syncobj.query() < self._point:
            return False
        self._watching = False
        self._reached()
        return True

    def drop(self) -> bool:
        """Wait no longer. False: did not."""
        was_watching, self._watching = self._watching, False
        if was_watching:
            self._syncobj.unwatch(self)
        return was_watching


def _nobody() -> None:
    raise AssertionError("waits before it was begun")
