"""The client's fault, as a value. The machine's is `uapi.DeviceError`; ours is `AssertionError`."""

from enum import IntEnum


class Violation(Exception):
    """The client broke the protocol. Raised before any state has changed.

    `code` is a member of the XML's error enum; its *type* says which object the error names: a
    `WpLinuxDrmSyncobjSurfaceV1.Error` goes to the syncobj surface object, a `WlSurface.Error` to the
    wl_surface, an `XdgSurface.Error` to the xdg_surface (S4, S5), and so on.
    """

    def __init__(self, code: IntEnum, text: str) -> None:
        super().__init__(f"{code.name.lower()}: {text}")
        self.code = code
        self.text = text
