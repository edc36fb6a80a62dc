"""kms_flip: legacy page flips, vblank waits, and whatever may come between two flips."""

from errno import EBUSY, EINVAL, ENOENT

from igt.kms import HANG_NS, MS, KmsProgram, flip, flip_errno, next_flip, off_and_on, picture, render

from syncline.kms_model.uapi import (
    AtomicFlag as Flag,
    CrtcGetSequence,
    FlipComplete,
    ModeAddFb2,
    ModeRmFb,
    VblankEvent,
    WaitVblank,
)

program = KmsProgram("kms_flip")


def test_subtest(subtest):
    program.run(subtest)


def test_every_subtest_is_here():
    program.assert_complete()


def sequence(client):
    return client.call(CrtcGetSequence(client.ids["crtc0"])).sequence


def wait_for(client, wanted):
    """A blocking wait for a vblank."""
    pending = client.start(WaitVblank(client.ids["crtc0"], wanted))
    return client.world.run_until_done(pending)


def assert_one_frame_apart(client, earlier, later, frames=1):
    assert later.sequence == earlier.sequence + frames
    assert abs(later.time_ns - earlier.time_ns - frames * client.mode.refresh_ns) <= frames


@program.subtest("nonblocking-read")
def nonblocking_read(client):
    client.light_up()
    assert client.events() == [], "a read of nothing does not block"


@program.subtest("basic-plain-flip")
def plain_flip(client):
    fbs = client.light_up(), client.framebuffer()
    for number in range(60):
        flip(client, fbs[number % 2], number)
        assert next_flip(client).user_data == number
        assert client.shown() == (fbs[number % 2],)


@program.subtest("busy-flip")
def busy_flip(client):
    shown, fb = client.light_up(), client.framebuffer()
    for _ in range(5):
        flip(client, fb)
        assert flip_errno(client, shown) == EBUSY
        next_flip(client)


@program.subtest("plain-flip-ts-check")
def plain_flip_ts_check(client):
    fbs = client.light_up(), client.framebuffer()
    flip(client, fbs[1])
    last = next_flip(client)
    for number in range(60):
        flip(client, fbs[number % 2])
        event = next_flip(client)
        assert_one_frame_apart(client, last, event)
        assert event.time_ns <= client.world.now_ns
        last = event


@program.subtest("plain-flip-fb-recreate")
def fb_recreate(client):
    old = client.light_up()
    for _ in range(20):
        new = client.framebuffer()
        flip(client, new)
        next_flip(client)
        assert client.start(ModeRmFb(old)).done, "it is on no screen any more"
        old = new


@program.subtest("flip-vs-rmfb")
def flip_vs_rmfb(client):
    client.light_up()
    for _ in range(5):
        fb = client.framebuffer()
        flip(client, fb)
        client.world.run_until_done(client.start(ModeRmFb(fb)))
        next_flip(client)
        assert client.shown() == ()
        assert flip_errno(client, client.framebuffer()) == EBUSY
        client.commit(0, *client.plane("primary0", client.framebuffer()))


@program.subtest("basic-flip-vs-dpms")
def flip_vs_dpms(client):
    client.light_up()
    fb = client.framebuffer()
    for _ in range(5):
        flip(client, fb)
        next_flip(client)
        off_and_on(client, on=False)
        assert flip_errno(client, fb) == EINVAL
        off_and_on(client, on=True)


@program.subtest("basic-flip-vs-modeset")
def flip_vs_modeset(client):
    client.light_up()
    fb = client.framebuffer()
    for _ in range(5):
        flip(client, fb)
        next_flip(client)
        client.commit(Flag.ALLOW_MODESET, *client.off(0))
        assert flip_errno(client, fb) == EBUSY, "the CRTC lost its framebuffer"
        client.commit(Flag.ALLOW_MODESET, *client.output(0, fb))


@program.subtest("flip-vs-dpms-on-nop")
def dpms_on_nop(client):
    client.light_up()
    fb = client.framebuffer()
    flip(client, fb)
    last = next_flip(client)
    for _ in range(5):
        off_and_on(client, on=True)
        flip(client, fb)
        event = next_flip(client)
        assert event.sequence > last.sequence, "nothing was switched off"
        assert_one_frame_apart(client, last, event, event.sequence - last.sequence)
        last = event


def wide(client):
    """A framebuffer of twice the screen's width, so that there is something to pan over."""
    fb = client.framebuffer(2 * client.mode.hdisplay, client.mode.vdisplay)
    return fb, client.handle


@program.subtest("flip-vs-panning")
def flip_vs_panning(client):
    (one, _), (two, _) = wide(client), wide(client)
    client.commit(Flag.ALLOW_MODESET, *client.output(0, one))
    for number in range(10):
        flip(client, (two, one)[number % 2])
        next_flip(client)
        client.commit(0, ("primary0", "SRC_X", (number % 2 * 64) << 16))
        assert client.read("primary0", "SRC_X") == (number % 2 * 64) << 16


@program.subtest("flip-vs-expired-vblank")
def expired_vblank(client):
    fbs = client.light_up(), client.framebuffer()
    client.world.run_ms(100)
    for number in range(10):
        flip(client, fbs[number % 2])
        now = sequence(client)
        pending = client.start(WaitVblank(client.ids["crtc0"], now - 3))
        assert pending.done, "it is over"
        assert pending.result().sequence == now
        next_flip(client)


@program.subtest("flip-vs-absolute-wf_vblank", "basic-flip-vs-wf_vblank")
def flip_vs_wf_vblank(client):
    """Both kinds of wait are for an absolute number on this device node."""
    fbs = client.light_up(), client.framebuffer()
    for number in range(20):
        flip(client, fbs[number % 2], 1)
        client.call(WaitVblank(client.ids["crtc0"], sequence(client) + 1, event=True, user_data=2))
        client.world.run_ms(17)
        flipped, vblank = client.events()
        assert (type(flipped), type(vblank)) == (FlipComplete, VblankEvent)
        assert (flipped.user_data, vblank.user_data) == (1, 2)
        assert (flipped.sequence, flipped.time_ns) == (vblank.sequence, vblank.time_ns)


@program.subtest("flip-vs-blocking-wf-vblank")
def flip_vs_blocking(client):
    fbs = client.light_up(), client.framebuffer()
    for number in range(20):
        flip(client, fbs[number % 2])
        reply = wait_for(client, sequence(client) + 1)
        assert next_flip(client).time_ns == reply.time_ns


def ends_with_the_watchdog(client, began_ns):
    assert client.world.now_ns - began_ns >= 5_000 * MS, "the job hung"


@program.subtest("flip-vs-modeset-vs-hang")
def modeset_vs_hang(client):
    client.light_up()
    fb, handle = picture(client)
    began_ns = client.world.now_ns
    render(client, handle, HANG_NS)
    flip(client, fb)
    client.commit(Flag.ALLOW_MODESET, *client.output(0, fb, client.modes[0]), ("crtc0", "ACTIVE", 0))
    next_flip(client)
    ends_with_the_watchdog(client, began_ns)
    client.commit(Flag.ALLOW_MODESET, ("crtc0", "ACTIVE", 1))
    flip(client, fb)
    next_flip(client)


@program.subtest("flip-vs-panning-vs-hang")
def panning_vs_hang(client):
    (one, handle), (two, _) = wide(client), wide(client)
    client.commit(Flag.ALLOW_MODESET, *client.output(0, two))
    began_ns = client.world.now_ns
    render(client, handle, HANG_NS)
    flip(client, one)
    client.commit(0, ("primary0", "SRC_X", 64 << 16))
    next_flip(client)
    ends_with_the_watchdog(client, began_ns)


@program.subtest("nonexisting-fb")
def nonexisting_fb(client):
    client.light_up()
    dumb = client.framebuffer()
    client.call(ModeRmFb(dumb))
    assert flip_errno(client, dumb) == ENOENT
    assert flip_errno(client, 0xFFFFFF) == ENOENT
    assert client.errno(ModeAddFb2(1, 1, 0x34325258, 0xFFFF, 64)) == ENOENT


@program.subtest("wf_vblank-ts-check", "absolute-wf_vblank")
def wf_vblank(client):
    client.light_up()
    crtc = client.ids["crtc0"]
    last = None
    for _ in range(30):
        client.call(WaitVblank(crtc, sequence(client) + 1, event=True))
        client.world.run_ms(17)
        (event,) = client.events()
        if last is not None:
            assert_one_frame_apart(client, last, event, event.sequence - last.sequence)
        last = event


@program.subtest("blocking-wf_vblank")
def blocking_wf_vblank(client):
    client.light_up()
    last = wait_for(client, sequence(client) + 1)
    for _ in range(30):
        reply = wait_for(client, last.sequence + 1)
        assert_one_frame_apart(client, last, reply)
        last = reply
