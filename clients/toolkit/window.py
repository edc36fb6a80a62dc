"""A toplevel window: configured, resized, closed."""

from functools import partial
from types import TracebackType
from typing import ClassVar, Self

from syncline.clients.toolkit.display import Display
from syncline.clients.toolkit.options import Size
from syncline.clients.toolkit.proxies import Told, WmBase
from syncline.clients.toolkit.surface import Frame, Surface
from syncline.clients.toolkit.swapchain import Image
from syncline.protocol.object import NewId, Proxy


class XdgToplevel(Proxy):
    interface = "xdg_toplevel"
    ignored: ClassVar[tuple[str, ...]] = ("configure_bounds", "wm_capabilities")

    def __init__(self, new: NewId, on_close: Told) -> None:
        super().__init__(new)
        self.proposed: Size = (0, 0)
        self._on_close = on_close

    def configure(self, width: int, height: int, _states: bytes) -> None:
        self.proposed = (width, height)

    def close(self) -> None:
        self._on_close()


class XdgSurface(Proxy):
    interface = "xdg_surface"

    def __init__(self, new: NewId, on_configure: Told) -> None:
        super().__init__(new)
        self.serial: int | None = None
        self._on_configure = on_configure

    def configure(self, serial: int) -> None:
        self.serial = serial
        self._on_configure()


class Window:
    """Enter it to open the window: on return it is configured and waits for its first image.

    A size that the compositor proposes is taken for the next frame, and acknowledged with that frame (X2).
    """

    def __init__(self, display: Display) -> None:
        self.context = display.context
        self.surface = Surface(display)
        self.size = self.context.options.size
        shell = display.bind(WmBase)
        self._xdg = shell.request_new(
            "get_xdg_surface", partial(XdgSurface, on_configure=self._configured), self.surface.wl
        )
        self._toplevel = self._xdg.request_new(
            "get_toplevel", partial(XdgToplevel, on_close=lambda: self.context.stop("window closed"))
        )

    async def __aenter__(self) -> Self:
        options = self.context.options
        self._toplevel.send("set_title", options.title)
        self._toplevel.send("set_app_id", options.title)  # by which the compositor reports tell demos apart
        if options.fullscreen:
            self._toplevel.send("set_fullscreen", None)
        if options.maximised:
            self._toplevel.send("set_maximized")
        self.surface.wl.send("commit")  # without a buffer: the request for the first configure (X1)
        await self.context.until(lambda: self._xdg.serial is not None)
        return self

    async def __aexit__(
        self, _kind: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        self._toplevel.send("destroy")
        self._xdg.send("destroy")
        self.surface.wl.send("destroy")

    def commit(self, frame: Frame, image: Image, *, acquire_point: int = 0) -> None:
        """Commit what is attached, acknowledging the configure that asked for an image of this size."""
        if self._xdg.serial is not None and image.size == self.size:
            self.acknowledge(self._xdg.serial)
            self._xdg.serial = None
        self.surface.commit(frame, image.loan, acquire_point=acquire_point)

    def acknowledge(self, serial: int) -> None:
        self._xdg.send("ack_configure", serial)

    def _configured(self) -> None:
        width, height = self._toplevel.proposed
        self.size = (width or self.context.options.size[0], height or self.context.options.size[1])
        self.context.beat()
