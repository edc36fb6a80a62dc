"""A present round trip on the message wire, attach to release, beside a bare pyzmq and msgpack echo of the same bytes."""

import asyncio
import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from tempfile import TemporaryDirectory
from typing import ClassVar, Final

import msgpack  # type: ignore[import-untyped]  # it comes without stubs
import zmq

from syncline.kms_model.loops import RealLoop
from syncline.lab.bench.bare import Cores, child, pinned, placements
from syncline.lab.bench.clock import Pair, compare
from syncline.lab.bench.wire import proxy
from syncline.protocol.display import Display, Global, Globals, Registry, serve
from syncline.protocol.object import NewId, Proxy, Resource
from syncline.protocol.transport.endpoint import parse, probe
from syncline.protocol.transport.link import Link
from syncline.protocol.transport.routed import RoutedTransport
from syncline.protocol.transport.router import listen
from syncline.protocol.transport.zmq import connect
from syncline.protocol.wire.msgpack import MsgpackWire

TRIPS: Final = 200
"""Round trips of one timed call, so that starting the loop is not what is measured."""


class _NoDescriptors:
    """An exchange for those who pass none."""

    address = 0

    def deposit(self, fd: int, address: int) -> None:
        raise AssertionError((fd, address))

    def redeem(self, token: bytes) -> None:
        raise AssertionError(token)

    def close(self) -> None: ...


class _Buffer(Resource):
    interface = "wl_buffer"

    def destroy(self) -> None: ...


class _Surface(Resource):
    interface = "wl_surface"
    up_to = 1
    ignored: ClassVar[tuple[str, ...]] = ("damage", "frame", "set_opaque_region", "set_input_region")

    def attach(self, buffer: Resource | None, _x: int, _y: int) -> None:
        self.attached = buffer

    def commit(self) -> None:
        if self.attached is not None:
            self.attached.send("release")

    def destroy(self) -> None: ...


class _Compositor(Resource):
    interface = "wl_compositor"
    up_to = 1
    ignored: ClassVar[tuple[str, ...]] = ("create_region",)

    def create_surface(self, id: NewId) -> None:
        _Surface(id)


class _Pixels(Resource):
    interface = "wp_single_pixel_buffer_manager_v1"

    def create_u32_rgba_buffer(self, id: NewId, _r: int, _g: int, _b: int, _a: int) -> None:
        _Buffer(id)

    def destroy(self) -> None: ...


def _serve(endpoint: str) -> None:
    loop = RealLoop()

    def accept(peer: RoutedTransport) -> None:
        offers = [
            Global("wl_compositor", 1, _Compositor),
            Global("wp_single_pixel_buffer_manager_v1", 1, _Pixels),
        ]
        connection = serve(Globals(offers), wire=MsgpackWire())

        def hear(data: bytes, fds: list[int]) -> None:
            connection.receive(data, fds)
            peer.write(connection.take_output())  # at once, as the compositor does

        peer.start(hear, lambda _: None)

    listen(loop, endpoint, _NoDescriptors(), accept)
    loop.run_forever()


class _ClientBuffer(Proxy):
    interface = "wl_buffer"
    on_release: Callable[[], None]

    def release(self) -> None:
        self.on_release()


class Presenter:
    """A client that presents one buffer again and again."""

    def __init__(self, loop: RealLoop, endpoint: str) -> None:
        self._loop = loop
        display = Display.connect(wire=MsgpackWire())
        transport = connect(loop, endpoint, _NoDescriptors())
        self._link = Link(loop, display.connection, transport, lambda _: None)
        registry = display.get_registry(Registry)
        self._until(lambda done: display.sync(lambda _: done()))
        self._surface = registry.bind_first(proxy("wl_compositor")).request_new(
            "create_surface", proxy("wl_surface")
        )
        pixels = registry.bind_first(proxy("wp_single_pixel_buffer_manager_v1"))
        self._buffer = pixels.request_new("create_u32_rgba_buffer", _ClientBuffer, 0, 0, 0, 0)
        self._until(lambda done: display.sync(lambda _: done()))

    def present(self) -> None:
        """TRIPS times, each after the release of the one before."""

        def all_of_them(done: Callable[[], None]) -> None:
            left = TRIPS

            def again() -> None:
                nonlocal left
                left -= 1
                if left:
                    self._say()
                else:
                    done()

            self._buffer.on_release = again
            self._say()

        self._until(all_of_them)

    def _say(self) -> None:
        self._surface.send("attach", self._buffer, 0, 0)
        self._surface.send("damage", 0, 0, 256, 256)
        self._surface.send("commit")

    def _until(self, begin: Callable[[Callable[[], None]], object]) -> None:
        begin(self._loop.stop)
        self._loop.run_forever()

    def close(self) -> None:
        self._link.close()


def _echo(endpoint: str) -> None:
    router = zmq.Context().socket(zmq.ROUTER)
    router.bind(endpoint)
    while True:
        route, data = router.recv_multipart()
        unpacker = msgpack.Unpacker(use_list=False)
        unpacker.feed(data)
        for message in unpacker:
            if message[1] == 6:
                router.send_multipart([route, msgpack.packb((message[0], 0))])


@contextmanager
def _bare(endpoint: str) -> Iterator[Callable[[], None]]:
    context = zmq.Context()
    dealer = context.socket(zmq.DEALER)
    dealer.connect(endpoint)
    messages = ((5, 1, 6, 0, 0), (5, 2, 0, 0, 256, 256), (5, 6))

    def trips() -> None:
        for _ in range(TRIPS):
            dealer.send(b"".join([msgpack.packb(each) for each in messages]))
            msgpack.unpackb(dealer.recv())

    yield trips
    dealer.close(linger=0)
    context.term()


def round_trips() -> dict[str, Pair]:
    """By where the processes run; per round trip."""
    return {cores.name: _round_trip(cores) for cores in placements()}


def _round_trip(cores: Cores) -> Pair:
    with TemporaryDirectory(prefix="syncline-") as folder, ExitStack() as owned:
        ours, bare = f"ipc://{folder}/ours", f"ipc://{folder}/bare"
        owned.enter_context(child(lambda: _serve(ours), core=cores.server))
        owned.enter_context(child(lambda: _echo(bare), core=cores.server))
        owned.enter_context(pinned(cores.caller))
        for endpoint in (ours, bare):
            _await(endpoint)
        loop = RealLoop()
        owned.callback(loop.close)
        asyncio.set_event_loop(None)
        presenter = Presenter(loop, ours)
        owned.callback(presenter.close)
        pair = compare(presenter.present, owned.enter_context(_bare(bare)), calls=1)
        return Pair(pair.ours_ns / TRIPS, pair.bare_ns / TRIPS, pair.ratio)


def _await(endpoint: str) -> None:
    """Until somebody listens there."""
    while True:
        try:
            probe(parse(endpoint))
        except OSError:
            os.sched_yield()
        else:
            return
