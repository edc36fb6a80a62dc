"""What the seat's devices say, told to the surfaces they point at."""

from typing import Final, assert_never

from syncline.compositor.core.effects import KeyboardFocus, PointerButton, PointerFocus, PointerMotion
from syncline.compositor.core.surface import Surface
from syncline.compositor.wayland.data_device import offer_selection
from syncline.compositor.wayland.seat import WlKeyboard, WlPointer
from syncline.compositor.wayland.session import Focus, Stage
from syncline.protocol.enums import WlPointer as WlPointerEnums
from syncline.protocol.object import Resource

NS_PER_MS: Final = 1_000_000
_FIXED_ONE: Final = 256

SeatEffect = PointerFocus | PointerMotion | PointerButton | KeyboardFocus


def tell_seat(stage: Stage, effect: SeatEffect) -> None:
    match effect:
        case PointerFocus(old, new, x, y):
            for wire, pointer in _pointers(stage, old):
                pointer.leave(wire)
            stage.pointer_focus = Focus(new, x / _FIXED_ONE, y / _FIXED_ONE) if new else None
            for wire, pointer in _pointers(stage, new):
                pointer.enter(wire, x=x / _FIXED_ONE, y=y / _FIXED_ONE)
        case PointerMotion(surface, time_ns, x, y):
            stage.pointer_focus = Focus(surface, x / _FIXED_ONE, y / _FIXED_ONE)
            for _, pointer in _pointers(stage, surface):
                pointer.send("motion", _milliseconds(time_ns), x / _FIXED_ONE, y / _FIXED_ONE)
                pointer.frame()
        case PointerButton(surface, time_ns, button, pressed):
            state = WlPointerEnums.ButtonState.PRESSED if pressed else WlPointerEnums.ButtonState.RELEASED
            serial = stage.next_serial()
            for _, pointer in _pointers(stage, surface):
                pointer.send("button", serial, _milliseconds(time_ns), button, state)
                pointer.frame()
        case KeyboardFocus(old, new):
            _move_keyboard(stage, old, new)
        case _:
            assert_never(effect)


def _move_keyboard(stage: Stage, old: Surface | None, new: Surface | None) -> None:
    for wire, keyboard in _keyboards(stage, old):
        keyboard.leave(wire)
    before = stage.focused_session()
    stage.keyboard_focus = Focus(new) if new else None
    if stage.focused_session() is not before:
        offer_selection(stage)  # before the keyboard enters
    for wire, keyboard in _keyboards(stage, new):
        keyboard.enter(wire)


def _pointers(stage: Stage, surface: Surface | None) -> list[tuple[Resource, WlPointer]]:
    session = stage.sessions.get(surface.client) if surface else None
    wire = session.object_of(surface, "wl_surface") if session and surface else None
    if session is None or wire is None:
        return []
    return [(wire, each) for each in session.pointers if isinstance(each, WlPointer)]


def _keyboards(stage: Stage, surface: Surface | None) -> list[tuple[Resource, WlKeyboard]]:
    session = stage.sessions.get(surface.client) if surface else None
    wire = session.object_of(surface, "wl_surface") if session and surface else None
    if session is None or wire is None:
        return []
    return [(wire, each) for each in session.keyboards if isinstance(each, WlKeyboard)]


def _milliseconds(time_ns: int) -> int:
    return time_ns // NS_PER_MS & 0xFFFF_FFFF
