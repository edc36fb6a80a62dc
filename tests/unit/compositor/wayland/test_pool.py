"""Reading a client's image into one of ours, whatever lies between the rows of either."""

import os

import pytest

from syncline.compositor.wayland.descriptors import Descriptors
from syncline.compositor.wayland.pool import Pool, PoolShrunk
from syncline.protocol.fd import ReceivedFd

OFFSET = 12


def image(width: int, height: int, stride: int) -> bytes:
    """Each pixel says where it is; what lies between the rows says nothing."""
    rows = (b"".join(bytes((x, y, 7, 9)) for x in range(width)) for y in range(height))
    return b"".join(row.ljust(stride, b"\xee") for row in rows)


@pytest.fixture
def make_pool():
    pools = []

    def make(data: bytes) -> Pool:
        fd = os.memfd_create("pool")
        os.write(fd, bytes(OFFSET) + data)
        account = Descriptors()
        pools.append(Pool(account, account.take(ReceivedFd(fd)), OFFSET + len(data)))
        return pools[-1]

    yield make
    for pool in pools:
        pool.drop()


@pytest.mark.parametrize("rect", [(0, 0, 9, 7), (2, 3, 4, 2), (8, 6, 1, 1), (0, 2, 9, 1)])
@pytest.mark.parametrize(("stride", "pitch"), [(36, 36), (36, 64), (64, 64), (64, 40), (40, 36)])
def test_what_was_asked_for_is_right_and_nothing_is_written_outside(make_pool, stride, pitch, rect) -> None:
    pool = make_pool(image(9, 7, stride))
    into = bytearray(pitch * 7)

    pool.read(memoryview(into), offset=OFFSET, stride=stride, pitch=pitch, rect=rect)

    x, y, width, height = rect
    whole = image(9, 7, pitch)
    for row in range(y, y + height):
        start = row * pitch + x * 4
        assert into[start : start + width * 4] == whole[start : start + width * 4]
    for at in range(7):
        if not y <= at < y + height:
            assert not any(into[at * pitch : (at + 1) * pitch])


def test_more_rows_than_one_call_takes(make_pool) -> None:
    height = 3000
    pool = make_pool(image(1, 200, 4) * 15)
    into = bytearray(height * 8)

    pool.read(memoryview(into), offset=OFFSET, stride=4, pitch=8, rect=(0, 0, 1, height))

    assert into[-8:-4] == bytes((0, 199, 7, 9))


@pytest.mark.parametrize(("stride", "pitch"), [(36, 36), (36, 64), (64, 40)])
def test_a_file_that_ends_early_is_noticed_and_nothing_stays_borrowed(make_pool, stride, pitch) -> None:
    pool = make_pool(image(9, 6, stride))
    backing = bytearray(pitch * 7)
    memory = memoryview(backing)

    with pytest.raises(PoolShrunk) as fault:
        pool.read(memory, offset=OFFSET, stride=stride, pitch=pitch, rect=(0, 0, 9, 7))

    memory.release()
    backing.clear()  # refused while a view exists, as closing a mapping is
    assert fault.value is not None


def test_writing_back_touches_only_the_image(make_pool) -> None:
    pool = make_pool(bytes(64 * 7))

    pool.write(memoryview(image(9, 7, 40)), offset=OFFSET, stride=64, pitch=40, rect=(0, 0, 9, 7))
    into = bytearray(64 * 7)
    pool.read(memoryview(into), offset=OFFSET, stride=64, pitch=64, rect=(0, 0, 9, 7))

    assert bytes(into) == image(9, 7, 64).replace(b"\xee", b"\x00")
