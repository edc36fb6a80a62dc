"""Fences, timelines and waits that do not do what the kernel was recorded doing."""

from typing import Any

from mutants.mutant import Broken, breaks
from syncline.kms_model.buffers.resv import Resv, Usage
from syncline.kms_model.fences import merge
from syncline.kms_model.fences.chain import ChainNode
from syncline.kms_model.fences.fence import Clock, Fence
from syncline.kms_model.syncobj.eventfd import EventfdEntry
from syncline.kms_model.syncobj.points import Points
from syncline.kms_model.syncobj.syncobj import Syncobj
from syncline.kms_model.syncobj.wait import WaitArray, WaitEntry
from syncline.kms_model.uapi import WaitFlag


@breaks(
    "2.6", at=(ChainNode, "__init__"), killed_by="replay:tsignal-unordered replay:timeline-import-unordered"
)
def keeps_its_own_number(
    init: Broken, self: ChainNode, clock: Clock, prev: Fence | None, fence: Fence, point: int
) -> None:
    """A point added out of order has its own number, not the larger one before it."""
    init(self, clock, prev, fence, point)
    self.seqno = point


@breaks("2.6 H6", at=(Points, "query"), killed_by="replay:query-fences-out-of-order")
def answers_with_the_newest(_query: Broken, self: Points) -> int:
    """A query tells the newest point that signalled, whatever is pending before it."""
    return max((node.seqno for node in self._nodes if node.fence.signalled), default=0)


@breaks("2.6", at=(ChainNode, "walk"), killed_by="replay:twait-chain-needs-earlier")
def looks_back_at_nothing(_walk: Broken, self: ChainNode) -> None:
    """A point stands for its own fence only."""


@breaks("2.6", at=(Syncobj, "find"), killed_by="replay:twait-on-binary")
def finds_every_point_in_a_binary(find: Broken, self: Syncobj, point: int) -> Fence | None:
    """A binary fence is there at every point."""
    fence: Fence | None = find(self, point)
    return self.fence if fence is None and not isinstance(self.fence, ChainNode) else fence


@breaks("2.6", at=(Syncobj, "find"), killed_by="replay:eventfd-available-beyond replay:timeline-export-point")
def finds_points_beyond_the_last(find: Broken, self: Syncobj, point: int) -> Fence | None:
    """A point that nobody submitted is where the last one is."""
    fence: Fence | None = find(self, point)
    return self.fence if fence is None and isinstance(self.fence, ChainNode) else fence


@breaks("2.6", at=(Syncobj, "put"), killed_by="replay:import-sync-file-drops-timeline")
def adds_where_it_should_replace(put: Broken, self: Syncobj, clock: Clock, fence: Fence, point: int) -> None:
    """Point 0 of a timeline is one more point."""
    put(self, clock, fence, point or self.last_submitted())


@breaks("2.7", at=(WaitArray, "__init__"), killed_by="replay:wait-unsubmitted replay:wait-unsubmitted-any")
def waits_for_what_is_not_there(
    init: Broken, self: WaitArray, syncobjs: list[Syncobj], points: tuple[int, ...], flags: int
) -> None:
    """A wait without FOR_SUBMIT is one with it."""
    init(self, syncobjs, points, flags | int(WaitFlag.FOR_SUBMIT))


@breaks("2.7", at=(WaitArray, "satisfied"), killed_by="replay:wait-all-blocked-first-signaled")
def tells_the_first_of_all(satisfied: Broken, self: WaitArray) -> bool:
    """After sleeping for all of them first_signaled is 0."""
    done = bool(satisfied(self))
    self.first = 0 if done and self._flags & int(WaitFlag.ALL) else self.first
    return done


@breaks("2.7", at=(WaitArray, "_is_done"), killed_by="replay:*reset*")
def follows_replacements(is_done: Broken, self: WaitArray, entry: WaitEntry) -> bool:
    """A wait goes by what is in the syncobj now, not by the fence that was there when it began."""
    entry.disarm()
    entry.armed, entry.fence = False, entry.syncobj.find(entry.point)
    return bool(is_done(self, entry))


@breaks(
    "2.7", at=(WaitEntry, "disarm"),
    killed_by="syncobj/test_wait.py::test_a_wait_that_is_over_is_forgotten_by_its_fence",
)  # fmt: skip
def stays_with_its_fence(disarm: Broken, self: WaitEntry) -> None:
    """A wait that is over goes on listening to its fence."""
    if self.fence is None:
        disarm(self)


@breaks(
    "2.7",
    at=(EventfdEntry, "follow"),
    killed_by="syncobj/test_eventfd.py::test_it_waits_for_submission_and_then_for_the_signal",
)
def rings_when_there_is_a_fence(_follow: Broken, self: EventfdEntry, fence: Fence) -> None:
    """Every eventfd waits for AVAILABLE only."""
    self._fire(fence)


@breaks("2.2", at=(Fence, "status"), killed_by="fences/test_chain.py::test_a_chain_does_not_pass_errors_on")
def chains_pass_errors_on(status: Broken, self: Fence) -> int:
    """A point whose fence failed has failed."""
    is_failed = isinstance(self, ChainNode) and self.signalled and self.fence.error
    return self.fence.error if is_failed and isinstance(self, ChainNode) else int(status(self))


@breaks("2.1", at=(ChainNode, "on_deadline"), killed_by="replay:wait-deadline-chain")
def keeps_deadlines_to_itself(_on_deadline: Broken, self: ChainNode, deadline_ns: int) -> None:
    """A deadline hint ends at the timeline."""


@breaks("2.2", at=(merge, "_latest_per_context"), killed_by="replay:sync-file-merge-*")
def merges_all_of_a_context(_latest: Broken, fences: list[Fence]) -> list[Fence]:
    """Of one context every fence is in the merged one, not the latest."""
    return fences


@breaks("2.2", at=(merge, "_latest_per_context"), killed_by="replay:sync-file-merge-independent")
def merges_the_latest_only(latest: Broken, fences: list[Fence]) -> list[Fence]:
    """Of several contexts one is in the merged fence."""
    found: list[Fence] = latest(fences)
    return found[:1]


@breaks("2.8 K12", at=(Resv, "pending"), killed_by="replay:dmabuf-read-fence")
def makes_readers_wait_for_readers(_pending: Broken, self: Resv, usage: Usage) -> Any:
    """Whoever reads a buffer waits for its other readers."""
    return iter([fence for fence, _ in self._entries if not fence.signalled])


@breaks("2.8 K9", at=(Resv, "add"), killed_by="replay:dmabuf-same-context-downgrade")
def demotes_writers(add: Broken, self: Resv, fence: Fence, usage: Usage) -> None:
    """A later read of the same context takes the place of a write."""
    self._entries = [(old, has) for old, has in self._entries if old.context != fence.context]
    add(self, fence, usage)
