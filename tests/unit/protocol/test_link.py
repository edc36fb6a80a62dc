"""A link runs a connection on a transport from the first message to the last word."""

import asyncio
import socket
from collections.abc import Callable
from dataclasses import dataclass, field

import pytest

from syncline.protocol.display import Display, Global, Globals, Registry, serve
from syncline.protocol.object import NewId, Proxy, Resource
from syncline.protocol.transport import Transport
from syncline.protocol.transport.link import Link
from syncline.protocol.transport.memory import pair
from syncline.protocol.transport.unix import UnixTransport


class ServedRegion(Resource):
    """Has no room for anything of no width, and breaks on anything of no height."""

    interface = "wl_region"
    ended: list[int]

    def destroy(self) -> None: ...

    def add(self, x: int, y: int, width: int, height: int) -> None:
        if width == 0:
            raise self.error(4, "no width")
        assert height, "no height"

    def subtract(self, x: int, y: int, width: int, height: int) -> None: ...

    def on_destroyed(self) -> None:
        self.ended.append(self.id)


class Region(Proxy):
    interface = "wl_region"


def sockets() -> tuple[Transport, Transport]:
    loop = asyncio.get_running_loop()
    ours, theirs = socket.socketpair()
    return UnixTransport(loop, ours), UnixTransport(loop, theirs)


def memory() -> tuple[Transport, Transport]:
    return pair(asyncio.get_running_loop())


@dataclass
class Run:
    """A server and a client, linked."""

    ends: tuple[Transport, Transport]
    ended: list[int] = field(default_factory=list)
    farewells: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        loop = asyncio.get_running_loop()
        self.gone = asyncio.Event()
        self.server = serve(Globals([Global("wl_region", 1, self._bind)]))
        self.server_link = Link(loop, self.server, self.ends[0], self._server_gone)
        self.display = Display.connect()
        self.registry = self.display.get_registry(Registry)
        self.link = Link(loop, self.display.connection, self.ends[1], self._client_gone)

    def _bind(self, new: NewId) -> Resource:
        region = ServedRegion(new)
        region.ended = self.ended
        return region

    def _server_gone(self, reason: str) -> None:
        self.farewells.append(f"server: {reason}")
        self.gone.set()

    def _client_gone(self, reason: str) -> None:
        self.farewells.append(f"client: {reason}")
        self.gone.set()

    async def roundtrip(self) -> None:
        answered = asyncio.Event()
        self.display.sync(lambda _: answered.set())
        await answered.wait()

    async def farewell(self, count: int) -> list[str]:
        while len(self.farewells) < count:
            self.gone.clear()
            await self.gone.wait()
        return sorted(self.farewells)


@pytest.fixture(params=[sockets, memory])
def ends(request: pytest.FixtureRequest) -> Callable[[], tuple[Transport, Transport]]:
    return request.param  # type: ignore[no-any-return]


Ends = Callable[[], tuple[Transport, Transport]]


async def test_a_roundtrip_brings_everything_said_before(ends: Ends) -> None:
    run = Run(ends())
    await run.roundtrip()
    region = run.registry.bind_first(Region)
    await run.roundtrip()

    assert run.server.objects[region.id].interface == "wl_region"
    run.link.close()
    assert await run.farewell(1) == ["server: the peer hung up"]
    assert run.ended == [region.id]


async def test_an_error_is_said_before_the_server_hangs_up(ends: Ends) -> None:
    run = Run(ends())
    await run.roundtrip()
    region = run.registry.bind_first(Region)

    region.send("add", 0, 0, 0, 1)

    verdict = f"wl_region#{region.id}: error 4: no width"
    assert await run.farewell(2) == [f"client: {verdict}", f"server: {verdict}"]
    assert run.ended == [region.id]
    assert not region.alive


async def test_a_server_that_goes_away_is_the_end_at_the_client(ends: Ends) -> None:
    run = Run(ends())
    await run.roundtrip()

    run.server_link.close()
    run.server_link.close()

    assert await run.farewell(1) == ["client: the peer hung up"]


async def test_what_was_said_just_before_closing_is_still_sent(ends: Ends) -> None:
    run = Run(ends())
    await run.roundtrip()

    run.server.objects[run.registry.id].send("global", 9, "wl_output", 4)
    run.server_link.close()
    await run.farewell(1)

    assert run.registry.globals[9] == ("wl_output", 4)


async def test_a_client_hangs_up_on_a_server_that_makes_no_sense(ends: Ends) -> None:
    run = Run(ends())
    await run.roundtrip()

    run.server.send_raw(77, 0, b"")

    assert (await run.farewell(2))[0] == "client: wl_display#1: error 0: invalid object 77"


async def test_an_error_posted_between_messages_is_said_too(ends: Ends) -> None:
    run = Run(ends())
    await run.roundtrip()

    run.server.post_error(run.server.objects[1].error(2, "out of memory"))

    assert (await run.farewell(2))[0] == "client: wl_display#1: error 2: out of memory"


async def test_garbage_ends_one_connection(ends: Ends) -> None:
    run = Run(ends())
    await run.roundtrip()

    run.display.connection.send_bytes(b"\0" * 8)

    assert (await run.farewell(2))[
        1
    ] == "server: wl_display#1: error 1: message length 0 is not that of whole words"


async def test_a_bug_in_a_handler_goes_to_the_loop(ends: Ends) -> None:
    run = Run(ends())
    await run.roundtrip()
    faults: list[object] = []
    crashed = asyncio.Event()
    loop = asyncio.get_running_loop()
    loop.set_exception_handler(lambda _, context: (faults.append(context["exception"]), crashed.set()))

    run.registry.bind_first(Region).send("add", 0, 0, 1, 0)
    await crashed.wait()

    assert str(faults[0]).startswith("no height")
    run.link.close()
    run.server_link.close()
    await asyncio.sleep(0)
