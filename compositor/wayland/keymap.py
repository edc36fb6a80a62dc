"""The keymap a seat without keyboards still owes its clients: a plain US layout that libxkbcommon compiles."""

from typing import Final

_EVDEV_OFFSET: Final = 8  # X keycodes are evdev's plus eight

_LETTERS: Final = {16: "qwertyuiop", 30: "asdfghjkl", 44: "zxcvbnm"}  # evdev code of the row's first key

_PAIRS: Final = {
    2: "1 exclam", 3: "2 at", 4: "3 numbersign", 5: "4 dollar", 6: "5 percent", 7: "6 asciicircum",
    8: "7 ampersand", 9: "8 asterisk", 10: "9 parenleft", 11: "0 parenright", 12: "minus underscore",
    13: "equal plus", 26: "bracketleft braceleft", 27: "bracketright braceright", 39: "semicolon colon",
    40: "apostrophe quotedbl", 41: "grave asciitilde", 43: "backslash bar", 51: "comma less",
    52: "period greater", 53: "slash question", 15: "Tab ISO_Left_Tab",
}  # fmt: skip

_SINGLE: Final = {
    1: "Escape", 14: "BackSpace", 28: "Return", 57: "space",
    59: "F1", 60: "F2", 61: "F3", 62: "F4", 63: "F5", 64: "F6", 65: "F7", 66: "F8", 67: "F9", 68: "F10",
    87: "F11", 88: "F12", 102: "Home", 103: "Up", 104: "Prior", 105: "Left", 106: "Right", 107: "End",
    108: "Down", 109: "Next", 110: "Insert", 111: "Delete",
}  # fmt: skip

_MODIFIERS: Final = {
    42: ("Shift_L", "Shift"), 54: ("Shift_R", "Shift"), 58: ("Caps_Lock", "Lock"),
    29: ("Control_L", "Control"), 97: ("Control_R", "Control"), 56: ("Alt_L", "Mod1"),
    100: ("Alt_R", "Mod1"), 69: ("Num_Lock", "Mod2"), 125: ("Super_L", "Mod4"), 126: ("Super_R", "Mod4"),
}  # fmt: skip

_TYPES_AND_COMPATIBILITY: Final = """\
xkb_types "syncline" {
    type "ONE_LEVEL" { modifiers = none; };
    type "TWO_LEVEL" { modifiers = Shift; map[Shift] = 2; };
    type "ALPHABETIC" { modifiers = Shift+Lock; map[Shift] = 2; map[Lock] = 2; };
};
xkb_compatibility "syncline" {
    interpret Caps_Lock { action = LockMods(modifiers=Lock); };
    interpret Num_Lock { action = LockMods(modifiers=Mod2); };
    interpret Any+AnyOf(all) { action = SetMods(modifiers=modMapMods, clearLocks); };
};
"""


def _symbols() -> dict[int, str]:
    symbols = {code: f"[ {name} ]" for code, name in _SINGLE.items()}
    symbols |= {code: f"[ {pair.replace(' ', ', ')} ]" for code, pair in _PAIRS.items()}
    symbols |= {code: f"[ {name} ]" for code, (name, _) in _MODIFIERS.items()}
    for first, row in _LETTERS.items():
        for code, letter in enumerate(row, first):
            symbols[code] = f'type = "ALPHABETIC", [ {letter}, {letter.upper()} ]'
    return symbols


def keymap_text() -> bytes:
    """An XKB v1 text keymap, NUL-terminated as clients that treat the mapping as a C string expect."""
    symbols = _symbols()
    keycodes = "".join(f"    <I{code}> = {code + _EVDEV_OFFSET};\n" for code in sorted(symbols))
    keys = "".join(f"    key <I{code}> {{ {symbols[code]} }};\n" for code in sorted(symbols))
    modifiers = "".join(
        f"    modifier_map {modifier} {{ <I{code}> }};\n" for code, (_, modifier) in _MODIFIERS.items()
    )
    text = (
        "xkb_keymap {\n"
        f'xkb_keycodes "syncline" {{\n    minimum = 8;\n    maximum = 255;\n{keycodes}}};\n'
        f"{_TYPES_AND_COMPATIBILITY}"
        f'xkb_symbols "syncline" {{\n    name[Group1] = "English (US)";\n{keys}{modifiers}}};\n'
        "};\n"
    )
    return text.encode() + b"\0"
