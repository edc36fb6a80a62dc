"""Errors on their way to the wire: whose object a code belongs to, and the one that belongs to everybody."""

from enum import IntEnum
from functools import cache
from re import sub
from typing import Final

from syncline.protocol.enums import WlDisplay
from syncline.protocol.errors import ProtocolError

DISPLAY: Final = "wl_display"
_DISPLAY_ID: Final = 1


def display_error(code: IntEnum, text: str) -> ProtocolError:
    """An error on wl_display."""
    return ProtocolError(_DISPLAY_ID, code, text, interface=DISPLAY)


def no_memory(text: str) -> ProtocolError:
    """The client wants more than one client may have."""
    return display_error(WlDisplay.Error.NO_MEMORY, text)


@cache
def interface_of(enum: type[IntEnum]) -> str:
    """`WpViewport.Error` belongs to wp_viewport: enums are nested in classes named after interfaces."""
    outer = enum.__qualname__.partition(".")[0]
    return sub(r"(?<!^)([A-Z])", r"_\1", outer).lower()
