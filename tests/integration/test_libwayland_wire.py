"""Our ends of the wire against libwayland's own, over real sockets."""

import array
import asyncio
import json
import os
import re
import socket
import struct
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from pywayland import lib
from pywayland.server import Display as LibwaylandServer
from served import ServedCompositor, ServedDevice, ServedDevices, ServedOffer, ServedPool, ServedSurface

from syncline.protocol.connection import Connection
from syncline.protocol.display import Display, Global, Globals, Registry, serve
from syncline.protocol.fd import ReceivedFd
from syncline.protocol.object import NewId, Object, Proxy, Resource
from syncline.protocol.trace import Said, line
from syncline.protocol.transport.link import Link
from syncline.protocol.transport.listener import listen
from syncline.protocol.transport.unix import UnixTransport

CLIENT = Path(__file__).with_name("libwayland_client.py")
KEYMAP = "xkb_keymap {};"


class Surface(ServedSurface):
    ignored = tuple(each for each in ServedSurface.ignored if each not in {"damage", "commit"})

    def damage(self, x: int, y: int, width: int, height: int) -> None:
        assert (x, y, width, height) == (-1, 2, 3, 4)

    def commit(self) -> None:
        if not self.frames:
            raise self.error(5, "nothing to commit")
        self.frames[0].done(1234)


class Compositor(ServedCompositor):
    surface = Surface


class Shm(Resource):
    interface = "wl_shm"
    up_to = 2

    def __init__(self, new: NewId) -> None:
        super().__init__(new)
        self.send("format", 0)
        self.send("format", 1)

    def create_pool(self, id: NewId, fd: ReceivedFd, size: int) -> None:
        assert os.fstat(fd.fileno()).st_size == size
        ServedPool(id)

    def release(self) -> None: ...


class Seat(Resource):
    interface = "wl_seat"
    up_to = 7

    def __init__(self, new: NewId) -> None:
        super().__init__(new)
        self.send("name", "seät0")

    def get_pointer(self, id: NewId) -> None:
        Pointer(id).send("motion", 5, 1.5, -0.00390625)

    def get_keyboard(self, id: NewId) -> None:
        keyboard = Keyboard(id)
        keymap = os.memfd_create("keymap")
        os.write(keymap, KEYMAP.encode())
        keyboard.send("keymap", 1, keymap, len(KEYMAP))
        os.close(keymap)
        surface = next(each for each in self.connection.objects.values() if isinstance(each, Surface))
        keyboard.send("enter", 7, surface, bytes([1, 2, 3, 4]))

    def get_touch(self, id: NewId) -> None: ...

    def release(self) -> None: ...


class Pointer(Resource):
    interface = "wl_pointer"
    up_to = 7

    def set_cursor(self, serial: int, surface: Object | None, x: int, y: int) -> None: ...

    def release(self) -> None: ...


class Keyboard(Resource):
    interface = "wl_keyboard"
    up_to = 7

    def release(self) -> None: ...


class Devices(ServedDevices):
    def get_data_device(self, id: NewId, seat: Object) -> None:
        device = ServedDevice(id)
        device.send("selection", device.send_new("data_offer", ServedOffer))


OFFERS = [
    Global("wl_compositor", 6, Compositor),
    Global("wl_shm", 2, Shm),
    Global("wl_seat", 7, Seat),
    Global("wl_data_device_manager", 3, Devices),
]


class Server:
    """Ours, on a real socket, for one client."""

    def __init__(self, folder: Path) -> None:
        self.said: list[Said] = []
        self.gone: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        self.connection: Connection | None = None
        self.listener = listen(asyncio.get_running_loop(), folder / "wayland-9", self._welcome)

    def _welcome(self, transport: UnixTransport) -> None:
        self.connection = serve(Globals(OFFERS), observer=self.said.append)
        Link(asyncio.get_running_loop(), self.connection, transport, self.gone.set_result)


async def run_client(server: Server, **environment: str) -> tuple[dict[str, Any], str]:
    """What libwayland's client heard, and its stderr."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        str(CLIENT),
        str(server.listener.path),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env=os.environ | environment,
    )
    out, err = await process.communicate()
    await server.gone
    server.listener.close()
    assert process.returncode == 0, err.decode()
    return json.loads(out), err.decode()


async def test_libwaylands_client_hears_everything_that_our_server_says(tmp_path: Path) -> None:
    server = Server(tmp_path)

    heard, _ = await run_client(server)

    assert heard == {
        "globals": {each.interface: each.version for each in OFFERS},
        "done": 1234,
        "seat": "seät0",
        "motion": [[5, 1.5, -0.00390625]],
        "keymap": KEYMAP,
        "focus": True,
        "keys": [1, 2, 3, 4],
        "selection": True,
        "reused": True,
        "error": heard["error"],
    }
    assert "71" in heard["error"], "EPROTO"
    assert server.connection is not None
    assert server.connection.error is not None
    assert server.connection.error.text == "nothing to commit"
    assert server.connection.objects == {}


def without_fd_numbers(text: str) -> str:
    return re.sub(r"fd \d+", "fd", text)


async def test_our_trace_reads_as_libwaylands_own(tmp_path: Path) -> None:
    server = Server(tmp_path)

    _, debug = await run_client(server, WAYLAND_DEBUG="1")

    theirs = [
        re.sub(r"^\[[^]]*\] \{[^}]*\} ", "", each) for each in debug.splitlines() if each.startswith("[")
    ]
    sent = [each.removeprefix(" -> ") for each in theirs if each.startswith(" -> ")]
    heard = [each.removeprefix("discarded ") for each in theirs if not each.startswith(" -> ")]
    ours = [(said.incoming, re.sub(r"^\[[^]]*\](  ->)? ", "", line(said, 0))) for said in server.said]

    # Their last roundtrip is cut off by the error; their display queue overtakes the other.
    received = [without_fd_numbers(each) for is_incoming, each in ours if is_incoming]
    assert received == [without_fd_numbers(each) for each in sent][: len(received)]
    told = [without_fd_numbers(each) for is_incoming, each in ours if not is_incoming]
    assert Counter(told) == Counter(map(without_fd_numbers, heard))


# Our client on libwayland's server, whose wl_shm is complete.


class ShmProxy(Proxy):
    interface = "wl_shm"
    up_to = 2

    def __init__(self, new: NewId) -> None:
        super().__init__(new)
        self.formats: list[int] = []

    def format(self, format: int) -> None:
        self.formats.append(format)


class PoolProxy(Proxy):
    interface = "wl_shm_pool"
    up_to = 2


class BufferProxy(Proxy):
    interface = "wl_buffer"
    ignored = ("release",)


class Libwayland:
    """A server with nothing but wl_shm, on one end of a socket pair, turned by hand."""

    def __init__(self) -> None:
        self._display = LibwaylandServer()
        self._display.init_shm()
        self.peer, theirs = socket.socketpair()
        lib.wl_client_create(self._display._ptr, theirs.detach())
        self.peer.settimeout(0)

    def turn(self) -> None:
        for _ in range(3):
            self._display.get_event_loop().dispatch(0)
            self._display.flush_clients()

    def talk(self, data: bytes, fds: list[int]) -> bytes:
        """Say it as slowly as its buffer is small; return all it said."""
        for at in range(0, len(data), 4096):
            rights = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", fds))] if fds and not at else []
            try:
                self.peer.sendmsg([data[at : at + 4096]], rights)
            except (BrokenPipeError, ConnectionResetError):
                break
            self.turn()
        return self.hear()

    def hear(self) -> bytes:
        heard = b""
        try:
            while part := self.peer.recv(65536):
                heard += part
        except (BlockingIOError, ConnectionResetError):
            pass
        return heard

    def close(self) -> None:
        self.peer.close()
        self._display.destroy()


def exchange(client: Connection, server: Libwayland) -> None:
    for data, fds in client.take_output():
        client.receive(server.talk(data, fds))
        for each in fds:
            os.close(each)


def test_our_client_uses_libwaylands_shm() -> None:
    server = Libwayland()
    display = Display.connect()
    client = display.connection
    registry = display.get_registry(Registry)
    exchange(client, server)

    shm = registry.bind_first(ShmProxy)
    memory = os.memfd_create("pool")
    os.truncate(memory, 4096)
    pool = shm.request_new("create_pool", PoolProxy, memory, 4096)
    os.close(memory)
    buffer = pool.request_new("create_buffer", BufferProxy, 0, 16, 16, 64, 1)
    pool.send("destroy")
    exchange(client, server)
    again = shm.request_new("create_pool", PoolProxy, 0, -5)

    assert {0, 1} <= set(shm.formats)
    assert buffer.alive
    assert again.id == pool.id, "libwayland gave it back"
    exchange(client, server)
    assert client.error is not None
    assert (client.error.interface, client.error.object_id) == ("wl_shm", shm.id)
    client.hang_up()
    server.close()


# The same bad bytes for both servers.


def words(*numbers: int) -> bytes:
    return struct.pack(f"={len(numbers)}I", *numbers)


def message(object_id: int, opcode: int, body: bytes = b"") -> bytes:
    return words(object_id, (8 + len(body)) << 16 | opcode) + body


def text(raw: bytes) -> bytes:
    return words(len(raw)) + raw + bytes(-len(raw) & 3)


SHM = text(b"wl_shm\0")
REGISTRY = message(1, 1, words(2))
BOUND = REGISTRY + message(2, 0, words(1) + SHM + words(1, 3))
POOLED = BOUND + message(3, 0, words(4, 4096))

STREAMS = {
    "an object that never was": (message(77, 0), 0),
    "object 0": (message(0, 0), 0),
    "a server's object that never was": (message(0xFF000000, 0), 0),
    "an opcode too high": (message(1, 2), 0),
    "a length of 0": (words(1, 0), 0),
    "a length of 4": (words(1, 4 << 16), 0),
    "a length of 7": (words(1, 7 << 16, 0), 0),
    "no arguments": (message(1, 0), 0),
    "too many arguments": (message(1, 0, words(2, 9, 9)), 0),
    "new id 0": (message(1, 0, words(0)), 0),
    "a new id that is taken": (message(1, 0, words(1)), 0),
    "a new id beyond the next": (message(1, 0, words(3)), 0),
    "a new id of the server's": (message(1, 0, words(0xFF000000)), 0),
    "the highest new id": (message(1, 0, words(0xFEFFFFFF)), 0),
    "a new id used twice": (REGISTRY + message(1, 1, words(2)), 0),
    "a new id that has come back": (message(1, 0, words(2)) + message(1, 0, words(2)), 0),
    "no such global": (REGISTRY + message(2, 0, words(99) + SHM + words(1, 3)), 0),
    "a global of another interface": (
        REGISTRY + message(2, 0, words(1) + text(b"wl_foo\0") + words(1, 3)),
        0,
    ),
    "version 0": (REGISTRY + message(2, 0, words(1) + SHM + words(0, 3)), 0),
    "version 99": (REGISTRY + message(2, 0, words(1) + SHM + words(99, 3)), 0),
    "bind to a taken id": (REGISTRY + message(2, 0, words(1) + SHM + words(1, 2)), 0),
    "bind to an id beyond the next": (REGISTRY + message(2, 0, words(1) + SHM + words(1, 9)), 0),
    "a null string": (REGISTRY + message(2, 0, words(1, 0, 1, 3)), 0),
    "a string without NUL": (REGISTRY + message(2, 0, words(1) + text(b"wl_shm12") + words(1, 3)), 0),
    "a string with a NUL inside": (
        REGISTRY + message(2, 0, words(1) + text(b"wl_shm\0z\0") + words(1, 3)),
        0,
    ),
    "a string longer than its message": (REGISTRY + message(2, 0, words(1, 4000, 0, 0, 1, 3)), 0),
    "a string as long as can be": (REGISTRY + message(2, 0, words(1, 0xFFFFFFFF, 0, 0, 1, 3)), 0),
    "a string whose padding overflows": (REGISTRY + message(2, 0, words(1, 0xFFFFFFFD, 0, 0, 1, 3)), 0),
    "a descriptor": (POOLED, 1),
    "no descriptor": (POOLED, 0),
    "a descriptor too many": (POOLED, 2),
    "a descriptor with a wrong new id": (BOUND + message(3, 0, words(0, 4096)), 1),
    "a request of a later version": (BOUND + message(3, 1), 0),
    "a request to the destroyed": (POOLED + message(4, 1) + message(4, 1), 1),
    "the id of the destroyed": (POOLED + message(4, 1) + message(1, 0, words(4)), 1),
    "the longest message": (message(1, 0, words(2) + bytes(4096 - 12)), 0),
    "a message too long": (message(1, 0, words(2) + bytes(4100 - 12)), 0),
    "the longest length": (message(1, 0, words(2) + bytes(0xFFFC - 12)), 0),
    "half a message": (REGISTRY[:6], 0),
}


def outcome(said: bytes) -> list[tuple[int, ...]]:
    """Object and opcode of each event that both servers must agree on; of an error, its object and code too."""
    events: list[tuple[int, ...]] = []
    while said:
        object_id, word = struct.unpack_from("=II", said)
        opcode = word & 0xFFFF
        if (object_id, opcode) == (1, 0):
            events.append((1, 0, *struct.unpack_from("=II", said, 8)))
        elif object_id not in {2, 3} or (opcode == 0 and object_id == 2 and word >> 16 == 12):
            events.append((object_id, opcode))
        said = said[word >> 16 :]
    return events


@pytest.mark.parametrize(("data", "fd_count"), STREAMS.values(), ids=STREAMS)
def test_both_servers_answer_the_same(data: bytes, fd_count: int) -> None:
    theirs = Libwayland()
    ours = serve(Globals([Global("wl_shm", 2, Shm)]))
    memory = os.memfd_create("pool")
    os.truncate(memory, 4096)

    expected = outcome(theirs.talk(data, [memory] * fd_count))
    ours.receive(data, [os.dup(memory) for _ in range(fd_count)])
    said = b"".join(each for each, _ in ours.take_output())

    assert outcome(said) == expected
    assert ours.closing == any(len(each) == 4 for each in expected)
    os.close(memory)
    ours.hang_up()
    theirs.close()
