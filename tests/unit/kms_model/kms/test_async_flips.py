"""Tearing: at once, for one framebuffer, and for nothing else (kernel.md 3.7)."""

from errno import EBUSY, EINVAL

import pytest

from syncline.kms_model.uapi import FORMAT_ARGB8888, AtomicFlag as Flag, ModePageFlip

TEAR = Flag.NONBLOCK | Flag.PAGE_FLIP_EVENT | Flag.PAGE_FLIP_ASYNC


def test_it_is_on_screen_at_once_and_says_the_last_vblank(client, world):
    client.light_up()
    fb = client.framebuffer()
    sequence, time_ns = world.device.kms.display.crtcs[0].vblank.last()
    world.run_ms(5)

    client.commit(TEAR, ("primary0", "FB_ID", fb))

    (event,) = client.events()
    assert client.shown() == (fb,)
    assert (event.sequence, event.time_ns) == (sequence, time_ns)
    assert world.trace[-1].t_ns == world.now_ns
    assert world.device.next_deadline_ns() is None
    client.commit(TEAR, ("primary0", "FB_ID", fb))


def test_it_waits_for_its_fence(client, world):
    shown = client.light_up()
    fb = client.framebuffer()
    timeline = client.timeline()
    client.commit(TEAR, ("primary0", "FB_ID", fb), ("primary0", "IN_FENCE_FD", client.fence(timeline)))
    assert client.shown() == (shown,)
    assert client.refused(TEAR, ("primary0", "FB_ID", shown)) == EBUSY

    client.signal(timeline)

    assert client.shown() == (fb,)


@pytest.mark.parametrize(
    "change", [("primary0", "CRTC_X", 1), ("crtc0", "ACTIVE", 0), ("crtc0", "VRR_ENABLED", 1)]
)
def test_every_other_property_may_only_be_what_it_is(client, change):
    fb = client.light_up()
    thing, name, _ = change

    assert client.refused(TEAR, ("primary0", "FB_ID", fb), change) == EINVAL
    client.commit(TEAR, ("primary0", "FB_ID", fb), (thing, name, client.read(thing, name)))


def test_an_out_fence_is_a_changed_property(client):
    fb = client.light_up()

    assert (
        client.refused(TEAR, ("primary0", "FB_ID", fb), ("crtc0", "OUT_FENCE_PTR", client.pointer()))
        == EINVAL
    )
    client.commit(TEAR, ("primary0", "FB_ID", fb), ("crtc0", "OUT_FENCE_PTR", 0))


def test_only_a_primary_plane_tears(client):
    fb = client.light_up()
    overlay = client.framebuffer()
    client.commit(0, *client.plane("overlay0", overlay))

    assert client.refused(TEAR, ("overlay0", "FB_ID", fb)) == EINVAL
    client.commit(TEAR, ("overlay0", "FB_ID", overlay))


def test_the_framebuffer_must_be_like_the_one_it_replaces(client):
    client.light_up()
    alpha = client.framebuffer(format=FORMAT_ARGB8888)

    assert client.refused(TEAR, ("primary0", "FB_ID", alpha)) == EINVAL
    assert client.refused(Flag.TEST_ONLY | Flag.PAGE_FLIP_ASYNC, ("primary0", "FB_ID", alpha)) == EINVAL


def test_a_legacy_flip_tears_too(client):
    client.light_up()
    fb = client.framebuffer()

    client.call(ModePageFlip(client.ids["crtc0"], fb, int(Flag.PAGE_FLIP_ASYNC)))

    assert client.shown() == (fb,)
