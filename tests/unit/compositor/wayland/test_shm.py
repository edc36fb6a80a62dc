"""wl_shm: pools, formats, and images that are right however little of them was damaged."""

import mmap
import os
from contextlib import suppress
from pathlib import Path

import pytest

from syncline.compositor.wayland.descriptors import MAX_HELD
from syncline.compositor.wayland.upload import SPARE_MAX

INVALID_FORMAT, INVALID_STRIDE, INVALID_FD = range(3)
RED, BLUE = 0xFFCC0000, 0xFF0000CC


@pytest.fixture
def shm(client):
    return client.bind("wl_shm")


@pytest.fixture
def fd():
    fd = os.memfd_create("pool")
    os.ftruncate(fd, 65536)
    yield fd
    os.close(fd)


def test_the_two_formats_that_everybody_has_are_offered(client, shm) -> None:
    client.roundtrip()

    assert shm.heard("format") == [[0], [1]]


@pytest.mark.parametrize("size", [0, -4096])
def test_a_pool_needs_a_size(client, shm, fd, size) -> None:
    client.make(shm, "create_pool", fd, size)

    client.expect("wl_shm", INVALID_STRIDE, shm)


def test_a_pool_needs_a_file(client, shm) -> None:
    reader, writer = os.pipe()

    client.make(shm, "create_pool", reader, 4096)

    client.expect("wl_shm", INVALID_FD, shm)
    os.close(reader)
    os.close(writer)


def test_a_pool_needs_a_file_that_can_be_read(client, shm, tmp_path) -> None:
    fd = os.open(tmp_path / "pool", os.O_WRONLY | os.O_CREAT)

    client.make(shm, "create_pool", fd, 4096)

    client.expect("wl_shm", INVALID_FD, shm)
    os.close(fd)


def test_an_unknown_format_is_refused(client, shm, fd) -> None:
    pool = client.make(shm, "create_pool", fd, 65536)

    client.make(pool, "create_buffer", 0, 16, 16, 64, 0x20203852)

    client.expect("wl_shm_pool", INVALID_FORMAT, pool)


@pytest.mark.parametrize(
    ("offset", "width", "height", "stride"),
    [
        (-4, 16, 16, 64),
        (0, 0, 16, 64),
        (0, 16, -1, 64),
        (0, 16, 16, 60),
        (65536 - 16 * 64 + 1, 16, 16, 64),
        (0, 16, 0x7FFFFFFF, 0x7FFFFFFF),
        (0, 0x7FFFFFFF, 1, 0x7FFFFFFF),
    ],
)
def test_an_image_outside_of_its_pool_is_refused(client, shm, fd, offset, width, height, stride) -> None:
    pool = client.make(shm, "create_pool", fd, 65536)

    client.make(pool, "create_buffer", offset, width, height, stride, 0)

    client.expect("wl_shm_pool", INVALID_STRIDE, pool)


def test_a_pool_grows(client, shm, fd) -> None:
    pool = client.make(shm, "create_pool", fd, 4096)
    os.ftruncate(fd, 131072)
    pool.send("resize", 131072)

    client.make(pool, "create_buffer", 65536, 16, 16, 64, 0)

    client.expect_no_error()


def test_a_pool_does_not_shrink(client, shm, fd) -> None:
    pool = client.make(shm, "create_pool", fd, 4096)

    pool.send("resize", 4095)

    client.expect("wl_shm_pool", INVALID_FD, pool)


def test_a_buffer_outlives_its_pool(client, world) -> None:
    window = client.toplevel()
    buffer, _ = client.shm_buffer()  # has destroyed its pool

    window.surface.send("attach", buffer, 0, 0)
    window.surface.send("commit")

    client.expect_no_error()


@pytest.mark.parametrize("length", [0, 64 * 64 * 4 - 1])
def test_a_file_shorter_than_its_pool_is_the_clients_error_alone(world, client, length) -> None:
    witness = world.client()
    window = client.toplevel()
    size = 64 * 64 * 4
    fd = os.memfd_create("pool")
    os.ftruncate(fd, size)
    pool = client.make(client.bind("wl_shm"), "create_pool", fd, size)
    buffer = client.make(pool, "create_buffer", 0, 64, 64, 256, 0)
    client.roundtrip()
    os.ftruncate(fd, length)

    window.surface.send("attach", buffer, 0, 0)
    window.surface.send("damage_buffer", 0, 0, 64, 64)
    window.surface.send("commit")

    client.expect("wl_buffer", INVALID_FD, buffer)
    witness.expect_no_error()
    os.close(fd)


def test_shared_memory_is_released_at_the_commit(client) -> None:
    window = client.toplevel()
    buffer, _ = client.shm_buffer()

    window.surface.send("attach", buffer, 0, 0)
    window.surface.send("commit")
    client.roundtrip()

    assert buffer.events == [("release",)]


def test_two_buffers_are_enough_for_a_client_that_never_stops(client, world) -> None:
    window = client.toplevel()
    buffers = [client.shm_buffer()[0] for _ in range(2)]

    for frame in range(60):
        buffer = buffers[frame % 2]
        window.surface.send("attach", buffer, 0, 0)
        window.surface.send("damage_buffer", 0, 0, 64, 64)
        done = client.make(window.surface, "frame")
        window.surface.send("commit")
        client.roundtrip()
        assert len(buffer.events) == frame // 2 + 1
        world.until(lambda done=done: done.events)


def test_an_image_is_right_after_every_partial_update(client, world, photograph) -> None:
    """Each commit damages one row; what is on the screen must be all rows so far, whichever buffer shows it."""
    window = client.toplevel()
    buffer, memory = client.shm_buffer(8, 8, RED)
    window.surface.send("attach", buffer, 0, 0)
    window.surface.send("damage_buffer", 0, 0, 8, 8)
    window.surface.send("commit")
    world.run(40)

    for row in range(8):
        memory[row * 32 : (row + 1) * 32] = BLUE.to_bytes(4, "little") * 8
        window.surface.send("attach", buffer, 0, 0)
        window.surface.send("damage_buffer", 0, row, 8, 1)
        window.surface.send("commit")
        world.run(40)
        blue = sum(pixel == BLUE for line in photograph() for pixel in line)
        assert blue == 8 * (row + 1)


def test_an_image_of_another_size_replaces_the_old_one(client, world, photograph) -> None:
    window = client.toplevel()
    for side in (8, 16, 4):
        buffer, _ = client.shm_buffer(side, side, BLUE)
        window.surface.send("attach", buffer, 0, 0)
        window.surface.send("damage_buffer", 0, 0, side, side)
        window.surface.send("commit")
        world.run(40)
        assert sum(pixel == BLUE for line in photograph() for pixel in line) == side * side


def test_what_is_on_the_screen_is_not_written_to(client, world) -> None:
    window = client.toplevel()
    buffer, memory = client.shm_buffer(8, 8, RED)
    window.surface.send("attach", buffer, 0, 0)
    window.surface.send("commit")
    world.run(40)
    (surface,) = world.driver.server._lines[0].session.surfaces
    shown = surface.content.buffer
    with mmap.mmap(shown.fd, shown.pitch * 8) as pixels:
        assert pixels[:4] == RED.to_bytes(4, "little")

        memory[:] = BLUE.to_bytes(4, "little") * 64
        window.surface.send("attach", buffer, 0, 0)
        window.surface.send("damage_buffer", 0, 0, 8, 8)
        window.surface.send("commit")
        client.roundtrip()

        assert pixels[:4] == RED.to_bytes(4, "little")


def test_a_queue_of_images_leaves_few_buffers_behind(client, world) -> None:
    """Updates cached by a synchronized sub-surface hold one buffer each; afterwards a handful is enough."""
    window = client.toplevel()
    black, _ = client.shm_buffer()
    window.surface.send("attach", black, 0, 0)
    window.surface.send("commit")
    child = client.surface()
    client.make(client.bind("wl_subcompositor"), "get_subsurface", child, window.surface)
    images, _ = client.shm_buffer()

    def commit(count: int) -> None:
        for _ in range(count):
            child.send("attach", images, 0, 0)
            child.send("damage_buffer", 0, 0, 64, 64)
            child.send("commit")
        client.roundtrip()

    commit(1)
    window.surface.send("commit")
    world.run(60)
    before = len(open_dmabufs())
    commit(20)
    assert len(open_dmabufs()) > before + 20

    window.surface.send("commit")
    world.run(60)

    assert len(open_dmabufs()) <= before + 3 * (1 + SPARE_MAX)  # each is open in core, mapping and machine


def open_dmabufs() -> list[str]:
    links = []
    for link in Path("/proc/self/fd").iterdir():
        with suppress(FileNotFoundError):
            links.append(str(link.readlink()))
    return [link for link in links if "dma-buf" in link]


def test_what_was_not_damaged_need_not_be_shown_but_may_not_be_garbage(client, world, photograph) -> None:
    window = client.toplevel()
    red, _ = client.shm_buffer(8, 8, RED)
    blue, _ = client.shm_buffer(8, 8, BLUE)
    for buffer in (red, blue, red, blue):
        window.surface.send("attach", buffer, 0, 0)
        window.surface.send("damage", 0, 0, 8, 8)
        window.surface.send("commit")
        world.run(40)

    assert sum(pixel == BLUE for line in photograph() for pixel in line) == 64


def test_too_many_pools_are_the_clients_error_alone(world, client, shm, fd) -> None:
    witness = world.client()
    for _ in range(MAX_HELD):
        client.make(shm, "create_pool", fd, 4096)
        client.roundtrip()
    client.expect_no_error()

    client.make(shm, "create_pool", fd, 4096)

    client.expect("wl_display", 2)
    witness.expect_no_error()
