"""dma_resv: which fences a buffer carries, in four usage classes (kernel.md 2.8)."""

from collections.abc import Iterator
from enum import IntEnum

from syncline.kms_model.fences.array import FenceArray
from syncline.kms_model.fences.chain import ChainNode
from syncline.kms_model.fences.fence import Clock, Fence


class Usage(IntEnum):
    """DMA_RESV_USAGE_*: asking for a class yields its fences and those of all classes before it."""

    KERNEL = 0
    WRITE = 1
    READ = 2
    BOOKKEEP = 3


def usage_for(*, write: bool) -> Usage:
    """What an access must wait for: a writer for readers too (dma_resv_usage_rw)."""
    return Usage.READ if write else Usage.WRITE


class Resv:
    """The reservation object of one buffer, or of several that share it."""

    __slots__ = ("_entries", "note", "user_fence")

    def __init__(self) -> None:
        self._entries: list[tuple[Fence, Usage]] = []
        self.note: object | None = None
        self.user_fence: tuple[object, int] | None = None
        """An implicit user fence, (slot, point). Nobody here waits for one; commits refuse to guess (UR15)."""

    def add(self, fence: Fence, usage: Usage) -> None:
        """Publish a leaf. Takes the place of a signalled entry, or of an earlier one of its context.

        A fence may be promoted to a stronger class, never demoted; containers are refused (K9, K12).
        """
        watched = fence.observer
        if watched is not None and isinstance(fence, FenceArray | ChainNode):
            watched.misplaced("dma_resv")
            return
        assert not isinstance(fence, FenceArray | ChainNode), "unwrap containers first (K12)"
        if watched is not None:
            watched.published("dma_resv")
        for at, (old, old_usage) in enumerate(self._entries):
            if old.signalled or (old_usage >= usage and _later_or_same(fence, old)):
                self._entries[at] = (fence, usage)
                return
        self._entries.append((fence, usage))

    def pending(self, usage: Usage) -> Iterator[Fence]:
        """The unsignalled fences of class <= `usage`."""
        for fence, has in tuple(self._entries):
            if has <= usage and not fence.signalled:
                yield fence

    def entries(self) -> tuple[tuple[Fence, Usage], ...]:
        return tuple(self._entries)

    def signalled(self, usage: Usage) -> bool:
        """Nothing left to wait for (dma_resv_test_signaled)."""
        return next(self.pending(usage), None) is None

    def singleton(self, clock: Clock, usage: Usage) -> Fence | None:
        """The pending fences as one: None, itself, or an array (dma_resv_get_singleton)."""
        if not self._entries:
            return None
        fences = list(self.pending(usage))
        if len(fences) <= 1:
            return fences[0] if fences else None
        return FenceArray(clock, fences, clock.new_context())

    def set_deadline(self, usage: Usage, deadline_ns: int) -> None:
        for fence in self.pending(usage):
            fence.set_deadline(deadline_ns)


def _later_or_same(fence: Fence, old: Fence) -> bool:
    return fence.context == old.context and (fence is old or not old.is_later(fence))
