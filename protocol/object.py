"""Objects: one end of a thing that both sides know by a number.

A `Resource` is the server's end: its methods are the interface's requests, and it sends events.
A `Proxy` is the client's end: its methods are the events, and it sends requests. Methods are named as
in the XML, take the message's arguments in order, and are found once, when the class is made: a
missing, misspelt or wrongly shaped one is a TypeError at import. Where the XML's name is Python's
(`global`, `import`) or this class's (`send`, `finish`, `id`, `error`) the method gets a trailing `_`.

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

import keyword
from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar, Protocol, TypeVar

from syncline.protocol import schema
from syncline.protocol.errors import Misuse, ProtocolError
from syncline.protocol.schema import Message

ObjectT = TypeVar("ObjectT", bound="Object")

Handler = Callable[..., None]
"""A method of an Object class, called with the object and the message's arguments."""


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

    def new_id(self, interface: str, version: int) -> "NewId":
        """Take the next free id of our side."""
        ...

    def register(self, obj: "Object") -> None:
        """An object has been made of its NewId."""
        ...

    def retire(self, obj: "Object") -> None:
        """End an object."""
        ...

    def emit(self, sender: "Object", message: str, arguments: Sequence[object]) -> None:
        """Send a message of a living object. Raises Misuse."""
        ...

    def post_error(self, error: ProtocolError) -> None:
        """End the connection with this error."""
        ...


class NewId:
    """The right to make one object: id, interface and version are settled, its class is the maker's choice."""

    __slots__ = ("connection", "id", "interface", "is_used", "version")

    def __init__(self, connection: Carrier, *, id: int, interface: str, version: int) -> None:
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
    """Incoming messages that this class wants nothing of."""
    handlers: ClassVar[tuple[Handler | None, ...]]
    """What is called for each incoming opcode; None for the ignored, and beyond it above `up_to`."""

    id: int
    version: int
    alive: bool
    incoming: Sequence[Any]  # by opcode: how the connection delivers (see dispatch.py)
    outgoing: Mapping[str, Any]  # by name: how it encodes

    def __init__(self, new: NewId) -> None:
        if new.interface != self.interface or new.is_used:
            raise Misuse(f"{type(self).__name__} from {'used ' if new.is_used else ''}{new!r}")
        new.is_used = True
        self.id = new.id
        self.version = new.version
        self._connection = new.connection
        self.alive = True
        new.connection.register(self)

    def __repr__(self) -> str:
        return f"{self.interface}#{self.id}"

    @property
    def connection(self) -> Carrier:
        """Where it lives."""
        return self._connection

    def send(self, message: str, *arguments: object) -> None:
        """Say it. Descriptors are lent: they are duplicated before this returns.

        Raises Misuse if the schema, the bound version or this object's life forbids it. Silent once the
        connection is closing.
        """
        self._connection.emit(self, message, arguments)

    def error(self, code: int, text: str) -> ProtocolError:
        """A protocol error on this object, for a handler to raise."""
        return ProtocolError(self.id, code, text, interface=self.interface)

    def finish(self) -> None:
        """End it, after an event that ends an object (wl_callback.done). Destructor requests end by themselves."""
        self._connection.retire(self)

    def on_destroyed(self) -> None:
        """Called once, when the object has ended; at hangup for every object, in order of ids."""

    def _make(
        self, message: Message, make: Callable[[NewId], ObjectT], arguments: Sequence[object]
    ) -> ObjectT:
        """Send a message with a new_id and make our end of the object."""
        typed = message.new_id()
        if typed is None or typed.interface is None:
            raise Misuse(f"{message} makes no object of a known interface")
        version = min(self.version, schema.interface(typed.interface).version)
        new = self._connection.new_id(typed.interface, version)
        at = message.arguments.index(typed)
        self._connection.emit(self, message.name, (*arguments[:at], new, *arguments[at:]))
        return make(new)


class Resource(Object):
    """The server's end: requests come in, events go out."""

    def __init_subclass__(cls) -> None:
        super().__init_subclass__()
        if hasattr(cls, "interface"):
            cls.handlers = _handlers(cls, schema.interface(cls.interface).requests)

    def send_new(self, event: str, make: Callable[[NewId], ObjectT], *arguments: object) -> ObjectT:
        """Send an event that makes an object, then make ours. `arguments` are the message's others."""
        return self._make(schema.interface(self.interface).event(event), make, arguments)


class Proxy(Object):
    """The client's end: events come in, requests go out."""

    def __init_subclass__(cls) -> None:
        super().__init_subclass__()
        if hasattr(cls, "interface"):
            cls.handlers = _handlers(cls, schema.interface(cls.interface).events)

    def request_new(self, request: str, make: Callable[[NewId], ObjectT], *arguments: object) -> ObjectT:
        """Send a request that makes an object, then make ours. `arguments` are the message's others."""
        return self._make(schema.interface(self.interface).request(request), make, arguments)


_RESERVED = frozenset(dir(Object)) | frozenset(Object.__annotations__) | frozenset(keyword.kwlist)


def method_name(message: str) -> str:
    """The method that handles a message of that name."""
    return f"{message}_" if message in _RESERVED else message


def _handlers(cls: type[Object], messages: Sequence[Message]) -> tuple[Handler | None, ...]:
    """The class's methods in order of opcodes. Raises TypeError if the class does not fit its interface."""
    if not hasattr(cls, "up_to"):
        cls.up_to = schema.interface(cls.interface).version
    strangers = set(cls.ignored) - {each.name for each in messages}
    if strangers:
        raise TypeError(f"{cls.__name__} ignores {sorted(strangers)}, which {cls.interface} does not have")
    return tuple(_handler(cls, each) for each in messages)


def _handler(cls: type[Object], message: Message) -> Handler | None:
    method = getattr(cls, method_name(message.name), None)
    if method is None:
        if message.name in cls.ignored or message.since > cls.up_to:
            return None
        raise TypeError(f"{cls.__name__} has no method {method_name(message.name)!r} for {message}")
    if message.name in cls.ignored:
        raise TypeError(f"{cls.__name__} both handles and ignores {message}")
    code = method.__code__
    if code.co_argcount != 1 + len(message.arguments) and not code.co_flags & _TAKES_ANY:
        names = ", ".join(each.name for each in message.arguments)
        raise TypeError(f"{cls.__name__}.{method.__name__} must take (self, {names}) for {message}")
    handler: Handler = method
    return handler


_TAKES_ANY = 0x04  # CO_VARARGS
