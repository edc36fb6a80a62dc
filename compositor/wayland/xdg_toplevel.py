"""xdg_toplevel, and who draws its frame."""

from struct import pack
from typing import Final

from syncline.compositor.core.effects import Configure
from syncline.compositor.core.shell import Toplevel
from syncline.compositor.wayland.output import WlOutput
from syncline.compositor.wayland.seat import WlSeat
from syncline.compositor.wayland.session import Session
from syncline.compositor.wayland.surface import SurfaceObject, WlSurface
from syncline.protocol.enums import (
    XdgToplevel as XdgToplevelEnums,
    ZxdgToplevelDecorationV1 as DecorationEnums,
)
from syncline.protocol.object import NewId, Resource

_EDGES: Final = frozenset(XdgToplevelEnums.ResizeEdge)
_MODES: Final = frozenset(DecorationEnums.Mode)
_Capability = XdgToplevelEnums.WmCapabilities
_CAPABILITIES: Final = pack("=3I", _Capability.MAXIMIZE, _Capability.FULLSCREEN, _Capability.MINIMIZE)

NAME_MAX: Final = 64
"""Characters of an app_id that end up in reports, which people read in terminals."""

_STATES_OF_VERSION: Final = {1: 4, 2: 8, 3: 8, 4: 8, 5: 8, 6: 9, 7: 13}
"""The highest state that a client of that version has heard of."""


class XdgToplevel(SurfaceObject):
    interface = "xdg_toplevel"

    def __init__(self, new: NewId, wl_surface: WlSurface, toplevel: Toplevel) -> None:
        super().__init__(new, wl_surface)
        self.wl_surface = wl_surface
        self.toplevel = toplevel

    def configure(self, effect: Configure) -> None:
        """Say how large, in which states. xdg_surface.configure comes after."""
        if effect.is_first and self.version >= 5:
            self.send("wm_capabilities", _CAPABILITIES)
        if self.version >= 4:
            self.send("configure_bounds", *effect.bounds)
        states = [state for state in effect.states if state <= _STATES_OF_VERSION[self.version]]
        self.send("configure", effect.width, effect.height, pack(f"={len(states)}I", *states))

    def set_parent(self, parent: "XdgToplevel | None") -> None:
        with self.session.blaming(self, self.surface):
            self.session.core.shell.set_parent(self.toplevel, parent.toplevel if parent else None)

    def set_title(self, title: str) -> None:
        self.toplevel.title = title

    def set_app_id(self, app_id: str) -> None:
        self.toplevel.app_id = app_id
        name = "".join(each for each in app_id if each.isprintable())[:NAME_MAX]
        if name:
            self.session.core.rename_client(self.session.client, name)

    def show_window_menu(self, seat: WlSeat, serial: int, x: int, y: int) -> None:
        """There is none; wm_capabilities says so."""

    def move(self, seat: WlSeat, serial: int) -> None:
        """Windows are placed by the compositor alone."""

    def resize(self, _seat: WlSeat, _serial: int, edges: int) -> None:
        """As move, but the edge must be one."""
        if edges not in _EDGES:
            raise self.error(XdgToplevelEnums.Error.INVALID_RESIZE_EDGE, f"{edges} is not an edge")

    def set_max_size(self, width: int, height: int) -> None:
        with self.session.blaming(self, self.surface):
            self.session.core.shell.set_size_limits(self.toplevel, minimum=None, maximum=(width, height))

    def set_min_size(self, width: int, height: int) -> None:
        with self.session.blaming(self, self.surface):
            self.session.core.shell.set_size_limits(self.toplevel, minimum=(width, height), maximum=None)

    def set_maximized(self) -> None:
        self.session.core.shell.set_maximized(self.toplevel, on=True, now_ns=self.session.now_ns)

    def unset_maximized(self) -> None:
        self.session.core.shell.set_maximized(self.toplevel, on=False, now_ns=self.session.now_ns)

    def set_fullscreen(self, output: WlOutput | None) -> None:
        chosen = output.output if isinstance(output, WlOutput) else None  # it may have been unplugged
        self.session.core.shell.set_fullscreen(
            self.toplevel, on=True, output=chosen, now_ns=self.session.now_ns
        )

    def unset_fullscreen(self) -> None:
        self.session.core.shell.set_fullscreen(self.toplevel, on=False, now_ns=self.session.now_ns)

    def set_minimized(self) -> None:
        self.session.core.shell.set_minimized(self.toplevel, self.session.now_ns)

    def destroy(self) -> None:
        decoration = self.session.object_of(self.surface, ZxdgToplevelDecorationV1.interface)
        if decoration is not None:
            raise decoration.error(DecorationEnums.Error.ORPHANED, "its xdg_toplevel was destroyed first")
        self.session.core.shell.destroy_toplevel(self.toplevel, self.session.now_ns)


class ZxdgDecorationManagerV1(Resource):
    interface = "zxdg_decoration_manager_v1"

    def __init__(self, new: NewId, session: Session) -> None:
        super().__init__(new)
        self._session = session

    def get_toplevel_decoration(self, new: NewId, toplevel: XdgToplevel) -> None:
        existing = self._session.object_of(toplevel.surface, ZxdgToplevelDecorationV1.interface)
        if existing is not None:
            raise existing.error(DecorationEnums.Error.ALREADY_CONSTRUCTED, f"{toplevel!r} has one already")
        ZxdgToplevelDecorationV1(new, toplevel)

    def destroy(self) -> None:
        """Decorations stay."""


class ZxdgToplevelDecorationV1(SurfaceObject):
    """The answer is always that the server decorates: with nothing, as tiling compositors do."""

    interface = "zxdg_toplevel_decoration_v1"

    def __init__(self, new: NewId, toplevel: XdgToplevel) -> None:
        super().__init__(new, toplevel.wl_surface)
        self._toplevel = toplevel.toplevel
        self._answer()

    def set_mode(self, mode: int) -> None:
        if mode not in _MODES and self.version >= 2:
            raise self.error(DecorationEnums.Error.INVALID_MODE, f"{mode} is not a mode")
        self._answer()

    def unset_mode(self) -> None:
        self._answer()

    def destroy(self) -> None:
        """The client draws its own frame again, or none."""

    def _answer(self) -> None:
        self.send("configure", DecorationEnums.Mode.SERVER_SIDE)
        self.session.core.shell.configure_again(self._toplevel)
