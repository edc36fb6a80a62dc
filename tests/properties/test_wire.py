"""Whatever one end says, of every interface there is, the other end hears."""

import os
import string
from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import given, settings, strategies as st

from syncline.protocol import schema
from syncline.protocol.display import Display, Global, Globals, Registry, serve
from syncline.protocol.fd import ReceivedFd
from syncline.protocol.object import NewId, Object, Proxy, Resource, method_name
from syncline.protocol.schema import Argument, Kind, Message
from syncline.protocol.wire import Wire
from syncline.protocol.wire.msgpack import MsgpackWire
from syncline.protocol.wire.wayland import MESSAGE_BYTES_MAX, WaylandWire

TEXT = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=40)
UINT = st.integers(0, 2**32 - 1)
U64 = st.integers(0, 2**64 - 1)

VALUES = {
    Kind.INT: st.integers(-(2**31), 2**31 - 1),
    Kind.UINT: UINT,
    Kind.FIXED: st.integers(-(2**31), 2**31 - 1).map(lambda word: word / 256),
    Kind.STRING: TEXT,
    Kind.OBJECT: UINT,
    Kind.NEW_ID: UINT,
    Kind.ARRAY: st.binary(max_size=40),
    Kind.U64_HI_LO: U64,
    Kind.U64_LO_HI: U64,
}

EVERY_INTERFACE = schema.interfaces()
WIRES: st.SearchStrategy[type[WaylandWire | MsgpackWire]] = st.sampled_from([WaylandWire, MsgpackWire])

OURS = "said-on-the-wire-"
"""Names of descriptors made here: others in the process are other tests' affair."""


def value_of(argument: Argument) -> st.SearchStrategy[object]:
    if argument.kind is Kind.NEW_ID and argument.interface is None:
        return st.tuples(TEXT, UINT, UINT)
    if argument.kind is Kind.STRING and argument.nullable:
        return TEXT | st.none()
    return VALUES[argument.kind]


@pytest.mark.parametrize("name", EVERY_INTERFACE)
@given(data=st.data())
@settings(max_examples=settings().max_examples // 20)
def test_every_message_survives_the_wire(name: str, data: st.DataObject) -> None:
    interface = schema.interface(name)
    for message in interface.requests + interface.events:
        in_body = [each for each in message.arguments if each.kind is not Kind.FD]
        values = [data.draw(value_of(each), label=f"{message}.{each.name}") for each in in_body]
        object_id = data.draw(UINT)
        wire = data.draw(WIRES)(message_bytes=MESSAGE_BYTES_MAX)

        ((heard_by, opcode, body),) = wire.frames(wire.encoder(message)(object_id, values))

        assert (heard_by, opcode) == (object_id, message.opcode)
        assert list(wire.decoder(message)(body)) == values


class Listening:
    """Either end of an object of any interface: it keeps what it hears."""

    def __init__(self, new: NewId) -> None:
        super().__init__(new)  # type: ignore[call-arg]
        self.heard: list[tuple[str, tuple[object, ...]]] = []


def speaker(kind: type[Object], interface: str) -> type[Object]:
    """A class whose every method writes down its call, and makes the object if there is one to make."""

    def method(message: Message) -> object:
        def hear(self: Object, *arguments: object) -> None:
            noted = tuple(_made(kind, each) if isinstance(each, NewId) else each for each in arguments)
            noted = tuple(_inode(each.fileno()) if isinstance(each, ReceivedFd) else each for each in noted)
            self.heard.append((message.name, noted))  # type: ignore[attr-defined]

        return hear

    table = schema.interface(interface)
    messages = table.requests if kind is Resource else table.events
    methods = {method_name(each.name): method(each) for each in messages}
    return type(interface, (Listening, kind), {"interface": interface, **methods})


def _made(kind: type[Object], new: NewId) -> Object:
    return speaker(kind, new.interface)(new)


def _inode(fd: int) -> int:
    return os.fstat(fd).st_ino


class Scene:
    """A server that offers every interface, a client that binds what it needs."""

    def __init__(self, wire: type[Wire]) -> None:
        bindable = [each for each in EVERY_INTERFACE if each not in {"wl_display", "wl_registry"}]
        self.names = {interface: name for name, interface in enumerate(bindable, start=1)}
        offers = [Global(each, schema.interface(each).version, self._bind) for each in bindable]
        self.server = serve(Globals(offers), wire=wire())
        display = Display.connect(wire=wire())
        self.client = display.connection
        self.registry = display.get_registry(Registry)
        self.pump()

    def _bind(self, new: NewId) -> Object:
        return _made(Resource, new)

    def bind(self, interface: str) -> Object:
        if interface == "wl_registry":
            return self.registry
        version = schema.interface(interface).version
        kind = speaker(Proxy, interface)
        obj = self.registry.bind(self.names[interface], kind, interface=interface, version=version)
        self.pump()
        return obj

    def pump(self) -> None:
        for sender, receiver in ((self.client, self.server), (self.server, self.client)):
            for data, fds in sender.take_output():
                receiver.receive(data, fds)
        assert self.server.error is None
        assert self.client.error is None

    def other_end(self, value: object) -> object:
        if not isinstance(value, Object):
            return value
        return (self.server if value.connection is self.client else self.client).objects[value.id]

    def end(self) -> None:
        self.client.hang_up()
        self.server.hang_up()


@pytest.mark.parametrize(
    "name", [each for each in EVERY_INTERFACE if each not in {"wl_display", "wl_registry"}]
)
@given(data=st.data())
@settings(max_examples=settings().max_examples // 30)
def test_every_message_is_heard_as_it_was_said(name: str, data: st.DataObject) -> None:
    scene = Scene(data.draw(WIRES))
    interface = schema.interface(name)
    for message in interface.events + interface.requests:
        proxy = scene.bind(name)
        resource = scene.server.objects[proxy.id]
        sender, receiver = (resource, proxy) if message in interface.events else (proxy, resource)

        said = [data.draw(argument_of(each, scene, sender), label=str(message)) for each in message.arguments]
        expected = [heard_as(*each, scene) for each in zip(message.arguments, said, strict=True)]
        say(sender, message, said)
        scene.pump()

        ((heard, arguments),) = receiver.heard  # type: ignore[attr-defined]
        assert heard == message.name
        assert [at_hand(*each) for each in zip(message.arguments, arguments, strict=True)] == expected
        if message.ends_object:
            assert (sender.alive, receiver.alive) == (False, False)
        close_descriptors(message, said)
    scene.end()


def argument_of(argument: Argument, scene: Scene, sender: Object) -> st.SearchStrategy[object]:
    match argument.kind:
        case Kind.FD:
            return st.builds(os.memfd_create, st.text(string.ascii_letters, max_size=5).map(OURS.__add__))
        case Kind.NEW_ID:
            return st.just(argument.interface or "wl_output")
        case Kind.OBJECT:
            interface = argument.interface or "wl_output"
            proxy = scene.bind(interface)
            end = proxy if sender.connection is scene.client else scene.server.objects[proxy.id]
            return st.sampled_from([end, None]) if argument.nullable else st.just(end)
        case _:
            return value_of(argument)


def say(sender: Object, message: Message, said: Sequence[object]) -> None:
    """Send it, making our end of what it makes."""
    new: NewId | None = None
    arguments = list(said)
    for at, argument in enumerate(message.arguments):
        if argument.kind is Kind.NEW_ID:
            new = sender.connection.new_id(str(said[at]), 1)
            arguments[at] = new
    sender.send(message.name, *arguments)
    if new is not None:
        _made(Proxy if isinstance(sender, Proxy) else Resource, new)


def heard_as(argument: Argument, value: object, scene: Scene) -> object:
    if argument.kind is Kind.FD:
        assert isinstance(value, int)
        return _inode(value)
    return scene.other_end(value)


def at_hand(argument: Argument, value: object) -> object:
    """What was made is known by its interface, everything else is itself."""
    return value.interface if argument.kind is Kind.NEW_ID and isinstance(value, Object) else value


def close_descriptors(message: Message, said: Sequence[object]) -> None:
    for argument, value in zip(message.arguments, said, strict=True):
        if argument.kind is Kind.FD:
            assert isinstance(value, int)
            os.close(value)


def test_no_descriptor_is_left_open_by_all_this() -> None:
    assert not [
        each for each in map(str, map(read_link, Path("/proc/self/fd").iterdir())) if f"memfd:{OURS}" in each
    ]


def read_link(path: Path) -> Path:
    return path.readlink() if path.is_symlink() else path
