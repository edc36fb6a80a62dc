"""The double-buffered state of a surface: what requests collect until wl_surface.commit."""

from dataclasses import dataclass
from enum import Enum, auto
from typing import Final, Literal

from msgspec import Struct, field

from syncline.compositor.core.buffer import Buffer
from syncline.compositor.core.geometry import Rect, Region
from syncline.compositor.core.syncobj import SyncPoint


class Attach(Enum):
    """What attach said, besides a buffer: nothing at all, or NULL (three-valued on purpose: S32, S33)."""

    UNATTACHED = auto()


UNATTACHED: Final = Attach.UNATTACHED
MAX_DAMAGE_RECTS: Final = 32
"""Per commit and kind; a client may send any number of damage requests."""
Attached = Buffer | None | Literal[Attach.UNATTACHED]


@dataclass(frozen=True, slots=True)
class Place:
    """A child in its parent's stacking order, bottom first; `child` 0 is the parent itself (U3)."""

    child: int
    x: int = 0
    y: int = 0


def _collect(rects: list[Rect], rect: Rect) -> None:
    if len(rects) >= MAX_DAMAGE_RECTS:
        rects[:] = [Region(rects).bounds]
    rects.append(rect)


class PendingState(Struct):
    """Set by the wayland room, field by field; `Compositor.commit` takes it and leaves `successor()`.

    Fields above the line persist from commit to commit, those below are of one cycle.
    """

    scale: int = 1
    transform: int = 0
    opaque_region: tuple[Rect, ...] = ()
    input_region: tuple[Rect, ...] | None = None
    """None is the infinite region. Surface coordinates, disjoint (`geometry.Region` makes them so)."""
    viewport_source: tuple[int, int, int, int] | None = None
    """wp_viewport.set_source, 24.8 fixed point; None when unset."""
    viewport_destination: tuple[int, int] | None = None
    window_geometry: Rect | None = None
    min_size: tuple[int, int] = (0, 0)
    max_size: tuple[int, int] = (0, 0)
    content_type: int = 0
    tearing: bool = False
    stack: tuple[Place, ...] = (Place(0),)
    # ----------------------------------------------------------------------------------------------
    attached: Attached = UNATTACHED
    """The last attach of the cycle (S47). A destroyed pending buffer counts as NULL (C11)."""
    offset: tuple[int, int] = (0, 0)
    """wl_surface.offset, or the attach arguments below version 5."""
    surface_damage: list[Rect] = field(default_factory=list)
    buffer_damage: list[Rect] = field(default_factory=list)
    frame_callbacks: list[object] = field(default_factory=list)
    feedbacks: list[object] = field(default_factory=list)
    get_release: list[object] = field(default_factory=list)
    """The callbacks of wl_surface.get_release in this cycle."""
    acquire: SyncPoint | None = None
    release: SyncPoint | None = None
    fifo_barrier: bool = False
    fifo_wait: bool = False
    target_time_ns: int | None = None
    acked_serial: int | None = None

    def damage_surface(self, rect: Rect) -> None:
        """wl_surface.damage. Many small rectangles become one big one: too much damage is never wrong."""
        _collect(self.surface_damage, rect)

    def damage_buffer(self, rect: Rect) -> None:
        """wl_surface.damage_buffer."""
        _collect(self.buffer_damage, rect)

    def successor(self) -> "PendingState":
        """The next cycle's start: persistent fields stay, the rest is empty again (C9, C16, S29)."""
        return PendingState(
            scale=self.scale,
            transform=self.transform,
            opaque_region=self.opaque_region,
            input_region=self.input_region,
            viewport_source=self.viewport_source,
            viewport_destination=self.viewport_destination,
            window_geometry=self.window_geometry,
            min_size=self.min_size,
            max_size=self.max_size,
            content_type=self.content_type,
            tearing=self.tearing,
            stack=self.stack,
        )
