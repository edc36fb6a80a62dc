"""A client's shared memory, read with pread: a mapping would hand SIGBUS to whoever shrinks the file."""

import os
from typing import Final

from syncline.compositor.wayland.descriptors import Descriptors

Rect = tuple[int, int, int, int]
BYTES_PER_PIXEL: Final = 4  # every format that is offered


class PoolShrunk(Exception):
    """The file ends before the pool does."""


class Pool:
    """Owns the descriptor until the wl_shm_pool and the last buffer cut from it have let go."""

    def __init__(self, descriptors: Descriptors, fd: int, size: int) -> None:
        self._descriptors = descriptors
        self._fd = fd
        self._users = 1
        self.size = size

    def hold(self) -> None:
        assert self._users, "a closed pool has no new users"
        self._users += 1

    def drop(self) -> None:
        self._users -= 1
        if not self._users:
            self._descriptors.close(self._fd)
            self._fd = -1

    def probe(self) -> None:
        """OSError when the descriptor cannot be read at an offset: a pipe, a socket, a write-only file."""
        os.pread(self._fd, 1, 0)

    def read(self, into: memoryview, *, offset: int, stride: int, pitch: int, rect: Rect) -> None:
        """Copy `rect` of the image at `offset` into the image `into`, whose rows are `pitch` bytes apart.

        Raises PoolShrunk when the file is shorter than it was said to be.
        """
        x, y, width, height = rect
        start, length = x * BYTES_PER_PIXEL, width * BYTES_PER_PIXEL
        if stride == pitch == length:
            start, length, y, height = y * pitch, length * height, 0, 1
        for row in range(y, y + height):
            # A view that an exception's frames keep alive would keep the mapping alive too.
            with into[row * pitch + start : row * pitch + start + length] as target:
                is_filled = self._fill(target, offset + row * stride + start)
            if not is_filled:
                raise PoolShrunk

    def write(self, image: memoryview, *, offset: int, stride: int, pitch: int, rect: Rect) -> None:
        """Copy `rect` of `image` into the client's image at `offset`. Raises PoolShrunk, or OSError."""
        x, y, width, height = rect
        start, length = x * BYTES_PER_PIXEL, width * BYTES_PER_PIXEL
        self._check_reaches(offset + (y + height - 1) * stride + start + length)
        for row in range(y, y + height):
            with image[row * pitch + start : row * pitch + start + length] as source:
                os.pwrite(self._fd, source, offset + row * stride + start)

    def _fill(self, target: memoryview, position: int) -> bool:
        while target and (count := os.preadv(self._fd, [target], position)):
            target, position = target[count:], position + count
        return not target

    def _check_reaches(self, end: int) -> None:
        if os.fstat(self._fd).st_size < end:
            raise PoolShrunk
