"""kms_atomic: what the atomic ioctl takes and refuses, property by property."""

import struct
from errno import EFAULT, EINVAL, ENOENT, ENOSPC

import pytest
from igt.kms import ASK, KmsProgram, flip, next_flip, show

from syncline.kms_model.uapi import (
    BAD_POINTER,
    AtomicFlag as Flag,
    DeviceError,
    ModeAtomic,
    ModeCreateBlob,
    encode_mode,
)

program = KmsProgram("kms_atomic")


def test_subtest(subtest):
    program.run(subtest)


def test_every_subtest_is_here():
    program.assert_complete()


def state_of(client, *names):
    """Every property of these objects."""
    return {
        (name, prop): client.read(name, prop)
        for name in names
        for prop in ("FB_ID", "CRTC_ID", "SRC_W", "SRC_H", "CRTC_X", "CRTC_Y", "CRTC_W", "CRTC_H")
    }


@program.subtest("test-only")
def only_a_test(client):
    """A test of anything, a modeset or a plane, leaves everything as it was, and nobody hears of it."""
    fb = client.light_up()
    before = state_of(client, "primary0", "overlay0")
    active = client.read("crtc0", "ACTIVE")

    client.commit(Flag.TEST_ONLY | Flag.ALLOW_MODESET, *client.off(0))
    client.commit(Flag.TEST_ONLY, *client.plane("overlay0", fb))
    client.commit(Flag.TEST_ONLY | Flag.NONBLOCK, show(client.framebuffer()))

    client.world.run_ms(50)
    assert state_of(client, "primary0", "overlay0") == before
    assert client.read("crtc0", "ACTIVE") == active
    assert client.events() == []


@program.subtest("plane-primary-legacy")
def primary_legacy(client):
    """The legacy flip and the atomic commit see one state."""
    client.light_up()
    fb = client.framebuffer()
    flip(client, fb)
    next_flip(client)
    assert client.read("primary0", "FB_ID") == fb
    atomic = client.framebuffer()
    client.commit(0, show(atomic))
    flip(client, fb)
    next_flip(client)
    assert client.shown() == (fb,)


def plane_on_and_off(client, plane):
    """Reduced: there is no SETPLANE here; the plane comes and goes beside legacy flips."""
    shown = client.light_up()
    small = client.framebuffer(64, 64)
    for x in (0, 100):
        client.commit(0, *client.plane(plane, small, size=(64, 64), x=x, y=x))
        assert client.read(plane, "CRTC_X") == x
        flip(client, shown)
        next_flip(client)
        assert client.shown() == (shown, small), "a legacy flip leaves the other planes"
        client.commit(0, (plane, "FB_ID", 0), (plane, "CRTC_ID", 0))
        assert client.shown() == (shown,)


@program.subtest("plane-overlay-legacy")
def overlay_legacy(client):
    plane_on_and_off(client, "overlay0")


@program.subtest("plane-cursor-legacy")
def cursor_legacy(client):
    plane_on_and_off(client, "cursor0")


@program.subtest("plane-invalid-params")
def plane_invalid(client):
    fb = client.light_up()
    mode_blob = client.read("crtc0", "MODE_ID")
    ids = client.ids
    for wrong in (ids["primary0"], ids["crtc0"], ids["conn0"], mode_blob):
        assert client.refused(0, show(wrong)) == EINVAL
    for wrong in (ids["primary0"], ids["conn0"], fb, mode_blob):
        assert client.refused(0, ("primary0", "CRTC_ID", wrong)) == EINVAL
    assert client.refused(0, ("primary0", "CRTC_ID", 0)) == EINVAL
    assert client.refused(0, show(0)) == EINVAL
    small = client.framebuffer(640, 480)
    assert client.refused(0, show(small)) == ENOSPC
    assert client.refused(0, ("primary0", "SRC_X", 1 << 16)) == ENOSPC
    for name in ("SRC_X", "SRC_Y", "SRC_W", "SRC_H"):
        assert client.refused(0, ("primary0", name, -1)) == EINVAL
    for name in ("CRTC_W", "CRTC_H"):
        assert client.refused(0, ("primary0", name, 1 << 31)) == EINVAL
    client.commit(0, show(fb))


@program.subtest("plane-invalid-params-fence")
def plane_invalid_fence(client):
    fb = client.light_up()
    timeline = client.timeline()
    for wrong in (-2, 1 << 31, timeline, 0xFFFF):
        assert client.refused(0, show(fb), ("primary0", "IN_FENCE_FD", wrong)) == EINVAL
    fence = client.fence(timeline)
    client.commit(Flag.TEST_ONLY, show(fb), ("primary0", "IN_FENCE_FD", fence))
    client.signal(timeline)
    client.commit(0, show(fb), ("primary0", "IN_FENCE_FD", fence))
    client.commit(0, show(fb), ("primary0", "IN_FENCE_FD", -1))


@program.subtest("crtc-invalid-params")
def crtc_invalid(client):
    fb = client.light_up()
    for wrong in (client.ids["primary0"], client.ids["conn0"], client.ids["crtc0"], fb):
        assert client.refused(Flag.ALLOW_MODESET, ("crtc0", "MODE_ID", wrong)) == EINVAL
    whole = encode_mode(client.mode)
    for data in (whole[:-1], whole + b"\0", b"mode"):
        blob = client.call(ModeCreateBlob(data)).blob_id
        assert client.refused(Flag.ALLOW_MODESET, ("crtc0", "MODE_ID", blob)) == EINVAL
    assert client.refused(Flag.ALLOW_MODESET, ("crtc0", "MODE_ID", 0)) == EINVAL, "active without a mode"
    assert client.refused(0, ("crtc0", "ACTIVE", 2)) == EINVAL
    again = client.call(ModeCreateBlob(whole)).blob_id
    client.commit(0, ("crtc0", "MODE_ID", again))


@program.subtest("crtc-invalid-params-fence")
def crtc_invalid_fence(client):
    fb = client.light_up()
    assert client.refused(0, show(fb), ("crtc0", "OUT_FENCE_PTR", BAD_POINTER)) == EFAULT
    assert client.refused(Flag.TEST_ONLY, show(fb), ("crtc0", "OUT_FENCE_PTR", BAD_POINTER)) == EFAULT
    pointer = client.pointer()
    with pytest.raises(DeviceError) as refusal:
        client.call(client.request(0, ("crtc0", "OUT_FENCE_PTR", pointer), show(0)))
    assert (refusal.value.errno, refusal.value.writes) == (EINVAL, ((pointer, -1),))
    reply = client.commit(Flag.TEST_ONLY, show(fb), ("crtc0", "OUT_FENCE_PTR", pointer))
    assert reply.out_fences == ((pointer, -1),)
    ((_, fence),) = client.commit(0, show(fb), ("crtc0", "OUT_FENCE_PTR", pointer)).out_fences
    assert client.status(fence) == 1
    assert client.commit(0, show(fb), ("crtc0", "OUT_FENCE_PTR", 0)).out_fences == ()


@program.subtest("atomic-invalid-params")
def atomic_invalid(client):
    """Reduced: arrays that cannot be read cannot be passed here."""
    fb = client.light_up()
    plane, prop = client.ids["primary0"], client.prop("primary0", "FB_ID")
    good = (plane, prop, fb)
    for request, errno in (
        (ModeAtomic(0xFFFFFFFF, (good,)), EINVAL),
        (ModeAtomic(0, (good,), reserved=1), EINVAL),
        (ModeAtomic(int(Flag.TEST_ONLY | ASK), (good,)), EINVAL),
        (ModeAtomic(0, ((0xFFFFFFFF, prop, fb),)), ENOENT),
        (ModeAtomic(0, ((0, prop, fb),)), ENOENT),
        (ModeAtomic(0, ((plane, 0xFFFFFFFF, fb),)), ENOENT),
        (ModeAtomic(0, ((plane, client.prop("crtc0", "ACTIVE"), 1),)), ENOENT),
        (ModeAtomic(0, ((fb, prop, fb),)), ENOENT),
        (ModeAtomic(int(Flag.PAGE_FLIP_EVENT), ()), EINVAL),
    ):
        assert client.errno(request) == errno
    client.call(ModeAtomic(0, ()))
    client.world.run_until_done(client.start(ModeAtomic(0, (good,))))


@program.subtest("atomic-plane-damage")
def plane_damage(client):
    fb = client.light_up()

    def clips(*rectangles):
        data = b"".join(struct.pack("<4i", *rectangle) for rectangle in rectangles)
        return "primary0", "FB_DAMAGE_CLIPS", client.call(ModeCreateBlob(data)).blob_id

    width, height = client.mode.hdisplay, client.mode.vdisplay
    whole = (0, 0, width, height)
    for good in ([whole], [(0, 0, 64, 64), (32, 32, 96, 96)], [(width - 1, height - 1, width, height)]):
        client.commit(0, show(fb), clips(*good))
        assert client.read("primary0", "FB_DAMAGE_CLIPS") != 0
    for bad in ((0, 0, width + 1, height), (-1, 0, 64, 64), (64, 0, 32, 32), (0, 0, 0, 0)):
        assert client.refused(0, show(fb), clips(bad)) == EINVAL
        assert client.refused(0, show(fb), clips(whole, bad)) == EINVAL
    torn = client.call(ModeCreateBlob(struct.pack("<3i", 0, 0, 1))).blob_id
    assert client.refused(0, show(fb), ("primary0", "FB_DAMAGE_CLIPS", torn)) == EINVAL
    client.commit(0, show(fb))
    assert client.read("primary0", "FB_DAMAGE_CLIPS") == 0
