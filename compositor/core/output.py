"""One output: where it is, what it can, and its redraw cycle."""

from dataclasses import dataclass

from syncline.compositor.core.geometry import Rect
from syncline.compositor.core.policy import AcquireMode
from syncline.kms_model.uapi import ModeInfo


@dataclass(eq=False, slots=True)
class Output:
    """A connected connector with its CRTC. `rect` is its place in the global space, in pixels (scale 1)."""

    number: int
    name: str
    mode: ModeInfo
    rect: Rect
    acquire_mode: AcquireMode
    scale: int = 1
    transform: int = 0

    @property
    def refresh_ns(self) -> int:
        return self.mode.refresh_ns
