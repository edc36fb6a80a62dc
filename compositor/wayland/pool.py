"""A client's shared memory, read with pread: a mapping would hand SIGBUS to whoever shrinks the file."""

import os
from typing import Final

from syncline.compositor.wayland.descriptors import Descriptors

Rect = tuple[int, int, int, int]
BYTES_PER_PIXEL: Final = 4  # every format that is offered
_IOV_MAX: Final = 1024


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
        """Copy the image at `offset` into the image `into`, whose rows are `pitch` bytes apart: `rect` at least.

        Whole rows lie together in the file, so copying more of each takes fewer calls and less time.
        Raises PoolShrunk when the file is shorter than it was said to be.
        """
        x, y, width, height = rect
        first, length = (0, stride) if stride <= pitch else (x * BYTES_PER_PIXEL, width * BYTES_PER_PIXEL)
        starts = range(y * pitch + first, (y + height) * pitch + first, pitch)
        position = offset + y * stride + first
        if stride == pitch:
            is_filled = self._fill([into[starts[0] : starts[0] + height * pitch]], position)
        elif stride < pitch:
            is_filled = self._fill([into[start : start + length] for start in starts], position)
        else:
            rows = (
                (into[start : start + length], position + row * stride) for row, start in enumerate(starts)
            )
            is_filled = all(self._fill([target], at) for target, at in rows)
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

    def _fill(self, targets: list[memoryview], position: int) -> bool:
        """Read into one target after the other; False if the file ends before they are full."""
        while targets:
            count = os.preadv(self._fd, targets[:_IOV_MAX], position)
            if not count:
                return False
            position += count
            full = 0
            while full < len(targets) and count >= len(targets[full]):
                count -= len(targets[full])
                full += 1
            del targets[:full]
            if count:
                targets[0] = targets[0][count:]
        return True

    def _check_reaches(self, end: int) -> None:
        if os.fstat(self._fd).st_size < end:
            raise PoolShrunk
