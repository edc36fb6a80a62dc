"""zwp_linux_dmabuf_feedback_v1: which formats, on which device, good for what."""

import os
from struct import pack
from typing import Final

from syncline.compositor.wayland.session import Session
from syncline.kms_model.uapi import (
    FORMAT_ARGB8888,
    FORMAT_XRGB8888,
    MODIFIER_INVALID,
    MODIFIER_LINEAR,
)
from syncline.protocol.enums import ZwpLinuxDmabufFeedbackV1 as FeedbackEnums
from syncline.protocol.object import NewId, Resource

_Flag = FeedbackEnums.TrancheFlags

FORMAT_TABLE: Final = (
    (FORMAT_XRGB8888, MODIFIER_LINEAR),
    (FORMAT_ARGB8888, MODIFIER_LINEAR),
    (FORMAT_XRGB8888, MODIFIER_INVALID),
    (FORMAT_ARGB8888, MODIFIER_INVALID),
)

DEVICE: Final = os.makedev(226, 0xFFFFF)
"""The model's DRM node in the form of a dev_t: DRM's major and a minor that no kernel gives out."""

_SCANOUT_INDICES: Final = pack("=2H", 0, 1)
_ALL_INDICES: Final = pack("=4H", 0, 1, 2, 3)


def format_table() -> bytes:
    """16 bytes per pair: format, padding, modifier (D3)."""
    return b"".join(pack("=I4xQ", format, modifier) for format, modifier in FORMAT_TABLE)


class ZwpLinuxDmabufFeedbackV1(Resource):
    interface = "zwp_linux_dmabuf_feedback_v1"

    def __init__(self, new: NewId, session: Session) -> None:
        super().__init__(new)
        table = session.stage.format_table
        self.send("format_table", table.fileno(), table.size)
        if self.version < 6:  # D5
            self.send("main_device", pack("=Q", DEVICE))
        self._send_tranche(_Flag.SCANOUT, _SCANOUT_INDICES)
        self._send_tranche(_Flag.SAMPLING if self.version >= 6 else _Flag(0), _ALL_INDICES)
        self.send("done")

    def _send_tranche(self, flags: _Flag, indices: bytes) -> None:
        self.send("tranche_target_device", pack("=Q", DEVICE))
        self.send("tranche_flags", flags)
        self.send("tranche_formats", indices)
        self.send("tranche_done")

    def destroy(self) -> None:
        """Nobody listens."""
