"""dma_fence_chain: the nodes of a timeline, each standing for its fence and all earlier ones (kernel.md 2.2)."""

from collections.abc import Iterator

from syncline.kms_model.fences.fence import Clock, Fence


class ChainNode(Fence):
    """`fence` at `seqno` after `prev`. Out of order, it opens a new context and takes the larger seqno.

    Chains do not pass errors on: their status becomes 1.
    """

    __slots__ = ("_clock", "depth", "fence", "prev", "prev_seqno")

    detaches = False
    wide = True

    def __init__(self, clock: Clock, prev: Fence | None, fence: Fence, point: int) -> None:
        self.prev = prev
        self.prev_seqno = 0
        self.fence = fence
        self.depth = fence.depth + 1
        self._clock = clock
        if isinstance(prev, ChainNode):
            self.depth = max(self.depth, prev.depth)
            if point > prev.seqno:
                self.prev_seqno = prev.seqno
                super().__init__(prev.context, point, "dma_fence_chain", "unbound")
                self._show()
                return
            point = prev.seqno
        super().__init__(clock.new_context(), point, "dma_fence_chain", "unbound")
        self._show()

    def _show(self) -> None:
        if self._clock.observer is not None:
            members = (self.fence,) if self.prev is None else (self.prev, self.fence)
            self._clock.observer.contained(self, "chain", members)

    def walk(self) -> Fence | None:
        """The newest predecessor that is not done; those that are, are dropped on the way."""
        while (prev := self.prev) is not None:
            if isinstance(prev, ChainNode):
                if not prev.fence.signalled:
                    return prev
                self.prev = prev.prev
            elif prev.signalled:
                self.prev = None
            else:
                return prev
        return None

    def poll_ns(self) -> int | None:
        for node in nodes(self):
            if not contained(node).signalled:
                return None
        return self._clock.now_ns

    def enable(self) -> int | None:
        for node in nodes(self):
            if contained(node).add_callback(self._rearm_later):
                return None
        return self._clock.now_ns

    def on_deadline(self, deadline_ns: int) -> None:
        for node in nodes(self):
            contained(node).set_deadline(deadline_ns)

    def _rearm_later(self, _fence: Fence) -> None:
        self._clock.defer(self._rearm)

    def _rearm(self) -> None:
        done_ns = self.enable()
        if done_ns is not None:
            self.signal(done_ns)


def nodes(fence: Fence | None) -> Iterator[Fence]:
    """`fence` and what is not done before it, newest first; a fence that is no chain node ends it."""
    while fence is not None:
        yield fence
        fence = fence.walk() if isinstance(fence, ChainNode) else None


def contained(fence: Fence) -> Fence:
    """The fence inside a chain node, or the fence itself (dma_fence_chain_contained)."""
    return fence.fence if isinstance(fence, ChainNode) else fence


def collect(fence: Fence | None) -> None:
    """Walk the chain once to drop what is done (drm_syncobj does after every add)."""
    for _ in nodes(fence):
        pass
