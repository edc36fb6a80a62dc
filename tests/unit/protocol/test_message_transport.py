"""The message protocol's transports: greetings, batches, tokens, ends, and clients that mean no good."""

import asyncio
import os
import shutil
import signal
import socket
import stat
import subprocess
import sys
import tempfile
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from functools import wraps
from inspect import Signature, signature
from pathlib import Path
from typing import Any

import msgspec
import pytest
import zmq
import zmq.auth
from ear import Ear

from syncline.kms_model.device import Device
from syncline.kms_model.exchange import Exchange
from syncline.kms_model.local import LocalNode
from syncline.kms_model.loops import RealLoop, run_real
from syncline.kms_model.token import TOKENS_MAX
from syncline.protocol.transport import PENDING_BYTES, PENDING_FDS
from syncline.protocol.transport.batch import SPLIT_BYTES
from syncline.protocol.transport.curve import Keys, load
from syncline.protocol.transport.endpoint import EndpointError, allowed, parse
from syncline.protocol.transport.routed import FLUSH_BYTES, INBOX_BYTES, RoutedTransport
from syncline.protocol.transport.router import STRAGGLERS_MAX, Router, listen
from syncline.protocol.transport.zmq import BATCH_BYTES, QUEUE_BATCHES, ZmqTransport, connect

BLANK = msgspec.msgpack.Ext(1, bytes(16))
BYE = msgspec.msgpack.encode(["bye"])


def pack(*messages: object) -> bytes:
    return b"".join(msgspec.msgpack.encode(each) for each in messages)


def unpack(data: bytes) -> Any:
    return msgspec.msgpack.decode(data)


class Place:
    """A node, a router on it, and whoever connects."""

    def __init__(self, loop: RealLoop, folder: Path) -> None:
        self.loop = loop
        self.folder = folder
        self.node = LocalNode(Device(), loop)
        self._arrivals: asyncio.Queue[RoutedTransport] = asyncio.Queue()
        self._closed: list[Callable[[], None]] = []

    def exchange(self) -> Exchange:
        return Exchange(self.node.open("render"))

    def serve(self, endpoint: str = "", *, keys: Keys | None = None) -> Router:
        endpoint = endpoint or f"ipc://{self.folder}/messages"
        router = listen(self.loop, endpoint, self.exchange(), self._arrivals.put_nowait, keys=keys)
        self._closed.append(router.close)
        return router

    def connect(self, router: Router, *, keys: Keys | None = None) -> ZmqTransport:
        transport = connect(self.loop, router.endpoint, self.exchange(), keys=keys)
        self._closed.append(transport.close)
        return transport

    def stranger(self, router: Router, **options: Any) -> "zmq.Socket[bytes]":
        """A client of nothing but pyzmq."""
        context = zmq.Context()
        dealer = context.socket(zmq.DEALER)
        self._closed.append(lambda: dealer.close(linger=0) or context.term())
        for name, value in options.items():
            setattr(dealer, name, value)
        dealer.connect(router.endpoint)
        return dealer

    async def answer(self, dealer: "zmq.Socket[bytes]") -> Any:
        """The next message that a stranger gets."""
        await self.readable(dealer)
        return unpack(dealer.recv())

    async def readable(self, stranger: "zmq.Socket[bytes]") -> None:
        came = asyncio.Event()
        fd = int(stranger.get(zmq.FD))
        self.loop.add_reader(fd, came.set)
        while not stranger.get(zmq.EVENTS) & zmq.POLLIN:
            await came.wait()
            came.clear()
        self.loop.remove_reader(fd)

    async def arrival(self) -> Ear:
        return Ear(await self._arrivals.get())

    async def pair(self, endpoint: str = "") -> tuple[Ear, Ear]:
        """A client's end and the compositor's."""
        router = self.serve(endpoint)
        client = Ear(self.connect(router))
        return client, await self.arrival()

    def close(self) -> None:
        for close in reversed(self._closed):
            close()
        self.node.close()
        self.node.device.kernel.descriptors.close()


@contextmanager
def folder() -> Iterator[Path]:
    """A socket's path may have 107 bytes: tmp_path is too long."""
    path = Path(tempfile.mkdtemp(prefix="sl-"))
    try:
        yield path
    finally:
        shutil.rmtree(path)


Story = Callable[..., Awaitable[None]]


def told(story: Story) -> Callable[..., None]:
    """Run it on a real loop, with a place of its own that leaves no descriptor behind."""

    @wraps(story)
    def test(**arguments: Any) -> None:
        async def main(loop: RealLoop) -> None:
            with folder() as path:
                place = Place(loop, path)
                before = open_fds()
                try:
                    await story(place, **arguments)
                finally:
                    place.close()
                assert not open_fds() - before, "something was left open"

        run_real(main)

    _, *others = signature(story).parameters.values()
    test.__signature__ = Signature(others)  # type: ignore[attr-defined]  # the place is not pytest's to give
    return test


def open_fds() -> set[str]:
    links = (link for link in Path("/proc/self/fd").iterdir() if link.exists())
    return {f"{link.name} {link.readlink()}" for link in links if "memfd" in str(link.readlink())}


def memfd_of(text: bytes) -> int:
    fd = os.memfd_create("sheet")
    os.write(fd, text)
    return fd


def read(fd: int) -> bytes:
    text = os.pread(fd, 64, 0)
    os.close(fd)
    return text


def greeting(address: object = 0, version: object = 1) -> bytes:
    return pack(["syncline", version, address])


async def _over(place: Place, endpoint: str) -> None:
    client, server = await place.pair(endpoint)
    there = pack([5, 0, 6, BLANK, 1], [7, 6])
    back = pack([8, 0, 1, BLANK, 5])

    client.transport.write([(there, [memfd_of(b"there")])])
    await server.until(lambda: bool(server.data))
    server.transport.write([(back, [memfd_of(b"back")])])
    await client.until(lambda: bool(client.data))

    assert len(server.data) == len(there)
    assert [read(fd) for fd in server.fds] == [b"there"]
    assert len(client.data) == len(back)
    assert [read(fd) for fd in client.fds] == [b"back"]


@told
async def test_bytes_and_descriptors_travel_both_ways_over_ipc(place: Place) -> None:
    await _over(place, "")


@told
async def test_bytes_and_descriptors_travel_both_ways_over_tcp(place: Place) -> None:
    await _over(place, "tcp://127.0.0.1:*")


@told
async def test_everything_arrives_in_order_however_it_is_packed(place: Place) -> None:
    client, server = await place.pair()
    messages = [pack([3, 0, number]) for number in range(2000)]

    for at in range(0, 2000, 50):
        client.transport.write([(b"".join(messages[at : at + 50]), []), (pack([3, 1]), [])])
    await server.until(lambda: server.data.count(pack([3, 1])) == 40)

    assert server.data.replace(pack([3, 1]), b"") == b"".join(messages)


@told
async def test_a_long_flush_is_several_batches_of_whole_messages(place: Place) -> None:
    router = place.serve()
    dealer = place.stranger(router)
    dealer.send(greeting())
    server = await place.arrival()
    message = pack([3, 0, "x" * 1000])
    await place.answer(dealer)

    server.transport.write([(message * 200, [])])
    sizes = []
    while sum(sizes) < 200 * len(message):
        await place.readable(dealer)
        sizes.append(len(dealer.recv()))

    assert len(sizes) > 1
    assert all(size <= SPLIT_BYTES and size % len(message) == 0 for size in sizes)


@told
async def test_the_end_comes_after_everything_said_before_it(place: Place) -> None:
    client, server = await place.pair()
    client.transport.write([(pack([3, 0]), [])])
    client.transport.close()

    assert await server.farewell() == "the peer hung up"
    assert server.data == pack([3, 0])


@told
async def test_a_client_hears_the_last_words_of_a_compositor(place: Place) -> None:
    client, server = await place.pair()
    server.transport.write([(pack([1, 0, 1, 3, "no"]), [])])
    server.transport.close()

    assert await client.farewell() == "the peer hung up"
    assert client.data == pack([1, 0, 1, 3, "no"])


@told
async def test_nothing_is_heard_after_our_own_close(place: Place) -> None:
    client, server = await place.pair()
    client.transport.write([(pack([5, 0, 6, BLANK, 1]), [memfd_of(b"late")])])
    server.transport.close()
    server.transport.close()
    await client.farewell()

    assert (server.data, server.fds, server.farewells) == (b"", [], [])
    server.transport.write([(pack([5, 0, 6, BLANK, 1]), [memfd_of(b"later")])])
    client.transport.write([(pack([5, 0, 6, BLANK, 1]), [memfd_of(b"latest")])])


CLIENT = """
import sys, zmq
dealer = zmq.Context().socket(zmq.DEALER)
dealer.connect(sys.argv[1])
dealer.send(bytes.fromhex(sys.argv[2]))
dealer.recv()
dealer.send(bytes.fromhex(sys.argv[3]))
sys.stdin.read()
"""


def process_of(words: list[str]) -> "subprocess.Popen[bytes]":
    return subprocess.Popen(words, stdin=subprocess.PIPE)


@pytest.mark.requirement("TRN-06", "S89")
@told
async def test_a_client_that_is_killed_is_missed(place: Place) -> None:
    router = place.serve()
    last = pack([3, 0, "alive"])
    words = [sys.executable, "-c", CLIENT, router.endpoint, greeting().hex(), last.hex()]
    with process_of(words) as process:
        server = await place.arrival()
        await server.until(lambda: server.data == last)
        process.send_signal(signal.SIGKILL)

        assert await server.farewell() == "the peer hung up"


@told
async def test_a_compositor_that_is_gone_is_missed(place: Place) -> None:
    context = zmq.Context()
    router = context.socket(zmq.ROUTER)
    router.bind(f"ipc://{place.folder}/other")
    client = Ear(connect(place.loop, f"ipc://{place.folder}/other", place.exchange()))
    context.destroy(linger=0)

    assert await client.farewell() == "the peer hung up"


@told
async def test_a_compositor_that_was_there_a_moment_ago_is_missed(place: Place) -> None:
    place.serve().close()
    place._closed.clear()
    client = Ear(
        ZmqTransport(place.loop, parse(f"ipc://{place.folder}/messages"), place.exchange(), keys=None)
    )

    assert await client.farewell() == "the peer hung up"


@told
async def test_a_client_without_a_word_of_goodbye_leaves_room_for_the_next(place: Place) -> None:
    router = place.serve()
    for _ in range(5):
        dealer = place.stranger(router)
        dealer.send(greeting())
        server = await place.arrival()
        dealer.close(linger=0)
        assert await server.farewell() == "the peer hung up"


@told
async def test_a_client_that_does_not_read_is_hung_up_on_and_nobody_waits_for_it(place: Place) -> None:
    router = place.serve()
    deaf = place.stranger(router, rcvhwm=1)
    deaf.send(greeting())
    server = await place.arrival()
    good, other = Ear(place.connect(router)), await place.arrival()
    words = pack([3, 0, "x" * 1000]) * 50

    writes = 0
    while not server.farewells:
        writes += 1
        server.transport.write([(words, [])])
        other.transport.write([(pack([3, 0, writes]), [])])
        await good.until(lambda: good.data.endswith(pack([3, 0, writes])))  # noqa: B023  awaited right here
    assert server.farewells == ["the peer does not read"]
    assert writes >= QUEUE_BATCHES // 4, "of four batches each"


@told
async def test_one_flush_beyond_all_bounds_is_the_end(place: Place) -> None:
    client, server = await place.pair()
    server.transport.write([(pack([3, 0, "x" * 1000]) * (FLUSH_BYTES // 1000), [])])
    assert server.farewells == [], "never from inside write"

    assert await server.farewell() == "the peer does not read"
    await client.farewell()


@told
async def test_a_paused_client_is_heard_when_it_is_resumed(place: Place) -> None:
    client, server = await place.pair()
    server.transport.write([(pack([3, 0]), [])])
    await client.until(lambda: bool(client.data))  # so that it knows where to leave descriptors
    other_end = Ear(place.connect(place._closed[0].__self__))  # type: ignore[attr-defined]
    other = await place.arrival()
    server.transport.pause()
    client.transport.write([(pack([5, 0, 6, BLANK, 1]), [memfd_of(b"kept")])])
    client.transport.close()
    other_end.transport.write([(pack([3, 1]), [])])
    await other.until(lambda: bool(other.data))
    assert (server.data, server.farewells) == (b"", [])

    server.transport.resume()
    await server.farewell()
    assert server.data
    assert [read(fd) for fd in server.fds] == [b"kept"]


@told
async def test_what_a_client_says_before_anybody_listens_is_kept(place: Place) -> None:
    dealer = place.stranger(place.serve())
    dealer.send(greeting())
    dealer.send(pack([3, 0]))
    dealer.send(BYE)
    transport = await place._arrivals.get()
    await place.answer(dealer)
    assert await place.answer(dealer) == ["bye"]

    server = Ear(transport)
    await server.farewell()
    assert server.data == pack([3, 0])


@told
async def test_a_paused_client_that_goes_on_talking_is_hung_up_on(place: Place) -> None:
    client, server = await place.pair()
    server.transport.pause()
    words = pack([3, 0, "x" * 1000]) * 50
    for _ in range(INBOX_BYTES // len(words) + 1):
        client.transport.write([(words, [])])

    assert await server.farewell() == "the peer does not wait"


# Greetings.

NO_GREETINGS = [
    (greeting(version=2), "this end speaks version 1 of the message protocol, not 2"),
    (greeting(version="1"), "this end speaks version 1 of the message protocol, not 1"),
    (greeting(address="here"), 'the first message must be ["syncline", version, address]'),
    (greeting(address=-1), 'the first message must be ["syncline", version, address]'),
    (pack([1, 1, 2]), 'the first message must be ["syncline", version, address]'),
    (b"", 'the first message must be ["syncline", version, address]'),
    (b"\xc1garbage", 'the first message must be ["syncline", version, address]'),
    (BYE, 'the first message must be ["syncline", version, address]'),
]


@pytest.mark.parametrize(("first", "why"), NO_GREETINGS, ids=range(len(NO_GREETINGS)))
@told
async def test_a_client_that_does_not_greet_is_told_what_is_wrong(
    place: Place, first: bytes, why: str
) -> None:
    dealer = place.stranger(place.serve())
    dealer.send(first)

    assert await place.answer(dealer) == ["refused", why]


@told
async def test_a_compositor_of_another_version_is_told_apart(place: Place) -> None:
    for answer, why in [
        (greeting(version=7), "refused: this end speaks version 1 of the message protocol, not 7"),
        (pack(["refused", "full house"]), "refused: full house"),
    ]:
        context = zmq.Context()
        router = context.socket(zmq.ROUTER)
        router.bind(f"ipc://{place.folder}/other")
        client = Ear(connect(place.loop, f"ipc://{place.folder}/other", place.exchange()))
        route, _ = router.recv_multipart()
        router.send_multipart([route, answer])

        assert await client.farewell() == why
        context.destroy(linger=0)


@told
async def test_what_waits_for_a_greeting_is_bounded(place: Place) -> None:
    context = zmq.Context()
    router = context.socket(zmq.ROUTER)
    router.bind(f"ipc://{place.folder}/mute")
    many, much = (Ear(connect(place.loop, f"ipc://{place.folder}/mute", place.exchange())) for _ in range(2))
    many.transport.write([(pack([5, 0, 6, BLANK, 1]), [memfd_of(b"")]) for _ in range(PENDING_FDS + 1)])
    much.transport.write([(pack([5, 0, 6, BLANK, 1]), [memfd_of(b"")]), (bytes(PENDING_BYTES), [])])

    assert await many.farewell() == "the peer does not read"
    assert await much.farewell() == "the peer does not read"
    context.destroy(linger=0)


# Tokens.


@told
async def test_a_token_that_is_forged_or_stolen_brings_nothing(place: Place) -> None:
    router = place.serve()
    thief = place.stranger(router)
    thief.send(greeting())
    server = await place.arrival()
    theirs = place.exchange()
    stolen = place.exchange().deposit(memfd := memfd_of(b"not yours"), theirs.address)
    assert stolen is not None
    good = place.exchange().deposit(memfd, unpack_address(await place.answer(thief)))
    os.close(memfd)

    tokens = [msgspec.msgpack.Ext(1, each) for each in (good, stolen, b"forged" + bytes(10), good)]
    thief.send(pack(*[[5, 0, number, token, 1] for number, token in enumerate(tokens, 6)]))
    await server.until(lambda: bool(server.data))

    assert [read(fd) for fd in server.fds] == [b"not yours"], "one, and none behind the first bad one"
    fd = theirs.redeem(stolen)
    assert fd is not None, "it is still good for whom it is meant"
    os.close(fd)


def unpack_address(welcome: Any) -> int:
    name, version, address = welcome
    assert (name, version) == ("syncline", 1)
    assert isinstance(address, int)
    return address


@told
async def test_descriptors_for_a_client_whose_address_is_nobodys_end_it(place: Place) -> None:
    dealer = place.stranger(place.serve())
    dealer.send(greeting(address=10_000))
    server = await place.arrival()
    server.transport.write([(pack([8, 0, 1, BLANK, 5]), [memfd_of(b"keymap")])])

    assert await server.farewell() == "the peer does not fetch its descriptors"


@told
async def test_a_client_that_leaves_its_descriptors_with_the_node_is_hung_up_on(place: Place) -> None:
    dealer = place.stranger(place.serve())
    lazy = place.exchange()
    dealer.send(greeting(address=lazy.address))
    server = await place.arrival()
    for _ in range(TOKENS_MAX + 1):
        server.transport.write([(pack([8, 0, 1, BLANK, 5]), [memfd_of(b"keymap")])])

    assert await server.farewell() == "the peer does not fetch its descriptors"
    lazy.close()


# Bad company.


@told
async def test_a_batch_that_is_too_long_ends_its_sender_only(place: Place) -> None:
    router = place.serve()
    good, here = Ear(place.connect(router)), await place.arrival()
    dealer = place.stranger(router)
    dealer.send(greeting())
    server = await place.arrival()
    dealer.send(bytes(BATCH_BYTES + 1))

    assert await server.farewell() == "the peer hung up"
    good.transport.write([(pack([3, 0]), [])])
    await here.until(lambda: here.data == pack([3, 0]))


@told
async def test_a_message_of_several_parts_is_the_end(place: Place) -> None:
    dealer = place.stranger(place.serve())
    dealer.send(greeting())
    server = await place.arrival()
    dealer.send_multipart([pack([3, 0]), pack([3, 0])])

    assert await server.farewell() == "a message of several parts"
    await place.answer(dealer)
    assert await place.answer(dealer) == ["bye"]


@told
async def test_a_client_that_talks_on_after_goodbye_is_cut_off(place: Place) -> None:
    dealer = place.stranger(place.serve(), reconnect_ivl=-1)
    monitor = dealer.get_monitor_socket(zmq.EVENT_DISCONNECTED)
    dealer.send(greeting())
    server = await place.arrival()
    server.transport.close()
    await place.answer(dealer)
    assert await place.answer(dealer) == ["bye"]

    for _ in range(STRAGGLERS_MAX + 1):
        dealer.send(pack([3, 0]))
    await place.readable(monitor)
    assert server.data == b""
    monitor.close(linger=0)


@told
async def test_an_empty_message_says_nothing(place: Place) -> None:
    dealer = place.stranger(place.serve())
    dealer.send(greeting())
    server = await place.arrival()
    dealer.send(b"")
    dealer.send(pack([3, 0]))
    await server.until(lambda: bool(server.data))

    assert server.data == pack([3, 0])


# Where it may be spoken.


@told
async def test_an_ipc_socket_is_ours_alone_and_goes_with_its_router(place: Place) -> None:
    path = place.folder / "made" / "for" / "it"
    router = place.serve(f"ipc://{path}")

    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    router.close()
    assert not path.exists()
    place._closed.clear()


@told
async def test_a_folder_that_others_may_enter_is_no_place_for_a_socket(place: Place) -> None:
    place.folder.chmod(0o755)

    with pytest.raises(EndpointError, match="others may enter"):
        place.serve()


@told
async def test_two_routers_cannot_have_one_socket(place: Place) -> None:
    place.serve()

    with pytest.raises(EndpointError, match="somebody serves at"):
        place.serve()


@told
async def test_two_routers_cannot_have_one_port(place: Place) -> None:
    router = place.serve("tcp://127.0.0.1:*")

    with pytest.raises(EndpointError, match="cannot serve at"):
        place.serve(router.endpoint)


@told
async def test_the_socket_of_a_dead_compositor_is_replaced(place: Place) -> None:
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(place.folder / "messages"))

    client, server = await place.pair()
    client.transport.close()
    await server.farewell()


@told
async def test_nobody_there_is_an_oserror(place: Place) -> None:
    exchange = place.exchange()
    for endpoint in (f"ipc://{place.folder}/nobody", "tcp://127.0.0.1:1"):
        with pytest.raises(OSError, match=r"No such file|refused"):
            connect(place.loop, endpoint, exchange)


@pytest.mark.parametrize(
    "text", ["", "ipc://", "ipc://relative", "ipc://@abstract", "ipc:///" + "x" * 107, "tcp://", "tcp://host",
             "tcp://host:port", "udp://127.0.0.1:7", "inproc://x", "/run/socket", "tcp://127.0.0.1:7/x"],
)  # fmt: skip
def test_what_is_no_endpoint_is_refused_with_a_sentence_that_helps(text: str) -> None:
    with pytest.raises(EndpointError, match="try ipc:///"):
        parse(text)


@pytest.mark.parametrize("text", ["tcp://*:7000", "tcp://0.0.0.0:7000", "tcp://192.168.0.7:7000", "tcp://host:7000",
                                  "tcp://127.0.0.1.evil.example:7000", "tcp://[::]:7000", "tcp://localhost:7000"])  # fmt: skip
def test_an_address_that_others_can_reach_needs_keys(text: str) -> None:
    with pytest.raises(EndpointError, match="name a folder of CURVE keys"):
        allowed(text, has_keys=False)
    assert not allowed(text, has_keys=True).is_local


@pytest.mark.parametrize("text", ["tcp://127.0.0.1:7000", "tcp://[::1]:7000", "ipc:///run/messages"])
def test_an_address_of_this_machine_needs_none(text: str) -> None:
    assert allowed(text, has_keys=False).is_local


# Keys.


def make_keys(folder: Path, *names: str) -> dict[str, Path]:
    """A folder of keys each; nobody trusts anybody yet."""
    homes = {}
    for name in names:
        home = homes[name] = folder / name
        (home / "trusted").mkdir(parents=True)
        zmq.auth.create_certificates(home, "identity")
        (home / "identity.key_secret").chmod(0o600)
    return homes


def trust(one: Path, other: Path) -> None:
    shutil.copy(other / "identity.key", one / "trusted" / f"{other.name}.key")


@told
async def test_with_keys_the_trusted_may_come_and_nobody_else(place: Place) -> None:
    homes = make_keys(place.folder, "compositor", "friend", "stranger")
    trust(homes["compositor"], homes["friend"])
    trust(homes["friend"], homes["compositor"])
    trust(homes["stranger"], homes["compositor"])
    router = place.serve("tcp://127.0.0.1:*", keys=load(homes["compositor"]))

    stranger = Ear(place.connect(router, keys=load(homes["stranger"])))
    assert await stranger.farewell() == "the keys are not trusted there"
    friend = Ear(place.connect(router, keys=load(homes["friend"])))
    server = await place.arrival()
    friend.transport.write([(pack([3, 0]), [])])
    await server.until(lambda: server.data == pack([3, 0]))
    bare = place.stranger(router, handshake_ivl=100)
    bare.send(greeting())
    friend.transport.close()
    await server.farewell()


def test_keys_that_will_not_do_are_told_so(tmp_path: Path) -> None:
    with pytest.raises(EndpointError, match="no CURVE keys in"):
        load(tmp_path)
    home = make_keys(tmp_path, "home")["home"]
    with pytest.raises(EndpointError, match=r"no public \*.key"):
        load(home)
    trust(home, home)
    (home / "identity.key_secret").chmod(0o644)
    with pytest.raises(EndpointError, match="chmod 600"):
        load(home)
    (home / "identity.key_secret").chmod(0o600)
    assert load(home).trusted == (load(home).public,)
    shutil.copy(home / "identity.key", home / "identity.key_secret")
    (home / "identity.key_secret").chmod(0o600)
    with pytest.raises(EndpointError, match="no secret key"):
        load(home)
