"""Painting: the command list of `uapi.gpu` on numpy views of buffers, any band of rows at a time.

Painting a list band by band gives the same pixels as painting it at once: no command looks at rows of its target
outside the band. `row_costs_ns` says beforehand what each row will cost, so that the engine can stop in time.
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
_HALF: Final = np.uint32(0x00800080)
_SEVEN_BITS: Final = np.uint32(0x7F7F7F7F)
_TOP_BITS: Final = np.uint32(0x80808080)
_WHOLE: Final = np.uint32(0xFF)
_ONE: Final = np.uint32(1)
_SEVEN: Final = np.uint32(7)
_BYTE: Final = np.uint32(8)
_ALPHA: Final = np.uint32(24)
_PIXEL: Final = np.dtype("<u4")
_STROKE_PX: Final = 16_384  # blended at a time: the intermediate results stay in the cache

# The engine's fill rate in picoseconds for each pixel: up to twice what numpy took in bands of 20 rows of 1920
# pixels on a slow virtual machine, so that real painting keeps up with model time.
_STORE_PS: Final = 300
_RAMP_PS: Final = 1_500
_GATHER_PS: Final = 2_500
_BLEND_PS: Final = 3_500
_ROW_PS: Final = 100_000  # of each command on each of its rows, however short


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


def row_costs_ns(commands: Iterable[Command], *, height: int, width: int) -> NDArray[np.int64]:
    """Running total of the engine time that painting rows 0..n takes at least; `height` + 1 numbers."""
    costs_ps = np.zeros(height + 1, dtype=np.int64)
    for command in commands:
        pixel_ps = _pixel_ps(command)
        for rect in _touched(command):
            _, y, w, h = intersect(rect, (0, 0, width, height))
            costs_ps[y + 1 : y + 1 + h] += w * pixel_ps + _ROW_PS
    totals: NDArray[np.int64] = costs_ps.cumsum() // 1000
    return totals


def _pixel_ps(command: Command) -> int:
    match command:
        case Gradient():
            return _RAMP_PS
        case Blit():
            fetch = _STORE_PS if _is_unscaled(command) and not command.transform else _GATHER_PS
            return fetch + (_BLEND_PS if command.blend else 0)
        case _:
            return _STORE_PS


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
    channels = (_bytes(gradient.top) * (last - step) + _bytes(gradient.bottom) * step + last // 2) // last
    _cut(target, (x, y, w, h))[...] = channels.astype(np.uint8).view(_PIXEL)


def _bytes(color: int) -> NDArray[np.int64]:
    """The four channels, lowest first."""
    return np.frombuffer(color.to_bytes(4, "little"), np.uint8).astype(np.int64)


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
        if blit.blend:
            _blend(into, pixels)
        else:
            np.bitwise_or(pixels, _OPAQUE, out=into)


def _blend(into: Image, pixels: Image) -> None:
    """Premultiplied source over target, each channel rounded to nearest and saturated."""
    if int(pixels.min()) >> 24 == 0xFF:
        into[...] = pixels
        return
    height, width = into.shape
    rows = max(1, _STROKE_PX // width)
    scratch = np.empty((4, rows, width), dtype=np.uint32)
    for top in range(0, height, rows):
        stroke = into[top : top + rows]
        _blend_stroke(stroke, pixels[top : top + rows], scratch[:, : stroke.shape[0]])


def _blend_stroke(into: Image, pixels: Image, scratch: NDArray[np.uint32]) -> None:
    """Two channels at a time in 32 bits, all results in `scratch`: allocating them would cost four times more."""
    keep, low, high, spare = scratch
    np.right_shift(pixels, _ALPHA, out=keep)
    np.subtract(_WHOLE, keep, out=keep)
    np.bitwise_and(into, _LANES, out=low)
    _scale(low, keep, spare)
    np.right_shift(low, _BYTE, out=low)
    np.bitwise_and(low, _LANES, out=low)
    np.right_shift(into, _BYTE, out=high)
    np.bitwise_and(high, _LANES, out=high)
    _scale(high, keep, spare)
    np.bitwise_and(high, ~_LANES, out=high)  # each quotient sits where its channel belongs
    np.bitwise_or(low, high, out=low)
    _add(low, pixels, into, scratch[2:])


def _scale(lanes: Image, keep: Image, spare: Image) -> None:
    """Each lane times `keep` / 255, rounded to nearest, left 8 bits too high: exact for all bytes."""
    np.multiply(lanes, keep, out=lanes)
    np.add(lanes, _HALF, out=lanes)
    np.right_shift(lanes, _BYTE, out=spare)
    np.bitwise_and(spare, _LANES, out=spare)
    np.add(lanes, spare, out=lanes)


def _add(kept: Image, pixels: Image, into: Image, scratch: NDArray[np.uint32]) -> None:
    """Sum of bytes that stops at 255, as hardware does with colours brighter than their alpha."""
    carry, spare = scratch
    np.bitwise_and(kept, pixels, out=carry)
    np.bitwise_xor(kept, pixels, out=spare)
    np.right_shift(spare, _ONE, out=spare)
    np.bitwise_and(spare, _SEVEN_BITS, out=spare)
    np.add(carry, spare, out=carry)  # the average of each pair of bytes: its top bit is the carry
    np.bitwise_and(carry, _TOP_BITS, out=carry)
    if not carry.any():
        np.add(kept, pixels, out=into)
        return
    np.right_shift(carry, _SEVEN, out=carry)
    np.multiply(carry, _WHOLE, out=carry)  # 255 in every byte that overflows
    np.bitwise_or(kept, carry, out=kept)
    np.bitwise_and(pixels, ~carry, out=spare)
    np.add(kept, spare, out=into)
