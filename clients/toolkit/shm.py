"""wl_shm: memory that both sides map, painted by the CPU, and done before it is committed."""

import mmap
import os
from collections.abc import Callable
from typing import ClassVar, Final

import numpy as np
from numpy.typing import NDArray

from syncline.clients.toolkit.display import Display
from syncline.clients.toolkit.event_image import EventImage
from syncline.clients.toolkit.options import Size
from syncline.clients.toolkit.proxies import Buffer, Shm, ShmPool
from syncline.protocol.object import Proxy

BYTES_PER_PIXEL: Final = 4
XRGB8888: Final = 1  # wl_shm.format, which is not DRM's fourcc for this one


class ShmBuffer:
    """A pool of exactly one buffer. `pixels` is its memory as rows of XRGB8888."""

    def __init__(self, display: Display, size: Size) -> None:
        width, height = size
        stride = width * BYTES_PER_PIXEL
        fd = os.memfd_create("syncline-shm", os.MFD_CLOEXEC)
        os.ftruncate(fd, stride * height)
        memory = mmap.mmap(fd, stride * height)
        self.pixels: NDArray[np.uint32] = np.frombuffer(memory, dtype=np.uint32).reshape(height, width)
        pool = display.bind(Shm).request_new("create_pool", ShmPool, fd, stride * height)
        self.wl = pool.request_new("create_buffer", Buffer, 0, width, height, stride, XRGB8888)
        pool.send("destroy")  # the buffer keeps it
        os.close(fd)

    def destroy(self) -> None:
        self.wl.send("destroy")


class ShmImage(EventImage[ShmBuffer]):
    """Memory that comes back by wl_buffer.release, often before the commit is on the screen."""

    needs: ClassVar[tuple[type[Proxy], ...]] = (Shm,)
    make: Callable[[Display, Size], ShmBuffer] = ShmBuffer
