"""PNG files from XRGB8888 pixels: three chunks, 8-bit RGB, no filter."""

import struct
import zlib
from typing import Final

import numpy as np
from numpy.typing import NDArray

SIGNATURE: Final = b"\x89PNG\r\n\x1a\n"
RGB_8_BIT: Final = bytes((8, 2, 0, 0, 0))  # bit depth, colour type, compression, filter, interlace


def encode_png(pixels: NDArray[np.uint32]) -> bytes:
    """The file for an image of shape (height, width); the X of XRGB is dropped."""
    height, width = pixels.shape
    rows = np.zeros((height, 1 + 3 * width), dtype=np.uint8)  # each row begins with its filter: none
    for channel, shift in enumerate((16, 8, 0)):
        rows[:, 1 + channel :: 3] = (pixels >> shift) & 0xFF
    header = struct.pack(">II", width, height) + RGB_8_BIT
    body = zlib.compress(rows.tobytes(), level=6)
    return SIGNATURE + _chunk(b"IHDR", header) + _chunk(b"IDAT", body) + _chunk(b"IEND", b"")


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
