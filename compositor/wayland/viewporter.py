"""wp_viewporter and wp_viewport."""

from syncline.compositor.wayland.surface import SurfaceFactory, SurfaceObject, WlSurface
from syncline.protocol.enums import WpViewport as WpViewportEnums, WpViewporter as WpViewporterEnums
from syncline.protocol.object import NewId

_Error = WpViewportEnums.Error


class WpViewporter(SurfaceFactory):
    interface = "wp_viewporter"

    def get_viewport(self, new: NewId, surface: WlSurface) -> None:
        self.check_first(surface, WpViewport.interface, WpViewporterEnums.Error.VIEWPORT_EXISTS)
        WpViewport(new, surface)


class WpViewport(SurfaceObject):
    """bad_size and out_of_buffer depend on the buffer: the core judges them, late (V2)."""

    interface = "wp_viewport"

    def set_source(self, x: float, y: float, width: float, height: float) -> None:
        self._check_surface()
        if (x, y, width, height) == (-1, -1, -1, -1):
            self.surface.pending.viewport_source = None
            return
        if x < 0 or y < 0 or width <= 0 or height <= 0:
            raise self.error(_Error.BAD_VALUE, f"a source of {width}x{height} at {x}, {y}")
        self.surface.pending.viewport_source = (_fixed(x), _fixed(y), _fixed(width), _fixed(height))

    def set_destination(self, width: int, height: int) -> None:
        self._check_surface()
        if (width, height) == (-1, -1):
            self.surface.pending.viewport_destination = None
            return
        if width <= 0 or height <= 0:
            raise self.error(_Error.BAD_VALUE, f"a destination of {width}x{height}")
        self.surface.pending.viewport_destination = (width, height)

    def destroy(self) -> None:
        """Unset with the next commit."""
        if self.surface.alive:
            self.surface.pending.viewport_source = None
            self.surface.pending.viewport_destination = None

    def _check_surface(self) -> None:
        if not self.surface.alive:
            raise self.error(_Error.NO_SURFACE, "its wl_surface is gone")  # V3


def _fixed(value: float) -> int:
    """Back to the wire's 24.8, exactly."""
    return int(value * 256)
