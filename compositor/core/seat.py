"""One seat: where the pointer is, who has the focus, and the cursor image."""

from syncline.compositor.core.effects import PointerButton, PointerFocus, PointerMotion
from syncline.compositor.core.errors import Violation
from syncline.compositor.core.extent import FIXED
from syncline.compositor.core.layout import Layout
from syncline.compositor.core.shell import Popup
from syncline.compositor.core.stage import Stage
from syncline.compositor.core.surface import Client, ContentUpdate, RoleKind, Surface
from syncline.compositor.core.windows import Windows
from syncline.protocol.enums import WlPointer


class Seat:
    """Reached as `Compositor.seat`."""

    def __init__(self, stage: Stage, windows: Windows, layout: Layout) -> None:
        self._stage = stage
        self._windows = windows
        self._layout = layout
        self._focus: Surface | None = None

    def move_pointer(self, *, x: int, y: int, now_ns: int) -> None:
        """The pointer is at global pixel (x, y)."""
        cursor = self._stage.scene.cursor
        cursor.x, cursor.y = x, y
        if cursor.surface is not None:
            self._layout.changed()
        self.refocus(now_ns)
        self._layout.settle(now_ns)

    def refocus(self, now_ns: int) -> None:
        """Find who is below the pointer; they and who was there before are told."""
        cursor = self._stage.scene.cursor
        found = self._stage.scene.surface_at(cursor.x, cursor.y)
        surface, x, y = found if found is not None else (None, 0, 0)
        if surface is not self._focus:
            old, self._focus = self._focus, surface
            if old is not None and (surface is None or surface.client is not old.client):
                cursor.surface = None  # it belongs to the client that had the focus
                self._layout.changed()
            self._stage.effects.append(PointerFocus(old, surface, x * FIXED, y * FIXED))
        elif surface is not None:
            self._stage.effects.append(PointerMotion(surface, now_ns, x * FIXED, y * FIXED))

    def press(self, *, button: int, pressed: bool, now_ns: int) -> None:
        """A button changes; pressing raises and focuses the window below the pointer."""
        surface = self._focus
        if pressed:
            self._dismiss_popups(surface)
            window = self._stage.scene.window_of(surface) if surface is not None else None
            if window is not None and not window.is_activated:
                self._windows.activate(window)
        if surface is not None:
            self._stage.effects.append(PointerButton(surface, now_ns, button, pressed))
        self._layout.settle(now_ns)

    def _dismiss_popups(self, pressed: Surface | None) -> None:
        """A press outside the client of a grabbing popup ends it."""
        for window in self._stage.scene.windows:
            for popup in list(window.xdg.popups):
                if popup.is_mapped and popup.has_grab and not _is_same_client(popup, pressed):
                    self._windows.dismiss(popup)

    def set_cursor(
        self, client: Client, surface: Surface | None, *, hotspot: tuple[int, int], now_ns: int
    ) -> None:
        """wl_pointer.set_cursor. Ignored unless `client` has the pointer focus. Raises WlPointer.Error.ROLE."""
        if surface is not None and surface.role not in {None, RoleKind.CURSOR}:
            raise Violation(WlPointer.Error.ROLE, "the surface has another role")
        if surface is not None:
            surface.role = RoleKind.CURSOR
        if self._focus is None or self._focus.client is not client:
            return
        cursor = self._stage.scene.cursor
        cursor.surface, cursor.hotspot = surface, hotspot
        self._layout.changed()
        self._layout.settle(now_ns)

    def applied(self, update: ContentUpdate) -> None:
        """A new cursor image may move the hotspot."""
        cursor = self._stage.scene.cursor
        if update.surface is cursor.surface:
            dx, dy = update.state.offset
            cursor.hotspot = cursor.hotspot[0] - dx, cursor.hotspot[1] - dy
            self._layout.changed()

    def lost(self, surface: Surface) -> None:
        """The surface is no more; nobody is told that the pointer left it."""
        if self._focus is surface:
            self._focus = None
        if self._stage.scene.cursor.surface is surface:
            self._stage.scene.cursor.surface = None


def _is_same_client(popup: Popup, surface: Surface | None) -> bool:
    return surface is not None and surface.client is popup.xdg.surface.client
