"""xdg_surface and xdg_popup: the wire's side of `core.shell`."""

from syncline.compositor.core.effects import ConfigurePopup
from syncline.compositor.core.geometry import Rect
from syncline.compositor.core.shell import Popup, XdgSurface as CoreXdgSurface
from syncline.compositor.wayland.seat import WlSeat
from syncline.compositor.wayland.surface import SurfaceObject, WlSurface
from syncline.compositor.wayland.xdg_positioner import XdgPositioner
from syncline.compositor.wayland.xdg_toplevel import XdgToplevel
from syncline.protocol.object import NewId, Resource


class XdgSurface(SurfaceObject):
    interface = "xdg_surface"

    def __init__(self, new: NewId, base: Resource, wl_surface: WlSurface, xdg: CoreXdgSurface) -> None:
        super().__init__(new, wl_surface)
        self.base = base
        self.xdg = xdg
        self._wl_surface = wl_surface
        self.session.surfaces[self.surface].by_interface[base.interface] = base  # some commits are its error

    def on_destroyed(self) -> None:
        super().on_destroyed()
        if objects := self.session.surfaces.get(self.surface):
            del objects.by_interface[self.base.interface]

    def get_toplevel(self, new: NewId) -> None:
        with self.session.blaming(self.base, self.surface):
            toplevel = self.session.core.shell.make_toplevel(self.xdg)
        XdgToplevel(new, self._wl_surface, toplevel)

    def get_popup(self, new: NewId, parent: "XdgSurface | None", positioner: XdgPositioner) -> None:
        rules = positioner.complete_rules(blaming=self.base)
        with self.session.blaming(self.base, self.surface):
            popup = self.session.core.shell.make_popup(self.xdg, parent.xdg if parent else None, rules)
        XdgPopup(new, self, self._wl_surface, popup)

    def set_window_geometry(self, x: int, y: int, width: int, height: int) -> None:
        with self.session.blaming(self, self.surface):
            self.session.core.shell.set_window_geometry(self.xdg, Rect(x, y, width, height))

    def ack_configure(self, serial: int) -> None:
        with self.session.blaming(self, self.surface):
            self.session.core.shell.ack_configure(self.xdg, serial)

    def destroy(self) -> None:
        with self.session.blaming(self, self.surface):
            self.session.core.shell.destroy_xdg_surface(self.xdg, self.session.now_ns)


class XdgPopup(SurfaceObject):
    interface = "xdg_popup"

    def __init__(self, new: NewId, window: XdgSurface, wl_surface: WlSurface, popup: Popup) -> None:
        super().__init__(new, wl_surface)
        self._base = window.base
        self._popup = popup

    def configure(self, effect: ConfigurePopup) -> None:
        """Say where, relative to the parent. xdg_surface.configure comes after."""
        if effect.token is not None:
            self.send("repositioned", effect.token)
        self.send("configure", *effect.rect)

    def grab(self, _seat: WlSeat, _serial: int) -> None:
        with self.session.blaming(self, self.surface):
            self.session.core.shell.grab(self._popup)

    def reposition(self, positioner: XdgPositioner, token: int) -> None:
        rules = positioner.complete_rules(blaming=self._base)
        self.session.core.shell.reposition(self._popup, rules, token=token, now_ns=self.session.now_ns)

    def destroy(self) -> None:
        with self.session.blaming(self._base, self.surface):
            self.session.core.shell.destroy_popup(self._popup, self.session.now_ns)
