"""wl_seat, wl_pointer, wl_keyboard, wl_touch: capabilities from the start, whether or not a device is behind them."""

import os
from typing import Final

from syncline.compositor.wayland.session import Session
from syncline.compositor.wayland.surface import WlSurface
from syncline.protocol.enums import WlKeyboard as WlKeyboardEnums, WlSeat as WlSeatEnums
from syncline.protocol.object import NewId, Resource

_REPEAT_PER_S: Final = 25
_REPEAT_AFTER_MS: Final = 400


class WlSeat(Resource):
    interface = "wl_seat"
    up_to = 9

    def __init__(self, new: NewId, session: Session) -> None:
        super().__init__(new)
        self._session = session
        self.send("capabilities", WlSeatEnums.Capability.POINTER | WlSeatEnums.Capability.KEYBOARD)
        if self.version >= 2:
            self.send("name", "seat0")

    def get_pointer(self, new: NewId) -> None:
        WlPointer(new, self._session)

    def get_keyboard(self, new: NewId) -> None:
        WlKeyboard(new, self._session)

    def get_touch(self, _new: NewId) -> None:
        raise self.error(WlSeatEnums.Error.MISSING_CAPABILITY, "this seat never had touch")

    def release(self) -> None:
        """Pointers and keyboards stay."""


class WlPointer(Resource):
    interface = "wl_pointer"
    up_to = 9

    def __init__(self, new: NewId, session: Session) -> None:
        super().__init__(new)
        self._session = session
        session.pointers.append(self)
        focus = session.stage.pointer_focus
        if focus and (surface := session.object_of(focus.surface, "wl_surface")):
            self.enter(surface, x=focus.x, y=focus.y)

    def enter(self, surface: Resource, *, x: float, y: float) -> None:
        self.send("enter", self._session.stage.next_serial(), surface, x, y)
        self.frame()

    def leave(self, surface: Resource) -> None:
        self.send("leave", self._session.stage.next_serial(), surface)
        self.frame()

    def frame(self) -> None:
        """What belongs together has been said."""
        if self.version >= 5:
            self.send("frame")

    def set_cursor(self, _serial: int, surface: WlSurface | None, hotspot_x: int, hotspot_y: int) -> None:
        cursor = surface.surface if surface else None
        with self._session.blaming(self, cursor):
            self._session.core.seat.set_cursor(
                self._session.client, cursor, hotspot=(hotspot_x, hotspot_y), now_ns=self._session.now_ns
            )

    def release(self) -> None:
        """The cursor stays what it is."""

    def on_destroyed(self) -> None:
        self._session.pointers.remove(self)


class WlKeyboard(Resource):
    interface = "wl_keyboard"
    up_to = 9

    def __init__(self, new: NewId, session: Session) -> None:
        super().__init__(new)
        self._session = session
        session.keyboards.append(self)
        self._send_keymap()
        if self.version >= 4:
            self.send("repeat_info", _REPEAT_PER_S, _REPEAT_AFTER_MS)
        focus = session.stage.keyboard_focus
        if focus and (surface := session.object_of(focus.surface, "wl_surface")):
            self.enter(surface)

    def enter(self, surface: Resource) -> None:
        serial = self._session.stage.next_serial()
        self.send("enter", serial, surface, b"")
        self.send("modifiers", serial, 0, 0, 0, 0)

    def leave(self, surface: Resource) -> None:
        self.send("leave", self._session.stage.next_serial(), surface)

    def release(self) -> None:
        """Nothing was pressed."""

    def on_destroyed(self) -> None:
        self._session.keyboards.remove(self)

    def _send_keymap(self) -> None:
        keymap = self._session.stage.keymap
        kind = WlKeyboardEnums.KeymapFormat.XKB_V1
        if self.version >= 7:  # from here on clients must map it MAP_PRIVATE
            self.send("keymap", kind, keymap.fileno(), keymap.size)
            return
        fd = keymap.unsealed_copy()
        self.send("keymap", kind, fd, keymap.size)
        os.close(fd)
