"""Screens, and pictures of them, that are not painted where something changed."""

from typing import Any

from mutants.mutant import Broken, breaks
from syncline.compositor.core import damage
from syncline.compositor.core.composition import Swapchain
from syncline.compositor.core.damage import Damage
from syncline.compositor.core.extent import Extent
from syncline.compositor.core.geometry import Rect, Region
from syncline.compositor.core.scene import Element
from syncline.compositor.core.surface import Surface
from syncline.compositor.wayland.capture import Frame


@breaks("C16", at=(Damage, "add"), killed_by="COR-13")
def forgets_damage(_add: Broken, self: Damage, surface: Surface) -> None:
    """What changed inside of a window is not painted."""


@breaks("C16", at=(Damage, "add"), killed_by="COR-13")
def keeps_the_newest_damage(add: Broken, self: Damage, surface: Surface) -> None:
    """Of two commits in one refresh only the second one's damage is painted."""
    self._content.pop(surface, None)
    add(self, surface)


@breaks("C16", at=(Swapchain, "_missing"), killed_by="COR-13")
def forgets_how_old_an_image_is(
    missing: Broken, self: Swapchain, image: Any, damages: Any, count: int
) -> Any:
    """Of an image that was painted three frames ago only the last one's damage is painted."""
    return damages[-1].copy() if image.painted else missing(self, image, damages, count)


@breaks("C16", at=(Extent, "surface_rect"), killed_by="COR-13")
def takes_buffers_for_upright(surface_rect: Broken, self: Extent, pixels: Rect) -> Rect:
    """Damage of a turned buffer is not turned."""
    return pixels.intersect(Rect(0, 0, self.width, self.height))


@breaks("C10 U4", at=(Damage, "since_last"), killed_by="COR-14")
def leaves_what_has_gone(since_last: Broken, self: Damage, elements: list[Element]) -> Region:
    """Where something was that has gone, nothing is painted."""
    if self._last is not None:
        there = {element.surface for element in elements}
        self._last = {surface: each for surface, each in self._last.items() if surface in there}
    damaged: Region = since_last(self, elements)
    return damaged


@breaks("U3", at=(damage, "_looks_moved"), killed_by="COR-14")
def misses_moves(_looks_moved: Broken, before: Element, after: Element) -> bool:
    """What has moved is painted neither where it was nor where it is."""
    return False


@breaks("U3", at=(Damage, "since_last"), killed_by="COR-14")
def misses_a_new_order(since_last: Broken, self: Damage, elements: list[Element]) -> Region:
    """What changes places with something above it is not painted."""
    order = list(self._last or ())
    known = {element.surface: at for at, element in enumerate(elements)}
    stayed = sorted((each for each in order if each in known), key=lambda each: known[each])
    if self._last is not None:
        gone = {each: self._last[each] for each in order if each not in known}
        self._last = {each: self._last[each] for each in stayed} | gone
    damaged: Region = since_last(self, elements)
    return damaged


def _remember(damage_buffer: Broken, self: Frame, *rect: int) -> None:
    vars(self)["is_asked"] = True
    damage_buffer(self, *rect)


@breaks("CAP1", at=(Frame, "_copy_out"), killed_by="COR-15", also=((Frame, "damage_buffer", _remember),))
def copies_what_it_is_asked_for(copy_out: Broken, self: Frame) -> None:
    """A capture brings what its client says is missing, and nothing else."""
    if "is_asked" in vars(self):
        copy_out(self)


@breaks("CAP1", at=(Frame, "_describe"), killed_by="COR-15")
def says_that_nothing_changed(describe: Broken, self: Frame, _damage: Any, **when: int) -> None:
    """Of a capture only one pixel is said to be new."""
    describe(self, (Rect(0, 0, 1, 1),), **when)
