"""The PNG writer, read back by hand."""

import struct
import zlib

import numpy as np

from syncline.lab.png import encode_png


def test_a_png_carries_every_pixel_in_rgb_order() -> None:
    pixels = np.array([[0xFF102030, 0x00405060], [0x12FFFFFF, 0x00000000]], dtype=np.uint32)

    chunks = _chunks(encode_png(pixels))

    assert [kind for kind, _ in chunks] == [b"IHDR", b"IDAT", b"IEND"]
    assert struct.unpack(">IIBBBBB", chunks[0][1]) == (2, 2, 8, 2, 0, 0, 0)
    assert zlib.decompress(chunks[1][1]) == bytes.fromhex("00 102030 405060  00 ffffff 000000")


def _chunks(file: bytes) -> list[tuple[bytes, bytes]]:
    assert file.startswith(b"\x89PNG\r\n\x1a\n")
    found, at = [], 8
    while at < len(file):
        length, kind = struct.unpack_from(">I4s", file, at)
        body = file[at + 8 : at + 8 + length]
        (crc,) = struct.unpack_from(">I", file, at + 8 + length)
        assert crc == zlib.crc32(kind + body)
        found.append((kind, body))
        at += 12 + length
    return found
