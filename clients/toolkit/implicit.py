"""Implicit sync: the fences are in the dma-buf itself, and images come back by wl_buffer.release."""

from collections.abc import Callable
from typing import ClassVar

from syncline.clients.toolkit.display import Display
from syncline.clients.toolkit.event_image import EventImage
from syncline.clients.toolkit.gpu_buffer import GpuBuffer
from syncline.clients.toolkit.options import Size
from syncline.clients.toolkit.proxies import Dmabuf
from syncline.protocol.object import Proxy


class ImplicitImage(EventImage[GpuBuffer]):
    """A GPU image without any timeline."""

    needs: ClassVar[tuple[type[Proxy], ...]] = (Dmabuf,)
    make: Callable[[Display, Size], GpuBuffer] = GpuBuffer
