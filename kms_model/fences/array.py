"""dma_fence_array: signalled when all of its members are (kernel.md 2.2)."""

from collections.abc import Sequence

from syncline.kms_model.fences.fence import Clock, Fence


class FenceArray(Fence):
    """Members are leaves (K9). The error is the first one that a member brought while somebody waited."""

    __slots__ = ("_clock", "_left", "depth", "members")

    detaches = False

    def __init__(self, clock: Clock, members: Sequence[Fence], context: int, seqno: int = 1) -> None:
        super().__init__(context, seqno, "dma_fence_array", "unbound")
        if clock.observer is not None:
            clock.observer.contained(self, "array", members)
        assert members, "an array has members"
        self.members = tuple(members)
        self.depth = max(member.depth for member in members)
        self._clock = clock
        self._left = len(set(members))

    def poll_ns(self) -> int | None:
        done = self._left == 0 if self._enabled else all(member.signalled for member in self.members)
        return self._clock.now_ns if done else None

    def enable(self) -> int | None:
        for member in dict.fromkeys(self.members):
            if not member.add_callback(self._member_done):
                self._count(member)
        return None if self._left else self._clock.now_ns

    def on_deadline(self, deadline_ns: int) -> None:
        for member in self.members:
            member.set_deadline(deadline_ns)

    def _member_done(self, member: Fence) -> None:
        self._count(member)
        if self._left == 0:
            self._clock.defer(self._all_done)

    def _count(self, member: Fence) -> None:
        self._left -= 1
        self.error = self.error or member.error

    def _all_done(self) -> None:
        self.signal(self._clock.now_ns)
