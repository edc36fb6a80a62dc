"""Buffers as the core sees them: a GEM handle of our device file, or one colour."""

from dataclasses import dataclass
from enum import Enum, auto

from syncline.kms_model.uapi import FORMAT_XRGB8888, Fd


class Origin(Enum):
    """Where the pixels come from, hence who may write them when."""

    DMABUF = auto()  # the client's; the only kind that supports explicit sync (S41, S55)
    UPLOAD = auto()  # ours; the wayland room copies wl_shm into it at commit
    COLOR = auto()  # single-pixel: no memory at all


@dataclass(eq=False, slots=True)
class Buffer:
    """A thing with a life; compared by identity. Made and destroyed by `Compositor`.

    `fd` is the dma-buf, owned by this buffer and closed with its last use. `width` and `height` are
    pixels, `color` (COLOR only) is premultiplied 0xAARRGGBB. Destroying it while the scene or the display
    still uses it keeps the storage until they do not (C12, S81).
    """

    origin: Origin
    width: int
    height: int
    format: int
    fd: Fd
    handle: int = 0
    pitch: int = 0
    offset: int = 0
    modifier: int = 0
    color: int = 0
    framebuffer: int = 0
    implicit_uses: int = 0
    loans: int = 0
    destroyed: bool = False

    @property
    def supports_explicit_sync(self) -> bool:
        return self.origin is Origin.DMABUF

    @property
    def is_opaque(self) -> bool:
        if self.origin is Origin.COLOR:
            return self.color >> 24 == 0xFF
        return self.format == FORMAT_XRGB8888
