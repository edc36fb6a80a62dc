"""What an onlooker may see: the layers that each CRTC is scanning out, and the flip that is pending.

Values only, made at the vblank that latched them. Checkers and screenshots read these; nobody who
drives the display needs to.
"""

import msgspec

from syncline.kms_model.buffers.buffer import GemObject
from syncline.kms_model.uapi import PlaneType

Rectangle = tuple[int, int, int, int]


class Layer(msgspec.Struct, frozen=True, kw_only=True):
    """One plane. `source` is (x, y, width, height) in 16.16 framebuffer pixels, `target` in CRTC pixels."""

    plane_id: int
    kind: PlaneType
    fb_id: int
    gem: GemObject
    size: tuple[int, int]
    format: int
    pitch: int
    offset: int
    source: Rectangle
    target: Rectangle


class Scanout(msgspec.Struct, frozen=True, kw_only=True):
    """An image on a CRTC: its layers from the bottom to the top."""

    size: tuple[int, int]
    layers: tuple[Layer, ...]
    sequence: int = 0
    """Vblank at which it was latched; 0 while it is pending."""
    time_ns: int = 0

    @property
    def fb_ids(self) -> tuple[int, ...]:
        return tuple(layer.fb_id for layer in self.layers)

    def latched(self, *, sequence: int, time_ns: int) -> "Scanout":
        """The same image, on the screen since that vblank."""
        return Scanout(size=self.size, layers=self.layers, sequence=sequence, time_ns=time_ns)


class CrtcView(msgspec.Struct, frozen=True, kw_only=True):
    """Four stages of an image: `parked` is accepted and waits for user fences, `waiting` is committed and held by
    fences, `pending` is programmed for the coming vblank, `showing` is on the screen (None while that is off)."""

    crtc_id: int
    showing: Scanout | None
    pending: Scanout | None
    waiting: Scanout | None
    parked: Scanout | None
