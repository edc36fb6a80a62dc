"""A dumb buffer of the device that the compositor knows as a wl_buffer."""

from typing import Final

from syncline.clients.toolkit.display import Display
from syncline.clients.toolkit.loop import ClientError
from syncline.clients.toolkit.options import Size
from syncline.clients.toolkit.proxies import Buffer, Dmabuf, DmabufParams
from syncline.kms_model.uapi import FORMAT_XRGB8888, MODIFIER_LINEAR, CreateDumb, GemClose, PrimeHandleToFd

BYTES_PER_PIXEL: Final = 4


class GpuBuffer:
    """`handle` and `pitch` are what the GPU paints into, `wl` what is attached."""

    def __init__(self, display: Display, size: Size) -> None:
        dmabuf = display.bind(Dmabuf)
        if (FORMAT_XRGB8888, MODIFIER_LINEAR) not in dmabuf.formats:
            raise ClientError(
                "the compositor does not take linear XRGB8888 dma-bufs, all that this demo makes"
            )
        self._device = display.context.device
        dumb = self._device.call(CreateDumb(width=size[0], height=size[1], bpp=8 * BYTES_PER_PIXEL))
        self.handle = dumb.handle
        self.pitch = dumb.pitch
        self.size = size
        fd = self._device.call(PrimeHandleToFd(handle=dumb.handle)).fd
        params = dmabuf.request_new("create_params", DmabufParams)
        params.send("add", fd, 0, 0, dumb.pitch, MODIFIER_LINEAR)
        self.wl = params.request_new("create_immed", Buffer, *size, FORMAT_XRGB8888, 0)
        params.send("destroy")
        self._device.close_fd(fd)

    def destroy(self) -> None:
        self.wl.send("destroy")
        self._device.call(GemClose(handle=self.handle))
