"""Points of user fences, as a commit has to do with them: one to wait for, one to pay, and the sleep itself."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from syncline.kms_model.kernel import Kernel
from syncline.kms_model.observer import Awaited, AwaitedPoint
from syncline.kms_model.syncobj.syncobj import Source
from syncline.kms_model.task import Bell
from syncline.kms_model.trace import OutPointTrace, WaitTrace
from syncline.kms_model.user_fence.user_fence import Bridge, Slot

WAIT_REASON: Final = "user-fence"
"""In the trace: a commit waits for user space."""


@dataclass(frozen=True, slots=True)
class UserPoint:
    """What an IN_USER_FENCE names. It keeps the slot, whatever becomes of the handle."""

    slot: Slot
    point: int

    @property
    def reached(self) -> bool:
        return self.slot.reached(self.point)


class OutPoint:
    """What an OUT_USER_FENCE names: owed from the moment the commit is accepted, and paid once."""

    __slots__ = ("_bridge", "point", "slot")

    def __init__(self, slot: Slot, point: int) -> None:
        self.slot = slot
        self.point = point
        self._bridge: Bridge | None = None

    def owe(self) -> None:
        """The commit is accepted; a promoted one has been before."""
        if self._bridge is None:
            self._bridge = self.slot.owe(self.point)
            self.slot.last_out = self.point

    def pay(self, *, crtc_id: int, time_ns: int, status: int = 0) -> None:
        """Write it (UR13), after earlier points that another CRTC still owes to the slot."""
        assert self._bridge is not None, "paid, but never owed"
        self._bridge.finish(status)
        self.slot.host.report(OutPointTrace(time_ns, crtc_id, self.point, status))


class PointWait:
    """Sleeps until every point is reached. The sleeper holds no lock (K6), and somebody may call it off."""

    def __init__(self, kernel: Kernel, who: str, points: Sequence[UserPoint]) -> None:
        self._kernel = kernel
        self._who = who
        self._points = points
        self._bell = Bell(self)
        self._called_off = False

    def awaited(self) -> Awaited:
        missing = (each for each in self._points if not each.reached)
        return Awaited([AwaitedPoint(each.slot, each.point, is_user=True) for each in missing])

    def call_off(self) -> None:
        self._called_off = True
        self._bell.ring()

    async def sleep(self, deadline_ns: int | None) -> bool:
        """False at the deadline. Raises Interrupted on a signal."""
        began_ns = self._kernel.now_ns
        self._kernel.report(WaitTrace(began_ns, self._who, WAIT_REASON, end=False))
        try:
            for point in self._points:
                if not await self._sleep_for(point, deadline_ns):
                    return False
            return True
        finally:
            now_ns = self._kernel.now_ns
            self._kernel.report(
                WaitTrace(now_ns, self._who, WAIT_REASON, end=True, waited_ns=now_ns - began_ns)
            )

    async def _sleep_for(self, point: UserPoint, deadline_ns: int | None) -> bool:
        arrival = _Arrival(point, self._bell)
        point.slot.watch(arrival)
        try:
            while not arrival.came and not self._called_off:
                if not await self._kernel.wait(self._bell, deadline_ns=deadline_ns):
                    return False
        finally:
            point.slot.unwatch(arrival)
        return True


@dataclass(eq=False, slots=True)
class _Arrival:
    """Watches a slot for one point."""

    point: UserPoint
    bell: Bell
    came: bool = False

    def changed(self, _source: Source) -> bool:
        if not self.point.reached:
            return False
        self.came = True
        self.bell.ring()
        return True
