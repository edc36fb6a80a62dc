"""Unwrapping containers into leaves, and merging leaves into one fence (dma-fence-unwrap.c; kernel.md 2.2)."""

from collections.abc import Iterable, Iterator
from functools import cmp_to_key

from syncline.kms_model.fences.array import FenceArray
from syncline.kms_model.fences.chain import ChainNode, contained, nodes
from syncline.kms_model.fences.fence import Clock, Fence, Stub


def unwrap(fence: Fence) -> Iterator[Fence]:
    """The leaves: chain nodes newest to oldest, each array expanded."""
    for node in nodes(fence):
        inner = contained(node)
        if isinstance(inner, FenceArray):
            yield from inner.members
        else:
            yield inner


def leaves(fence: Fence) -> Iterator[Fence]:
    """Like `unwrap`, and through chains that were put into chains (H1)."""
    for inner in unwrap(fence):
        if isinstance(inner, ChainNode | FenceArray):
            yield from leaves(inner)
        else:
            yield inner


def flatten(clock: Clock, fence: Fence) -> Fence:
    """One fence for all of the leaves of `fence`, however deep."""
    return merge(clock, leaves(fence))


def merge(clock: Clock, fences: Iterable[Fence]) -> Fence:
    """One fence for all of `fences`. Signalled leaves vanish, and with them their errors.

    Nothing pending: a stub with the newest timestamp. One leaf left: that fence itself. Else an array
    of the latest of each context, in a context of its own.
    """
    newest_ns = 0
    pending: list[Fence] = []
    for fence in fences:
        for leaf in unwrap(fence):
            if leaf.signalled:
                newest_ns = max(newest_ns, leaf.timestamp_ns)
            else:
                pending.append(leaf)
    if not pending:
        return Stub(newest_ns)
    if len(pending) == 1:
        return pending[0]
    latest = _latest_per_context(pending)
    return latest[0] if len(latest) == 1 else FenceArray(clock, latest, clock.new_context())


def _latest_per_context(fences: list[Fence]) -> list[Fence]:
    fences.sort(key=cmp_to_key(_by_context_latest_first))
    return [fence for at, fence in enumerate(fences) if at == 0 or fences[at - 1].context != fence.context]


def _by_context_latest_first(one: Fence, two: Fence) -> int:
    if one.context != two.context:
        return -1 if one.context < two.context else 1
    if one is two:
        return 0
    return -1 if one.is_later(two) else 1
