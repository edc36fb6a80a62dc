"""The keymap that every client is sent, read by the library that every client reads it with."""

import ctypes
import ctypes.util

import pytest

from syncline.compositor.wayland.keymap import keymap_text

EVDEV_OFFSET = 8
FORMAT_TEXT_V1 = 1
KEYS = {1: "Escape", 16: "q", 28: "Return", 30: "a", 42: "Shift_L", 57: "space", 103: "Up"}


class Xkb:
    """The few calls of libxkbcommon that a client makes."""

    def __init__(self) -> None:
        name = ctypes.util.find_library("xkbcommon")
        if name is None:
            pytest.skip("libxkbcommon is not installed")
        self.lib = ctypes.CDLL(name)
        for function in ("xkb_context_new", "xkb_keymap_new_from_string", "xkb_state_new"):
            getattr(self.lib, function).restype = ctypes.c_void_p
        text = ctypes.c_char_p(keymap_text())
        self.context = ctypes.c_void_p(self.lib.xkb_context_new(0))
        self.keymap = ctypes.c_void_p(
            self.lib.xkb_keymap_new_from_string(self.context, text, FORMAT_TEXT_V1, 0)
        )

    def symbol(self, state: ctypes.c_void_p, evdev: int) -> str:
        name = ctypes.create_string_buffer(32)
        symbol = self.lib.xkb_state_key_get_one_sym(state, evdev + EVDEV_OFFSET)
        self.lib.xkb_keysym_get_name(symbol, name, len(name))
        return name.value.decode()


def test_libxkbcommon_compiles_it_and_finds_the_keys() -> None:
    xkb = Xkb()
    assert xkb.keymap.value, "the text does not compile"
    state = ctypes.c_void_p(xkb.lib.xkb_state_new(xkb.keymap))

    assert {evdev: xkb.symbol(state, evdev) for evdev in KEYS} == KEYS


@pytest.mark.parametrize("modifier", [b"Shift", b"Lock", b"Control", b"Mod1", b"Mod2", b"Mod4"])
def test_the_modifiers_that_toolkits_ask_for_are_there(modifier) -> None:
    xkb = Xkb()

    assert xkb.lib.xkb_keymap_mod_get_index(xkb.keymap, modifier) != 0xFFFFFFFF


def test_shift_makes_capitals() -> None:
    xkb = Xkb()
    state = ctypes.c_void_p(xkb.lib.xkb_state_new(xkb.keymap))
    shift = 1 << xkb.lib.xkb_keymap_mod_get_index(xkb.keymap, b"Shift")
    xkb.lib.xkb_state_update_mask(state, shift, 0, 0, 0, 0, 0)

    assert xkb.symbol(state, 30) == "A"
    assert xkb.symbol(state, 2) == "exclam"
