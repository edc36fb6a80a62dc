"""The client's end of the objects that only need to tell somebody: what they hear, they pass on."""

from collections.abc import Callable
from typing import ClassVar

from syncline.protocol.object import NewId, Proxy

Told = Callable[[], None]


class Compositor(Proxy):
    interface = "wl_compositor"
    up_to = 6


class Subcompositor(Proxy):
    interface = "wl_subcompositor"


class Subsurface(Proxy):
    interface = "wl_subsurface"


class WlSurface(Proxy):
    interface = "wl_surface"
    up_to = 6
    ignored: ClassVar[tuple[str, ...]] = (
        "enter",
        "leave",
        "preferred_buffer_scale",
        "preferred_buffer_transform",
    )


class FrameCallback(Proxy):
    interface = "wl_callback"

    def __init__(self, new: NewId, on_done: Told) -> None:
        super().__init__(new)
        self._on_done = on_done

    def done(self, _time_ms: int) -> None:
        self.finish()
        self._on_done()


class Buffer(Proxy):
    """wl_buffer. `on_release` is for clients without explicit sync; with it the event means nothing (S84)."""

    interface = "wl_buffer"

    def __init__(self, new: NewId) -> None:
        super().__init__(new)
        self.on_release: Told = lambda: None

    def release(self) -> None:
        self.on_release()


class Shm(Proxy):
    interface = "wl_shm"
    up_to = 1
    ignored: ClassVar[tuple[str, ...]] = ("format",)  # XRGB8888 and ARGB8888 are always there


class ShmPool(Proxy):
    interface = "wl_shm_pool"
    up_to = 1


class Dmabuf(Proxy):
    """linux-dmabuf at version 3: the last that lists its formats in plain events instead of a table."""

    interface = "zwp_linux_dmabuf_v1"
    up_to = 3
    ignored: ClassVar[tuple[str, ...]] = ("format",)

    def __init__(self, new: NewId) -> None:
        super().__init__(new)
        self.formats: set[tuple[int, int]] = set()

    def modifier(self, format: int, modifier: int) -> None:
        self.formats.add((format, modifier))


class DmabufParams(Proxy):
    """Only used with create_immed, which has no answer but a fatal error (D9)."""

    interface = "zwp_linux_buffer_params_v1"
    up_to = 3
    ignored: ClassVar[tuple[str, ...]] = ("created", "failed")


class SyncobjManager(Proxy):
    interface = "wp_linux_drm_syncobj_manager_v1"


class SyncobjTimeline(Proxy):
    interface = "wp_linux_drm_syncobj_timeline_v1"


class SyncobjSurface(Proxy):
    interface = "wp_linux_drm_syncobj_surface_v1"


class FifoManager(Proxy):
    interface = "wp_fifo_manager_v1"


class Fifo(Proxy):
    interface = "wp_fifo_v1"


class Presentation(Proxy):
    """`clock` is the id of the clock that presentation times are read from (P1)."""

    interface = "wp_presentation"
    up_to = 2

    def __init__(self, new: NewId) -> None:
        super().__init__(new)
        self.clock: int = 0

    def clock_id(self, clock: int) -> None:
        self.clock = clock


class WmBase(Proxy):
    interface = "xdg_wm_base"

    def ping(self, serial: int) -> None:
        self.send("pong", serial)
