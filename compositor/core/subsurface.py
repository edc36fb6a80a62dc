"""wl_subcompositor and wl_subsurface: trees of surfaces (protocol.md 2.1, U1-U8)."""

from dataclasses import replace

from syncline.compositor.core.commits import Commits
from syncline.compositor.core.errors import Violation
from syncline.compositor.core.layout import Layout
from syncline.compositor.core.state import Place
from syncline.compositor.core.surface import RoleKind, Surface
from syncline.protocol.enums import WlSubcompositor, WlSubsurface


class Subsurfaces:
    """Reached as `Compositor.subsurfaces`; raises Violation."""

    def __init__(self, commits: Commits, layout: Layout) -> None:
        self._commits = commits
        self._layout = layout

    def make(self, surface: Surface, parent: Surface) -> None:
        """get_subsurface: WlSubcompositor.Error.BAD_SURFACE, BAD_PARENT. Starts synchronized (U1)."""
        if surface.role not in {None, RoleKind.SUBSURFACE} or surface.parent is not None:
            raise Violation(WlSubcompositor.Error.BAD_SURFACE, "the surface has a role already")
        if parent in surface.tree():
            raise Violation(WlSubcompositor.Error.BAD_PARENT, "a surface cannot be its own ancestor")
        surface.role = RoleKind.SUBSURFACE
        surface.parent = parent
        surface.is_synchronized = True
        parent.children[surface.number] = surface
        parent.pending.stack = (*parent.pending.stack, Place(surface.number))

    def destroy(self, surface: Surface, now_ns: int) -> None:
        """wl_subsurface.destroy: unmapped at once (U4); harmless when the parent is already gone."""
        parent = surface.parent
        if parent is None:
            return
        tree = surface.root
        del parent.children[surface.number]
        parent.pending.stack = tuple(place for place in parent.pending.stack if place.child != surface.number)
        surface.parent = None
        self._layout.changed()
        self._commits.desynchronized(surface, tree, now_ns)

    def orphan(self, parent: Surface, now_ns: int) -> None:
        """The parent goes: its children are unmapped (U6)."""
        for child in list(parent.children.values()):
            self.destroy(child, now_ns)

    def set_position(self, surface: Surface, *, x: int, y: int) -> None:
        """Pending state of the parent (U3)."""
        parent = surface.parent
        if parent is not None:
            parent.pending.stack = tuple(
                replace(place, x=x, y=y) if place.child == surface.number else place
                for place in parent.pending.stack
            )

    def place(self, surface: Surface, sibling: Surface, *, above: bool) -> None:
        """place_above, place_below: WlSubsurface.Error.BAD_SURFACE unless a sibling or the parent (U8)."""
        parent = surface.parent
        if parent is None:
            return
        if surface is sibling or (sibling is not parent and sibling.parent is not parent):
            raise Violation(WlSubsurface.Error.BAD_SURFACE, "neither a sibling nor the parent")
        number = 0 if sibling is parent else sibling.number
        mine = next(place for place in parent.pending.stack if place.child == surface.number)
        stack = [place for place in parent.pending.stack if place is not mine]
        at = next(index for index, place in enumerate(stack) if place.child == number)
        stack.insert(at + above, mine)
        parent.pending.stack = tuple(stack)

    def set_synchronized(self, surface: Surface, *, synchronized: bool, now_ns: int) -> None:
        """set_sync, set_desync; becoming desynchronized may set cached updates free (C6)."""
        surface.is_synchronized = synchronized
        if not synchronized:
            self._commits.desynchronized(surface, surface.root, now_ns)
