"""Small extensions, one object per surface: most of them write one field of the pending state."""

from typing import Final

from syncline.compositor.wayland.surface import SurfaceFactory, SurfaceObject, WlSurface
from syncline.protocol.enums import (
    WpContentTypeManagerV1 as WpContentTypeManagerV1Enums,
    WpFractionalScaleManagerV1 as WpFractionalScaleManagerV1Enums,
)
from syncline.protocol.object import NewId

_SCALE_OF_ONE: Final = 120


class WpFractionalScaleManagerV1(SurfaceFactory):
    interface = "wp_fractional_scale_manager_v1"

    def get_fractional_scale(self, new: NewId, surface: WlSurface) -> None:
        error = WpFractionalScaleManagerV1Enums.Error.FRACTIONAL_SCALE_EXISTS
        self.check_first(surface, WpFractionalScaleV1.interface, error)
        WpFractionalScaleV1(new, surface)


class WpFractionalScaleV1(SurfaceObject):
    interface = "wp_fractional_scale_v1"

    def __init__(self, new: NewId, surface: WlSurface) -> None:
        super().__init__(new, surface)
        known = self.session.surfaces[self.surface].scale
        self.send("preferred_scale", known.scale_120 if known else _SCALE_OF_ONE)

    def destroy(self) -> None:
        """Nobody listens."""


class WpContentTypeManagerV1(SurfaceFactory):
    interface = "wp_content_type_manager_v1"

    def get_surface_content_type(self, new: NewId, surface: WlSurface) -> None:
        error = WpContentTypeManagerV1Enums.Error.ALREADY_CONSTRUCTED
        self.check_first(surface, WpContentTypeV1.interface, error)
        WpContentTypeV1(new, surface)


class WpContentTypeV1(SurfaceObject):
    interface = "wp_content_type_v1"

    def set_content_type(self, content_type: int) -> None:
        self.surface.pending.content_type = content_type

    def destroy(self) -> None:
        self.surface.pending.content_type = 0
