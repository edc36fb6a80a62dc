"""Windows as values with a life: xdg_surface, xdg_toplevel, xdg_popup. The rules are in `roles.py`."""

from collections import deque
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


class WindowState(Enum):
    NORMAL = auto()
    MAXIMIZED = auto()
    FULLSCREEN = auto()


@dataclass(frozen=True, slots=True)
class Configuration:
    """One configure event, until it is acked and its commit applied."""

    serial: int
    state: WindowState
    popup_rect: Rect | None = None


@dataclass(eq=False, slots=True)
class XdgSurface:
    """Between a wl_surface and its toplevel or popup: configure serials, window geometry."""

    surface: Surface
    window: "Toplevel | Popup | None" = None
    popups: list["Popup"] = field(default_factory=list)
    """Children, oldest first."""
    sent: deque[Configuration] = field(default_factory=deque)
    """Not yet acked."""
    acked: dict[int, Configuration] = field(default_factory=dict)
    """Acked, their commits not yet applied (X2)."""
    said_hello: bool = False
    """The initial bufferless commit was made (X1)."""
    is_configured: bool = False
    """A configure was acked since; a buffer may come."""
    alive: bool = True

    @property
    def geometry(self) -> Rect:
        """Window geometry in surface coordinates: as set, else the whole surface."""
        surface = self.surface
        whole = Rect(0, 0, surface.width, surface.height)
        asked = surface.current.window_geometry
        return whole if asked is None else asked.intersect(whole)


@dataclass(eq=False, slots=True)
class Toplevel:
    """A window. `title` and `app_id` are for people; state changes go through `Compositor.shell`."""

    xdg: XdgSurface
    title: str = ""
    app_id: str = ""
    parent: "Toplevel | None" = None
    is_minimized: bool = False
    is_activated: bool = False
    wanted: WindowState = WindowState.NORMAL
    """As last configured."""
    state: WindowState = WindowState.NORMAL
    """As of the last applied commit: decides where it is placed."""
    normal_size: tuple[int, int] = (0, 0)
    """What it goes back to; zeros: the client chooses."""
    output: int | None = None
    """Number of the output it was put on."""
    x: int = 0
    y: int = 0
    """Where its window geometry begins, in global pixels."""
    is_moved: bool = False
    """Somebody put it there: placement leaves it alone."""
    is_mapped: bool = False
    alive: bool = True


@dataclass(eq=False, slots=True)
class Popup:
    xdg: XdgSurface
    parent: XdgSurface | None
    positioner: Positioner
    rect: Rect = field(default_factory=lambda: Rect(0, 0, 0, 0))
    """Relative to the parent's window geometry, as configured."""
    is_mapped: bool = False
    has_grab: bool = False
    alive: bool = True
