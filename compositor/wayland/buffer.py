"""wl_buffer: one class per place that pixels can be."""

from syncline.compositor.core.buffer import Buffer
from syncline.compositor.wayland.pool import Pool
from syncline.compositor.wayland.session import Session
from syncline.protocol.object import NewId, Resource


class WlBuffer(Resource):
    """What all wl_buffers share. Never made itself: see ShmBuffer and CoreBuffer."""

    interface = "wl_buffer"

    def __init__(self, new: NewId, *, width: int, height: int, format: int) -> None:
        super().__init__(new)
        self.width = width
        self.height = height
        self.format = format

    def destroy(self) -> None:
        """Nothing to check. What ends with the object is each class's own business."""


class ShmBuffer(WlBuffer):
    """An image in a client's pool. Its pixels are copied at commit, so it is released at once."""

    def __init__(
        self, new: NewId, pool: Pool, *, offset: int, width: int, height: int, stride: int, format: int
    ) -> None:
        super().__init__(new, width=width, height=height, format=format)
        self.pool = pool
        self.offset = offset
        self.stride = stride
        pool.hold()

    def on_destroyed(self) -> None:
        self.pool.drop()


class CoreBuffer(WlBuffer):
    """A dma-buf or a single colour: the core holds it itself and says when it does not need it any more."""

    def __init__(self, new: NewId, session: Session, buffer: Buffer) -> None:
        super().__init__(new, width=buffer.width, height=buffer.height, format=buffer.format)
        self._session = session
        self.buffer = buffer
        session.stage.released[buffer] = self._release

    def _release(self) -> None:
        self.send("release")

    def on_destroyed(self) -> None:
        del self._session.stage.released[self.buffer]
        self._session.core.destroy_buffer(self.buffer, self._session.now_ns)


class DmabufBuffer(CoreBuffer):
    """A client's dma-buf, whose descriptor the core owns."""

    def on_destroyed(self) -> None:
        super().on_destroyed()
        self._session.descriptors.leave()
