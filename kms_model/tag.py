"""The frame tag: which client and frame a picture is, readable from nothing but its pixels.

A client paints one strip at the top of every frame and one at the bottom. The engine paints top first, so an
image that was shown before it was finished carries a new top and no, or an old, bottom: `torn` finds it in any
screenshot. A strip is `BITS` cells in two colours that nothing else is likely to be made of: eight of a fixed
pattern, client, frame, which end, and seven check bits.
"""

from dataclasses import dataclass
from functools import reduce
from operator import xor
from typing import Final

import numpy as np
from numpy.typing import NDArray

Image = NDArray[np.uint32]

CLIENT_BITS: Final = 8
FRAME_BITS: Final = 16
TOP: Final = 0
BOTTOM: Final = 1

_MAGIC: Final = 0b10110010  # begins and ends unlike itself at every shift
_CHECK_BITS: Final = 7
BITS: Final = 8 + CLIENT_BITS + FRAME_BITS + 1 + _CHECK_BITS
_CELL: Final = 2  # a pixel wide would be lost in dithered or subpixel-filtered neighbours
WIDTH: Final = BITS * _CELL
HEIGHT: Final = 4
"""Size of a strip in pixels."""

_COLORS: Final = np.array([0xFF201830, 0xFFF0E8D0], dtype=np.uint32)  # 0 and 1
_RGB: Final = np.uint32(0x00FFFFFF)


@dataclass(frozen=True, slots=True)
class Found:
    """A strip with its left upper corner at (x, y)."""

    client: int
    frame: int
    end: int
    x: int
    y: int


@dataclass(frozen=True, slots=True)
class Torn:
    """A top strip at (x, y) whose bottom is missing (None) or of another frame."""

    client: int
    frame: int
    bottom_frame: int | None
    x: int
    y: int


def _check(payload: int) -> int:
    """Seven bits, never equal to the payload's own first or last seven."""
    return reduce(xor, (payload >> shift & 0x7F for shift in range(0, 28, _CHECK_BITS)), 0x55)


def _word(client: int, frame: int, end: int) -> int:
    payload = (client << FRAME_BITS | frame) << 1 | end
    return (_MAGIC << (CLIENT_BITS + FRAME_BITS + 1) | payload) << _CHECK_BITS | _check(payload)


def strip(*, client: int, frame: int, end: int) -> Image:
    """The pixels of one strip. `client` and `frame` wrap at their width."""
    word = _word(client % (1 << CLIENT_BITS), frame % (1 << FRAME_BITS), end & 1)
    bits = np.array([word >> (BITS - 1 - place) & 1 for place in range(BITS)], dtype=np.intp)
    return np.broadcast_to(np.repeat(_COLORS[bits], _CELL), (HEIGHT, WIDTH))


def _magic_places(rgb: Image) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Where the fixed pattern begins: pixel by pixel, on fewer and fewer candidates."""
    zero, one = _COLORS & _RGB
    room = rgb[: rgb.shape[0] - HEIGHT + 1, : rgb.shape[1] - WIDTH + 1]
    rows, columns = np.nonzero(room == one)
    for place in range(1, 8 * _CELL):
        bit = _MAGIC >> (7 - place // _CELL) & 1
        fits = rgb[rows, columns + place] == (one if bit else zero)
        rows, columns = rows[fits], columns[fits]
    return rows, columns


def _read(block: Image) -> tuple[int, int, int] | None:
    """Client, frame and end of a block of strip size, or None when it is no whole, unharmed strip."""
    ones = block == (_COLORS[1] & _RGB)
    if not np.all(ones | (block == (_COLORS[0] & _RGB))):
        return None
    word = reduce(lambda high, bit: high << 1 | int(bit), ones[0, ::_CELL], 0)
    client = word >> (_CHECK_BITS + 1 + FRAME_BITS) & 0xFF
    frame, end = word >> (_CHECK_BITS + 1) & 0xFFFF, word >> _CHECK_BITS & 1
    if not np.array_equal(block, strip(client=client, frame=frame, end=end) & _RGB):
        return None
    return client, frame, end


def find_tags(image: Image) -> list[Found]:
    """Every whole strip in an XRGB8888 image at scale 1, from top to bottom and left to right."""
    if image.shape[0] < HEIGHT or image.shape[1] < WIDTH:
        return []
    rgb = image & _RGB
    found = []
    for y, x in zip(*(places.tolist() for places in _magic_places(rgb)), strict=True):
        read = _read(rgb[y : y + HEIGHT, x : x + WIDTH])
        if read is not None:
            client, frame, end = read
            found.append(Found(client, frame, end, x, y))
    return found


def torn(image: Image) -> list[Torn]:
    """Images that are not one frame from top to bottom: each top strip against the next strip of its client below it."""
    tags = find_tags(image)
    faults = []
    for top in tags:
        if top.end != TOP:
            continue
        below = next((t for t in tags if (t.client, t.x) == (top.client, top.x) and t.y > top.y), None)
        bottom_frame = below.frame if below is not None and below.end == BOTTOM else None
        if bottom_frame != top.frame:
            faults.append(Torn(top.client, top.frame, bottom_frame, top.x, top.y))
    return faults
