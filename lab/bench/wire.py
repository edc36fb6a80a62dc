"""What a message costs on either wire: made, read, and carried to the handler's return."""

from collections.abc import Callable, Sequence
from typing import Any, ClassVar, Final

import msgspec

from syncline.lab.bench.clock import cost_ns
from syncline.protocol import schema
from syncline.protocol.connection import Connection
from syncline.protocol.display import Display, Global, Globals, Registry, serve
from syncline.protocol.object import NewId, Proxy, Resource
from syncline.protocol.schema import Message
from syncline.protocol.wire.msgpack import MsgpackWire
from syncline.protocol.wire.wayland import WaylandWire

WIRES: Final[dict[str, type[WaylandWire] | type[MsgpackWire]]] = {
    "wayland": WaylandWire,
    "zmq": MsgpackWire,
}
CALLS: Final = 2_000
TOGETHER: Final = 100
"""Messages in one read: what a client says at once."""

REQUESTS: Final[Sequence[tuple[str, tuple[object, ...]]]] = (
    ("wl_surface.commit", ()),
    ("wl_surface.damage", (0, 0, 256, 256)),
    ("wl_surface.attach", (0, 0, 0)),
    ("xdg_toplevel.set_title", ("a window of ordinary length",)),
    ("wp_linux_drm_syncobj_surface_v1.set_acquire_point", (9, 1 << 40)),
)
EVENTS: Final[Sequence[tuple[str, tuple[object, ...]]]] = (
    ("wl_callback.done", (123_456,)),
    ("xdg_toplevel.configure", (640, 480, bytes(8))),
    ("wp_presentation_feedback.presented", (1_700_000_000, 16_666_667, 16_666_667, 1 << 33, 7)),
)


class MessageCost(msgspec.Struct, frozen=True, kw_only=True):
    """Nanoseconds by wire. `deliver`: from bytes to the handler's return, where the message needs no other object."""

    message: str
    encode_ns: dict[str, float]
    decode_ns: dict[str, float]
    deliver_ns: dict[str, float]


def message_costs() -> list[MessageCost]:
    """Every message above."""
    return [
        MessageCost(
            message=name,
            encode_ns={wire: _encode_ns(kind, _message(name), values) for wire, kind in WIRES.items()},
            decode_ns={wire: _decode_ns(kind, _message(name), values) for wire, kind in WIRES.items()},
            deliver_ns=_deliver_ns(name, values),
        )
        for name, values in (*REQUESTS, *EVENTS)
    ]


def _message(name: str) -> Message:
    interface, _, wanted = name.partition(".")
    table = schema.interface(interface)
    return next(each for each in (*table.requests, *table.events) if each.name == wanted)


def _encode_ns(
    wire: type[WaylandWire] | type[MsgpackWire], message: Message, values: tuple[object, ...]
) -> float:
    encode = wire.encoder(message)
    return cost_ns(lambda: encode(7, values), calls=CALLS)


def _decode_ns(
    wire: type[WaylandWire] | type[MsgpackWire], message: Message, values: tuple[object, ...]
) -> float:
    """From bytes to values, finding where the message ends included."""
    data = wire.encoder(message)(7, values) * TOGETHER
    decode = wire.decoder(message)
    frames = wire().frames

    def read() -> None:
        for _, _, body in frames(data):
            decode(body)

    return cost_ns(read, calls=CALLS // TOGETHER) / TOGETHER


def _deliver_ns(name: str, values: tuple[object, ...]) -> dict[str, float]:
    found = {"wl_surface.commit": "commit", "wl_surface.damage": "damage"}.get(name)
    if found is None:
        return {}
    return {wire: _surface_ns(kind, found, values) for wire, kind in WIRES.items()}


def _surface_ns(
    wire: type[WaylandWire] | type[MsgpackWire], request: str, values: tuple[object, ...]
) -> float:
    server, surface = _surface_on(wire)
    surface.send(request, *values)
    ((data, _),) = surface.connection.take_output()  # type: ignore[attr-defined]  # a whole connection
    together = data * TOGETHER
    return cost_ns(lambda: server.receive(together), calls=CALLS // TOGETHER) / TOGETHER


class _Surface(Resource):
    interface = "wl_surface"
    up_to = 6
    ignored: ClassVar[tuple[str, ...]] = (
        "set_opaque_region", "set_input_region", "set_buffer_transform", "set_buffer_scale", "offset",
        "damage_buffer", "frame", "attach",
    )  # fmt: skip

    def damage(self, x: int, y: int, width: int, height: int) -> None: ...

    def commit(self) -> None: ...

    def destroy(self) -> None: ...


class _Compositor(Resource):
    interface = "wl_compositor"
    up_to = 6
    ignored: ClassVar[tuple[str, ...]] = ("create_region",)

    def create_surface(self, id: NewId) -> None:
        _Surface(id)


def proxy(interface: str) -> type[Proxy]:
    """A client's class of that interface which wants to hear nothing."""
    events = tuple(each.name for each in schema.interface(interface).events)
    return type(interface, (Proxy,), {"interface": interface, "ignored": events})


def _surface_on(wire: Callable[[], Any]) -> tuple[Connection, Proxy]:
    server = serve(Globals([Global("wl_compositor", 6, _Compositor)]), wire=wire())
    display = Display.connect(wire=wire())
    client = display.connection

    def pump() -> None:
        for sender, receiver in ((client, server), (server, client)):
            for data, fds in sender.take_output():
                receiver.receive(data, fds)

    registry = display.get_registry(Registry)
    pump()
    surface = registry.bind_first(proxy("wl_compositor")).request_new("create_surface", proxy("wl_surface"))
    pump()
    return server, surface
