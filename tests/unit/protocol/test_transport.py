"""Transports carry bytes and descriptors in order, keep what the peer leaves, and let go of everything."""

import asyncio
import os
import resource
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from ear import Ear

from syncline.protocol.transport import PENDING_BYTES, PENDING_FDS, Transport
from syncline.protocol.transport.listener import NameTaken, listen, listen_anywhere, socket_path
from syncline.protocol.transport.memory import pair
from syncline.protocol.transport.unix import UnixTransport, connect

Ends = Callable[[], tuple[Transport, Transport]]


def sockets() -> tuple[Transport, Transport]:
    loop = asyncio.get_running_loop()
    ours, theirs = socket.socketpair()
    return UnixTransport(loop, ours), UnixTransport(loop, theirs)


def memory() -> tuple[Transport, Transport]:
    return pair(asyncio.get_running_loop())


both = pytest.mark.parametrize("ends", [sockets, memory])


def open_fds() -> set[str]:
    return {str(link.readlink()) for link in Path("/proc/self/fd").iterdir() if link.exists()}


def identity(fd: int) -> str:
    return str(Path(f"/proc/self/fd/{fd}").readlink())


def files_in(folder: Path) -> list[Path]:
    return list(folder.iterdir())


def pipe_of(text: bytes) -> int:
    reader, writer = os.pipe()
    os.write(writer, text)
    os.close(writer)
    return reader


@contextmanager
def no_descriptor_left() -> Iterator[None]:
    """Every number below the limit is in use."""
    stoppers = [os.open(os.devnull, os.O_RDONLY)]
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (stoppers[0] + 1, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        os.close(stoppers[0])


@both
async def test_a_paused_end_leaves_everything_to_the_peer_until_it_resumes(ends: Ends) -> None:
    ours, theirs = ends()
    ear = Ear(ours)
    ours.pause()
    theirs.write([(b"one", [])])
    theirs.write([(b"two", [])])
    theirs.close()
    for _ in range(10):
        await asyncio.sleep(0)
    assert ear.data == b""

    ours.resume()
    await ear.until(lambda: bool(ear.farewells))

    assert ear.data == b"onetwo"
    ours.close()


@both
async def test_bytes_and_descriptors_arrive_in_order(ends: Ends) -> None:
    ours, theirs = ends()
    ear = Ear(theirs)

    ours.write([(b"first ", [pipe_of(b"A")]), (b"second ", []), (b"third", [pipe_of(b"B"), pipe_of(b"C")])])
    await ear.until(lambda: len(ear.data) == 18)

    assert ear.data == b"first second third"
    assert [os.read(each, 1) for each in ear.fds] == [b"A", b"B", b"C"]
    for each in ear.fds:
        os.close(each)
    ours.close()
    theirs.close()


@both
async def test_the_end_comes_after_everything_said_before_it(ends: Ends) -> None:
    ours, theirs = ends()
    ear = Ear(theirs)

    ours.write([(b"last words", [])])
    ours.close()
    await ear.until(lambda: bool(ear.farewells))

    assert ear.data == b"last words"
    assert ear.farewells == ["the peer hung up"]


@both
async def test_a_peer_that_reads_late_still_gets_everything(ends: Ends) -> None:
    ours, theirs = ends()
    said = bytes(range(256)) * (PENDING_BYTES * 3 // 1024)

    ours.write([(said[at : at + 4096], []) for at in range(0, len(said), 4096)])
    ear = Ear(theirs)
    await ear.until(lambda: len(ear.data) == len(said))

    assert ear.data == said
    ours.close()
    theirs.close()


@both
async def test_what_has_been_read_is_not_held_against_the_peer(ends: Ends) -> None:
    ours, theirs = ends()
    ear, nothing = Ear(theirs), Ear(ours)
    half = bytes(PENDING_BYTES // 2)

    for round_ in range(1, 5):
        ours.write([(half, [])])
        await ear.until(lambda: len(ear.data) == round_ * len(half))  # noqa: B023  awaited right here

    assert nothing.farewells == []
    ours.close()
    theirs.close()


@both
async def test_a_packet_sent_in_pieces_brings_its_descriptors_once(ends: Ends) -> None:
    ours, theirs = ends()
    ear = Ear(theirs)
    said = bytes(PENDING_BYTES)

    ours.write([(said, [pipe_of(b"A")])])
    await ear.until(lambda: len(ear.data) == len(said))

    assert [os.read(each, 1) for each in ear.fds] == [b"A"]
    os.close(ear.fds[0])
    ours.close()
    theirs.close()


@both
async def test_a_peer_that_never_reads_is_hung_up_on(ends: Ends) -> None:
    ours, theirs = ends()
    ear = Ear(ours)

    ours.write([(bytes(4096), [])] * (PENDING_BYTES // 4096 * 3))
    assert ear.farewells == [], "never from inside write"
    theirs.close()
    await ear.until(lambda: bool(ear.farewells))

    assert ear.farewells == ["the peer does not read"]


@both
async def test_descriptors_left_unread_are_bounded_and_closed(ends: Ends) -> None:
    ours, theirs = ends()
    ear = Ear(ours)
    readers = [pipe_of(b"") for _ in range(PENDING_FDS + 1)]
    identities = {identity(each) for each in readers}
    stuffing = (bytes(4096), list[int]())

    ours.write([stuffing] * (PENDING_BYTES // 4096) + [(b"fd", [each]) for each in readers])
    late = pipe_of(b"")
    the_late_one = identity(late)
    ours.write([(b"fd", [late])])
    assert the_late_one not in open_fds()
    await ear.until(lambda: bool(ear.farewells))
    theirs.close()

    assert not identities & open_fds()


@both
async def test_nothing_is_heard_after_our_own_close(ends: Ends) -> None:
    ours, theirs = ends()
    ear = Ear(ours)
    theirs.write([(b"too late", [pipe_of(b"")])])

    ours.close()
    ours.close()
    theirs.close()
    await asyncio.sleep(0)

    assert (ear.data, ear.fds, ear.farewells) == (b"", [], [])


async def test_what_a_dead_peer_said_is_read_though_writing_to_it_failed() -> None:
    ours, theirs = sockets()
    theirs.write([(b"you are wrong", [])])
    theirs.close()

    ours.write([(b"are you there?", [])])
    ear = Ear(ours)
    await ear.until(lambda: bool(ear.farewells))

    assert ear.data == b"you are wrong"


async def test_descriptors_that_were_lost_on_the_way_end_the_connection() -> None:
    ours, theirs = sockets()
    ear = Ear(theirs)
    ours.write([(b"here you are", [pipe_of(b"A")])])

    with no_descriptor_left():
        await ear.until(lambda: bool(ear.farewells))

    assert ear.farewells == ["descriptors were lost on the way"]
    assert ear.fds == []
    ours.close()


async def test_a_client_that_comes_when_no_descriptor_is_left_is_turned_away(tmp_path: Path) -> None:
    loop = asyncio.get_running_loop()
    arrived: asyncio.Queue[UnixTransport] = asyncio.Queue()
    listener = listen(loop, tmp_path / "wayland-8", arrived.put_nowait)
    sock = socket.socket(socket.AF_UNIX)
    sock.connect(str(listener.path))
    ear = Ear(UnixTransport(loop, sock))

    with no_descriptor_left():
        await ear.until(lambda: bool(ear.farewells))
    assert arrived.empty()

    client = connect(loop, listener.path)
    server = await arrived.get()
    for each in (client, server, listener):
        each.close()


async def test_a_socket_is_found_by_its_path_and_gone_when_closed(tmp_path: Path) -> None:
    loop = asyncio.get_running_loop()
    arrived: asyncio.Queue[UnixTransport] = asyncio.Queue()
    listener = listen(loop, tmp_path / "wayland-7", arrived.put_nowait)
    client = connect(loop, listener.path)
    server = await arrived.get()

    ear = Ear(client)
    server.write([(b"welcome", [])])
    await ear.until(lambda: ear.data == b"welcome")
    assert server.peer_pid() == os.getpid()

    for each in (client, server, listener):
        each.close()
    assert files_in(tmp_path) == []


async def test_two_listeners_cannot_have_one_name(tmp_path: Path) -> None:
    loop = asyncio.get_running_loop()
    first = listen(loop, tmp_path / "wayland-1", lambda _: None)

    with pytest.raises(NameTaken, match=r"wayland-1\.lock"):
        listen(loop, tmp_path / "wayland-1", lambda _: None)
    second = listen_anywhere(loop, tmp_path, lambda _: None)

    assert second.path.name == "wayland-2"
    first.close()
    second.close()


async def test_the_socket_of_a_dead_compositor_is_replaced(tmp_path: Path) -> None:
    path = tmp_path / "wayland-3"
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(path))
    (tmp_path / "wayland-3.lock").touch()

    listener = listen(asyncio.get_running_loop(), path, lambda _: None)

    connect(asyncio.get_running_loop(), path).close()
    listener.close()


async def test_a_path_that_cannot_be_bound_leaves_no_lock_behind(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="too long"):
        listen(asyncio.get_running_loop(), tmp_path / ("w" * 120), lambda _: None)

    assert files_in(tmp_path) == []


@pytest.mark.parametrize(
    ("name", "environ", "path"),
    [
        ("wayland-5", {"XDG_RUNTIME_DIR": "/run/user/7"}, "/run/user/7/wayland-5"),
        ("", {"XDG_RUNTIME_DIR": "/run/user/7", "WAYLAND_DISPLAY": "foot"}, "/run/user/7/foot"),
        ("", {"XDG_RUNTIME_DIR": "/run/user/7"}, "/run/user/7/wayland-0"),
        ("/somewhere/else", {}, "/somewhere/else"),
    ],
)
def test_a_display_name_is_a_path_or_a_file_in_the_runtime_folder(
    name: str, environ: dict[str, str], path: str
) -> None:
    assert socket_path(name, environ) == Path(path)
