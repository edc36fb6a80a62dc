"""drm_syncobj: a box for one fence that can be replaced, or for the head of a timeline (kernel.md 2.5-2.7)."""

from typing import Final, Protocol

from syncline.kms_model.chain import ChainNode, collect, find_seqno, nodes
from syncline.kms_model.fence import Clock, Fence, Stub


class Watcher(Protocol):
    """Waits on a syncobj for a point to appear: a sleeping call, or an eventfd."""

    def changed(self, syncobj: "Syncobj") -> bool:
        """The payload changed. True: it has what it wanted, and is taken off the list."""
        ...


class Syncobj:
    """One object, behind any number of handles and descriptors."""

    __slots__ = ("_watchers", "fence")

    def __init__(self, fence: Fence | None = None) -> None:
        self.fence = fence
        self._watchers: list[Watcher] = []

    def find(self, point: int) -> Fence | None:
        """The fence for `point`, a signalled stub if it is collected; None: not materialised."""
        found, fence = find_seqno(self.fence, point)
        if not found:
            return None
        return fence if fence is not None else GLOBAL_STUB

    def replace(self, fence: Fence | None) -> None:
        """Put `fence` in place of whatever is there: also of a whole timeline."""
        if fence is not self.fence:
            self.fence = fence
            self._tell_watchers()

    def add_point(self, clock: Clock, fence: Fence, point: int) -> ChainNode:
        """Append `fence` at `point`. Out of order is allowed: see the worked values of kernel.md 2.6."""
        before = self.fence
        node = ChainNode(clock, before, fence, point)
        self.fence = node
        self._tell_watchers()
        collect(before)
        return node

    def query(self) -> int:
        """The newest point such that it and all before it signalled; may go back after unordered adds (H6)."""
        head = self.fence
        if not isinstance(head, ChainNode):
            return 0
        oldest = head
        for node in nodes(head):
            if node.context != head.context or not isinstance(node, ChainNode):
                break
            oldest = node
        return oldest.seqno if oldest.signalled else oldest.prev_seqno

    def last_submitted(self) -> int:
        return self.fence.seqno if isinstance(self.fence, ChainNode) else 0

    def watch(self, watcher: Watcher) -> None:
        """Tell `watcher` now and at every change, until it has what it wants."""
        if not watcher.changed(self):
            self._watchers.append(watcher)

    def unwatch(self, watcher: Watcher) -> None:
        if watcher in self._watchers:
            self._watchers.remove(watcher)

    def _tell_watchers(self) -> None:
        if self._watchers:
            self._watchers = [watcher for watcher in self._watchers if not watcher.changed(self)]


GLOBAL_STUB: Final = Stub(1)
"""dma_fence_get_stub: signalled since boot."""
