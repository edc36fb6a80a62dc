"""From buffer pixels to surface coordinates and back: scale, transform, viewport.

A surface shows `source`, a part of its (transformed) buffer in 24.8 fixed point pixels, stretched over
`width` x `height` surface units.
"""

from dataclasses import dataclass
from typing import Final

from syncline.compositor.core.buffer import Buffer
from syncline.compositor.core.errors import Violation
from syncline.compositor.core.geometry import Rect
from syncline.compositor.core.state import PendingState
from syncline.protocol.enums import WlSurface, WpViewport

FIXED: Final = 256


@dataclass(frozen=True, slots=True)
class Extent:
    """How big a surface is and which part of its buffer it shows."""

    source: Rect
    width: int
    height: int
    transform: int
    buffer_width: int
    buffer_height: int

    @property
    def is_plain(self) -> bool:
        """One buffer pixel is one surface unit, all of it, upright: what any plane can show."""
        whole = Rect(0, 0, self.width * FIXED, self.height * FIXED)
        same_size = (self.width, self.height) == (self.buffer_width, self.buffer_height)
        return self.transform == 0 and same_size and self.source == whole

    def surface_rect(self, pixels: Rect) -> Rect:
        """Buffer damage in surface units, rounded outwards, clipped to the surface (C16)."""
        turned = _turn(pixels, self.transform, width=self.buffer_width, height=self.buffer_height)
        left = _scale_down(turned.x * FIXED - self.source.x, self.width, self.source.width)
        top = _scale_down(turned.y * FIXED - self.source.y, self.height, self.source.height)
        right = _scale_up(turned.right * FIXED - self.source.x, self.width, self.source.width)
        bottom = _scale_up(turned.bottom * FIXED - self.source.y, self.height, self.source.height)
        return Rect(left, top, right - left, bottom - top).intersect(Rect(0, 0, self.width, self.height))


def _scale_down(value: int, to: int, of: int) -> int:
    return value * to // of


def _scale_up(value: int, to: int, of: int) -> int:
    return -(-value * to // of)


def turned_size(buffer: Buffer, transform: int) -> tuple[int, int]:
    """Odd transforms (90, 270, flipped or not) swap the sides."""
    return (buffer.height, buffer.width) if transform & 1 else (buffer.width, buffer.height)


def _turn(rect: Rect, transform: int, *, width: int, height: int) -> Rect:
    """A rectangle of the buffer, after wl_output.transform `transform` has been undone."""
    x, y, w, h = rect
    across = height if transform & 1 else width
    quarter_turns = transform & 3  # counter-clockwise, to be turned back
    if quarter_turns == 1:
        x, y, w, h = height - y - h, x, h, w
    elif quarter_turns == 2:
        x, y = width - x - w, height - y - h
    elif quarter_turns == 3:
        x, y, w, h = y, width - x - w, h, w
    if transform & 4:  # it was mirrored before it was turned
        x = across - x - w
    return Rect(x, y, w, h)


def check_size(state: PendingState, buffer: Buffer) -> None:
    """Raises WlSurface.Error.INVALID_SIZE: the buffer does not divide by the scale (C20)."""
    if buffer.width % state.scale or buffer.height % state.scale:
        raise Violation(
            WlSurface.Error.INVALID_SIZE,
            f"a {buffer.width}x{buffer.height} buffer does not divide by scale {state.scale}",
        )


def check_viewport(state: PendingState, buffer: Buffer) -> None:
    """Raises WpViewport.Error: BAD_SIZE, OUT_OF_BUFFER; judged when the update is applied (V2, V3)."""
    source = state.viewport_source
    if source is None:
        return
    x, y, width, height = source
    if state.viewport_destination is None and (width % FIXED or height % FIXED):
        raise Violation(WpViewport.Error.BAD_SIZE, "a source size in fractions needs a destination")
    across, down = turned_size(buffer, state.transform)
    if (x + width) * state.scale > across * FIXED or (y + height) * state.scale > down * FIXED:
        raise Violation(WpViewport.Error.OUT_OF_BUFFER, "the viewport's source leaves the buffer")


def extent_of(state: PendingState, buffer: Buffer) -> Extent:
    """Size and source of a surface with this state and content."""
    across, down = turned_size(buffer, state.transform)
    source = Rect(0, 0, across * FIXED, down * FIXED)
    width, height = across // state.scale, down // state.scale
    if state.viewport_source is not None:
        source = Rect(*(value * state.scale for value in state.viewport_source))
        width, height = state.viewport_source[2] // FIXED, state.viewport_source[3] // FIXED
    if state.viewport_destination is not None:
        width, height = state.viewport_destination
    return Extent(source, width, height, state.transform, buffer.width, buffer.height)
