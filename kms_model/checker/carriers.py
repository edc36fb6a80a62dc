"""What is behind the things one can wait for: points, sync_files, reservation objects. In moments."""

from bisect import bisect_left, insort
from collections.abc import Sequence
from typing import Final

from syncline.kms_model.accesses import Carrier, FenceFile, Noted, NotedFence, Reservation
from syncline.kms_model.checker.access import Buffers
from syncline.kms_model.checker.moment import Moment, fold
from syncline.kms_model.observer import AwaitedPoint

Moments = tuple[Moment, ...]

POINTS_MAX: Final = 16
"""Points of one timeline whose moments are told apart. Older ones count as the oldest of these."""


class Points:
    """Of one syncobj or slot: what is behind each point, and with it behind all before."""

    __slots__ = ("_binary", "_moments", "_points")

    def __init__(self) -> None:
        self._binary: Moments = ()
        self._points: list[int] = []
        self._moments: list[Moments] = []

    def replace(self, moments: Moments) -> None:
        """The timeline, if there was one, is gone."""
        self._binary = moments
        self._points.clear()
        self._moments.clear()

    def add(self, point: int, moments: Moments) -> None:
        """Out of order, it stands for all of history, as its chain node does."""
        before = self._moments[-1] if self._moments else self._binary
        self._moments.append(fold(before, moments))
        if self._points and point <= self._points[-1]:
            point = self._points.pop()
            del self._moments[-2]
        self._points.append(point)
        if len(self._points) > POINTS_MAX:
            del self._points[0], self._moments[0]

    def owe(self, point: int, moments: Moments) -> None:
        """Of a user fence: somebody will write it. Points may be promised in any order, and mean what is below."""
        at = bisect_left(self._points, point)
        if at < len(self._points) and self._points[at] == point:
            self._moments[at] = fold(self._moments[at], moments)
        else:
            insort(self._points, point)
            self._moments.insert(at, fold(self._moments[at - 1], moments) if at else moments)
        for later in range(at + 1, len(self._moments)):
            self._moments[later] = fold(self._moments[later], moments)
        if len(self._points) > POINTS_MAX:
            del self._points[0], self._moments[0]

    def find(self, point: int) -> Moments:
        if not point:
            return self._moments[-1] if self._moments else self._binary
        at = bisect_left(self._points, point)
        return self._moments[at] if at < len(self._points) else ()


class Carriers:
    def __init__(self, buffers: Buffers) -> None:
        self._buffers = buffers

    def behind(self, carrier: Carrier) -> Moments:
        """Who has waited for it comes after these."""
        match carrier:
            case AwaitedPoint(owner=owner, point=point):
                note = getattr(owner, "note", None)
                return note.find(point) if isinstance(note, Points) else ()
            case Reservation(resv=resv, usage=usage):
                return self._buffers.of(resv).behind(usage)
            case _:
                return behind_file(carrier)

    def behind_all(self, carriers: Sequence[Carrier]) -> Moments:
        moments: Moments = ()
        for carrier in carriers:
            moments = fold(moments, self.behind(carrier))
        return moments

    def put(self, to: AwaitedPoint | Reservation, moments: Moments) -> None:
        """Something was left there that stands for these."""
        if isinstance(to, Reservation):
            self._buffers.of(to.resv).publish(to.usage, moments)
            return
        points = _points_of(to.owner)
        if to.is_user:
            points.owe(to.point, moments)
        elif to.point:
            points.add(to.point, moments)
        else:
            points.replace(moments)


def behind_file(file: FenceFile) -> Moments:
    if isinstance(file.note, tuple):
        return file.note
    return behind_fence(file.fence)


def behind_fence(fence: NotedFence) -> Moments:
    return (fence.note,) if isinstance(fence.note, Moment) else ()


def _points_of(owner: object) -> Points:
    noted: Noted = owner  # type: ignore[assignment]  # a syncobj or a slot
    if not isinstance(noted.note, Points):
        noted.note = Points()
    return noted.note
