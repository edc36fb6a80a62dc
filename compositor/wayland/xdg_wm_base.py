"""xdg_wm_base: where windows begin, and whether their client still answers."""

from syncline.compositor.wayland.session import Session
from syncline.compositor.wayland.surface import WlSurface
from syncline.compositor.wayland.xdg_positioner import XdgPositioner
from syncline.compositor.wayland.xdg_surface import XdgSurface
from syncline.protocol.enums import XdgWmBase as XdgWmBaseEnums
from syncline.protocol.object import NewId, Resource

_Error = XdgWmBaseEnums.Error


class XdgWmBase(Resource):
    interface = "xdg_wm_base"

    def __init__(self, new: NewId, session: Session) -> None:
        super().__init__(new)
        self._session = session
        self._windows: list[XdgSurface] = []
        session.pulse.bases.append(self)

    def create_positioner(self, new: NewId) -> None:
        XdgPositioner(new)

    def get_xdg_surface(self, new: NewId, surface: WlSurface) -> None:
        if self._session.object_of(surface.surface, XdgSurface.interface):
            raise self.error(_Error.ROLE, f"{surface!r} has an xdg_surface already")
        with self._session.blaming(self, surface.surface):
            xdg = self._session.core.shell.make_xdg_surface(surface.surface)
        self._windows = [window for window in self._windows if window.alive]
        self._windows.append(XdgSurface(new, self, surface, xdg))

    def pong(self, serial: int) -> None:
        self._session.pulse.answered(serial)

    def destroy(self) -> None:
        if any(window.alive for window in self._windows):
            raise self.error(_Error.DEFUNCT_SURFACES, "an xdg_surface of this object is alive")

    def on_destroyed(self) -> None:
        self._session.pulse.bases.remove(self)
