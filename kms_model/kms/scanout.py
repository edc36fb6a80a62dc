"""Composition of planes into pixels: what a camera in front of the screen would see.

The one file of the display that touches memory, for screenshots, far-side checks and writeback.
"""

import mmap

import numpy as np
from numpy.typing import NDArray

from syncline.kms_model.kms.objects import Framebuffer
from syncline.kms_model.kms.view import Layer, Rectangle, Scanout
from syncline.kms_model.uapi import FORMAT_ARGB8888

Pixels = NDArray[np.uint32]
"""One 0xXXRRGGBB per pixel, rows first."""


def compose(image: Scanout) -> Pixels:
    """The layers from the bottom to the top on black; ARGB8888 is premultiplied."""
    width, height = image.size
    out: Pixels = np.zeros((height, width), dtype=np.uint32)
    for layer in image.layers:
        _draw(out, layer)
    return out


def compose_into(image: Scanout, fb: Framebuffer) -> None:
    """Write the image to the memory of `fb`, which has its size."""
    _pixels(fb.gem.memory, fb.offset, fb.pitch, (fb.width, fb.height))[:] = compose(image)


def _draw(out: Pixels, layer: Layer) -> None:
    visible = _clip(layer.target, (out.shape[1], out.shape[0]))
    if visible is None:
        return
    x, y, width, height = visible
    source_x = (layer.source[0] >> 16) + x - layer.target[0]
    source_y = (layer.source[1] >> 16) + y - layer.target[1]
    pixels = _pixels(layer.gem.memory, layer.offset, layer.pitch, layer.size)
    part = pixels[source_y : source_y + height, source_x : source_x + width]
    under = out[y : y + height, x : x + width]
    under[:] = _over(part, under) if layer.format == FORMAT_ARGB8888 else part & 0xFFFFFF


def _over(top: Pixels, bottom: Pixels) -> Pixels:
    """Premultiplied source-over; division by 255 rounded to the nearest."""
    keep = np.uint32(255) - (top >> np.uint32(24))
    mixed: Pixels = top & np.uint32(0xFFFFFF)
    for shift in np.arange(0, 24, 8, dtype=np.uint32):
        channel = ((bottom >> shift) & np.uint32(0xFF)) * keep + np.uint32(128)
        mixed = mixed + (((channel + (channel >> np.uint32(8))) >> np.uint32(8)) << shift)
    return mixed


def _clip(rectangle: Rectangle, size: tuple[int, int]) -> Rectangle | None:
    x, y, width, height = rectangle
    left, top = max(x, 0), max(y, 0)
    right, bottom = min(x + width, size[0]), min(y + height, size[1])
    if left >= right or top >= bottom:
        return None
    return left, top, right - left, bottom - top


def _pixels(memory: mmap.mmap, offset: int, pitch: int, size: tuple[int, int]) -> Pixels:
    width, height = size
    return np.ndarray((height, width), dtype="<u4", buffer=memory, offset=offset, strides=(pitch, 4))
