"""Which element goes on which plane, and what is left for composition.

A cursor on the cursor plane, the topmost elements on overlays, and the last one left directly on the
primary plane if it fills the screen. Arrangements are tried from best to worst; the kernel is asked with
TEST_ONLY once per arrangement, not per frame: the answer depends on sizes, formats and places, not on
which buffer it is.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from errno import EINVAL, ENOSPC, ERANGE
from itertools import islice, takewhile
from typing import Final

from syncline.compositor.core.buffer import Look, Memory, Origin
from syncline.compositor.core.composition import Image, Swapchain
from syncline.compositor.core.display import Crtc, Plane, Show
from syncline.compositor.core.extent import FIXED
from syncline.compositor.core.geometry import Rect
from syncline.compositor.core.scene import Element
from syncline.kms_model.uapi import DeviceError, DeviceFile

ABOUT_PLANES: Final = frozenset({EINVAL, ENOSPC, ERANGE})
"""What a driver says of an arrangement it cannot do. Anything else may be over by the next vblank (REL-33)."""
MAX_REMEMBERED: Final = 256
"""Arrangements whose answer is kept; then all are forgotten (windows being dragged make many)."""


@dataclass(eq=False, slots=True)
class Arrangement:
    """Planes with client content, and the elements to compose onto the primary plane (none: no composition)."""

    planes: dict[Plane, Element] = field(default_factory=dict)
    composed: list[Element] = field(default_factory=list)


class Arranger:
    """Chooses for one output and remembers what the kernel said."""

    def __init__(
        self, device: DeviceFile, memory: Memory, crtc: Crtc, swapchain: Swapchain, screen: Rect
    ) -> None:
        self._device = device
        self._memory = memory
        self._crtc = crtc
        self._swapchain = swapchain
        self._screen = screen
        self._source = Rect(0, 0, screen.width * FIXED, screen.height * FIXED)
        """All of an image of ours."""
        self._answers: dict[tuple[object, ...], bool] = {}
        self._elements: list[Element] = []
        """For which `_best` was found."""
        self._best = Arrangement()
        self._looks: list[Look] = []
        """Of their buffers, if with the same ones nothing better will ever be found; else empty."""

    def arrange(self, elements: list[Element]) -> Arrangement:
        """The best arrangement that the kernel accepts. It stays as it is while only pixels change."""
        if elements is not self._elements or not self._is_still_best():
            self._find_best(elements)
        return self._best

    def _find_best(self, elements: list[Element]) -> None:
        is_first = True
        for arrangement in self._candidates(elements):
            if not arrangement.planes or self._is_possible(arrangement):
                break
            is_first = False
        self._elements, self._best, self._looks = elements, arrangement, []
        if is_first and not arrangement.composed:
            self._looks = [element.loan.buffer.look for element in elements]

    def _is_still_best(self) -> bool:
        if not self._looks:
            return False
        for element, look in zip(self._elements, self._looks, strict=True):
            buffer = element.loan.buffer
            if buffer.look != look or not buffer.framebuffer:
                return False
        return True

    def refused(self, arrangement: Arrangement, errno: int) -> None:
        """The kernel took it in a test and not in earnest: do not believe the test again."""
        if arrangement.planes and errno in ABOUT_PLANES:
            self._answers[self._key(arrangement)] = False
            self._looks = []

    def trusts(self, arrangement: Arrangement) -> bool:
        """Nobody has refused it since the kernel said that it is possible."""
        return self._answers.get(self._key(arrangement), True)

    # -- candidates -------------------------------------------------------------------------------

    def _candidates(self, elements: list[Element]) -> Iterator[Arrangement]:
        cursor_plane = self._crtc.cursor
        top = elements[-1] if elements else None
        if cursor_plane is not None and top is not None and top.is_cursor and self._fits(top):
            yield from self._without_cursor(elements[:-1], {cursor_plane: top})
        yield from self._without_cursor(elements, {})

    def _without_cursor(self, rest: list[Element], planes: dict[Plane, Element]) -> Iterator[Arrangement]:
        overlays = self._crtc.overlays
        top = list(takewhile(self._fits, islice(reversed(rest), len(overlays))))
        split = [
            (
                {**planes, **dict(zip(overlays, reversed(top[:count]), strict=False))},
                rest[: len(rest) - count],
            )
            for count in range(len(top), -1, -1)
        ]
        for chosen, below in split:
            if len(below) == 1 and self._fills(below[0]):
                yield Arrangement({**chosen, self._crtc.primary: below[0]})
        for chosen, below in split:
            yield Arrangement(chosen, below)

    def _fits(self, element: Element) -> bool:
        """An element that any plane might show: memory of its own, upright."""
        buffer = element.loan.buffer
        has_memory = buffer.origin is Origin.DMABUF or buffer.origin is Origin.UPLOAD
        return has_memory and element.extent.transform == 0 and self._memory.framebuffer(buffer) != 0

    def _fills(self, element: Element) -> bool:
        return element.is_opaque and element.place == self._screen and self._fits(element)

    # -- asking -----------------------------------------------------------------------------------

    def _key(self, arrangement: Arrangement) -> tuple[object, ...]:
        parts: list[object] = [bool(arrangement.composed)]
        for plane, element in arrangement.planes.items():
            buffer, place = element.loan.buffer, element.place
            corner = None if element.is_cursor else (place.x, place.y)
            size = place.width, place.height
            parts.append((plane.id, corner, size, buffer.look, element.extent.source))
        return tuple(parts)

    def _is_possible(self, arrangement: Arrangement) -> bool:
        key = self._key(arrangement)
        answer = self._answers.get(key)
        if answer is None:
            if len(self._answers) >= MAX_REMEMBERED:
                self._answers.clear()
            answer = self._ask(arrangement)
            if answer is not None:
                self._answers[key] = answer
        return bool(answer)

    def _ask(self, arrangement: Arrangement) -> bool | None:
        """None: the machine had other trouble, so ask again. Compositions look alike, whichever image they are in."""
        try:
            self._device.call(self._crtc.test(self.shows(arrangement, self._swapchain.images[0])))
        except DeviceError as refusal:
            return False if refusal.errno in ABOUT_PLANES else None
        return True

    # -- showing ----------------------------------------------------------------------------------

    def shows(self, arrangement: Arrangement, image: Image | None) -> dict[Plane, Show | None]:
        """Every plane of the CRTC with what it shows in this arrangement. None: no composition is in it."""
        shows: dict[Plane, Show | None] = dict.fromkeys(self._crtc.planes)
        if image is not None:
            shows[self._crtc.primary] = self.show_of(image)
        for plane, element in arrangement.planes.items():
            framebuffer = self._memory.framebuffer(element.loan.buffer)
            shows[plane] = Show(framebuffer, element.extent.source, element.place)
        return shows

    def show_of(self, image: Image) -> Show:
        """That composition on the primary plane."""
        return Show(self._memory.framebuffer(image.buffer), self._source, self._screen)
