"""Painting: the command list of `uapi.gpu` on numpy views of buffers, any band of rows at a time.

Painting a list band by band gives the same pixels as painting it at once: no command looks at rows of its target
outside the band. `row_costs` says beforehand what each row will cost, so that the engine can stop in time.
"""

from collections.abc import Callable, Iterable
from typing import Final, assert_never

import numpy as np
from numpy.typing import NDArray

from syncline.kms_model import font, tag
from syncline.kms_model.uapi import Blit, Command, Fill, Gradient, Rect, Tag, Text

Image = NDArray[np.uint32]
SourceOf = Callable[[Blit], Image]
"""The pixels a blit reads, `source_size` of them."""

_OPAQUE: Final = np.uint32(0xFF000000)
_LANES: Final = np.uint32(0x00FF00FF)  # two of a pixel's four channels, with room for a product above each
_CARRY: Final = np.uint32(0x01000100)
_HALF: Final = np.uint32(0x00800080)
_BYTE: Final = np.uint32(8)
_ALPHA: Final = np.uint32(24)
_STROKE_PX: Final = (
    32_768  # pixels blended at a time: the intermediate results stay in the second-level cache
)

# Cost of one pixel in units of a plain store, measured with numpy on rows of 1920 pixels.
_STORE_COST: Final = 1
_GATHER_COST: Final = 8
_BLEND_COST: Final = 12
_COMMAND_COST: Final = 500  # of a command's row, whatever its width: slicing and calling


def paint(target: Image, commands: Iterable[Command], source_of: SourceOf, *, top: int, bottom: int) -> None:
    """Paint the rows from `top` up to `bottom`, excluded."""
    width = target.shape[1]
    band = (0, top, width, bottom - top)
    for command in commands:
        match command:
            case Fill():
                _fill(target, command, band)
            case Gradient():
                _gradient(target, command, band)
            case Text():
                _text(target, command, band)
            case Tag():
                _tag(target, command, band)
            case Blit():
                _blit(target, command, band, source_of)
            case _:
                assert_never(command)


def row_costs(commands: Iterable[Command], *, height: int, width: int) -> NDArray[np.int64]:
    """Running total of the cost of painting rows 0..n, in plain pixel stores; `height` + 1 numbers."""
    costs = np.zeros(height + 1, dtype=np.int64)
    for command in commands:
        per_pixel = _pixel_cost(command)
        for rect in _touched(command):
            _, y, w, h = intersect(rect, (0, 0, width, height))
            costs[y + 1 : y + 1 + h] += w * per_pixel + _COMMAND_COST
    return np.cumsum(costs)


def _pixel_cost(command: Command) -> int:
    if not isinstance(command, Blit):
        return _STORE_COST
    fetch = _STORE_COST if _is_unscaled(command) else _GATHER_COST
    return fetch + (_BLEND_COST if command.blend else 0)


def _touched(command: Command) -> tuple[Rect, ...]:
    match command:
        case Fill(rect=rect) | Gradient(rect=rect):
            return (rect,)
        case Text(x=x, y=y, text=text, scale=scale):
            return ((x, y, font.SIZE * scale * len(text), font.SIZE * scale),)
        case Tag(x=x, y=y):
            return ((x, y, tag.WIDTH, tag.HEIGHT),)
        case Blit(dst=dst, clip=clip):
            return tuple(intersect(dst, rect) for rect in clip)
        case _:
            assert_never(command)


def intersect(a: Rect, b: Rect) -> Rect:
    """What two rectangles share; of width and height 0 when they share nothing."""
    left, top = max(a[0], b[0]), max(a[1], b[1])
    right, bottom = min(a[0] + a[2], b[0] + b[2]), min(a[1] + a[3], b[1] + b[3])
    if right <= left or bottom <= top:
        return (max(left, 0), max(top, 0), 0, 0)
    return (left, top, right - left, bottom - top)


def _cut(target: Image, rect: Rect) -> Image:
    x, y, w, h = rect
    return target[y : y + h, x : x + w]


def _fill(target: Image, fill: Fill, band: Rect) -> None:
    _cut(target, intersect(fill.rect, band))[...] = fill.color


def _gradient(target: Image, gradient: Gradient, band: Rect) -> None:
    _, first, _, height = gradient.rect
    x, y, w, h = intersect(gradient.rect, band)
    last = max(height - 1, 1)
    step = np.arange(y - first, y - first + h, dtype=np.int64)[:, None]
    color = np.zeros((h, 1), dtype=np.int64)
    for shift in (0, 8, 16, 24):
        top, bottom = gradient.top >> shift & 0xFF, gradient.bottom >> shift & 0xFF
        color |= (top * (last - step) + bottom * step + last // 2) // last << shift
    _cut(target, (x, y, w, h))[...] = color


def _text(target: Image, text: Text, band: Rect) -> None:
    box = _touched(text)[0]
    x, y, w, h = intersect(box, band)
    if not h:
        return
    ink = font.render(text.text)
    rows = np.arange(y - text.y, y - text.y + h) // text.scale
    columns = np.arange(x - text.x, x - text.x + w) // text.scale
    _cut(target, (x, y, w, h))[ink[rows[:, None], columns]] = text.color


def _tag(target: Image, command: Tag, band: Rect) -> None:
    x, y, w, h = intersect(_touched(command)[0], band)
    if not h:
        return
    strip = tag.strip(client=command.client, frame=command.frame, end=command.end)
    _cut(target, (x, y, w, h))[...] = strip[y - command.y :, x - command.x :][:h, :w]


def upright(image: Image, transform: int) -> Image:
    """Undo a wl_output.transform that was applied to the picture in `image`. A view: nothing is copied."""
    match transform:
        case 0:
            return image
        case 1:  # turned 90 degrees counter-clockwise: its top row is the picture's right column
            return image[::-1].T
        case 2:
            return image[::-1, ::-1]
        case 3:
            return image[:, ::-1].T
        case 4:  # mirrored left to right, then turned as 0 to 3
            return image[:, ::-1]
        case 5:
            return image.T
        case 6:
            return image[::-1]
        case 7:
            return image[::-1, ::-1].T
        case _:
            raise AssertionError(f"transform {transform} was let in")


def _is_unscaled(blit: Blit) -> bool:
    return blit.src[2] == blit.dst[2] << 8 and blit.src[3] == blit.dst[3] << 8


def _sample(*, start: int, length: int, over: int, first: int, count: int) -> NDArray[np.int64]:
    """Source positions of `count` target pixels from `first`: the one under each pixel's centre."""
    centres = 2 * np.arange(first, first + count, dtype=np.int64) + 1
    return (start + centres * length // (2 * over)) >> 8


def _fetch(picture: Image, blit: Blit, rect: Rect) -> Image:
    """The source pixels that land on `rect` of the target. A view where nothing is scaled."""
    sx, sy, sw, sh = blit.src
    dx, dy, dw, dh = blit.dst
    x, y, w, h = rect
    if _is_unscaled(blit):
        left, top = (sx + 128 >> 8) + x - dx, (sy + 128 >> 8) + y - dy
        return picture[top : top + h, left : left + w]
    columns = _sample(start=sx, length=sw, over=dw, first=x - dx, count=w)
    rows = _sample(start=sy, length=sh, over=dh, first=y - dy, count=h)
    return picture[rows].take(columns, axis=1)


def _blit(target: Image, blit: Blit, band: Rect, source_of: SourceOf) -> None:
    reach = intersect(blit.dst, band)
    if not reach[3]:
        return
    picture = upright(source_of(blit), blit.transform)
    for clip in blit.clip:
        rect = intersect(reach, clip)
        if not rect[3]:
            continue
        pixels, into = _fetch(picture, blit, rect), _cut(target, rect)
        if not blit.blend:
            np.bitwise_or(pixels, _OPAQUE, out=into)
            continue
        rows = max(1, _STROKE_PX // rect[2])
        for start in range(0, rect[3], rows):
            _blend(into[start : start + rows], pixels[start : start + rows])


def _blend(into: Image, pixels: Image) -> None:
    """Premultiplied source over target, each channel rounded to nearest and saturated."""
    if int(pixels.min()) >> 24 == 0xFF:
        into[...] = pixels
        return
    keep = np.uint32(0xFF) - (pixels >> _ALPHA)
    low = _add(_scale(into & _LANES, keep), pixels & _LANES)
    high = _add(_scale(into >> _BYTE & _LANES, keep), pixels >> _BYTE & _LANES)
    np.bitwise_or(low, high << _BYTE, out=into)


def _scale(lanes: Image, keep: Image) -> Image:
    """Each lane times `keep` / 255, rounded to nearest: exact for all bytes."""
    lanes *= keep
    lanes += _HALF
    lanes += lanes >> _BYTE & _LANES
    lanes >>= _BYTE
    lanes &= _LANES
    return lanes


def _add(lanes: Image, more: Image) -> Image:
    """Sum of two pairs of bytes that stops at 255, as hardware does with colours brighter than their alpha."""
    lanes += more
    carry = lanes & _CARRY
    if carry.any():
        lanes |= carry - (carry >> _BYTE)
        lanes &= _LANES
    return lanes
