"""Recordings say later what was said then, whichever wire it was said on."""

import io
import os
from collections.abc import Callable
from typing import Any

import pytest

from syncline.protocol.display import Display, Global, Globals, Registry, serve
from syncline.protocol.fd import ReceivedFd
from syncline.protocol.object import NewId, Proxy, Resource
from syncline.protocol.recording import NoRecording, Recorder, read
from syncline.protocol.trace import Said, line
from syncline.protocol.wire import Wire
from syncline.protocol.wire.msgpack import MsgpackWire
from syncline.protocol.wire.wayland import WaylandWire

T_NS = 12_345_678_901


class Pool(Resource):
    interface = "wl_shm_pool"
    ignored = ("create_buffer", "resize")

    def destroy(self) -> None: ...


class Shm(Resource):
    interface = "wl_shm"

    def create_pool(self, id: NewId, fd: ReceivedFd, size: int) -> None:
        Pool(id)

    def release(self) -> None: ...


class ClientShm(Proxy):
    interface = "wl_shm"
    ignored = ("format",)


class ClientPool(Proxy):
    interface = "wl_shm_pool"


def conversation(wire: Callable[[], Wire], hear: Callable[[Said], None]) -> None:
    """A client's whole life, overheard on the server's side."""
    server = serve(Globals([Global("wl_shm", 2, Shm)]), wire=wire(), name="client-1", observer=hear)
    display = Display.connect(wire=wire())
    client = display.connection

    def pump() -> None:
        for sender, receiver in ((client, server), (server, client)):
            for data, fds in sender.take_output():
                receiver.receive(data, fds)

    registry = display.get_registry(Registry)
    pump()
    fd = os.memfd_create("pool")
    pool = registry.bind_first(ClientShm).request_new("create_pool", ClientPool, fd, 4096)
    os.close(fd)
    pool.send("destroy")
    display.sync(lambda _: None)
    client.send_raw(99, 0, b"" if wire is WaylandWire else ())
    pump()
    client.hang_up()
    server.hang_up()


def recorded(wire: Callable[[], Wire]) -> tuple[list[str], bytes]:
    """What was seen then, as lines, and the recording."""
    file = io.BytesIO()
    recorder = Recorder(file, lambda: T_NS)
    lines: list[str] = []

    def hear(said: Said) -> None:
        lines.append(line(said, T_NS))
        recorder(said)

    conversation(wire, hear)
    return lines, file.getvalue()


@pytest.mark.parametrize("wire", [WaylandWire, MsgpackWire])
def test_a_recording_prints_as_what_was_seen(wire: Any) -> None:
    lines, recording = recorded(wire)

    assert [line(said, t_ns) for t_ns, said in read(io.BytesIO(recording))] == lines
    assert len(lines) > 8
    assert lines[1].endswith('-> wl_registry#2.global(1, "wl_shm", 2)')
    assert any("wl_display#1.error(" in each for each in lines)


@pytest.mark.requirement("TRN-01", "TRN-02")
def test_both_wires_make_the_same_recording() -> None:
    assert recorded(WaylandWire) == recorded(MsgpackWire)


def test_a_recording_that_was_cut_off_ends_there() -> None:
    lines, recording = recorded(WaylandWire)

    assert [line(*reversed(each)) for each in read(io.BytesIO(recording[:-3]))] == lines[:-1]


@pytest.mark.parametrize("data", [b"", b"{}", b"\xc1", b"\x92\xa4nope\x01", b'{"ev": "commit"}\n' * 10])
def test_another_file_is_no_recording(data: bytes) -> None:
    with pytest.raises(NoRecording):
        list(read(io.BytesIO(data)))
