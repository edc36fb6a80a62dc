"""Whatever bytes and descriptors come, the answer is a protocol error or none, and nothing is left open."""

import os
import struct

from hypothesis import example, given, settings, strategies as st
from served import Seat, ServedPool, open_fds

from syncline.protocol.connection import Connection
from syncline.protocol.display import Display, Global, Globals, Registry, serve
from syncline.protocol.errors import ProtocolError
from syncline.protocol.fd import ReceivedFd
from syncline.protocol.object import NewId, Proxy, Resource


class Pool(ServedPool):
    def create_buffer(
        self, id: NewId, offset: int, width: int, height: int, stride: int, format: int
    ) -> None:
        raise self.error(1, "this pool makes no buffers")


class ServedShm(Resource):
    interface = "wl_shm"

    def create_pool(self, id: NewId, fd: ReceivedFd, size: int) -> None:
        Pool(id)
        if size % 2:
            os.close(fd.take())

    def release(self) -> None: ...


class Keyboard(Proxy):
    interface = "wl_keyboard"
    ignored = ("keymap", "enter", "leave", "key", "modifiers", "repeat_info")


OFFERS = [Global("wl_shm", 2, ServedShm)]

SMALL = st.integers(0, 12)
WORD = SMALL | st.sampled_from([0xFF000000, 0xFF000001, 2**32 - 1]) | st.integers(0, 2**32 - 1)
STRING = st.sampled_from([b"wl_shm\0\0", b"wl_shm\0x", b"wl_seat\0", b""])


@st.composite
def bodies(draw: st.DrawFn) -> bytes:
    """Words, now and then with a string of a plausible or wild length among them."""
    pieces = draw(
        st.lists(
            WORD.map(lambda word: struct.pack("=I", word))
            | STRING.map(lambda text: struct.pack("=I", len(text.rstrip(b"\0")) + 1) + text),
            max_size=6,
        )
    )
    return b"".join(pieces)


@st.composite
def messages(draw: st.DrawFn) -> bytes:
    """Mostly a right header, and a length that is mostly right."""
    body = draw(bodies())
    size = draw(st.just(8 + len(body)) | st.integers(0, 64) | st.integers(0, 0xFFFF))
    return struct.pack("=II", draw(SMALL | WORD), size << 16 | draw(st.integers(0, 5))) + body


STREAMS = st.lists(st.tuples(messages() | st.binary(max_size=40), st.integers(0, 3)), max_size=12)
Stream = list[tuple[bytes, int]]

REGISTRY = (struct.pack("=III", 1, 12 << 16 | 1, 2), 0)
SHM = (struct.pack("=IIII", 2, 32 << 16, 1, 7) + b"wl_shm\0\0" + struct.pack("=II", 2, 3), 0)
POOL = (struct.pack("=IIII", 3, 16 << 16, 4, 4096), 1)
BUFFER = (struct.pack("=IIIIIIII", 4, 32 << 16, 5, 0, 1, 1, 4, 0), 0)
END_POOL = (struct.pack("=II", 4, 8 << 16 | 1), 2)


def feed(connection: Connection, stream: Stream) -> None:
    for data, fd_count in stream:
        connection.receive(data, [os.open(os.devnull, os.O_RDONLY) for _ in range(fd_count)])
        assert connection.closing == (connection.error is not None)
        assert connection.error is None or isinstance(connection.error, ProtocolError)


@given(stream=STREAMS, is_greeted=st.booleans())
@example(stream=[REGISTRY, SHM, POOL, END_POOL, POOL, BUFFER], is_greeted=False)
@example(stream=[POOL, POOL], is_greeted=True)
@settings(max_examples=8 * settings().max_examples)
def test_a_server_survives_any_client(stream: Stream, is_greeted: bool) -> None:
    before = open_fds()
    server = serve(Globals(OFFERS))

    feed(server, [*([REGISTRY, SHM] if is_greeted else []), *stream])
    said = b"".join(data for data, _ in server.take_output())
    assert (server.error is None) or said, "an error is said before the end"
    server.hang_up()

    assert open_fds() == before


@given(stream=STREAMS)
@settings(max_examples=8 * settings().max_examples)
def test_a_client_survives_any_server(stream: Stream) -> None:
    before = open_fds()
    display = Display.connect()
    registry = display.get_registry(Registry)
    seat = registry.bind(1, Seat, interface="wl_seat", version=7)
    kept, gone = (seat.request_new("get_keyboard", Keyboard) for _ in range(2))
    gone.send("release")

    feed(display.connection, stream)
    display.connection.hang_up()

    assert not kept.alive
    assert open_fds() == before


@given(stream=STREAMS, cut=st.integers(1, 7))
def test_how_the_bytes_are_cut_makes_no_difference(stream: Stream, cut: int) -> None:
    whole, cut_up = serve(Globals(OFFERS)), serve(Globals(OFFERS))
    data = b"".join(each for each, _ in [REGISTRY, SHM, *stream])

    whole.receive(data)
    for at in range(0, len(data), cut):
        cut_up.receive(data[at : at + cut])

    assert str(whole.error) == str(cut_up.error)
    assert whole.take_output() == cut_up.take_output()
