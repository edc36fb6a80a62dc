"""Objects: one end of a thing that both sides know by a number.

A `Resource` is the server's end: its methods are the interface's requests, and it sends events.
A `Proxy` is the client's end: its methods are the events, and it sends requests. Methods are named as
in the XML (Python's own words get a trailing `_`), take the message's arguments in order, and are found
once, when the class is made: a missing, misspelt or wrongly shaped one is a TypeError at import.

    class Surface(Resource):                         class Window(Proxy):
        interface = "wl_surface"                         interface = "xdg_toplevel"
        up_to = 6   # requests since 7: no method        ignored = ("wm_capabilities", "configure_bounds")

        def frame(self, callback: NewId) -> None:        def configure(self, width: int, height: int, states: bytes) -> None:
            self.frames.append(Callback(callback))           self.size = width, height
        def destroy(self) -> None:                       def close(self) -> None:
            ...   # the id is freed on return                self.send("destroy")
        ...
    callback.send("done", ms); callback.finish()     window = xdg_surface.request_new("get_toplevel", Window)

Arguments arrive as int, float (fixed, exact), str, bytes (array), None (null), the other Object itself,
`NewId` (make one object of it before returning) or `ReceivedFd` (lent; `take()` it to keep it).
"""

from collections.abc import Callable, Mapping
from typing import ClassVar, Final, Protocol, TypeVar

from syncline.protocol.errors import Misuse, ProtocolError
from syncline.protocol.schema import Message

ObjectT = TypeVar("ObjectT", bound="Object")

SERVER_ID_START: Final = 0xFF000000  # ids from here up are the server's to give


class Carrier(Protocol):
    """What an object needs of the connection it lives on. `Connection` is one."""

    @property
    def closing(self) -> bool:
        """A fatal error was posted or received, or the peer is gone: nothing is sent any more."""
        ...

    @property
    def objects(self) -> Mapping[int, "Object"]:
        """The living objects by id."""
        ...

    def emit(self, sender: "Object", message: Message, arguments: tuple[object, ...]) -> None: ...

    def emit_new(
        self, sender: "Object", message: Message, arguments: tuple[object, ...], new: "NewId"
    ) -> None: ...

    def new_id(self, interface: str, version: int) -> "NewId":
        """Take the next free id of our side."""
        ...

    def register(self, obj: "Object") -> None: ...

    def retire(self, obj: "Object") -> None: ...

    def post_error(self, error: ProtocolError) -> None:
        """Server: send `wl_display.error`, after which nothing is dispatched or sent."""
        ...


class NewId:
    """The right to make one object: id, interface and version are settled, its class is the maker's choice."""

    __slots__ = ("connection", "id", "interface", "is_used", "version")

    def __init__(self, connection: Carrier, id: int, interface: str, version: int) -> None:
        self.connection = connection
        self.id = id
        self.interface = interface
        self.version = version
        self.is_used = False

    def __repr__(self) -> str:
        return f"new id {self.interface}#{self.id}"


class Object:
    """One end of an object, alive from its making until its destructor, `finish` or the hangup."""

    interface: ClassVar[str]
    up_to: ClassVar[int]
    """The highest version implemented. A class that does not say implements all of its interface."""
    ignored: ClassVar[tuple[str, ...]] = ()
    """Incoming messages this class wants nothing of."""

    id: int
    version: int
    connection: Carrier
    alive: bool

    def __init__(self, new: NewId) -> None:
        if new.interface != self.interface or new.is_used:
            raise Misuse(f"{type(self).__name__} from {'used ' if new.is_used else ''}{new!r}")
        new.is_used = True
        self.id = new.id
        self.version = new.version
        self.connection = new.connection
        self.alive = True
        new.connection.register(self)

    def __repr__(self) -> str:
        return f"{self.interface}#{self.id}"

    def send(self, message: str, *arguments: object) -> None:
        """Say it. Descriptors are lent: they are duplicated before this returns.

        Raises Misuse if the schema, the bound version or this object's life forbids it. Silent once the
        connection is closing.
        """
        raise NotImplementedError

    def error(self, code: int, text: str) -> ProtocolError:
        """A protocol error on this object, to be raised by a handler."""
        return ProtocolError(self.id, code, text, interface=self.interface)

    def finish(self) -> None:
        """End it: after an event that ends an object (wl_callback.done). Destructor requests end by themselves."""
        raise NotImplementedError

    def on_destroyed(self) -> None:
        """Called once, when the object has ended; at hangup for every object, in order of ids."""


class Resource(Object):
    """The server's end: requests come in, events go out."""

    def send_new(self, event: str, make: Callable[[NewId], ObjectT], *arguments: object) -> ObjectT:
        """Send an event that makes an object, then make ours. `arguments` are the message's others."""
        raise NotImplementedError


class Proxy(Object):
    """The client's end: events come in, requests go out."""

    def request_new(self, request: str, make: Callable[[NewId], ObjectT], *arguments: object) -> ObjectT:
        """Send a request that makes an object, then make ours. `arguments` are the message's others."""
        raise NotImplementedError
