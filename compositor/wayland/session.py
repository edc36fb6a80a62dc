"""One connected client, and what all of them share: the tables that lead from the core's things to wire objects."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from syncline.compositor.core.buffer import Buffer
from syncline.compositor.core.compositor import Compositor
from syncline.compositor.core.effects import PreferredScale
from syncline.compositor.core.errors import Violation
from syncline.compositor.core.output import Output
from syncline.compositor.core.surface import Client, Surface
from syncline.compositor.wayland.blame import DISPLAY, display_error, interface_of
from syncline.compositor.wayland.descriptors import Descriptors
from syncline.compositor.wayland.memfd import Memfd
from syncline.compositor.wayland.pulse import Pulse
from syncline.protocol.display import Globals
from syncline.protocol.enums import WlDisplay
from syncline.protocol.errors import ProtocolError
from syncline.protocol.object import Resource


@dataclass(slots=True)
class SurfaceObjects:
    """The wire objects that stand for one surface, at most one per interface, and what they were told."""

    by_interface: dict[str, Resource] = field(default_factory=dict)
    outputs: list[Output] = field(default_factory=list)
    scale: PreferredScale | None = None


@dataclass(frozen=True, slots=True)
class Focus:
    """Where an input device of the seat points. `x` and `y` in surface coordinates."""

    surface: Surface
    x: float = 0.0
    y: float = 0.0


@dataclass(slots=True)
class Stage:
    """What all clients share. `now_ns` is the instant of the input being worked on."""

    core: Compositor
    now_ns: int
    keymap: Memfd
    format_table: Memfd
    sessions: "dict[Client, Session]" = field(default_factory=dict)
    released: dict[Buffer, Callable[[], None]] = field(default_factory=dict)
    """What to do when the core needs a buffer no longer."""
    pointer_focus: Focus | None = None
    keyboard_focus: Focus | None = None
    selection: Resource | None = None
    _serial: int = 0

    def next_serial(self) -> int:
        """A serial for input events; xdg_surface.configure has the core's own."""
        self._serial = (self._serial + 1) & 0xFFFF_FFFF
        return self._serial

    def focused_session(self) -> "Session | None":
        """Whose surface has the keyboard, and with it the selection."""
        return self.sessions.get(self.keyboard_focus.surface.client) if self.keyboard_focus else None


@dataclass(eq=False, slots=True)
class Session:
    """One connected client."""

    stage: Stage
    client: Client
    globals: Globals
    is_journalled: bool = False
    """The core has put this client's violation into the report itself."""
    descriptors: Descriptors = field(default_factory=Descriptors)
    pulse: Pulse = field(default_factory=Pulse)
    surfaces: dict[Surface, SurfaceObjects] = field(default_factory=dict)
    outputs: dict[Output, list[Resource]] = field(default_factory=dict)
    pointers: list[Resource] = field(default_factory=list)
    keyboards: list[Resource] = field(default_factory=list)
    data_devices: list[Resource] = field(default_factory=list)

    @property
    def core(self) -> Compositor:
        return self.stage.core

    @property
    def now_ns(self) -> int:
        return self.stage.now_ns

    def object_of(self, surface: Surface, interface: str) -> Resource | None:
        """The living wire object of that interface for the surface, if there is one."""
        objects = self.surfaces.get(surface)
        return objects.by_interface.get(interface) if objects else None

    def violated(
        self, violation: Violation, *, surface: Surface | None, by: Resource | None
    ) -> ProtocolError:
        """The wire's form of a violation: on the object whose interface owns the code (S4, S5).

        Looked for at the surface, then at `by`, the object that was asked; wl_display takes its own codes.
        """
        interface = interface_of(type(violation.code))
        subject = self.object_of(surface, interface) if surface else None
        if subject is None and by is not None and by.interface == interface:
            subject = by
        if subject is not None:
            return subject.error(violation.code, violation.text)
        if interface == DISPLAY:
            return display_error(violation.code, violation.text)
        # Only what is judged late outlives its object; its own code would mean something else on another.
        assert by is None, f"{by!r} cannot speak for {interface}: {violation}"
        return display_error(WlDisplay.Error.IMPLEMENTATION, f"{interface}, gone since: {violation}")

    @contextmanager
    def blaming(self, by: Resource, surface: Surface | None = None) -> Iterator[None]:
        """Around calls to the core: its Violation becomes the ProtocolError a handler may raise."""
        try:
            yield
        except Violation as violation:
            raise self.violated(violation, surface=surface, by=by) from violation
