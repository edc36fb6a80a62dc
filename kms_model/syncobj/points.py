"""An index over a timeline's chain, so that a question about it costs no walk over everything pending.

The kernel walks the chain for every query, wait and add (kernel.md 2.6). Its answers depend only on the
survivors: the head, and the nodes of the head's context whose own fence is pending. They are kept here
in the order of their points. Nodes that are done meanwhile are dropped in passing, as by the kernel's walks.
"""

from bisect import bisect_left
from operator import attrgetter
from typing import Final

from syncline.kms_model.fences.chain import ChainNode, collect, nodes
from syncline.kms_model.fences.fence import Fence

_MANY_STEPS: Final = 16
_SEQNO: Final = attrgetter("seqno")


class Points:
    """The nodes of one head's context, oldest first. The last is the head."""

    __slots__ = ("__weakref__", "_nodes", "_quiet_adds", "_start")

    def __init__(self, head: ChainNode) -> None:
        self._nodes: list[ChainNode] = []
        for node in nodes(head):
            if not isinstance(node, ChainNode) or node.context != head.context:
                break
            self._nodes.append(node)
        self._nodes.reverse()
        self._start = 0
        self._quiet_adds = len(self._nodes)

    def add(self, head: ChainNode) -> None:
        """A new head. Cleans up now and then, so that it costs nothing on average."""
        if head.context != self._nodes[-1].context:
            self._nodes.clear()
            self._start = 0
        self._nodes.append(head)
        self._quiet_adds -= 1
        if self._quiet_adds <= 0:
            collect(head.prev)
            self._sweep()
            self._quiet_adds = len(self._nodes)

    def query(self) -> int:
        """The oldest survivor's point if it signalled, else the point before it (H6: may go back)."""
        oldest = self._nodes[self._oldest()]
        return oldest.seqno if oldest.signalled else oldest.prev_seqno

    def find(self, point: int) -> Fence | None:
        """What stands for `point` (0 < point <= the head's). None: it and all before it are done and gone."""
        oldest = self._oldest()
        at = bisect_left(self._nodes, point, lo=oldest, key=_SEQNO)
        if self._nodes[at].prev_seqno >= point:
            at -= 1  # the node of this point is gone; what is left of the ones before it counts
        if at < oldest:
            return self._nodes[oldest].walk()
        if at == len(self._nodes) - 1:
            return self._nodes[at]
        began = at
        while at > oldest and self._nodes[at].fence.signalled:
            at -= 1
        found = self._nodes[at]
        if began - at > _MANY_STEPS:
            self._sweep()
        return found

    def _oldest(self) -> int:
        """Index of the oldest survivor: its fence is pending, or it is the head."""
        last = len(self._nodes) - 1
        while self._start < last and self._nodes[self._start].fence.signalled:
            self._start += 1
        return self._start

    def _sweep(self) -> None:
        head = self._nodes[-1]
        self._nodes = [node for node in self._nodes if node is head or not node.fence.signalled]
        self._start = 0
