"""Who is where: windows in stacking order, popups, the cursor; and what of them an output shows."""

from collections.abc import Iterator
from dataclasses import dataclass, field

from syncline.compositor.core.extent import Extent
from syncline.compositor.core.geometry import Rect, Region
from syncline.compositor.core.loan import Loan
from syncline.compositor.core.output import Output
from syncline.compositor.core.shell import Toplevel, XdgSurface
from syncline.compositor.core.surface import Surface


@dataclass(frozen=True, slots=True)
class Element:
    """One surface's content on one output, bottom to top in a list. Places are output pixels.

    Good until the layout changes; what content that is may change before.
    """

    surface: Surface
    extent: Extent
    place: Rect
    is_opaque: bool
    visible: Region
    is_cursor: bool = False
    ahead: Loan | None = None
    """What it is to show before its surface does."""

    @property
    def loan(self) -> Loan:
        """What the surface shows now."""
        content = self.ahead or self.surface.content
        assert content is not None, "a surface without content is in no layout"
        return content


@dataclass(eq=False, slots=True)
class Cursor:
    """The pointer and its image."""

    x: int = 0
    y: int = 0
    surface: Surface | None = None
    hotspot: tuple[int, int] = (0, 0)

    @property
    def place(self) -> tuple[int, int]:
        return self.x - self.hotspot[0], self.y - self.hotspot[1]


@dataclass(eq=False, slots=True)
class Scene:
    """`windows` is in stacking order, bottom first; only mapped ones are in it."""

    windows: list[Toplevel] = field(default_factory=list)
    cursor: Cursor = field(default_factory=Cursor)

    # -- walking ----------------------------------------------------------------------------------

    def placed(self) -> Iterator[tuple[Surface, int, int]]:
        """Every shown surface with the global place of its corner, bottom to top, without the cursor."""
        for window in self.windows:
            if not window.is_minimized:
                geometry = window.xdg.geometry
                yield from self._xdg_tree(window.xdg, window.x - geometry.x, window.y - geometry.y)

    def _xdg_tree(self, xdg: XdgSurface, x: int, y: int) -> Iterator[tuple[Surface, int, int]]:
        yield from tree_of(xdg.surface, x, y)
        geometry = xdg.geometry
        for popup in xdg.popups:
            if popup.is_mapped:
                own = popup.xdg.geometry
                across, down = x + geometry.x + popup.rect.x, y + geometry.y + popup.rect.y
                yield from self._xdg_tree(popup.xdg, across - own.x, down - own.y)

    def cursor_tree(self) -> Iterator[tuple[Surface, int, int]]:
        if self.cursor.surface is not None:
            yield from tree_of(self.cursor.surface, *self.cursor.place)

    def surface_at(self, x: int, y: int) -> tuple[Surface, int, int] | None:
        """The topmost surface taking input at a global pixel, and that pixel in its coordinates."""
        for surface, left, top in reversed(list(self.placed())):
            across, down = x - left, y - top
            region = surface.current.input_region
            inside = Rect(0, 0, surface.width, surface.height).contains(x=across, y=down)
            if inside and (region is None or any(r.contains(x=across, y=down) for r in region)):
                return surface, across, down
        return None

    def window_of(self, surface: Surface) -> Toplevel | None:
        """The mapped toplevel whose tree, popups included, the surface is in."""
        for window in self.windows:
            if any(member is surface for member, _, _ in self._xdg_tree(window.xdg, 0, 0)):
                return window
        return None

    # -- one output -------------------------------------------------------------------------------

    def elements(self, output: Output, *, with_cursor: bool = True) -> list[Element]:
        """What the output shows, bottom to top, without what is hidden behind something opaque."""
        screen = Rect(0, 0, output.rect.width, output.rect.height)
        shown = [(found, False) for found in self.placed()]
        if with_cursor:
            shown += [(found, True) for found in self.cursor_tree()]
        covered = Region()
        elements: list[Element] = []
        for (surface, x, y), is_cursor in reversed(shown):
            element = _element(surface, x - output.rect.x, y - output.rect.y, screen, covered, is_cursor)
            if element is not None:
                elements.append(element)
                _cover(covered, element, screen)
        elements.reverse()
        return elements

    def overlaps(self, outputs: list[Output]) -> dict[Surface, list[Output]]:
        """Every placed surface with the outputs it is on, the one with most of it first."""
        found: dict[Surface, list[Output]] = {}
        for surface, x, y in [*self.placed(), *self.cursor_tree()]:
            rect = Rect(x, y, surface.width, surface.height)
            areas = [(rect.intersect(output.rect).area, output) for output in outputs]
            areas.sort(key=lambda pair: -pair[0])  # stable: ties go to the first output
            found[surface] = [output for area, output in areas if area > 0]
        return found

    def check_invariants(self) -> None:
        assert all(window.is_mapped and window.alive for window in self.windows)
        assert len(set(self.windows)) == len(self.windows)


def tree_of(surface: Surface, x: int, y: int) -> Iterator[tuple[Surface, int, int]]:
    """A surface and its sub-surfaces in stacking order; nothing if it has no content (U5)."""
    if surface.content is None:
        return
    for place in surface.current.stack:
        if place.child == 0:
            yield surface, x, y
        elif (child := surface.children.get(place.child)) is not None:
            yield from tree_of(child, x + place.x, y + place.y)


def _element(
    surface: Surface, x: int, y: int, screen: Rect, covered: Region, is_cursor: bool  # noqa: FBT001  internal
) -> Element | None:  # fmt: skip
    loan, extent = surface.content, surface.extent
    assert loan is not None
    assert extent is not None
    place = Rect(x, y, extent.width, extent.height)
    visible = Region((place.intersect(screen),))
    visible.subtract_all(covered)
    if not visible or loan.buffer.is_clear:
        return None
    return Element(surface, extent, place, loan.buffer.is_opaque, visible, is_cursor)


def _cover(covered: Region, element: Element, screen: Rect) -> None:
    if element.is_opaque:
        covered.add(element.place.intersect(screen))
        return
    whole = Rect(0, 0, element.extent.width, element.extent.height)
    for rect in element.surface.current.opaque_region:
        inside = rect.intersect(whole).moved(dx=element.place.x, dy=element.place.y)
        covered.add(inside.intersect(screen))
