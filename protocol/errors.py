"""Whose fault it was: the other side's, or ours."""

from typing import Final

from syncline.protocol.enums import WlDisplay

DISPLAY_ID: Final = 1


class ProtocolError(Exception):
    """A rule of the protocol was broken: fatal to the connection, and to nothing else.

    On a server a handler raises it before changing anything and the connection posts it. On a client
    it is what `Connection.error` holds: the server's verdict, or our own on a malformed event.
    """

    def __init__(self, object_id: int, code: int, text: str, *, interface: str = "") -> None:
        super().__init__(object_id, code, text)
        self.object_id = object_id
        self.code = code
        self.text = text
        self.interface = interface

    def __str__(self) -> str:
        return f"{self.interface or 'object'}#{self.object_id}: error {self.code}: {self.text}"


def display_error(code: WlDisplay.Error, text: str) -> ProtocolError:
    """An error on wl_display: what a broken message gets, whichever object it named."""
    return ProtocolError(DISPLAY_ID, code, text, interface="wl_display")


def invalid_method(text: str) -> ProtocolError:
    """No such method, or not its arguments."""
    return display_error(WlDisplay.Error.INVALID_METHOD, text)


class Misuse(AssertionError):
    """We tried to send what the schema, the version or the object's life forbids: a bug of ours."""
