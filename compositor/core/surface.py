"""A surface: pending state, a queue of content updates, and what is current."""

from dataclasses import dataclass, field
from enum import Enum, auto

from syncline.compositor.core.state import PendingState


@dataclass(eq=False, slots=True)
class Client:
    """Whose surfaces they are: the unit of isolation, of limits and of blame. Made by `add_client`."""

    number: int
    name: str


class RoleKind(Enum):
    """A surface keeps its first role for life, though the role object may come and go."""

    SUBSURFACE = auto()
    XDG_TOPLEVEL = auto()
    XDG_POPUP = auto()
    CURSOR = auto()
    DRAG_ICON = auto()


@dataclass(eq=False, slots=True)
class Surface:
    """Made by `Compositor.create_surface`; compared by identity.

    The wayland room writes `pending` and `explicit` (a wp_linux_drm_syncobj_surface_v1 is alive) and
    reads the rest.
    """

    number: int
    client: Client
    pending: PendingState = field(default_factory=PendingState)
    explicit: bool = False
    role: RoleKind | None = None
    has_role_object: bool = False
    alive: bool = True
