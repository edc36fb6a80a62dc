"""Sub-surfaces that do not change with their parents, or not without them."""

from typing import Any

from mutants.mutant import Broken, breaks
from syncline.compositor.core import commits
from syncline.compositor.core.commits import Commits
from syncline.compositor.core.constraint import ConstraintState
from syncline.compositor.core.errors import Violation
from syncline.compositor.core.subsurface import Subsurfaces
from syncline.compositor.core.surface import ContentUpdate, Surface
from syncline.compositor.core.update import reachable


@breaks("U1", at=(Subsurfaces, "make"), killed_by="SUB-01")
def begins_desynchronized(make: Broken, self: Subsurfaces, surface: Surface, parent: Surface) -> None:
    """A new sub-surface is desynchronized."""
    make(self, surface, parent)
    surface.is_synchronized = False


@breaks("U2", at=(Surface, "is_effectively_synchronized"), killed_by="SUB-07")
def goes_by_its_own_mode(_is_synchronized: Broken, self: Surface) -> bool:
    """A desynchronized child of a synchronized parent is applied alone."""
    return self.parent is not None and self.is_synchronized


@breaks("C2", at=(commits, "enqueue"), killed_by="SUB-01")
def applies_every_commit_at_once(enqueue: Broken, new: ContentUpdate) -> None:
    """No update is synchronized."""
    new.synchronized = False
    enqueue(new)


@breaks("C3 C5", at=(commits, "enqueue"), killed_by="SUB-02 SUB-07 SUB-12")
def leaves_children_behind(enqueue: Broken, new: ContentUpdate) -> None:
    """A parent's update does not need those of its children."""
    enqueue(new)
    for needed in list(new.needs):
        if needed.surface is not new.surface:
            new.needs.remove(needed)
            needed.needed_by = None


@breaks("C3", at=(commits, "enqueue"), killed_by="SUB-03")
def waits_for_every_child(enqueue: Broken, new: ContentUpdate) -> None:
    """A parent's update needs those of desynchronized children, too."""
    enqueue(new)
    for child in new.surface.children.values():
        if child.queue and child.queue[-1] not in new.needs:
            new.needs.append(child.queue[-1])


@breaks("C4", at=(commits, "next_ready"), killed_by="SUB-06")
def lets_cached_updates_start(next_ready: Broken, root: Surface) -> Any:
    """A synchronized update is applied as soon as it is ready."""
    for surface in root.tree():
        if surface.queue:
            surface.queue[0].synchronized = False
    return next_ready(root)


@breaks("C5", at=(commits, "next_ready"), killed_by="SUB-02 SUB-07 SUB-11")
def applies_what_is_ready(next_ready: Broken, root: Surface) -> Any:
    """Of updates that belong together those that are ready go first."""
    graph = next_ready(root)
    if graph is not None or not root.queue:
        return graph
    first = root.queue[0]
    if any(each.state is ConstraintState.PENDING for each in first.constraints):
        return None
    waiting = [each for each in reachable(first) if each is not first]
    return [first] if all(each.surface is not root for each in waiting) else None


@breaks("C6", at=(commits, "set_free"), killed_by="SUB-06")
def keeps_cached_updates(_set_free: Broken, surface: Surface, *, tree: Surface) -> None:
    """What was cached stays cached when a sub-surface leaves synchronized mode."""


@breaks("S94", at=(commits, "holders"), killed_by="SUB-09")
def forgets_former_parents(_holders: Broken, root: Surface) -> set[Surface]:
    """A parent that waits for a child which is its child no longer is not looked at again."""
    return set()


@breaks("U4", at=(Subsurfaces, "destroy"), killed_by="SUB-14")
def removes_with_the_next_commit(destroy: Broken, self: Subsurfaces, surface: Surface, now_ns: int) -> None:
    """A destroyed sub-surface stays one until its surface goes."""
    if surface.queue or not surface.alive:
        return
    destroy(self, surface, now_ns)


@breaks("U3", at=(Subsurfaces, "set_position"), killed_by="SUB-11")
def moves_at_once(set_position: Broken, self: Subsurfaces, surface: Surface, *, x: int, y: int) -> None:
    """A new position does not wait for the parent's commit."""
    set_position(self, surface, x=x, y=y)
    if surface.parent is not None:
        surface.parent.current.stack = surface.parent.pending.stack
        self._layout.changed()
        self._layout.settle(surface.parent.shown_since_ns)


@breaks("U8", at=(Subsurfaces, "place"), killed_by="SUB-13")
def stacks_by_strangers(
    place: Broken, self: Subsurfaces, surface: Surface, sibling: Surface, **where: Any
) -> None:
    """A stranger as a sibling is taken, and nothing is done."""
    try:
        place(self, surface, sibling, **where)
    except Violation:
        return


@breaks("C17", at=(Commits, "_apply"), killed_by="SUB-12")
def loses_callbacks_of_merged_updates(
    apply: Broken, self: Commits, update: ContentUpdate, now_ns: int
) -> None:
    """Of updates applied together only the last one's frame callback comes."""
    if any(other.ready_ns == now_ns for other in update.surface.fresh):
        update.surface.frame_callbacks.clear()
        self._stage.feedback._overdue_ns.pop(update.surface, None)
    apply(self, update, now_ns)
