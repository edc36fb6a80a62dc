"""vgem_basic, the part about fences: who may put one on a buffer, and what a poll of its dma-buf says then."""

import select
from errno import EBUSY, ENOENT

from igt.kms import KmsProgram

from syncline.kms_model.uapi import (
    CreateDumb,
    DmaBufPoll,
    GemClose,
    VgemFenceAttach,
    VgemFenceSignal,
    VgemFlag,
)

READ, WRITE = 0, int(VgemFlag.WRITE)
IDLE, READ_BY_SOMEBODY, WRITTEN = (False, False), (False, True), (True, True)
program = KmsProgram("vgem_basic")


def test_subtest(subtest):
    program.run(subtest)


def test_every_subtest_is_here():
    program.assert_complete()


def attach(client, handle, flags):
    return client.call(VgemFenceAttach(handle, flags)).out_fence


def busy(client, dma_buf):
    """For whoever reads, and for whoever writes."""
    events = (select.POLLIN, select.POLLOUT)
    return tuple(not client.call(DmaBufPoll(dma_buf, event)).ready for event in events)


@program.subtest("bad-fence")
def bad_fence(client):
    assert client.errno(VgemFenceSignal(0xFF)) == ENOENT


@program.subtest("busy-fence")
def busy_fence(client):
    handle = client.call(CreateDumb(1024, 1)).handle
    fence = attach(client, handle, READ)
    assert client.errno(VgemFenceAttach(handle, WRITE)) == EBUSY
    client.call(VgemFenceSignal(fence))


@program.subtest("dmabuf-fence")
def fence_after_export(client):
    handle = client.call(CreateDumb(1024, 1)).handle
    dma_buf = client.dma_buf(handle)
    for flags, state in ((READ, READ_BY_SOMEBODY), (WRITE, WRITTEN)):
        fence = attach(client, handle, flags)
        assert busy(client, dma_buf) == state
        client.call(VgemFenceSignal(fence))
        assert busy(client, dma_buf) == IDLE


@program.subtest("dmabuf-fence-before")
def fence_before_export(client):
    for flags, state in ((READ, READ_BY_SOMEBODY), (WRITE, WRITTEN)):
        handle = client.call(CreateDumb(1024, 1)).handle
        fence = attach(client, handle, flags)
        dma_buf = client.dma_buf(handle)
        assert busy(client, dma_buf) == state
        client.call(VgemFenceSignal(fence))
        assert busy(client, dma_buf) == IDLE
        client.call(GemClose(handle))
