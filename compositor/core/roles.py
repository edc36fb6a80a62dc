"""xdg_wm_base and what hangs from it: the rules of protocol.md 2.2, checked before anything changes."""

from syncline.compositor.core.buffer import Buffer
from syncline.compositor.core.errors import Violation
from syncline.compositor.core.geometry import Rect
from syncline.compositor.core.layout import Layout
from syncline.compositor.core.output import Output
from syncline.compositor.core.shell import Popup, Positioner, Toplevel, WindowState, XdgSurface
from syncline.compositor.core.surface import ContentUpdate, RoleKind, Surface
from syncline.compositor.core.windows import Windows
from syncline.protocol.enums import XdgPopup, XdgSurface as XdgSurfaceEnum, XdgToplevel, XdgWmBase

XdgError = XdgSurfaceEnum.Error
WINDOW_ROLES = (None, RoleKind.XDG_TOPLEVEL, RoleKind.XDG_POPUP)


class Shell:
    """Reached as `Compositor.shell`; raises Violation."""

    def __init__(self, windows: Windows, layout: Layout) -> None:
        self._windows = windows
        self._layout = layout
        self._xdg: dict[Surface, XdgSurface] = {}

    # -- construction -----------------------------------------------------------------------------

    def make_xdg_surface(self, surface: Surface) -> XdgSurface:
        """XdgWmBase.Error: ROLE if it has another role, INVALID_SURFACE_STATE if it has content."""
        if surface.role not in WINDOW_ROLES or surface in self._xdg:
            raise Violation(XdgWmBase.Error.ROLE, "the surface has another role")
        updates = (surface.pending, *(update.state for update in surface.queue))
        if surface.content is not None or any(isinstance(state.attached, Buffer) for state in updates):
            raise Violation(XdgWmBase.Error.INVALID_SURFACE_STATE, "the surface has a buffer already")
        xdg = self._xdg[surface] = XdgSurface(surface)
        surface.has_role_object = True
        return xdg

    def make_toplevel(self, xdg: XdgSurface) -> Toplevel:
        """XdgSurface.Error.ALREADY_CONSTRUCTED, XdgWmBase.Error.ROLE."""
        self._check_free(xdg, RoleKind.XDG_TOPLEVEL)
        xdg.surface.role = RoleKind.XDG_TOPLEVEL
        window = xdg.window = Toplevel(xdg)
        return window

    def make_popup(self, xdg: XdgSurface, parent: XdgSurface | None, positioner: Positioner) -> Popup:
        """XdgSurface.Error.ALREADY_CONSTRUCTED; XdgWmBase.Error.ROLE, INVALID_POSITIONER, INVALID_POPUP_PARENT.

        Without a parent it can never be seen: no other protocol of ours gives it one.
        """
        self._check_free(xdg, RoleKind.XDG_POPUP)
        _check_positioner(positioner)
        if parent is not None and (parent.window is None or not parent.alive):
            raise Violation(XdgWmBase.Error.INVALID_POPUP_PARENT, "the parent is no window")
        xdg.surface.role = RoleKind.XDG_POPUP
        popup = xdg.window = Popup(xdg, parent, positioner)
        if parent is not None:
            parent.popups.append(popup)
        return popup

    def _check_free(self, xdg: XdgSurface, role: RoleKind) -> None:
        if xdg.window is not None:
            raise Violation(XdgError.ALREADY_CONSTRUCTED, "the xdg_surface is a window already")
        if xdg.surface.role not in {None, role}:
            raise Violation(XdgWmBase.Error.ROLE, "the surface has another role")

    # -- configure --------------------------------------------------------------------------------

    def ack_configure(self, xdg: XdgSurface, serial: int) -> None:
        """XdgSurface.Error: NOT_CONSTRUCTED, INVALID_SERIAL (X3). Takes effect with the next commit (X2)."""
        _check_constructed(xdg)
        acked = next((sent for sent in xdg.sent if sent.serial == serial), None)
        if acked is None:
            raise Violation(XdgError.INVALID_SERIAL, f"no configure {serial} is unanswered")
        while xdg.sent.popleft() is not acked:
            pass
        xdg.acked[serial] = acked
        xdg.is_configured = True
        xdg.surface.pending.acked_serial = serial

    def set_window_geometry(self, xdg: XdgSurface, rect: Rect) -> None:
        """XdgSurface.Error: NOT_CONSTRUCTED, INVALID_SIZE. Pending state."""
        _check_constructed(xdg)
        if rect.is_empty:
            raise Violation(XdgError.INVALID_SIZE, "window geometry needs a size")
        xdg.surface.pending.window_geometry = rect

    def set_size_limits(
        self, toplevel: Toplevel, *, minimum: tuple[int, int] | None, maximum: tuple[int, int] | None
    ) -> None:
        """set_min_size / set_max_size (None: leave). Pending; XdgToplevel.Error.INVALID_SIZE if negative."""
        if min(minimum or (0,)) < 0 or min(maximum or (0,)) < 0:
            raise Violation(XdgToplevel.Error.INVALID_SIZE, "a size limit is negative")
        pending = toplevel.xdg.surface.pending
        pending.min_size = pending.min_size if minimum is None else minimum
        pending.max_size = pending.max_size if maximum is None else maximum

    def set_parent(self, toplevel: Toplevel, parent: Toplevel | None) -> None:
        """XdgToplevel.Error.INVALID_PARENT if it would make a loop."""
        ancestor = parent
        while ancestor is not None:
            if ancestor is toplevel:
                raise Violation(XdgToplevel.Error.INVALID_PARENT, "a window cannot be above itself")
            ancestor = ancestor.parent
        toplevel.parent = parent

    # -- states -----------------------------------------------------------------------------------

    def set_maximized(self, toplevel: Toplevel, *, on: bool, now_ns: int) -> None:
        """set_maximized, unset_maximized; no effect while fullscreen."""
        if toplevel.wanted is not WindowState.FULLSCREEN:
            self._want(toplevel, WindowState.MAXIMIZED if on else WindowState.NORMAL)
            self._layout.settle(now_ns)

    def set_fullscreen(
        self, toplevel: Toplevel, *, on: bool, output: Output | None = None, now_ns: int
    ) -> None:
        """set_fullscreen, unset_fullscreen; `output` None: where it is."""
        if on and output is not None and output in self._windows.outputs:
            toplevel.output = output.number
            self._layout.changed()
        self._want(toplevel, WindowState.FULLSCREEN if on else WindowState.NORMAL)
        self._layout.settle(now_ns)

    def _want(self, toplevel: Toplevel, state: WindowState) -> None:
        if toplevel.wanted is WindowState.NORMAL and state is not WindowState.NORMAL:
            geometry = toplevel.xdg.geometry
            toplevel.normal_size = (geometry.width, geometry.height)
        toplevel.wanted = state
        if toplevel.xdg.said_hello:
            self._windows.configure(toplevel)

    def configure_again(self, toplevel: Toplevel) -> None:
        """Something outside of the core changed that its client must ack; before the first configure, nothing."""
        if toplevel.xdg.said_hello:
            self._windows.configure(toplevel)

    def set_minimized(self, toplevel: Toplevel, now_ns: int) -> None:
        self._windows.minimize(toplevel)
        self._layout.settle(now_ns)

    def activate(self, toplevel: Toplevel, now_ns: int) -> None:
        """Raise it, give it the keyboard, bring it back if minimized."""
        if toplevel.is_mapped:
            toplevel.is_minimized = False
            self._layout.changed()
            self._windows.activate(toplevel)
            self._layout.settle(now_ns)

    def move(self, toplevel: Toplevel, *, x: int, y: int, now_ns: int) -> None:
        """Put its window geometry's corner at a global pixel; placement leaves it there."""
        toplevel.x, toplevel.y, toplevel.is_moved = x, y, True
        self._layout.changed()
        self._layout.settle(now_ns)

    # -- popups -----------------------------------------------------------------------------------

    def grab(self, popup: Popup) -> None:
        """XdgPopup.Error.INVALID_GRAB after it was mapped."""
        if popup.xdg.said_hello:
            raise Violation(XdgPopup.Error.INVALID_GRAB, "the popup is mapped already")
        popup.has_grab = True

    def reposition(self, popup: Popup, positioner: Positioner, *, token: int, now_ns: int) -> None:
        """XdgWmBase.Error.INVALID_POSITIONER."""
        _check_positioner(positioner)
        popup.positioner = positioner
        if popup.xdg.said_hello:
            self._windows.configure_popup(popup, token=token)
        self._layout.settle(now_ns)

    # -- destruction ------------------------------------------------------------------------------

    def destroy_toplevel(self, toplevel: Toplevel, now_ns: int) -> None:
        """Unmapped at once; the xdg_surface may get a new toplevel."""
        self._windows.unmap(toplevel)
        toplevel.alive = False
        _reset(toplevel.xdg)
        toplevel.xdg.window = None
        self._layout.settle(now_ns)

    def destroy_popup(self, popup: Popup, now_ns: int) -> None:
        """XdgWmBase.Error.NOT_THE_TOPMOST_POPUP while a popup hangs from it."""
        if popup.xdg.popups:
            raise Violation(XdgWmBase.Error.NOT_THE_TOPMOST_POPUP, "a popup above it is still there")
        self._remove_popup(popup)
        self._layout.settle(now_ns)

    def _remove_popup(self, popup: Popup) -> None:
        self._windows.unmap_popup(popup)
        popup.alive = False
        _reset(popup.xdg)
        popup.xdg.window = None
        if popup.parent is not None and popup in popup.parent.popups:
            popup.parent.popups.remove(popup)

    def destroy_xdg_surface(self, xdg: XdgSurface, now_ns: int) -> None:
        """XdgSurface.Error.DEFUNCT_ROLE_OBJECT while its toplevel or popup lives."""
        if xdg.window is not None:
            raise Violation(XdgError.DEFUNCT_ROLE_OBJECT, "its toplevel or popup is still there")
        self._drop(xdg)
        self._layout.settle(now_ns)

    def _drop(self, xdg: XdgSurface) -> None:
        xdg.alive = False
        xdg.surface.has_role_object = False
        self._xdg.pop(xdg.surface, None)

    def remove(self, surface: Surface, now_ns: int) -> None:
        """The surface goes with whatever role objects it still has: its client hung up."""
        xdg = self._xdg.get(surface)
        if xdg is None:
            return
        for popup in list(xdg.popups):
            self._windows.dismiss(popup)
        match xdg.window:
            case Toplevel() as toplevel:
                self.destroy_toplevel(toplevel, now_ns)
            case Popup() as popup:
                self._remove_popup(popup)
            case None:
                pass
        self._windows.lost(surface)
        self._drop(xdg)

    # -- commits ----------------------------------------------------------------------------------

    def check_commit(self, surface: Surface) -> None:
        """X1: role object, bufferless commit, configure, ack, then the first buffer."""
        xdg = self._xdg.get(surface)
        if xdg is None:
            return
        _check_constructed(xdg)
        if isinstance(xdg.window, Popup) and xdg.window.parent is None:
            raise Violation(
                XdgWmBase.Error.INVALID_POPUP_PARENT, "a popup needs a parent by its first commit"
            )
        pending = surface.pending
        if isinstance(pending.attached, Buffer) and not xdg.is_configured:
            raise Violation(XdgError.UNCONFIGURED_BUFFER, "a buffer before the first ack_configure")
        for least, most in zip(pending.min_size, pending.max_size, strict=True):
            if most and least > most:
                raise Violation(XdgToplevel.Error.INVALID_SIZE, "minimum size above maximum size")

    def committed(self, update: ContentUpdate) -> None:
        """The commit was accepted: answer the initial one; a NULL attach starts over (X6)."""
        xdg = self._xdg.get(update.surface)
        if xdg is None:
            return
        if xdg.is_configured and update.state.attached is None:
            _reset(xdg)
        elif not xdg.said_hello:
            xdg.said_hello = True
            match xdg.window:
                case Toplevel() as toplevel:
                    self._windows.configure(toplevel)
                case Popup() as popup:
                    self._windows.configure_popup(popup)
                case None:
                    pass

    def applied(self, update: ContentUpdate) -> None:
        """The update's state is current: what was acked with it holds; content maps, its loss unmaps."""
        surface = update.surface
        xdg = self._xdg.get(surface)
        if xdg is None:
            return
        serial = update.state.acked_serial
        configuration = None
        if serial is not None:
            configuration = xdg.acked.get(serial)
            xdg.acked = {other: kept for other, kept in xdg.acked.items() if other > serial}
        has_content = surface.content is not None
        match xdg.window:
            case Toplevel() as toplevel:
                if configuration is not None and toplevel.state is not configuration.state:
                    toplevel.state = configuration.state
                    self._layout.changed()
                if has_content != toplevel.is_mapped:
                    (self._windows.map if has_content else self._windows.unmap)(toplevel)
            case Popup() as popup:
                if configuration is not None and configuration.popup_rect is not None:
                    popup.rect = configuration.popup_rect
                    self._layout.changed()
                if has_content != popup.is_mapped:
                    (self._windows.map_popup if has_content else self._windows.unmap_popup)(popup)
            case None:
                pass


def _check_constructed(xdg: XdgSurface) -> None:
    if xdg.window is None:
        raise Violation(XdgError.NOT_CONSTRUCTED, "the xdg_surface is no toplevel and no popup yet")


def _check_positioner(positioner: Positioner) -> None:
    if positioner.width <= 0 or positioner.height <= 0 or positioner.anchor_rect.is_empty:
        raise Violation(XdgWmBase.Error.INVALID_POSITIONER, "size and anchor rectangle must be set")


def _reset(xdg: XdgSurface) -> None:
    xdg.said_hello = xdg.is_configured = False
    xdg.sent.clear()
    xdg.acked.clear()
