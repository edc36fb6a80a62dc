"""What changed on an output between two compositions."""

from collections.abc import Iterator

from syncline.compositor.core.extent import Extent
from syncline.compositor.core.geometry import Rect, Region
from syncline.compositor.core.scene import Element
from syncline.compositor.core.state import PendingState
from syncline.compositor.core.surface import Surface


class Damage:
    """Compares what is to be composed with what was composed last; remembers content damage in between."""

    def __init__(self, screen: Rect) -> None:
        self._screen = screen
        self._last: dict[Surface, Element] | None = None
        self._elements: list[Element] = []
        """The same in their order."""
        self._content: dict[Surface, Region] = {}

    def add(self, surface: Surface) -> None:
        """It has new content. Where that is, is of no interest unless the surface was composed last."""
        if self._last is not None and surface in self._last:
            region = self._content.setdefault(surface, Region())
            region.add_all(_damaged_by(surface.current, surface.extent))
            region.simplify()

    def forget(self) -> None:
        """The last composition never came to the screen: everything is damaged."""
        self._last = None

    def since_last(self, elements: list[Element]) -> Region:
        """Output pixels that differ."""
        if self._last is None:
            return Region((self._screen,))
        damage = Region()
        if not self._content and elements == self._elements:
            return damage
        gone = dict(self._last)
        stayed: list[Surface] = []
        for element in elements:
            before = gone.pop(element.surface, None)
            if before is None:
                damage.add(element.place)
            elif _looks_moved(before, element):
                damage.add_all((before.place, element.place))
            else:
                stayed.append(element.surface)
                rects = self._content.get(element.surface, ())
                damage.add_all(rect.moved(dx=element.place.x, dy=element.place.y) for rect in rects)
        damage.add_all(element.place for element in gone.values())
        if stayed != [surface for surface in self._last if surface in set(stayed)]:
            damage.add_all(element.place for element in elements)  # restacked
        return damage.clipped(self._screen)

    def composed(self, elements: list[Element]) -> None:
        """They are painted now."""
        self._last = {element.surface: element for element in elements}
        self._elements = elements
        self._content.clear()


def _damaged_by(state: PendingState, extent: Extent | None) -> Iterator[Rect]:
    """All damage of the update in surface coordinates, clipped to the surface (C16)."""
    if extent is not None:
        whole = Rect(0, 0, extent.width, extent.height)
        for rect in state.surface_damage:
            yield rect.intersect(whole)
        for rect in state.buffer_damage:
            yield extent.surface_rect(rect)


def _looks_moved(before: Element, after: Element) -> bool:
    return (
        before.place != after.place
        or before.extent.source != after.extent.source
        or before.extent.transform != after.extent.transform
        or before.is_opaque != after.is_opaque
    )
