"""Object 1 and what hangs on it: wl_display, wl_registry, wl_callback, for both roles."""

from collections.abc import Callable
from dataclasses import dataclass

from syncline.protocol.connection import Connection, Limits
from syncline.protocol.object import NewId, Object, ObjectT, Proxy, Resource
from syncline.protocol.trace import Observer
from syncline.protocol.wire import Wire


@dataclass(frozen=True, slots=True)
class Global:
    """What a server offers: `bind` makes the resource. `version` is the highest that it implements."""

    interface: str
    version: int
    bind: Callable[[NewId], Resource]


class Globals:
    """The globals of one connection, by numeric name. Changes are announced to every registry of it."""

    def __init__(self, offers: list[Global]) -> None: ...

    def add(self, offer: Global) -> int:
        """Announce one more; returns its name."""
        raise NotImplementedError

    def remove(self, name: int) -> None:
        """Announce that it is gone. A bind that crosses this on the wire gets a dead resource, not an error."""
        raise NotImplementedError


class Callback(Resource):
    """wl_callback of the server: `done` says it and ends it."""

    interface = "wl_callback"

    def done(self, data: int) -> None: ...


def serve(
    globals_: Globals,
    *,
    wire: Wire | None = None,
    name: str = "",
    limits: Limits = Limits(),
    observer: Observer | None = None,
) -> Connection:
    """A server's end of one connection."""
    raise NotImplementedError


class Registry(Proxy):
    """wl_registry of the client. `globals` is what is on offer now: name -> (interface, version)."""

    interface = "wl_registry"
    globals: dict[int, tuple[str, int]]

    def bind(self, name: int, make: Callable[[NewId], ObjectT], *, interface: str, version: int) -> ObjectT:
        """Bind that global at that version."""
        raise NotImplementedError

    def bind_first(self, kind: type[ObjectT], *, up_to: int | None = None) -> ObjectT:
        """Bind the first global of the class's interface, at the highest version both sides know.

        Raises KeyError(interface) when there is none.
        """
        raise NotImplementedError


class Display(Proxy):
    """wl_display of the client: `Display.connect()` makes the connection and its object 1."""

    interface = "wl_display"
    connection: Connection

    @classmethod
    def connect(
        cls, *, wire: Wire | None = None, name: str = "", observer: Observer | None = None
    ) -> "Display":
        """The client's end of a connection, not yet on any transport."""
        raise NotImplementedError

    def sync(self, done: Callable[[int], None]) -> Object:
        """Ask for an answer that comes after everything asked before. `done(serial)` is called with it."""
        raise NotImplementedError

    def get_registry(self, make: Callable[[NewId], ObjectT]) -> ObjectT:
        """`display.get_registry(Registry)`."""
        raise NotImplementedError
