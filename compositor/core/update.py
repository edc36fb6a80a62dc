"""The queue of content updates and its dependency graph (Wayland 1.26, wl_surface; C1-C6).

Every commit appends one update to its surface's queue. It needs the one before it, and the newest
synchronized update of each direct child unless that is already needed by another (C3). A desynchronized
update with no synchronized one ahead of it is a candidate (C4); a candidate is applied together with all
it can reach, at once or not at all (C5).
"""

from collections.abc import Iterator
from typing import Final

from syncline.compositor.core.constraint import Constraint, ConstraintState, FifoBarrier
from syncline.compositor.core.surface import ContentUpdate, Surface

MAX_QUEUED_UPDATES: Final = 256
"""Per surface. Swapchains have three or four images; the rest is room for bufferless commits behind a slow one."""


def enqueue(update: ContentUpdate) -> None:
    """Append the update to its surface's queue and draw its edges (C3)."""
    surface = update.surface
    if surface.queue:
        update.needs.append(surface.queue[-1])
    for child in surface.children.values():
        newest = next((old for old in reversed(child.queue) if old.synchronized), None)
        if newest is not None and newest.needed_by is None:
            newest.needed_by = update
            update.needs.append(newest)
    surface.queue.append(update)


def reachable(candidate: ContentUpdate) -> list[ContentUpdate]:
    """The candidate's graph in an order of application: whatever is needed comes first, the candidate last."""
    if not candidate.needs:
        return [candidate]
    order: dict[ContentUpdate, None] = {}
    stack = [(candidate, iter(candidate.needs))]
    while stack:
        update, rest = stack[-1]
        needed = next((need for need in rest if not need.applied and need not in order), None)
        if needed is None:
            stack.pop()
            order[update] = None
        else:
            stack.append((needed, iter(needed.needs)))
    return list(order)


def is_constrained(graph: list[ContentUpdate]) -> bool:
    for update in graph:
        for constraint in update.constraints:
            if _holds(constraint, update):
                return True
    return False


def _holds(constraint: Constraint, update: ContentUpdate) -> bool:
    if isinstance(constraint, FifoBarrier) and update.synchronized:
        return False  # F7
    return constraint.state is ConstraintState.PENDING


def is_held_only_by(update: ContentUpdate, ahead: ContentUpdate) -> bool:
    """Nothing but `ahead`, the one before it in its queue, keeps the update from being applied."""
    graph = [each for each in reachable(update) if each is not ahead]
    return not update.synchronized and not is_constrained(graph)


def next_ready(root: Surface) -> list[ContentUpdate] | None:
    """The first applicable graph in this tree of surfaces, or None."""
    for surface in root.tree():
        if surface.queue and not surface.queue[0].synchronized:
            graph = reachable(surface.queue[0])
            if not is_constrained(graph):
                return graph
    return None


def holders(root: Surface) -> set[Surface]:
    """Roots of other trees with updates that need some of this one: it was a branch of theirs once."""
    found: set[Surface] = set()
    for surface in root.tree():
        for update in surface.queue:
            if update.synchronized and update.needed_by is not None:
                found.add(update.needed_by.surface.root)
    found.discard(root)
    return found


def forget(update: ContentUpdate) -> None:
    """It was applied: nobody has to wait for it any more. It must be the oldest of its queue."""
    assert update.surface.queue[0] is update, "updates of a surface are applied in commit order (S60)"
    update.surface.queue.popleft()
    update.applied = True
    update.needs.clear()


def drop_edge(update: ContentUpdate, *, from_tree: Surface) -> None:
    """No update of another surface needs `update` any longer."""
    for surface in from_tree.tree():
        for other in surface.queue:
            if surface is not update.surface and update in other.needs:
                other.needs.remove(update)
    update.needed_by = None


def set_free(surface: Surface, *, tree: Surface) -> None:
    """C6: it is effectively desynchronized now; what no desynchronized update reaches becomes one itself.

    `tree` is the root of everything that may hold edges to it.
    """
    reached = set(_reached_by_desynchronized(tree)) | set(_reached_by_desynchronized(surface))
    for update in surface.queue:
        if update.synchronized and update not in reached:
            update.synchronized = False
            drop_edge(update, from_tree=tree)


def _reached_by_desynchronized(tree: Surface) -> Iterator[ContentUpdate]:
    for surface in tree.tree():
        for update in surface.queue:
            if not update.synchronized:
                yield from reachable(update)
