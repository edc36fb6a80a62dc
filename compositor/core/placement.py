"""Where windows go: a grid that grows with their number, popups beside their anchors."""

from math import ceil, isqrt

from syncline.compositor.core.geometry import Rect
from syncline.compositor.core.output import Output
from syncline.compositor.core.shell import Positioner, Toplevel, WindowState
from syncline.protocol.enums import XdgPositioner

CASCADE = 24
"""Pixels between the corners of windows too large for their cell, so that none is hidden behind another."""
Adjust = XdgPositioner.ConstraintAdjustment


def choose_output(outputs: list[Output], windows: list[Toplevel]) -> Output | None:
    """The output with the fewest windows; the first of equals."""
    counts = {output.number: 0 for output in outputs}
    for window in windows:
        if window.output in counts:
            counts[window.output] += 1
    return min(outputs, key=lambda output: counts[output.number], default=None)


def place_windows(output: Output, windows: list[Toplevel]) -> None:
    """Centre each in a cell of a grid as square as the output allows; full ones fill the output."""
    area = output.rect
    free = []
    for window in windows:
        if window.state is not WindowState.NORMAL:
            window.x, window.y = _centred(window, area)
        elif not window.is_moved:
            free.append(window)
    columns = isqrt(max(len(free) - 1, 0)) + 1
    rows = ceil(len(free) / columns)
    for number, window in enumerate(free):
        row, column = divmod(number, columns)
        in_row = min(columns, len(free) - row * columns)
        cell = Rect(
            area.x + column * area.width // in_row, area.y + row * area.height // rows,
            area.width // in_row, area.height // rows,
        )  # fmt: skip
        geometry = window.xdg.geometry
        window.x, window.y = _centred(window, cell)
        if geometry.width > cell.width or geometry.height > cell.height:
            window.x = max(area.x, min(cell.x + CASCADE * row, area.right - geometry.width))
            window.y = max(area.y, min(cell.y + CASCADE * column, area.bottom - geometry.height))


def _centred(window: Toplevel, area: Rect) -> tuple[int, int]:
    geometry = window.xdg.geometry
    return area.x + (area.width - geometry.width) // 2, area.y + (area.height - geometry.height) // 2


# -- popups ----------------------------------------------------------------------------------------

_LEFT = frozenset(
    {XdgPositioner.Anchor.LEFT, XdgPositioner.Anchor.TOP_LEFT, XdgPositioner.Anchor.BOTTOM_LEFT}
)
_RIGHT = frozenset(
    {XdgPositioner.Anchor.RIGHT, XdgPositioner.Anchor.TOP_RIGHT, XdgPositioner.Anchor.BOTTOM_RIGHT}
)
_TOP = frozenset({XdgPositioner.Anchor.TOP, XdgPositioner.Anchor.TOP_LEFT, XdgPositioner.Anchor.TOP_RIGHT})
_BOTTOM = frozenset(
    {XdgPositioner.Anchor.BOTTOM, XdgPositioner.Anchor.BOTTOM_LEFT, XdgPositioner.Anchor.BOTTOM_RIGHT}
)


def _side(edges: int, near: frozenset[XdgPositioner.Anchor], far: frozenset[XdgPositioner.Anchor]) -> int:
    """-1, 0, 1 along one axis. Anchor and gravity number their edges alike."""
    edge = XdgPositioner.Anchor(edges)
    return -1 if edge in near else 1 if edge in far else 0


def _along(
    start: int, length: int, size: int, *, anchor: int, gravity: int, offset: int
) -> int:  # fmt: skip
    """Where the popup begins along one axis."""
    at = start + (length * (anchor + 1)) // 2 + offset
    return at - size * (1 - gravity) // 2


def _fit(
    positioner_axis: tuple[int, int, int], bounds: tuple[int, int], *,
    anchor: int, gravity: int, offset: int, flips: bool, slides: bool,
) -> int:  # fmt: skip
    start, length, size = positioner_axis
    low, high = bounds
    at = _along(start, length, size, anchor=anchor, gravity=gravity, offset=offset)
    if flips and not (low <= at and at + size <= high):
        flipped = _along(start, length, size, anchor=-anchor, gravity=-gravity, offset=-offset)
        if low <= flipped and flipped + size <= high:
            return flipped
    if slides:
        at = max(low, min(at, high - size))
    return at


def place_popup(positioner: Positioner, bounds: Rect) -> Rect:
    """Relative to the parent's window geometry; `bounds` is the output in the same coordinates."""
    anchor, gravity, adjust = positioner.anchor, positioner.gravity, Adjust(positioner.adjustment)
    rect = positioner.anchor_rect
    x = _fit(
        (rect.x, rect.width, positioner.width), (bounds.x, bounds.right),
        anchor=_side(anchor, _LEFT, _RIGHT), gravity=_side(gravity, _LEFT, _RIGHT),
        offset=positioner.offset[0], flips=bool(adjust & Adjust.FLIP_X), slides=bool(adjust & Adjust.SLIDE_X),
    )  # fmt: skip
    y = _fit(
        (rect.y, rect.height, positioner.height), (bounds.y, bounds.bottom),
        anchor=_side(anchor, _TOP, _BOTTOM), gravity=_side(gravity, _TOP, _BOTTOM),
        offset=positioner.offset[1], flips=bool(adjust & Adjust.FLIP_Y), slides=bool(adjust & Adjust.SLIDE_Y),
    )  # fmt: skip
    return Rect(x, y, positioner.width, positioner.height)
