"""kms_async_flips: flips that do not wait for the vblank."""

from errno import EINVAL

from igt.kms import ASK, HANG_NS, MS, KmsProgram, flip, next_flip, picture, render, show

from syncline.kms_model.uapi import FORMAT_ARGB8888, AtomicFlag as Flag

program = KmsProgram("kms_async_flips")

TEAR = ASK | Flag.PAGE_FLIP_ASYNC


def test_subtest(subtest):
    program.run(subtest)


def test_every_subtest_is_here():
    program.assert_complete()


def flips(client, fb, *, atomic, tear):
    if atomic:
        client.commit(TEAR if tear else ASK, show(fb))
    else:
        flip(client, fb, tear=tear)


def warm_up(client):
    """The first flip after a modeset may still be synchronous."""
    fbs = client.light_up(), client.framebuffer()
    flip(client, fbs[1], tear=True)
    next_flip(client)
    return fbs


@program.variants(
    {
        "async-flip-with-page-flip-events-linear": {"atomic": False},
        "async-flip-with-page-flip-events-linear-atomic": {"atomic": True},
    }
)
def events(client, *, atomic):
    """Many flips in a frame, each with its event; none waits for a vblank."""
    fbs = warm_up(client)
    began_ns = client.world.now_ns
    for number in range(40):
        client.world.run_ms(1)
        flips(client, fbs[number % 2], atomic=atomic, tear=True)
        asked_ns = client.world.now_ns
        next_flip(client)
        assert client.world.now_ns == asked_ns
        assert client.shown() == (fbs[number % 2],)
    assert 40 / ((client.world.now_ns - began_ns) / client.mode.refresh_ns) > 10, "flips per frame"


@program.variants(
    {"alternate-sync-async-flip": {"atomic": False}, "alternate-sync-async-flip-atomic": {"atomic": True}}
)
def alternate(client, *, atomic):
    fbs = warm_up(client)
    for number in range(20):
        client.world.run_ms(2)
        asked_ns = client.world.now_ns
        tear = number % 2 == 1
        flips(client, fbs[number % 2], atomic=atomic, tear=tear)
        event = next_flip(client)
        assert event.time_ns <= asked_ns if tear else event.time_ns > asked_ns


@program.subtest("test-time-stamp-atomic")
def time_stamp(client):
    """Async flips of one frame tell one vblank, that which began the frame."""
    fbs = warm_up(client)
    client.commit(ASK, show(fbs[0]))
    vblank = next_flip(client)
    for number in range(1, 15):
        client.world.device.advance(vblank.time_ns + number * MS)
        client.commit(TEAR, show(fbs[number % 2]))
        event = next_flip(client)
        assert (event.sequence, event.time_ns) == (vblank.sequence, vblank.time_ns)
    client.world.device.advance(vblank.time_ns + client.mode.refresh_ns + MS)
    client.commit(TEAR, show(fbs[0]))
    event = next_flip(client)
    assert event.sequence == vblank.sequence + 1
    assert event.time_ns > vblank.time_ns


@program.subtest("invalid-async-flip-atomic")
def invalid(client):
    """Another format, another pitch, another place, another plane, or an out-fence."""
    shown, fb = warm_up(client)
    small = client.framebuffer(64, 64)
    alpha = client.framebuffer(format=FORMAT_ARGB8888)
    wide = client.framebuffer(2 * client.mode.hdisplay, client.mode.vdisplay)
    for changes in (
        [show(alpha)],
        [show(wide)],
        [show(fb), ("primary0", "CRTC_X", 1)],
        [show(fb), ("primary0", "SRC_W", 64 << 16)],
        [show(fb), *client.plane("overlay0", small, size=(64, 64))],
        [show(fb), ("crtc0", "VRR_ENABLED", 1)],
        [show(fb), ("crtc0", "OUT_FENCE_PTR", client.pointer())],
        [("primary0", "FB_ID", 0), ("primary0", "CRTC_ID", 0)],
    ):
        assert client.refused(TEAR, *changes) == EINVAL
        assert client.refused(Flag.TEST_ONLY | Flag.PAGE_FLIP_ASYNC, *changes) == EINVAL
    client.commit(TEAR, show(shown))


@program.subtest("async-flip-hang")
def hang(client):
    """It honours the fence of its buffer, and so the watchdog that ends the job."""
    warm_up(client)
    fb, handle = picture(client)
    began_ns = client.world.now_ns
    render(client, handle, HANG_NS)
    client.commit(TEAR, show(fb))
    client.world.run_ms(4_000)
    assert client.events() == []
    next_flip(client)
    assert 5_000 * MS <= client.world.now_ns - began_ns <= 5_020 * MS
    assert client.shown() == (fb,)
