"""A server and a client with no transport between them: two connections, a pump, and a few interfaces."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from types import SimpleNamespace

import pytest
import served
from served import Compositor, Device, Devices, Seat, ServedDevice, ServedOffer, ServedRegion

from syncline.protocol.connection import Connection, Limits
from syncline.protocol.display import Display, Global, Globals, Registry, serve
from syncline.protocol.object import NewId, Object, Proxy


class ServedSurface(served.ServedSurface):
    """A wl_surface that writes down what happens to it."""

    ignored = ("set_input_region", "set_buffer_transform", "offset")

    def __init__(self, new: NewId) -> None:
        super().__init__(new)
        self.log: list[object] = []
        self.on_scale: Callable[[], None] = lambda: None

    def destroy(self) -> None:
        self.log.append("destroy")

    def attach(self, buffer: Object | None, x: int, y: int) -> None:
        self.log.append(("attach", buffer, x, y))

    def damage(self, x: int, y: int, width: int, height: int) -> None:
        self.log.append(("damage", x, y, width, height))

    def set_opaque_region(self, region: Object | None) -> None:
        self.log.append(("opaque", region))

    def commit(self) -> None:
        raise self.error(5, "nothing to commit")

    def set_buffer_scale(self, scale: int) -> None:
        self.log.append(("scale", scale))
        self.on_scale()

    def damage_buffer(self, x: int, y: int, width: int, height: int) -> None:
        raise ValueError("a bug of ours")

    def on_destroyed(self) -> None:
        self.log.append("destroyed")


class ServedCompositor(served.ServedCompositor):
    surface = ServedSurface


class Surface(served.Surface):
    ignored = ("leave", "preferred_buffer_scale", "preferred_buffer_transform")

    def __init__(self, new: NewId) -> None:
        super().__init__(new)
        self.log: list[object] = []

    def enter(self, output: Object | None) -> None:
        self.log.append(("enter", output))

    def on_destroyed(self) -> None:
        self.log.append("destroyed")


class Region(Proxy):
    interface = "wl_region"


class Frame(Proxy):
    """Does not end itself on `done`: the server's delete_id does."""

    interface = "wl_callback"

    def __init__(self, new: NewId) -> None:
        super().__init__(new)
        self.log: list[object] = []

    def done(self, callback_data: int) -> None:
        self.log.append(callback_data)

    def on_destroyed(self) -> None:
        self.log.append("destroyed")


OFFERS = [Global("wl_compositor", 6, ServedCompositor), *served.OFFERS[1:]]
KINDS = {
    kind.__name__: kind for kind in (Compositor, Devices, Frame, Region, Seat, ServedOffer, ServedRegion)
} | {"OFFERS": OFFERS}


@dataclass
class Talk:
    """Both ends, and what moves messages between them."""

    globals_: Globals
    server: Connection
    display: Display
    registry: Registry = field(init=False)

    def __post_init__(self) -> None:
        self.registry = self.display.get_registry(Registry)
        self.pump()

    @property
    def client(self) -> Connection:
        return self.display.connection

    def to_server(self) -> None:
        for data, fds in self.client.take_output():
            self.server.receive(data, fds)

    def to_client(self) -> None:
        for data, fds in self.server.take_output():
            self.client.receive(data, fds)

    def pump(self) -> None:
        """Until neither has anything to say."""
        while (said := self.client.take_output()) or (heard := self.server.take_output()):
            for data, fds in said:
                self.server.receive(data, fds)
            for data, fds in [] if said else heard:
                self.client.receive(data, fds)

    def surface(self, version: int = 6) -> tuple[Surface, ServedSurface]:
        """The client's new surface and the server's end of it."""
        surface = self.registry.bind_first(Compositor, up_to=version).request_new("create_surface", Surface)
        self.pump()
        return surface, self.server.objects[surface.id]

    def device(self) -> tuple[Device, ServedDevice]:
        """The client's new data device and the server's end of it."""
        manager, seat = self.registry.bind_first(Devices), self.registry.bind_first(Seat)
        device = manager.request_new("get_data_device", Device, seat)
        self.pump()
        return device, self.server.objects[device.id]

    def verdict(self) -> tuple[int, int]:
        """The object and code of the error that the server posted and the client heard."""
        self.pump()
        ours, theirs = self.server.error, self.client.error
        assert (ours.object_id, ours.code, ours.text) == (theirs.object_id, theirs.code, theirs.text)
        return ours.object_id, ours.code


@pytest.fixture
def converse() -> Iterator[Callable[..., Talk]]:
    """Make both ends of a connection to a server with these globals."""
    talks: list[Talk] = []

    def begin(offers: Sequence[Global], **options: Limits) -> Talk:
        globals_ = Globals(offers)
        talks.append(Talk(globals_, serve(globals_, **options), Display.connect()))
        return talks[-1]

    yield begin
    for talk in talks:
        talk.client.hang_up()
        talk.server.hang_up()


@pytest.fixture
def talk(converse: Callable[..., Talk]) -> Talk:
    """Both ends, with every interface below on offer."""
    return converse(OFFERS)


@pytest.fixture
def kinds() -> SimpleNamespace:
    """What the stories name."""
    return SimpleNamespace(**KINDS)
