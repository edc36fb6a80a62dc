"""wl_subcompositor and wl_subsurface."""

from syncline.compositor.wayland.session import Session
from syncline.compositor.wayland.surface import SurfaceObject, WlSurface
from syncline.protocol.enums import WlSubcompositor as WlSubcompositorEnums
from syncline.protocol.object import NewId, Resource

_Error = WlSubcompositorEnums.Error


class WlSubcompositor(Resource):
    interface = "wl_subcompositor"

    def __init__(self, new: NewId, session: Session) -> None:
        super().__init__(new)
        self._session = session

    def get_subsurface(self, new: NewId, surface: WlSurface, parent: WlSurface) -> None:
        if self._session.object_of(surface.surface, WlSubsurface.interface):
            raise self.error(_Error.BAD_SURFACE, f"{surface!r} has a wl_subsurface already")
        with self._session.blaming(self, surface.surface):
            self._session.core.subsurfaces.make(surface.surface, parent.surface)
        WlSubsurface(new, surface)

    def destroy(self) -> None:
        """Sub-surfaces stay."""


class WlSubsurface(SurfaceObject):
    """Inert, but for its destructor, once its surface is gone."""

    interface = "wl_subsurface"

    def set_position(self, x: int, y: int) -> None:
        if self.surface.alive:
            self.session.core.subsurfaces.set_position(self.surface, x=x, y=y)

    def place_above(self, sibling: WlSurface) -> None:
        self._place(sibling, above=True)

    def place_below(self, sibling: WlSurface) -> None:
        self._place(sibling, above=False)

    def set_sync(self) -> None:
        self._set_synchronized(synchronized=True)

    def set_desync(self) -> None:
        self._set_synchronized(synchronized=False)

    def destroy(self) -> None:
        if self.surface.alive:
            self.session.core.subsurfaces.destroy(self.surface, self.session.now_ns)

    def _place(self, sibling: WlSurface, *, above: bool) -> None:
        if self.surface.alive:
            with self.session.blaming(self, self.surface):
                self.session.core.subsurfaces.place(self.surface, sibling.surface, above=above)

    def _set_synchronized(self, *, synchronized: bool) -> None:
        if self.surface.alive:
            self.session.core.subsurfaces.set_synchronized(
                self.surface, synchronized=synchronized, now_ns=self.session.now_ns
            )
