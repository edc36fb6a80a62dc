"""Mapped windows: stacking, activation, and configure events."""

from itertools import count
from typing import Final

from syncline.compositor.core.effects import Configure, ConfigurePopup, KeyboardFocus, PopupDone
from syncline.compositor.core.geometry import Rect
from syncline.compositor.core.layout import Layout
from syncline.compositor.core.output import Output
from syncline.compositor.core.placement import choose_output, place_popup
from syncline.compositor.core.screen import Screen
from syncline.compositor.core.shell import Configuration, Popup, Toplevel, WindowState, XdgSurface
from syncline.compositor.core.stage import Stage
from syncline.compositor.core.surface import Surface
from syncline.protocol.enums import XdgToplevel

MAX_UNACKED: Final = 64
"""Configures a client may leave unanswered; the oldest are forgotten, as if never sent."""
STATES: Final = {
    WindowState.MAXIMIZED: XdgToplevel.State.MAXIMIZED,
    WindowState.FULLSCREEN: XdgToplevel.State.FULLSCREEN,
}


class Windows:
    """What becomes of toplevels and popups; `shell.py` checks the requests first."""

    def __init__(self, stage: Stage, layout: Layout, screens: list[Screen]) -> None:
        self._stage = stage
        self._layout = layout
        self._screens = screens
        self._serials = count(1)
        self._focus: Surface | None = None

    # -- outputs ----------------------------------------------------------------------------------

    @property
    def outputs(self) -> list[Output]:
        return [screen.output for screen in self._screens]

    def output_of(self, window: Toplevel) -> Output | None:
        """Where it is, or would be put."""
        known = {output.number: output for output in self.outputs}
        if window.output is not None and window.output in known:
            return known[window.output]
        return choose_output(self.outputs, self._stage.scene.windows)

    def outputs_changed(self) -> None:
        """Those that fill an output may fill another one now."""
        for window in self._stage.scene.windows:
            if window.wanted is not WindowState.NORMAL:
                self.configure(window)

    # -- configure --------------------------------------------------------------------------------

    def configure(self, window: Toplevel) -> None:
        """Tell the client the size and states it should take on."""
        output = self.output_of(window)
        bounds = (output.rect.width, output.rect.height) if output is not None else (0, 0)
        width, height = window.normal_size
        if window.wanted is not WindowState.NORMAL:
            width, height = bounds
        states = {int(STATES[window.wanted])} if window.wanted in STATES else set()
        if window.is_activated:
            states.add(int(XdgToplevel.State.ACTIVATED))
        if window.is_minimized:
            states.add(int(XdgToplevel.State.SUSPENDED))
        serial = next(self._serials)
        is_first = not window.xdg.sent and not window.xdg.is_configured
        self._sent(window.xdg, Configuration(serial, window.wanted))
        self._stage.effects.append(
            Configure(window, serial, width, height, tuple(sorted(states)), bounds, is_first)
        )

    def configure_popup(self, popup: Popup, *, token: int | None = None) -> None:
        """Place it beside its anchor and tell the client where that is."""
        popup_rect = place_popup(popup.positioner, self._bounds_for(popup))
        serial = next(self._serials)
        self._sent(popup.xdg, Configuration(serial, WindowState.NORMAL, popup_rect))
        self._stage.effects.append(ConfigurePopup(popup, serial, popup_rect, token))

    def _sent(self, xdg: XdgSurface, configuration: Configuration) -> None:
        if len(xdg.sent) >= MAX_UNACKED:
            xdg.sent.popleft()
        xdg.sent.append(configuration)

    def _bounds_for(self, popup: Popup) -> Rect:
        """The output of the popup's window, in coordinates of its parent's window geometry."""
        dx = dy = 0
        parent = popup.parent
        while parent is not None and isinstance(parent.window, Popup):
            dx, dy = dx + parent.window.rect.x, dy + parent.window.rect.y
            parent = parent.window.parent
        window = parent.window if parent is not None else None
        output = self.output_of(window) if isinstance(window, Toplevel) else None
        if output is None or not isinstance(window, Toplevel):
            return Rect(-(1 << 20), -(1 << 20), 1 << 21, 1 << 21)
        return output.rect.moved(dx=-window.x - dx, dy=-window.y - dy)

    # -- mapping ----------------------------------------------------------------------------------

    def map(self, window: Toplevel) -> None:
        """It has content now: on top and active."""
        window.is_mapped = True
        self._stage.scene.windows.append(window)
        self.activate(window)
        self._layout.changed()

    def unmap(self, window: Toplevel) -> None:
        if not window.is_mapped:
            return
        for popup in list(window.xdg.popups):
            self.dismiss(popup)
        window.is_mapped = window.is_activated = window.is_minimized = False
        windows = self._stage.scene.windows
        windows.remove(window)
        if self._focus is window.xdg.surface:
            self.focus(None)
            if heir := next((other for other in reversed(windows) if not other.is_minimized), None):
                self.activate(heir)
        self._layout.changed()

    def activate(self, window: Toplevel) -> None:
        """Raise it and give it the keyboard."""
        windows = self._stage.scene.windows
        if windows[-1] is not window:
            windows.remove(window)
            windows.append(window)
            self._layout.changed()
        for other in windows:
            if other.is_activated != (other is window):
                other.is_activated = other is window
                self.configure(other)
        self.focus(window.xdg.surface)

    def focus(self, surface: Surface | None) -> None:
        """The keyboard goes to this surface."""
        if surface is not self._focus:
            self._stage.effects.append(KeyboardFocus(self._focus, surface))
            self._focus = surface

    def map_popup(self, popup: Popup) -> None:
        popup.is_mapped = True
        if popup.has_grab:
            self.focus(popup.xdg.surface)
        self._layout.changed()

    def unmap_popup(self, popup: Popup) -> None:
        for child in list(popup.xdg.popups):
            self.dismiss(child)
        if popup.is_mapped:
            popup.is_mapped = False
            if self._focus is popup.xdg.surface and popup.parent is not None:
                self.focus(popup.parent.surface)
            self._layout.changed()

    def dismiss(self, popup: Popup) -> None:
        """Close it and all above it, and say so."""
        self.unmap_popup(popup)
        self._stage.effects.append(PopupDone(popup))

    def minimize(self, window: Toplevel) -> None:
        """Out of sight until it is activated again: told so by `suspended` (X4)."""
        if not window.is_mapped or window.is_minimized:
            return
        window.is_minimized, window.is_activated = True, False
        self.configure(window)
        if self._focus is window.xdg.surface:
            self.focus(None)
            windows = self._stage.scene.windows
            if heir := next((other for other in reversed(windows) if not other.is_minimized), None):
                self.activate(heir)
        self._layout.changed()

    def lost(self, surface: Surface) -> None:
        """The surface is no more; nobody is told that it lost the keyboard."""
        if self._focus is surface:
            self._focus = None
