"""Rectangles and regions, in whole pixels."""

from collections.abc import Iterable, Iterator
from typing import Final, NamedTuple

MAX_REGION_RECTS: Final = 64
"""A region with more pieces is not worth clipping to; it becomes its bounding box where that is allowed."""


class Rect(NamedTuple):
    """Half-open: covers x..x+width-1. Empty when a side is not positive."""

    x: int
    y: int
    width: int
    height: int

    @property
    def right(self) -> int:
        return self.x + self.width

    @property
    def bottom(self) -> int:
        return self.y + self.height

    @property
    def is_empty(self) -> bool:
        return self.width <= 0 or self.height <= 0

    @property
    def area(self) -> int:
        return 0 if self.is_empty else self.width * self.height

    def moved(self, *, dx: int, dy: int) -> "Rect":
        return Rect(self.x + dx, self.y + dy, self.width, self.height)

    def intersect(self, other: "Rect") -> "Rect":
        x, y = max(self.x, other.x), max(self.y, other.y)
        right = min(self.x + self.width, other.x + other.width)
        bottom = min(self.y + self.height, other.y + other.height)
        return Rect(x, y, right - x, bottom - y)

    def touches(self, other: "Rect") -> bool:
        """They have a pixel in common. Most pairs have none, and this makes no new rectangle to find out."""
        return (
            self.x < other.x + other.width
            and other.x < self.x + self.width
            and self.y < other.y + other.height
            and other.y < self.y + self.height
            and not self.is_empty
            and not other.is_empty
        )

    def covers(self, other: "Rect") -> bool:
        return (
            self.x <= other.x
            and self.y <= other.y
            and self.x + self.width >= other.x + other.width
            and self.y + self.height >= other.y + other.height
        ) or other.is_empty

    def contains(self, *, x: int, y: int) -> bool:
        return self.x <= x < self.right and self.y <= y < self.bottom


def _cut(piece: Rect, hole: Rect) -> Iterator[Rect]:
    """What is left of `piece` outside of `hole`, which touches it: at most four disjoint rectangles."""
    common = piece.intersect(hole)
    for rest in (
        Rect(piece.x, piece.y, piece.width, common.y - piece.y),
        Rect(piece.x, common.bottom, piece.width, piece.bottom - common.bottom),
        Rect(piece.x, common.y, common.x - piece.x, common.height),
        Rect(common.right, common.y, piece.right - common.right, common.height),
    ):
        if not rest.is_empty:
            yield rest


class Region:
    """A set of pixels as disjoint rectangles (drawing a translucent image must touch each pixel once)."""

    __slots__ = ("_rects",)

    def __init__(self, rects: Iterable[Rect] = ()) -> None:
        self._rects: list[Rect] = []
        for rect in rects:
            self.add(rect)

    def __iter__(self) -> Iterator[Rect]:
        return iter(self._rects)

    def __len__(self) -> int:
        return len(self._rects)

    def __bool__(self) -> bool:
        return bool(self._rects)

    @property
    def area(self) -> int:
        return sum(rect.area for rect in self._rects)

    @property
    def bounds(self) -> Rect:
        if not self._rects:
            return Rect(0, 0, 0, 0)
        x, y = min(rect.x for rect in self._rects), min(rect.y for rect in self._rects)
        right, bottom = max(rect.right for rect in self._rects), max(rect.bottom for rect in self._rects)
        return Rect(x, y, right - x, bottom - y)

    def copy(self) -> "Region":
        twin = Region()
        twin._rects = list(self._rects)
        return twin

    def add(self, rect: Rect) -> None:
        if rect.is_empty:
            return
        for own in self._rects:
            if own.covers(rect):
                return
        if self._rects:
            self.subtract(rect)
        self._rects.append(rect)

    def subtract(self, hole: Rect) -> None:
        if any(piece.touches(hole) for piece in self._rects):
            self._rects = [
                rest
                for piece in self._rects
                for rest in (_cut(piece, hole) if piece.touches(hole) else (piece,))
            ]

    def add_all(self, rects: Iterable[Rect]) -> None:
        for rect in rects:
            self.add(rect)

    def subtract_all(self, rects: Iterable[Rect]) -> None:
        for rect in rects:
            self.subtract(rect)

    def clipped(self, rect: Rect) -> "Region":
        """The part inside `rect`."""
        part = Region()
        part._rects = [own.intersect(rect) for own in self._rects if own.touches(rect)]
        return part

    def common_with(self, other: "Region") -> "Region":
        """The pixels in both."""
        part = Region()
        part._rects = [own.intersect(rect) for own in self._rects for rect in other if own.touches(rect)]
        return part

    def overlaps(self, rect: Rect) -> bool:
        return any(own.touches(rect) for own in self._rects)

    def covers(self, rect: Rect) -> bool:
        rest = Region((rect,))
        rest.subtract_all(self._rects)
        return not rest

    def contains(self, *, x: int, y: int) -> bool:
        return any(own.contains(x=x, y=y) for own in self._rects)

    def simplify(self) -> None:
        """Replace a region of too many pieces by its bounding box: for damage, where more is never wrong."""
        if len(self._rects) > MAX_REGION_RECTS:
            self._rects = [self.bounds]
