"""drm_syncobj: a box for one fence that can be replaced, or for the head of a timeline (kernel.md 2.5-2.7)."""

from typing import Final, Protocol

from syncline.kms_model.fences.chain import ChainNode
from syncline.kms_model.fences.fence import Clock, Fence, Stub
from syncline.kms_model.observer import AwaitedPoint
from syncline.kms_model.syncobj.points import Points


class Source(Protocol):
    """Where points are looked up."""

    def find(self, point: int) -> Fence | None: ...


class Watcher(Protocol):
    """Waits on a syncobj for a point to appear: a sleeping call, or an eventfd."""

    def changed(self, source: Source) -> bool:
        """The payload changed. True: it has what it wanted, and is taken off the list."""
        ...


class Syncobj:
    """One object, behind any number of handles and descriptors."""

    __slots__ = ("_fence", "_points", "_watchers", "note")

    def __init__(self, fence: Fence | None = None) -> None:
        self._fence = fence
        self._points: Points | None = None
        self._watchers: list[Watcher] = []
        self.note: object | None = None

    @property
    def fence(self) -> Fence | None:
        """The payload: NULL, a binary fence, or the head of a chain."""
        return self._fence

    def find(self, point: int) -> Fence | None:
        """The fence for `point`, a signalled stub if it is collected; None: not materialised.

        Point 0 is whatever there is. A binary fence materialises no other point.
        """
        head = self._fence
        if point == 0:
            return head
        if not isinstance(head, ChainNode) or head.seqno < point:
            return None
        return self._index(head).find(point) or GLOBAL_STUB

    def replace(self, fence: Fence | None) -> None:
        """Put `fence` in place of whatever is there: also of a whole timeline."""
        if fence is not self._fence:
            if fence is not None and fence.observer is not None:
                fence.observer.published("syncobj")
            self._fence = fence
            self._points = None
            self._tell_watchers()

    def add_point(self, clock: Clock, fence: Fence, point: int) -> ChainNode:
        """Append `fence` at `point`. Out of order is allowed: see the worked values of kernel.md 2.6."""
        before = self._fence
        points = self._index(before) if isinstance(before, ChainNode) else None
        if clock.observer is not None:
            clock.observer.point_added(self, point=point, last=self.last_submitted())
        if fence.observer is not None:
            fence.observer.published("syncobj")
        node = self._fence = ChainNode(clock, before, fence, point)
        if points is not None:
            points.add(node)
        self._tell_watchers()
        return node

    @property
    def timeline(self) -> object:
        """Which timeline it is: another one after a replacement, None without points."""
        return self._index(self._fence) if isinstance(self._fence, ChainNode) else None

    def awaited(self, point: int) -> AwaitedPoint:
        return AwaitedPoint(self, point, is_user=False)

    def put(self, clock: Clock, fence: Fence, point: int) -> None:
        """What a job, a transfer or an import leaves here: point 0 replaces, another is added."""
        if point:
            self.add_point(clock, fence, point)
        else:
            self.replace(fence)

    def signal_point(self, clock: Clock, point: int) -> None:
        """TIMELINE_SIGNAL: an already signalled node, unordered if `point` is 0."""
        self.add_point(clock, GLOBAL_STUB, point)

    def check_put(self, point: int) -> None:
        """Raises DeviceError where `put` must not be; before anything changes."""

    def check_signal(self, point: int, caller: object) -> None:
        """The same for `signal_point` by `caller`."""

    def check_replace(self) -> None:
        """The same for `replace`."""

    def hint_deadline(self, deadline_ns: int) -> None:
        """Somebody wants a point that has no fence yet by then. Only user fences pass it on."""

    def query(self) -> int:
        """The newest point such that it and all before it signalled; may go back after unordered adds (H6)."""
        head = self._fence
        return self._index(head).query() if isinstance(head, ChainNode) else 0

    def last_submitted(self) -> int:
        """The head's point, 0 without a timeline."""
        return self._fence.seqno if isinstance(self._fence, ChainNode) else 0

    def watch(self, watcher: Watcher) -> None:
        """Tell `watcher` now and at every change, until it has what it wants."""
        if not watcher.changed(self):
            self._watchers.append(watcher)

    def unwatch(self, watcher: Watcher) -> None:
        if watcher in self._watchers:
            self._watchers.remove(watcher)

    def _index(self, head: ChainNode) -> Points:
        if self._points is None:
            self._points = Points(head)
        return self._points

    def _tell_watchers(self) -> None:
        if self._watchers:
            self._watchers = [watcher for watcher in self._watchers if not watcher.changed(self)]


GLOBAL_STUB: Final = Stub(1)
"""dma_fence_get_stub: signalled since boot."""
