"""wl_shm and wl_shm_pool."""

from typing import Final

from syncline.compositor.wayland.buffer import ShmBuffer
from syncline.compositor.wayland.pool import BYTES_PER_PIXEL, Pool
from syncline.compositor.wayland.session import Session
from syncline.kms_model.uapi import FORMAT_ARGB8888, FORMAT_XRGB8888
from syncline.protocol.enums import WlShm as WlShmEnums
from syncline.protocol.fd import ReceivedFd
from syncline.protocol.object import NewId, Resource

_Error = WlShmEnums.Error

FORMATS: Final = {0: FORMAT_ARGB8888, 1: FORMAT_XRGB8888}
"""wl_shm.format to DRM fourcc: the two that every compositor must have."""

MAX_PIXELS: Final = 1 << 24
"""A commit copies an image at once; four 4K screens' worth is what one client may make the others wait for."""


class WlShm(Resource):
    interface = "wl_shm"
    up_to = 2

    def __init__(self, new: NewId, session: Session) -> None:
        super().__init__(new)
        self._descriptors = session.descriptors
        for format in FORMATS:
            self.send("format", format)

    def create_pool(self, new: NewId, fd: ReceivedFd, size: int) -> None:
        if size <= 0:
            raise self.error(_Error.INVALID_STRIDE, f"a pool of {size} bytes")
        pool = Pool(self._descriptors, self._descriptors.take(fd), size)
        try:
            pool.probe()
        except OSError as refusal:
            pool.drop()
            raise self.error(
                _Error.INVALID_FD, f"cannot be read like a file: {refusal.strerror}"
            ) from refusal
        WlShmPool(new, pool)

    def release(self) -> None:
        """Pools and buffers stay."""


class WlShmPool(Resource):
    interface = "wl_shm_pool"
    up_to = 2

    def __init__(self, new: NewId, pool: Pool) -> None:
        super().__init__(new)
        self._pool = pool

    def create_buffer(
        self, new: NewId, offset: int, width: int, height: int, stride: int, format: int
    ) -> None:
        if format not in FORMATS:
            raise self.error(_Error.INVALID_FORMAT, f"format {format:#x} was not advertised")
        if offset < 0 or width <= 0 or height <= 0 or stride < width * BYTES_PER_PIXEL:
            raise self.error(_Error.INVALID_STRIDE, f"{width}x{height} at {offset} with a stride of {stride}")
        if offset + stride * height > self._pool.size:
            raise self.error(
                _Error.INVALID_STRIDE, f"the image ends beyond the {self._pool.size} bytes of the pool"
            )
        if width * height > MAX_PIXELS:
            raise self.error(_Error.INVALID_STRIDE, f"{width}x{height} is more than {MAX_PIXELS} pixels")
        ShmBuffer(
            new, self._pool, offset=offset, width=width, height=height, stride=stride, format=FORMATS[format]
        )

    def resize(self, size: int) -> None:
        if size < self._pool.size:
            raise self.error(_Error.INVALID_FD, f"a pool only grows: {self._pool.size} to {size}")
        self._pool.size = size

    def destroy(self) -> None:
        """Its memory stays until the last buffer of it is gone."""

    def on_destroyed(self) -> None:
        self._pool.drop()
