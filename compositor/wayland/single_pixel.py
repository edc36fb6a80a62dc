"""wp_single_pixel_buffer_manager_v1: a colour is a buffer (Q1)."""

from syncline.compositor.wayland.blame import no_memory
from syncline.compositor.wayland.buffer import CoreBuffer
from syncline.compositor.wayland.session import Session
from syncline.kms_model.uapi import DeviceError
from syncline.protocol.object import NewId, Resource


class WpSinglePixelBufferManagerV1(Resource):
    interface = "wp_single_pixel_buffer_manager_v1"

    def __init__(self, new: NewId, session: Session) -> None:
        super().__init__(new)
        self._session = session

    def create_u32_rgba_buffer(self, new: NewId, r: int, g: int, b: int, a: int) -> None:
        """Premultiplied, each from 0 to 2^32-1; the upper eight bits are what a screen can show."""
        color = (a >> 24 << 24) | (r >> 24 << 16) | (g >> 24 << 8) | b >> 24
        try:
            buffer = self._session.core.create_color(self._session.client, color)
        except DeviceError as refusal:
            raise no_memory("no memory for a pixel") from refusal
        CoreBuffer(new, self._session, buffer)

    def destroy(self) -> None:
        """Buffers stay."""
