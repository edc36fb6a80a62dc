"""A surface: pending state, a queue of content updates, and what is current."""

from collections import deque
from dataclasses import dataclass, field
from enum import Enum, auto

import msgspec

from syncline.compositor.core.constraint import Constraint
from syncline.compositor.core.extent import Extent
from syncline.compositor.core.loan import Loan
from syncline.compositor.core.output import Output
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


class ContentUpdate(msgspec.Struct, eq=False):
    """One commit (C1): the state it brings, what it waits for, and which updates must be applied with it."""

    number: int
    surface: "Surface"
    state: PendingState
    loan: Loan | None
    synchronized: bool
    committed_ns: int
    constraints: list[Constraint] = msgspec.field(default_factory=list)
    needs: list["ContentUpdate"] = msgspec.field(default_factory=list)
    needed_by: "ContentUpdate | None" = None
    """The update of another surface that needs this one (C3: at most one does)."""
    applied: bool = False
    ready_ns: int | None = None
    latched_ns: int | None = None
    target_ns: int | None = None
    waited_for: str = ""
    is_parked: bool = False
    """The display has it already and waits for its user fence itself."""
    parked_ns: int | None = None
    """When it was given to the display first."""

    @property
    def sync(self) -> str:
        return self.loan.sync if self.loan is not None else "none"


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

    parent: "Surface | None" = None
    """As a sub-surface; None again when the sub-surface object or the parent is gone."""
    children: dict[int, "Surface"] = field(default_factory=dict)
    is_synchronized: bool = True
    """What set_sync/set_desync last said; see `is_effectively_synchronized`."""

    queue: deque[ContentUpdate] = field(default_factory=deque)
    current: PendingState = field(default_factory=PendingState)
    content: Loan | None = None
    extent: Extent | None = None

    frame_callbacks: list[object] = field(default_factory=list)
    """Of applied updates, not yet in a frame (C17)."""
    fresh: list[ContentUpdate] = field(default_factory=list)
    """Applied, not yet latched: what the next frame will present."""

    outputs: list[Output] = field(default_factory=list)
    """Entered (wl_surface.enter), the one with most of it first."""
    shown_on: list[Output] = field(default_factory=list)
    """On which a part of it can be seen."""

    shown_since_ns: int = 0
    """When it came to be seen on its main output."""

    @property
    def main_output(self) -> Output | None:
        """Whose frames its callbacks and feedback follow: the first of its outputs that really shows it."""
        for output in self.outputs:
            if output in self.shown_on:
                return output
        return None

    @property
    def paced_by(self) -> Output | None:
        """Whose latches its updates are timed by; one that is not shown yet goes by its root's."""
        return self.main_output or self.root.main_output

    @property
    def is_effectively_synchronized(self) -> bool:
        """U2: synchronized if it or any ancestor sub-surface is."""
        surface = self
        while surface.parent is not None:
            if surface.is_synchronized:
                return True
            surface = surface.parent
        return False

    @property
    def root(self) -> "Surface":
        surface = self
        while surface.parent is not None:
            surface = surface.parent
        return surface

    @property
    def opacity(self) -> tuple[bool, bool]:
        """All of it opaque, all of it clear: what the layout goes by."""
        if self.content is None:
            return False, True
        return self.content.buffer.is_opaque, self.content.buffer.is_clear

    @property
    def width(self) -> int:
        return self.extent.width if self.extent is not None else 0

    @property
    def height(self) -> int:
        return self.extent.height if self.extent is not None else 0

    def tree(self) -> list["Surface"]:
        """This surface and all sub-surfaces below it, parents first."""
        if not self.children:
            return [self]
        found = [self]
        for surface in found:
            found.extend(surface.children.values())
        return found

    def check_invariants(self) -> None:
        assert self.content is None or self.content.is_current
        assert (self.content is None) == (self.extent is None)
        assert all(update.surface is self for update in self.queue)
        assert all(update.loan is None or update.loan.is_current for update in self.queue)
        assert self.alive or not self.queue
        assert all(child.parent is self for child in self.children.values())
        assert self.fresh == [] or self.alive
