"""ext-image-copy-capture: screenshots through the protocol."""

import mmap
import os
from struct import unpack

import pytest

FRAME, SESSION, MANAGER = (
    "ext_image_copy_capture_frame_v1",
    "ext_image_copy_capture_session_v1",
    "ext_image_copy_capture_manager_v1",
)
NO_BUFFER, INVALID_BUFFER_DAMAGE, ALREADY_CAPTURED = range(1, 4)
UNKNOWN, BUFFER_CONSTRAINTS, STOPPED = range(3)


@pytest.fixture
def manager(client):
    return client.bind(MANAGER)


@pytest.fixture
def screen(client):
    sources = client.bind("ext_output_image_capture_source_manager_v1")
    return client.make(sources, "create_source", client.bind("wl_output"))


@pytest.fixture
def session(client, manager, screen):
    made = client.make(manager, "create_session", screen, 0)
    client.roundtrip()
    return made


def outcome(world, frame):
    world.until(lambda: frame.heard("ready") or frame.heard("failed"))
    return frame.events[-1]


def test_a_session_says_what_it_takes(client, world, session) -> None:
    mode = world.core.outputs[0].mode

    assert session.last("buffer_size") == [mode.hdisplay, mode.vdisplay]
    assert session.heard("shm_format") == [[0], [1]]
    assert all(unpack("=Q", modifiers) == (0,) for _, modifiers in session.heard("dmabuf_format"))
    assert session.events[-1] == ("done",)


@pytest.mark.parametrize("kind", ["shm", "dma-buf"])
def test_a_capture_shows_the_screen(client, world, session, kind) -> None:
    window = client.toplevel()
    buffer, _ = client.shm_buffer(100, 50, 0xFF00FF00)
    window.surface.send("attach", buffer, 0, 0)
    window.surface.send("commit")
    world.run(50)
    width, height = session.last("buffer_size")
    fd = -1
    if kind == "shm":
        target, memory = client.shm_buffer(width, height)
    else:
        fd, pitch = world.dumb(width, height)
        params = client.make(client.bind("zwp_linux_dmabuf_v1"), "create_params")
        params.send("add", fd, 0, 0, pitch, 0)
        target = client.make(params, "create_immed", width, height, 0x34325258, 0)
        memory = mmap.mmap(fd, pitch * height)

    frame = client.make(session, "create_frame")
    frame.send("attach_buffer", target)
    frame.send("damage_buffer", 0, 0, width, height)
    frame.send("capture")

    assert outcome(world, frame) == ("ready",)
    names = [name for name, *_ in frame.events]
    assert names[0] == "transform"
    assert names[-2:] == ["presentation_time", "ready"]
    assert frame.last("damage") == [0, 0, width, height]
    assert bytes(memory).count(b"\x00\xff\x00\xff") == 5000
    if fd >= 0:
        memory.close()
        os.close(fd)


def test_frames_follow_each_other(client, world, session) -> None:
    width, height = session.last("buffer_size")
    target, _ = client.shm_buffer(width, height)
    for _ in range(3):
        frame = client.make(session, "create_frame")
        frame.send("attach_buffer", target)
        frame.send("capture")
        assert outcome(world, frame) == ("ready",)
        frame.send("destroy")

    client.expect_no_error()


def test_there_is_one_frame_at_a_time(client, session) -> None:
    client.make(session, "create_frame")

    client.make(session, "create_frame")

    client.expect(SESSION, 1, session)


def test_a_capture_needs_a_buffer(client, session) -> None:
    frame = client.make(session, "create_frame")

    frame.send("capture")

    client.expect(FRAME, NO_BUFFER, frame)


@pytest.mark.parametrize("rect", [(-1, 0, 1, 1), (0, -1, 1, 1), (0, 0, 0, 1), (0, 0, 1, -1)])
def test_damage_is_inside_of_something(client, session, rect) -> None:
    frame = client.make(session, "create_frame")

    frame.send("damage_buffer", *rect)

    client.expect(FRAME, INVALID_BUFFER_DAMAGE, frame)


@pytest.mark.parametrize("request_", ["capture", "attach_buffer", "damage_buffer"])
def test_after_the_capture_nothing_more_is_said(client, session, request_) -> None:
    width, height = session.last("buffer_size")
    target, _ = client.shm_buffer(width, height)
    frame = client.make(session, "create_frame")
    frame.send("attach_buffer", target)
    frame.send("capture")

    frame.send(
        request_, *{"capture": (), "attach_buffer": (target,), "damage_buffer": (0, 0, 1, 1)}[request_]
    )

    client.expect(FRAME, ALREADY_CAPTURED, frame)


def test_a_buffer_of_another_size_fails(client, world, session) -> None:
    target, _ = client.shm_buffer(16, 16)
    frame = client.make(session, "create_frame")
    frame.send("attach_buffer", target)
    frame.send("capture")

    assert outcome(world, frame) == ("failed", BUFFER_CONSTRAINTS)


def test_a_file_that_cannot_be_written_fails(client, world, session) -> None:
    width, height = session.last("buffer_size")
    fd = os.memfd_create("pool")
    os.ftruncate(fd, width * height * 4)
    reading = os.open(f"/proc/self/fd/{fd}", os.O_RDONLY)
    pool = client.make(client.bind("wl_shm"), "create_pool", reading, width * height * 4)
    frame = client.make(session, "create_frame")
    frame.send("attach_buffer", client.make(pool, "create_buffer", 0, width, height, width * 4, 1))
    frame.send("capture")

    assert outcome(world, frame) == ("failed", UNKNOWN)
    client.expect_no_error()
    os.close(fd)
    os.close(reading)


def test_a_frame_may_go_while_it_is_awaited(client, world, session) -> None:
    width, height = session.last("buffer_size")
    target, _ = client.shm_buffer(width, height)
    frame = client.make(session, "create_frame")
    frame.send("attach_buffer", target)
    frame.send("capture")
    frame.send("destroy")
    session.send("destroy")
    world.run(100)

    client.expect_no_error()
    assert frame.events == []


def test_an_unknown_option_is_an_error(client, manager, screen) -> None:
    client.make(manager, "create_session", screen, 2)

    client.expect(MANAGER, 1, manager)


def test_the_cursor_is_not_offered_on_its_own(client, manager, screen) -> None:
    pointer = client.make(client.bind("wl_seat"), "get_pointer")
    cursor = client.make(manager, "create_pointer_cursor_session", screen, pointer)
    session = client.make(cursor, "get_capture_session")
    client.roundtrip()
    assert session.events == [("stopped",)]

    client.make(cursor, "get_capture_session")

    client.expect("ext_image_copy_capture_cursor_session_v1", 1, cursor)
