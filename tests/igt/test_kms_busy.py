"""kms_busy: flips and modesets of buffers that a job still works on, or never finishes."""

import pytest
from igt.kms import HANG_NS, MS, KmsProgram, flip, next_flip, picture, render, show

from syncline.kms_model.uapi import AtomicFlag as Flag

program = KmsProgram("kms_busy")

BUSY_NS = 200 * MS
WATCHDOG_NS = 5_000 * MS
"""When the scheduler ends a job that hangs. Nobody who waits for it waits longer."""


def test_subtest(subtest):
    program.run(subtest)


def test_every_subtest_is_here():
    program.assert_complete()


def lit(client):
    """What is on the screen: framebuffer and buffer."""
    fb, handle = picture(client)
    client.commit(Flag.ALLOW_MODESET, *client.output(0, fb))
    return fb, handle


def modeset(client, fb):
    """A blocking modeset to `fb`: off and on again with another mode's timings is not needed, DPMS is enough."""
    client.commit(Flag.ALLOW_MODESET, ("crtc0", "ACTIVE", 0))
    return client.start_commit(Flag.ALLOW_MODESET, ("crtc0", "ACTIVE", 1), show(fb))


def assert_flip_waits(client, fb, *, for_ns):
    """The ioctl is back at once; the event comes after the job, and not long after."""
    began_ns = client.world.now_ns
    flip(client, fb)
    assert client.world.now_ns == began_ns
    client.world.device.advance(began_ns + for_ns - MS)
    assert client.events() == []
    assert next_flip(client).time_ns >= began_ns + for_ns
    assert client.world.now_ns <= began_ns + for_ns + 20 * MS
    assert client.shown() == (fb,)


def assert_modeset_waits(client, fb, *, for_ns):
    began_ns = client.world.now_ns
    call = modeset(client, fb)
    client.world.device.advance(began_ns + for_ns - MS)
    assert not call.done
    client.world.run_until_done(call)
    assert client.world.now_ns <= began_ns + for_ns + 40 * MS
    assert client.shown() == (fb,)


@program.subtest("basic")
def basic(client):
    lit(client)
    for wait in (assert_flip_waits, assert_modeset_waits):
        fb, handle = picture(client)
        render(client, handle, BUSY_NS)
        wait(client, fb, for_ns=BUSY_NS)


@program.subtest("basic-hang")
def basic_hang(client):
    lit(client)
    fb, handle = picture(client)
    render(client, handle, HANG_NS)
    assert_flip_waits(client, fb, for_ns=WATCHDOG_NS)


@program.subtest("extended-pageflip-hang-newfb")
def flip_to_hung(client):
    shown, _ = lit(client)
    fb, handle = picture(client)
    render(client, handle, HANG_NS)
    assert_flip_waits(client, fb, for_ns=WATCHDOG_NS)
    flip(client, shown)
    next_flip(client)


@program.subtest("extended-pageflip-hang-oldfb", front_buffer=True)
def flip_from_hung(client):
    """What is on the screen hangs. Whoever leaves it does not wait for it."""
    _, handle = lit(client)
    fb, _ = picture(client)
    render(client, handle, HANG_NS)
    began_ns = client.world.now_ns
    flip(client, fb)
    assert next_flip(client).time_ns <= began_ns + 17 * MS


@program.subtest("extended-pageflip-modeset-hang-oldfb", front_buffer=True)
def flip_and_modeset_from_hung(client):
    _, handle = lit(client)
    fb, _ = picture(client)
    render(client, handle, HANG_NS)
    began_ns = client.world.now_ns
    flip(client, fb)
    client.world.run_until_done(modeset(client, fb))
    next_flip(client)
    assert client.world.now_ns - began_ns < 100 * MS


@program.subtest("extended-modeset-hang-oldfb", "extended-modeset-hang-oldfb-with-reset", front_buffer=True)
def modeset_from_hung(client):
    """With a reset of the GPU in between or not: the display does not know the buffer any more."""
    _, handle = lit(client)
    fb, _ = picture(client)
    render(client, handle, HANG_NS)
    client.commit(Flag.ALLOW_MODESET, *client.off(0))
    began_ns = client.world.now_ns
    client.commit(Flag.ALLOW_MODESET, *client.output(0, fb))
    assert client.world.now_ns - began_ns < 100 * MS
    client.world.run_ms(2 * WATCHDOG_NS / MS)
    assert client.shown() == (fb,)


@program.subtest("extended-modeset-hang-newfb", "extended-modeset-hang-newfb-with-reset")
def modeset_to_hung(client):
    """The watchdog's reset is what ends the wait, in both."""
    lit(client)
    fb, handle = picture(client)
    render(client, handle, HANG_NS)
    assert_modeset_waits(client, fb, for_ns=WATCHDOG_NS)


@pytest.mark.parametrize("legacy", [True, False])
def test_the_error_of_a_hung_job_does_not_fail_the_flip(legacy):
    """Own: the frame is shown with whatever is in it, and the out-fence says nothing of it."""
    with program.display() as client:
        lit(client)
        fb, handle = picture(client)
        render(client, handle, HANG_NS)
        if legacy:
            flip(client, fb)
        else:
            out = ("crtc0", "OUT_FENCE_PTR", client.pointer())
            reply = client.commit(Flag.NONBLOCK | Flag.PAGE_FLIP_EVENT, show(fb), out)
        next_flip(client)
        assert legacy or client.status(reply.out_fences[0][1]) == 1
