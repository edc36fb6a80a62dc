"""One connection, either role, with no socket in sight: bytes and descriptors in, bytes and descriptors out.

It owns the object table, versions, id reuse, destructors, `delete_id`, the fatal error, and every
descriptor that is not in a handler's hands. A handler's ProtocolError becomes `wl_display.error`; any
other exception passes through `receive`, for it is ours. `display.py` makes connections of either role.
"""

from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum, auto
from typing import Final

from syncline.protocol import arguments as argument_list, dispatch, schema
from syncline.protocol.dispatch import Incoming
from syncline.protocol.enums import WlDisplay
from syncline.protocol.errors import DISPLAY_ID, Misuse, ProtocolError, display_error, invalid_method
from syncline.protocol.fd import ReceivedFd, close_all, duplicate_all
from syncline.protocol.object import NewId, Object
from syncline.protocol.outbox import Outbox, Packet
from syncline.protocol.schema import Argument, Kind, Message
from syncline.protocol.table import SERVER_ID_START, Table
from syncline.protocol.trace import Observer, Said
from syncline.protocol.wire import Body, Malformed, Wire

ERROR_TEXT_BYTES: Final = 1024  # an explanation must never be what breaks the message


class Role(Enum):
    SERVER = auto()
    CLIENT = auto()


@dataclass(frozen=True, slots=True)
class Limits:
    """What one peer may make us hold. Crossing one is its error: no_memory on wl_display.

    Bytes coming in are bounded by the wire's longest message, bytes going out by the transport.
    """

    queued_fds: int = 128  # come before their message; honest senders are at most 28 ahead
    objects: int = 1 << 16  # alive at once


DEFAULT_LIMITS: Final = Limits()


class Connection:
    """`error` is the fatal one, if any; `closing` says that nothing is dispatched or sent any more."""

    def __init__(
        self,
        role: Role,
        wire: Wire,
        *,
        name: str = "",
        limits: Limits = DEFAULT_LIMITS,
        observer: Observer | None = None,
    ) -> None:
        self.role = role
        self.name = name
        self.error: ProtocolError | None = None
        self.closing = False
        self._wire = wire
        self._limits = limits
        self._observer = observer
        self._table = Table(is_server=role is Role.SERVER)
        self._fds: deque[int] = deque()
        self._outbox = Outbox()

    @property
    def objects(self) -> Mapping[int, Object]:
        """The living by id."""
        return self._table.objects

    # Coming in.

    def receive(self, data: bytes, fds: Iterable[int] = ()) -> None:
        """Dispatch every complete message; keep the rest. The descriptors are ours from here on."""
        self._fds.extend(fds)
        if not self.closing:
            try:
                self._dispatch(data)
                self._check_limits()
            except ProtocolError as error:
                self.post_error(error)
        if self.closing:
            self._drop_fds()

    def _dispatch(self, data: bytes) -> None:
        find = self._table.objects.get
        refusals = self._wire.refusals
        is_unwatched = self._observer is None
        try:
            for object_id, opcode, body in self._wire.frames(data):
                obj = find(object_id)
                if obj is None:
                    self._swallow(object_id, opcode, body)
                    continue
                if opcode >= len(obj.incoming):
                    raise invalid_method(f"invalid method {opcode}, object {obj!r}")
                decode, handler, particulars, is_plain = obj.incoming[opcode]
                if is_plain and is_unwatched and handler is not None:
                    try:
                        values = decode(body)
                    except refusals as why:
                        raise _invalid_arguments(repr(obj), particulars.message, why) from why
                    handler(obj, *values)
                else:
                    self._deliver(obj, obj.incoming[opcode], body)
                if self.closing:
                    break
        except Malformed as why:
            raise invalid_method(str(why)) from why

    def _deliver(self, obj: Object, entry: Incoming, body: Body) -> None:
        """The long way: versions, objects, new ids, descriptors, observers, destructors."""
        decode, handler, particulars, _ = entry
        message = particulars.message
        if message.since > obj.version:
            raise invalid_method(
                f"invalid version for {obj!r}.{message.name} ({obj.version}, need at least {message.since})"
            )
        try:
            arguments = argument_list.arrived(
                obj, particulars, decode(body), table=self._table, fds=self._fds
            )
        except self._wire.refusals as why:
            raise _invalid_arguments(repr(obj), message, why) from why
        try:
            if self._observer is not None:
                self._observer(self._said(obj, message, arguments, incoming=True))
            if handler is not None:
                handler(obj, *arguments)
        finally:
            if particulars.fd_count:
                for each in arguments:
                    if isinstance(each, ReceivedFd):
                        each.close()
        if particulars.makes_objects:
            self._look_for_objects(message, arguments)
        if message.ends_object and self.role is Role.SERVER:
            self.retire(obj)

    def _look_for_objects(self, message: Message, arguments: Sequence[object]) -> None:
        """The handler was to make them."""
        for each in arguments:
            if isinstance(each, NewId) and not each.is_used and not self.closing:
                if self.role is Role.SERVER:
                    raise Misuse(f"the handler of {message} made nothing of {each!r}")
                self._table.end(each.id, each.interface)

    def _swallow(self, object_id: int, opcode: int, body: Body) -> None:
        """A message to nobody: fatal, unless it is an event that crossed our destroying of its object."""
        interface_name = self._table.zombies.get(object_id)
        if interface_name is None:
            raise display_error(WlDisplay.Error.INVALID_OBJECT, f"invalid object {object_id}")
        events = schema.interface(interface_name).events
        if opcode >= len(events):
            raise invalid_method(f"invalid method {opcode}, object {interface_name}#{object_id}")
        self._discard(object_id, events[opcode], body)

    def _discard(self, object_id: int, message: Message, body: Body) -> None:
        try:
            values = self._wire.decoder(message)(body)
            arguments = argument_list.discarded(message, values, table=self._table, fds=self._fds)
        except self._wire.refusals as why:
            raise _invalid_arguments(f"{message.interface}#{object_id}", message, why) from why
        if self._observer is not None:
            self._observer(Said(self.name, object_id, message, arguments, incoming=True, discarded=True))

    def _check_limits(self) -> None:
        if len(self._fds) > self._limits.queued_fds:
            raise display_error(WlDisplay.Error.NO_MEMORY, f"{len(self._fds)} descriptors without a message")
        if len(self._table.objects) > self._limits.objects:
            raise display_error(WlDisplay.Error.NO_MEMORY, f"{len(self._table.objects)} objects")

    # Going out.

    def emit(self, sender: Object, message: str, arguments: Sequence[object]) -> None:
        """Send a message of a living object; see `Object.send`."""
        if self.closing:
            return
        entry = sender.outgoing.get(message)
        if entry is None or not sender.alive:
            life = f"at version {sender.version}" if sender.alive else "which has ended"
            raise Misuse(f"{sender!r}, {life}, cannot say {message}")
        encode, particulars, is_plain = entry
        if is_plain and self._observer is None:
            self._outbox.put(encode(sender.id, arguments), [])
            return
        values, lent = argument_list.departing(sender, particulars, arguments)
        data = encode(sender.id, values)
        self._outbox.put(data, duplicate_all(lent) if lent else [])
        if self._observer is not None:
            self._observer(self._said(sender, particulars.message, arguments, incoming=False))
        if particulars.message.ends_object and self.role is Role.CLIENT:
            self.retire(sender)

    def send_raw(self, object_id: int, opcode: int, body: Body, fds: Sequence[int] = ()) -> None:
        """Send anything, however illegal: the way past every check. Lends the fds; not observed."""
        self._outbox.put(self._wire.frame(object_id, opcode, body), duplicate_all(fds))

    def send_bytes(self, data: bytes, fds: Sequence[int] = ()) -> None:
        """Send what need not even be a message."""
        self._outbox.put(data, duplicate_all(fds))

    def take_output(self) -> list[Packet]:
        """What is to be sent since the last call, at most 28 descriptors a packet."""
        return self._outbox.take()

    def call_on_output(self, listener: Callable[[], None]) -> None:
        """Have the listener called whenever the first message since `take_output` is waiting."""
        self._outbox.on_output = listener

    # Objects.

    def new_id(self, interface: str, version: int) -> NewId:
        """The next free id of our side."""
        return NewId(self, id=self._table.give(), interface=interface, version=version)

    def claim_display(self) -> NewId:
        """Server: id 1, which the client gave by connecting."""
        self._table.claim(DISPLAY_ID)
        return NewId(self, id=DISPLAY_ID, interface="wl_display", version=1)

    def register(self, obj: Object) -> None:
        """An object was made of its NewId."""
        obj.incoming = dispatch.incoming(type(obj), obj.version, type(self._wire))  # type: ignore[arg-type]  # classes do hash
        obj.outgoing = dispatch.outgoing(type(obj), obj.version, type(self._wire))  # type: ignore[arg-type]  # classes do hash
        self._table.objects[obj.id] = obj

    def retire(self, obj: Object) -> None:
        """End an object; a server tells the client when the id was the client's."""
        if not obj.alive:
            return
        obj.alive = False
        obj.on_destroyed()
        self._table.end(obj.id, obj.interface)
        if self.role is Role.SERVER and obj.id < SERVER_ID_START:
            display = self._table.objects.get(DISPLAY_ID)
            if display is not None:
                display.send("delete_id", obj.id)

    def on_delete_id(self, id: int) -> None:
        """Client: the server is done with an id, and with its object if that still lives (wl_callback)."""
        obj = self._table.objects.get(id)
        if obj is not None:
            self.retire(obj)
        try:
            self._table.release(id)
        except Malformed as why:
            raise display_error(WlDisplay.Error.INVALID_OBJECT, str(why)) from why

    def interface_of(self, id: int) -> str:
        """What has, or last had, that id; empty if nobody knows."""
        obj = self._table.objects.get(id)
        return obj.interface if obj is not None else self._table.zombies.get(id, "")

    # The end.

    def post_error(self, error: ProtocolError) -> None:
        """End the connection with this error; a server says so to its client."""
        if self.closing:
            return
        self.error = error
        if self.role is Role.SERVER:
            display = self._table.objects[DISPLAY_ID]
            encode, particulars, _ = display.outgoing["error"]
            text = error.text.encode()[:ERROR_TEXT_BYTES].decode(errors="ignore")
            values = (error.object_id, int(error.code), text)
            self._outbox.put(encode(DISPLAY_ID, values), [])
            if self._observer is not None:
                self._observer(self._said(display, particulars.message, values, incoming=False))
        self.closing = True

    def hang_up(self) -> None:
        """The peer is gone: end every object in order of ids, close every descriptor."""
        self.closing = True
        self._drop_fds()
        self._outbox.discard()
        for id in sorted(self._table.objects):
            obj = self._table.objects.get(id)
            if obj is not None:
                self.retire(obj)

    def _drop_fds(self) -> None:
        close_all(self._fds)
        self._fds.clear()

    def _said(self, obj: Object, message: Message, arguments: Sequence[object], *, incoming: bool) -> Said:
        pairs = zip(message.arguments, arguments, strict=True)
        seen = tuple(self._as_seen(argument, value) for argument, value in pairs)
        return Said(self.name, obj.id, message, seen, incoming=incoming)

    def _as_seen(self, argument: Argument, value: object) -> object:
        if isinstance(value, ReceivedFd):
            return value.fileno()
        if argument.kind is Kind.OBJECT and isinstance(value, int):  # wl_display.error
            return self._table.objects.get(value, value)
        return value


def _invalid_arguments(who: str, message: Message, why: Exception) -> ProtocolError:
    detail = why if isinstance(why, Malformed) else "too short"
    return invalid_method(f"invalid arguments for {who}.{message.name}: {detail}")
