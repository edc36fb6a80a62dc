"""Object 1 and what hangs on it, for both roles: wl_display, wl_registry and wl_callback.

A server is `serve(Globals([Global("wl_compositor", 6, bind), …]))`, a connection; a client is
`Display.connect()`, a proxy. Neither is on any transport yet: see `transport`.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from syncline.protocol.connection import DEFAULT_LIMITS, Connection, Limits, Role
from syncline.protocol.enums import WlDisplay
from syncline.protocol.errors import ProtocolError
from syncline.protocol.object import NewId, Object, ObjectT, Proxy, Resource
from syncline.protocol.trace import Observer
from syncline.protocol.wire import Wire
from syncline.protocol.wire.wayland import MESSAGE_BYTES, MESSAGE_BYTES_MAX, WaylandWire


@dataclass(frozen=True, slots=True)
class Global:
    """What a server offers: `bind` makes the resource. `version` is the highest that it implements."""

    interface: str
    version: int
    bind: Callable[[NewId], Resource]


class Globals:
    """The globals of one connection by numeric name. Changes are announced to each of its registries."""

    def __init__(self, offers: Sequence[Global] = ()) -> None:
        self._known = dict(enumerate(offers, start=1))
        self._withdrawn: set[int] = set()
        self._registries: list[_ServerRegistry] = []

    def add(self, offer: Global) -> int:
        """Announce one more. Returns its name, which is never used again."""
        name = len(self._known) + 1
        self._known[name] = offer
        for registry in self._registries:
            registry.send("global", name, offer.interface, offer.version)
        return name

    def remove(self, name: int) -> None:
        """Announce that it is gone. A bind already on its way still succeeds: it should make an inert object."""
        self._withdrawn.add(name)
        for registry in self._registries:
            registry.send("global_remove", name)

    def offered(self) -> dict[int, Global]:
        return {name: each for name, each in self._known.items() if name not in self._withdrawn}

    def find(self, name: int) -> Global | None:
        """Also when withdrawn: clients hear of that later than it happens."""
        return self._known.get(name)

    def introduce(self, registry: "_ServerRegistry") -> None:
        """Tell a new registry everything."""
        self._registries.append(registry)
        for name, offer in self.offered().items():
            registry.send("global", name, offer.interface, offer.version)

    def forget(self, registry: "_ServerRegistry") -> None:
        self._registries.remove(registry)


class Callback(Resource):
    """wl_callback."""

    interface = "wl_callback"

    def done(self, data: int) -> None:
        """Say it, and end."""
        self.send("done", data)
        self.finish()


class _ServerRegistry(Resource):
    interface = "wl_registry"

    def __init__(self, new: NewId, globals_: Globals) -> None:
        super().__init__(new)
        self._globals = globals_
        globals_.introduce(self)

    def bind(self, name: int, id: NewId) -> None:
        offer = self._globals.find(name)
        if offer is None:
            raise self._invalid(f"invalid global {id.interface} ({name})")
        if id.interface != offer.interface:
            raise self._invalid(f"global {name} is {offer.interface}, wanted {id.interface}")
        if not 1 <= id.version <= offer.version:
            raise self._invalid(f"{id.interface} ({name}) has version {offer.version}, wanted {id.version}")
        offer.bind(id)

    def _invalid(self, text: str) -> ProtocolError:
        return self.error(WlDisplay.Error.INVALID_OBJECT, text)  # as libwayland: wl_display's code, here

    def on_destroyed(self) -> None:
        self._globals.forget(self)


class _ServerDisplay(Resource):
    interface = "wl_display"

    def __init__(self, new: NewId, globals_: Globals) -> None:
        super().__init__(new)
        self._globals = globals_

    def sync(self, callback: NewId) -> None:
        Callback(callback).done(0)  # the data is undefined by the protocol

    def get_registry(self, registry: NewId) -> None:
        _ServerRegistry(registry, self._globals)


def serve(
    globals_: Globals,
    *,
    wire: Wire | None = None,
    name: str = "",
    limits: Limits = DEFAULT_LIMITS,
    observer: Observer | None = None,
) -> Connection:
    """A server's end of one connection."""
    wire = wire or WaylandWire(message_bytes=MESSAGE_BYTES)
    connection = Connection(Role.SERVER, wire, name=name, limits=limits, observer=observer)
    _ServerDisplay(connection.claim_display(), globals_)
    return connection


class _Answer(Proxy):
    """wl_callback of a sync."""

    interface = "wl_callback"
    on_done: Callable[[int], None]

    def done(self, callback_data: int) -> None:
        self.finish()
        self.on_done(callback_data)


class Registry(Proxy):
    """wl_registry. `globals` is what is on offer now: name -> (interface, version)."""

    interface = "wl_registry"

    def __init__(self, new: NewId) -> None:
        super().__init__(new)
        self.globals: dict[int, tuple[str, int]] = {}

    def global_(self, name: int, interface: str, version: int) -> None:
        self.globals[name] = interface, version

    def global_remove(self, name: int) -> None:
        del self.globals[name]

    def bind(self, name: int, make: Callable[[NewId], ObjectT], *, interface: str, version: int) -> ObjectT:
        """Bind that global at that version."""
        new = self.connection.new_id(interface, version)
        self.send("bind", name, new)
        return make(new)

    def bind_first(self, kind: type[ObjectT], *, up_to: int | None = None) -> ObjectT:
        """Bind the first global of the class's interface, at the highest version all know.

        Raises KeyError(interface) when there is none.
        """
        for name, (interface, version) in self.globals.items():
            if interface == kind.interface:
                best = min(version, kind.up_to, up_to or version)
                return self.bind(name, kind, interface=interface, version=best)
        raise KeyError(kind.interface)


class Display(Proxy):
    """wl_display. What the server says is wrong ends up in `connection.error`."""

    interface = "wl_display"

    def __init__(self, connection: Connection) -> None:
        super().__init__(connection.new_id("wl_display", 1))
        self._own = connection

    @property
    def connection(self) -> Connection:
        """The connection, all of it."""
        return self._own

    @classmethod
    def connect(
        cls,
        *,
        wire: Wire | None = None,
        name: str = "",
        limits: Limits = DEFAULT_LIMITS,
        observer: Observer | None = None,
    ) -> "Display":
        """The client's end of a connection."""
        wire = wire or WaylandWire(message_bytes=MESSAGE_BYTES_MAX)  # a libwayland client's is unlimited
        connection = Connection(Role.CLIENT, wire, name=name, limits=limits, observer=observer)
        return cls(connection)

    def sync(self, done: Callable[[int], None]) -> Object:
        """Ask for an answer that comes after everything asked before. `done(data)` is called with it."""
        answer = self.request_new("sync", _Answer)
        answer.on_done = done
        return answer

    def get_registry(self, make: Callable[[NewId], ObjectT]) -> ObjectT:
        """`display.get_registry(Registry)`."""
        return self.request_new("get_registry", make)

    def error_(self, object_id: int, code: int, message: str) -> None:
        interface = self.connection.interface_of(object_id)
        self.connection.post_error(ProtocolError(object_id, code, message, interface=interface))

    def delete_id(self, id: int) -> None:
        self.connection.on_delete_id(id)
