"""Whatever a client says on either wire, of every request there is, a witness still gets its next frame."""

import os
import re
import string
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings, strategies as st
from messages import message_pair

from syncline.kms_model.uapi import SyncobjCreate, SyncobjHandleToFd
from syncline.lab.conform.virtual import VirtualTarget
from syncline.protocol import schema
from syncline.protocol.display import Display, Registry
from syncline.protocol.fd import close_all
from syncline.protocol.object import Proxy
from syncline.protocol.schema import Argument, Interface, Kind, Message
from syncline.protocol.trace import Said, line
from syncline.protocol.transport import Transport
from syncline.protocol.transport.link import Link
from syncline.protocol.transport.memory import pair
from syncline.protocol.wire.msgpack import MsgpackWire
from syncline.protocol.wire.wayland import WaylandWire

WIRES = {"wayland": WaylandWire, "messages": MsgpackWire}
TURNS = 40
PIXELS = "wp_single_pixel_buffer_manager_v1"
NEVER = {"wl_touch.release"}  # the seat has no touch, so get_touch is an error


def proxy(interface: str, **methods: Any) -> type[Proxy]:
    events = {each.name for each in schema.interface(interface).events}
    return type(
        interface, (Proxy,), {"interface": interface, "ignored": tuple(events - set(methods)), **methods}
    )


class Witness:
    """A well-behaved client that shows a frame when asked to."""

    def __init__(self, stage: "Stage") -> None:
        self.stage = stage
        ours, theirs = pair(stage.loop)
        stage.driver.server.accept(theirs)
        display = Display.connect()
        self.connection = display.connection
        self._link = Link(stage.loop, self.connection, ours, lambda _: None)
        self.registry = display.get_registry(Registry)
        stage.until(lambda: bool(self.registry.globals))
        self.presented = 0

        def configure(xdg: Proxy, serial: int) -> None:
            xdg.send("ack_configure", serial)
            self.configured = True

        def presented(feedback: Proxy, *_: int) -> None:
            feedback.finish()
            self.presented += 1

        self._feedback = proxy("wp_presentation_feedback", presented=presented)
        bind = self.registry.bind_first
        self._surface = bind(proxy("wl_compositor")).request_new("create_surface", proxy("wl_surface"))
        shell = bind(proxy("xdg_wm_base", ping=lambda base, serial: base.send("pong", serial)))
        xdg = shell.request_new("get_xdg_surface", proxy("xdg_surface", configure=configure), self._surface)
        xdg.request_new("get_toplevel", proxy("xdg_toplevel"))
        self._pixels = bind(proxy("wp_single_pixel_buffer_manager_v1"))
        self._presentation = bind(proxy("wp_presentation"))
        self.configured = False
        self._surface.send("commit")
        stage.until(lambda: self.configured)

    def present(self) -> None:
        """A frame, seen on the screen."""
        expected = self.presented + 1
        shade = expected % 2 * 0xFFFFFFFF
        buffer = self._pixels.request_new(
            "create_u32_rgba_buffer", proxy("wl_buffer"), shade, shade, shade, 0xFFFFFFFF
        )
        self._presentation.request_new("feedback", self._feedback, self._surface)
        self._surface.send("attach", buffer, 0, 0)
        self._surface.send("damage", 0, 0, 1, 1)
        self._surface.send("commit")
        buffer.send("destroy")
        self.stage.until(lambda: self.presented == expected or self.connection.closing)
        assert self.connection.error is None


class Stage:
    """A compositor on virtual time and its witness."""

    def __init__(self, stand: Any) -> None:
        self.loop, self.node, self.driver = stand.loop, stand.node, stand.driver
        self.faults: list[Any] = []
        self.said: list[Said] = []
        self.driver.server._observer = self.said.append
        self.loop.set_exception_handler(lambda _, context: self.faults.append(context))
        self.witness = Witness(self)
        self.globals = dict(self.witness.registry.globals)
        self.versions = dict(self.globals.values())
        self.makers = makers(reachable(set(self.versions)))
        self.device = self.node.open("render")

    def turn(self, count: int = TURNS) -> None:
        for _ in range(count):
            self.loop.call_soon(self.loop.stop)
            self.loop.run_forever()
        assert not self.faults, self.faults

    def until(self, condition: Callable[[], bool]) -> None:
        end_ns = self.loop.now_ns() + 2_000_000_000
        while not condition():
            assert self.loop.now_ns() < end_ns, "it never happened"
            self.loop.call_at_ns(self.loop.now_ns() + 1_000_000, self.loop.stop)
            self.loop.run_forever()
            assert not self.faults, self.faults


@pytest.fixture(scope="module")
def stage() -> Iterator[Stage]:
    with VirtualTarget().stand() as stand:
        stage = Stage(stand)
        yield stage
        stage.device.close()


@dataclass
class Puppet:
    """A client that says anything: it numbers objects, and lets the test choose the words."""

    stage: Stage
    wire: str
    next_id: int = 2
    objects: dict[str, int] = field(default_factory=lambda: {"wl_display": 1})

    def __post_init__(self) -> None:
        stage = self.stage
        self.transport: Transport
        if self.wire == "wayland":
            self.transport, theirs = pair(stage.loop)
            stage.driver.server.accept(theirs)
        else:
            self.transport, there = message_pair(stage.loop, stage.node)
            stage.driver.server.accept(there, wire=MsgpackWire())
        self.ended = False
        self.transport.start(lambda _, fds: close_all(fds), self._end)
        self.say("wl_display", "get_registry", {})

    def _end(self, _reason: str) -> None:
        self.ended = True

    def new(self, interface: str) -> int:
        self.objects[interface] = self.next_id
        self.next_id += 1
        return self.objects[interface]

    def have(self, interface: str) -> int:
        """An object of that interface, made as any client would make it, as far as that is possible."""
        if interface in self.objects:
            return self.objects[interface]
        names = {each: (name, version) for name, (each, version) in self.stage.globals.items()}
        if interface in names:
            name, version = names[interface]
            wanted = min(version, schema.interface(interface).version)
            id = self.new(interface)
            self.say("wl_registry", "bind", {"name": name, "id": (interface, wanted, id)})
            return id
        if interface not in self.stage.makers:
            return 0
        parent, request = self.stage.makers[interface]
        self.say(parent, request.name, {})
        if interface == "xdg_positioner":  # of no use before it has these
            self.say(interface, "set_size", {})
            self.say(interface, "set_anchor_rect", {})
        return self.objects[interface]

    def say(self, interface: str, request: str, chosen: dict[str, object]) -> None:
        """Send it with these arguments, and plausible ones for the rest."""
        target = self.have(interface)
        message = schema.interface(interface).request(request)
        values = self.values(message, chosen)
        fds = [self.descriptor(request) for each in message.arguments if each.kind is Kind.FD]
        self.write(WIRES[self.wire].encoder(message)(target, values), fds)

    def values(self, message: Message, chosen: dict[str, object]) -> list[object]:
        """What is sent of it: objects are found first, for making one takes the next id."""
        known = {
            each.name: self.plausible(each)
            for kinds in (set(Kind) - {Kind.NEW_ID}, {Kind.NEW_ID})
            for each in message.arguments
            if each.kind in kinds and each.name not in chosen
        } | chosen
        return [known[each.name] for each in message.arguments if each.kind is not Kind.FD]

    def descriptor(self, request: str) -> int:
        if request == "import_timeline":
            device = self.stage.device
            return device.call(SyncobjHandleToFd(handle=device.call(SyncobjCreate()).handle)).fd
        fd = os.memfd_create("fuzz")
        os.ftruncate(fd, 4096)
        return fd

    def plausible(self, argument: Argument) -> object:
        match argument.kind:
            case Kind.NEW_ID if argument.interface is None:
                return "wl_shm", 1, self.new("wl_shm")
            case Kind.NEW_ID:
                return self.new(argument.interface or "")
            case Kind.OBJECT if argument.name == "parent" and argument.interface == "wl_surface":
                child = self.have("wl_surface")
                self.say("wl_compositor", "create_surface", {})
                parent, self.objects["wl_surface"] = self.objects["wl_surface"], child
                return parent
            case Kind.OBJECT:
                return 0 if argument.nullable else self.have(argument.interface or "wl_surface")
            case Kind.STRING:
                return "text"
            case Kind.ARRAY:
                return b""
            case _:
                return 1

    def write(self, data: bytes, fds: list[int]) -> None:
        if self.ended:
            close_all(fds)
        else:
            self.transport.write([(data, fds)])

    def leave(self) -> None:
        self.stage.turn()
        self.transport.close()
        self.stage.turn()


def makers(interfaces: list[Interface]) -> dict[str, tuple[str, Message]]:
    """For each interface a request that makes one."""
    found: dict[str, tuple[str, Message]] = {}
    for interface in interfaces:
        for request in interface.requests:
            made = request.new_id()
            if made is not None and made.interface is not None:
                found.setdefault(made.interface, (interface.name, request))
    return found | {
        "wl_buffer": (PIXELS, schema.interface(PIXELS).request("create_u32_rgba_buffer")),
        "wl_callback": ("wl_display", schema.interface("wl_display").request("sync")),
    }


def reachable(offered: set[str]) -> list[Interface]:
    """Every interface that a client can have an object of."""
    known = {"wl_display", "wl_registry"} | offered
    while True:
        made = {
            each.interface
            for name in known
            for request in schema.interface(name).requests
            for each in [request.new_id()]
            if each is not None and each.interface is not None
        }
        if made <= known:
            return [schema.interface(name) for name in sorted(known)]
        known |= made


def every_request(stage: Stage) -> list[Message]:
    offered = {interface for interface, _ in stage.globals.values()}
    return [
        request
        for interface in reachable(offered)
        for request in interface.requests
        if request.since <= stage.versions.get(interface.name, request.since)
    ]


@pytest.mark.requirement("TRN-01", "TRN-02", "TRN-04")
def test_every_request_of_every_interface_may_come_at_any_time_and_has_the_same_effect(stage: Stage) -> None:
    requests = every_request(stage)
    assert len(requests) > 120
    heard = set()
    for request in requests:
        stories = []
        for wire in WIRES:
            stage.said.clear()
            puppet = Puppet(stage, wire)
            puppet.say(request.interface, request.name, {})
            puppet.say(request.interface, request.name, {})
            puppet.leave()
            name = next(each.connection for each in stage.said if each.message.name == "get_registry")
            stories.append([told(each) for each in stage.said if each.connection == name])
            heard |= {str(said.message) for said in stage.said if said.incoming}
            stage.witness.present()
        assert stories[0] == stories[1], request
    assert {str(each) for each in requests} - NEVER == heard, "every one of them got as far as its object"


def told(said: Said) -> str:
    """Without whose it is, and what counts on from client to client: descriptors, serials, instants."""
    text = re.sub(r"\bfd \d+", "fd", line(said, 0).partition("}")[2])
    is_counted = said.message.name in {"configure", "ping", "enter", "leave", "presented", "done", "clock_id"}
    return re.sub(r"\(.*", "(…)", text) if is_counted else text


WORD = st.integers(0, 8) | st.sampled_from([0xFF000000, 2**31 - 1, 2**31, 2**32 - 1])
WILD = {
    Kind.INT: st.sampled_from([-(2**31), -1, 0, 1, 4096, 2**31 - 1]),
    Kind.UINT: WORD | st.sampled_from([0x34325258, 4096]),
    Kind.FIXED: st.sampled_from([-(2.0**23), -1.0, 0.0, 0.5, 2.0**22]),
    Kind.STRING: st.text(string.printable, max_size=20),
    Kind.OBJECT: WORD,
    Kind.NEW_ID: WORD,
    Kind.ARRAY: st.binary(max_size=12),
    Kind.U64_HI_LO: st.sampled_from([0, 1, 2**63, 2**64 - 1]),
    Kind.U64_LO_HI: st.sampled_from([0, 1, 2**63, 2**64 - 1]),
}
ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | st.floats() | st.text(max_size=5)
    | st.binary(max_size=20) | st.just(msgspec.msgpack.Ext(1, bytes(16))),
    lambda inner: st.lists(inner, max_size=5) | st.dictionaries(st.text(max_size=3), inner, max_size=2),
    max_leaves=8,
)  # fmt: skip


@pytest.mark.parametrize("wire", WIRES)
@given(data=st.data())
@settings(max_examples=3 * settings().max_examples)
def test_whatever_a_client_says_the_witness_gets_its_frame(
    stage: Stage, wire: str, data: st.DataObject
) -> None:
    stage.said.clear()
    puppet = Puppet(stage, wire)
    try:
        for _ in range(data.draw(st.integers(1, 6))):
            say_something(puppet, data)
    finally:
        puppet.leave()
    stage.witness.present()


def say_something(puppet: Puppet, data: st.DataObject) -> None:
    request = data.draw(st.sampled_from(every_request(puppet.stage)))
    match data.draw(st.sampled_from(["plausible", "wild", "wild", "mutated", "noise"])):
        case "plausible":
            puppet.say(request.interface, request.name, {})
        case "wild":
            free = [each for each in request.arguments if each.kind in WILD and not is_open(each)]
            chosen = data.draw(st.lists(st.sampled_from(free), unique=True) if free else st.just([]))
            puppet.say(
                request.interface, request.name, {each.name: data.draw(WILD[each.kind]) for each in chosen}
            )
        case "mutated":
            puppet.write(mutated(puppet, request, data), [])
        case "noise" if puppet.wire == "messages":
            values = data.draw(st.lists(ANYTHING, min_size=1, max_size=3))
            puppet.write(b"".join(map(msgspec.msgpack.encode, values)), [])
        case _:
            puppet.write(data.draw(st.binary(min_size=1, max_size=40)), [])


def is_open(argument: Argument) -> bool:
    return argument.kind is Kind.NEW_ID and argument.interface is None


def mutated(puppet: Puppet, request: Message, data: st.DataObject) -> bytes:
    """A request in which bytes are changed, missing, or too many."""
    target = puppet.have(request.interface)
    values = puppet.values(request, {})
    said = bytearray(WIRES[puppet.wire].encoder(request)(target, values))
    for _ in range(data.draw(st.integers(1, 3))):
        at = data.draw(st.integers(0, max(len(said) - 1, 0)))
        match data.draw(st.sampled_from(["change", "drop", "double"])):
            case "change" if said:
                said[at] = data.draw(st.integers(0, 255))
            case "drop":
                del said[at : at + data.draw(st.integers(1, 8))]
            case _:
                said[at:at] = said[at : at + 8]
    return bytes(said)


def test_nobody_is_left_behind(stage: Stage) -> None:
    assert len(stage.driver.server._lines) == 1
    assert open_memfds() == []


def open_memfds() -> list[str]:
    """What the puppets sent."""
    links = (link for link in Path("/proc/self/fd").iterdir() if link.exists())
    return [name for name in (str(link.readlink()) for link in links) if "memfd:fuzz" in name]
