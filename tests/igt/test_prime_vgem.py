"""prime_vgem: a fence that user space holds on an imported buffer, and the display that honours it."""

from igt.kms import ASK, MS, KmsProgram, flip, next_flip, picture, show

from syncline.kms_model.uapi import PrimeFdToHandle, VgemFenceAttach, VgemFenceSignal, VgemFlag

program = KmsProgram("prime_vgem")

EXPIRY_MS = 10_000
"""A vgem fence that nobody signals ends by itself."""


def test_subtest(subtest):
    program.run(subtest)


def test_every_subtest_is_here():
    program.assert_complete()


def fenced(client):
    """A framebuffer whose buffer travelled as a dma-buf and carries a writer's fence."""
    fb, handle = picture(client)
    imported = client.call(PrimeFdToHandle(client.dma_buf(handle))).handle
    return fb, client.call(VgemFenceAttach(imported, int(VgemFlag.WRITE))).out_fence


@program.subtest("basic-fence-flip")
def fence_flip(client):
    shown = client.light_up()
    for legacy in (True, False):
        fb, fence = fenced(client)
        if legacy:
            flip(client, fb)
        else:
            client.commit(ASK, show(fb))
        client.world.run_ms(100)
        assert client.events() == []
        assert client.shown() == (shown,)

        client.call(VgemFenceSignal(fence))
        next_flip(client)
        assert client.shown() == (fb,)
        client.commit(0, show(shown))


@program.subtest("fence-flip-hang")
def fence_flip_hang(client):
    client.light_up()
    fb, _ = fenced(client)
    began_ns = client.world.now_ns
    flip(client, fb)
    client.world.run_ms(EXPIRY_MS - 100)
    assert client.events() == []

    next_flip(client)

    assert EXPIRY_MS * MS <= client.world.now_ns - began_ns < (EXPIRY_MS + 20) * MS
    assert client.shown() == (fb,)
