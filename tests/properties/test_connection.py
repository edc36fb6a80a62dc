"""Two honest ends with messages under way in both directions: no order of events is ever an error."""

import os

from hypothesis import settings, strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule
from served import (
    OFFERS,
    Compositor,
    Device,
    Devices,
    Offer,
    Seat,
    ServedDevice,
    ServedOffer,
    ServedSource,
    ServedSurface,
    Surface,
    open_fds,
)

from syncline.protocol.connection import Connection
from syncline.protocol.display import Display, Globals, Registry, serve
from syncline.protocol.fd import ReceivedFd
from syncline.protocol.object import Object, Proxy


class Source(Proxy):
    """Writes what is asked of it into the descriptor that it is given."""

    interface = "wl_data_source"
    ignored = ("target", "cancelled", "dnd_drop_performed", "dnd_finished", "action")

    def send_(self, mime_type: str, fd: ReceivedFd) -> None:
        os.write(fd.fileno(), mime_type.encode())


class Frame(Proxy):
    interface = "wl_callback"

    def done(self, callback_data: int) -> None:
        self.finish()


WHICH = st.integers(0, 7)


class AnyHonestConversation(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.fds = open_fds()
        self.server = serve(Globals(OFFERS))
        self.display = Display.connect()
        self.client = self.display.connection
        self.to_server: list[tuple[bytes, list[int]]] = []
        self.to_client: list[tuple[bytes, list[int]]] = []
        registry = self.display.get_registry(Registry)
        self.settle()
        self.manager = registry.bind_first(Devices)
        self.compositor = registry.bind_first(Compositor)
        self.seat = registry.bind_first(Seat)

    def living(self, connection: Connection, kind: type[Object]) -> list[Object]:
        return [each for each in connection.objects.values() if isinstance(each, kind)]

    def one(self, connection: Connection, kind: type[Object], which: int) -> Object | None:
        living = self.living(connection, kind)
        return living[which % len(living)] if living else None

    # The client's side.

    @rule()
    def create_a_surface(self) -> None:
        self.compositor.request_new("create_surface", Surface)

    @rule()
    def create_a_device(self) -> None:
        self.manager.request_new("get_data_device", Device, self.seat)

    @rule()
    def create_a_source(self) -> None:
        self.manager.request_new("create_data_source", Source)

    @rule(which=WHICH)
    def ask_for_a_frame(self, which: int) -> None:
        surface = self.one(self.client, Surface, which)
        if surface is not None:
            assert isinstance(surface, Proxy)
            surface.request_new("frame", Frame)

    @rule(
        kind=st.sampled_from(
            [(Surface, "destroy"), (Device, "release"), (Offer, "destroy"), (Source, "destroy")]
        ),
        which=WHICH,
    )
    def destroy(self, kind: tuple[type[Object], str], which: int) -> None:
        victim = self.one(self.client, kind[0], which)
        if victim is not None:
            victim.send(kind[1])

    # The server's side.

    @rule(which=WHICH)
    def finish_a_frame(self, which: int) -> None:
        surface = self.one(self.server, ServedSurface, which)
        if isinstance(surface, ServedSurface) and surface.frames:
            surface.frames.pop(0).done(16)

    @rule(which=WHICH)
    def offer_something(self, which: int) -> None:
        device = self.one(self.server, ServedDevice, which)
        if isinstance(device, ServedDevice):
            offer = device.send_new("data_offer", ServedOffer)
            offer.send("offer", "text/plain")
            device.send("selection", offer)

    @rule(which=WHICH)
    def ask_a_source(self, which: int) -> None:
        source = self.one(self.server, ServedSource, which)
        if source is not None:
            target = os.memfd_create("target")
            source.send("send", "text/plain", target)
            os.close(target)

    # What is between them.

    @rule()
    def post(self) -> None:
        self.to_server += self.client.take_output()
        self.to_client += self.server.take_output()

    @precondition(lambda self: self.to_server)
    @rule()
    def deliver_to_the_server(self) -> None:
        self.server.receive(*self.to_server.pop(0))

    @precondition(lambda self: self.to_client)
    @rule()
    def deliver_to_the_client(self) -> None:
        self.client.receive(*self.to_client.pop(0))

    @rule()
    def settle(self) -> None:
        """Deliver until nobody has anything to say; then both have the same objects.

        But for offers made to a device that the client was just releasing: the client never sees them,
        so it cannot destroy them, and the server keeps them to the end, as libwayland's would.
        """
        self.post()
        while self.to_server or self.to_client:
            for packet in self.to_server:
                self.server.receive(*packet)
            for packet in self.to_client:
                self.client.receive(*packet)
            self.to_server, self.to_client = [], []
            self.post()
        served = {id: each.interface for id, each in self.server.objects.items()}
        known = {id: each.interface for id, each in self.client.objects.items()}
        assert served | known == served
        assert {served[id] for id in served.keys() - known.keys()} <= {"wl_data_offer"}

    @invariant()
    def nobody_has_done_wrong(self) -> None:
        assert self.server.error is None
        assert self.client.error is None

    def teardown(self) -> None:
        for _, fds in self.to_client:
            for each in fds:
                os.close(each)
        self.client.hang_up()
        self.server.hang_up()
        assert open_fds() == self.fds


TestAnyHonestConversation = AnyHonestConversation.TestCase
TestAnyHonestConversation.settings = settings(
    max_examples=2 * settings().max_examples, stateful_step_count=60
)
