"""Implicit sync: the fences are in the dma-buf itself, and images come back by wl_buffer.release."""

from typing import ClassVar

from syncline.clients.toolkit.display import Display
from syncline.clients.toolkit.gpu_buffer import GpuBuffer
from syncline.clients.toolkit.loan import Loan
from syncline.clients.toolkit.options import Size
from syncline.clients.toolkit.proxies import Dmabuf
from syncline.protocol.object import Proxy


class ImplicitImage:
    """A GPU image without any timeline."""

    needs: ClassVar[tuple[type[Proxy], ...]] = (Dmabuf,)

    def __init__(self, display: Display, *, index: int, size: Size) -> None:
        self.size = size
        self.loan = Loan(display.context, image=index)
        self._display = display
        self.buffer = self._allocate(size)

    def _allocate(self, size: Size) -> GpuBuffer:
        buffer = GpuBuffer(self._display, size)
        buffer.wl.on_release = self.loan.end
        return buffer

    def resize(self, size: Size) -> None:
        self.buffer.destroy()
        self.buffer = self._allocate(size)
        self.size = size

    def destroy(self) -> None:
        self.buffer.destroy()
