"""Windows: xdg_surface, xdg_toplevel, xdg_popup; configure and ack."""

from dataclasses import dataclass, field
from enum import Enum, auto

from syncline.compositor.core.geometry import Rect
from syncline.compositor.core.surface import Surface


@dataclass(frozen=True, slots=True)
class Positioner:
    """xdg_positioner, by value. `anchor`, `gravity` and `adjustment` are the XML's numbers."""

    width: int
    height: int
    anchor_rect: Rect
    anchor: int = 0
    gravity: int = 0
    adjustment: int = 0
    offset: tuple[int, int] = (0, 0)
    reactive: bool = False
    parent_size: tuple[int, int] | None = None


@dataclass(eq=False, slots=True)
class XdgSurface:
    """Between a wl_surface and its toplevel or popup: configure serials, window geometry."""

    surface: Surface


class WindowState(Enum):
    NORMAL = auto()
    MAXIMIZED = auto()
    FULLSCREEN = auto()
    MINIMIZED = auto()


@dataclass(eq=False, slots=True)
class Toplevel:
    """A window. `title` and `app_id` are for people; state changes go through `Compositor.shell`."""

    xdg: XdgSurface
    title: str = ""
    app_id: str = ""
    parent: "Toplevel | None" = None
    state: WindowState = WindowState.NORMAL


@dataclass(eq=False, slots=True)
class Popup:
    xdg: XdgSurface
    parent: XdgSurface | None
    positioner: Positioner
    children: list["Popup"] = field(default_factory=list)
