"""A parked commit that no longer fits, is in the way, or is overridden (kernel.md 6.6)."""

from errno import EBUSY, ECANCELED, EINVAL

import pytest

from syncline.kms_model.uapi import (
    AtomicFlag as Flag,
    FlipComplete,
    FlipDropped,
    ModePageFlip,
    ModeRmFb,
)

MS = 1_000_000
ASK = Flag.NONBLOCK | Flag.PAGE_FLIP_EVENT
OVERRIDE = ASK | Flag.OVERRIDE


def start_late_removal(client):
    """A removal on the other screen takes every lock, and holds them while it waits for the fence of a timeline."""
    client.commit(Flag.ALLOW_MODESET, *client.output(1, client.framebuffer()))
    old, timeline = client.framebuffer(), client.timeline()
    client.commit(0, ("primary1", "FB_ID", old))
    client.commit(
        Flag.NONBLOCK, ("primary1", "FB_ID", old), ("primary1", "IN_FENCE_FD", client.fence(timeline))
    )
    removal = client.start(ModeRmFb(old))
    return timeline, removal


# -- UR7: the second check ---------------------------------------------------------------------


@pytest.mark.requirement("UR7")
def test_what_no_longer_fits_at_its_promotion_is_dropped(client, world, park):
    """An overlay that reaches both screens went to the other one meanwhile: it cannot move straight back."""
    overlay = world.device.kms.display.planes[2]
    overlay.crtcs = tuple(world.device.kms.display.crtcs)
    fb = client.framebuffer()
    parked = park(client, *client.plane("overlay0", fb))
    client.commit(Flag.ALLOW_MODESET, *client.output(1, fb), *client.plane("overlay0", fb, crtc="crtc1"))

    parked.reach()

    events = client.events()
    assert [(type(event), event.status) for event in events] == [(FlipDropped, -EINVAL)]
    assert client.slot(parked.out) == (1, -EINVAL)
    assert client.shown() == (parked.shown,)
    assert client.shown("crtc1") == (fb, fb)


@pytest.mark.requirement("UR7")
def test_a_promotion_that_has_to_wait_for_a_lock_is_parked_until_it_has_it(client, world, parked):
    timeline, removal = start_late_removal(client)
    assert not removal.done

    parked.reach()
    assert client.parked()
    client.signal(timeline)
    world.run_until_done(removal)
    world.run_ms(20)

    assert client.shown() == (parked.fb,)


@pytest.mark.requirement("UR7")
def test_dropped_while_its_promotion_waits_for_a_lock_it_takes_nothing(client, world, parked):
    timeline, removal = start_late_removal(client)
    parked.reach()

    client.call(ModeRmFb(parked.fb))

    parked.assert_dropped(ECANCELED)
    client.signal(timeline)
    world.run_until_done(removal)
    world.run_ms(20)
    assert client.shown() == (parked.shown,)


@pytest.mark.requirement("UR7")
def test_dropped_before_its_points_are_reached_it_wants_no_lock_at_all(client, world, parked):
    timeline, removal = start_late_removal(client)
    lock = world.device.kms.display.crtcs[0].lock
    assert lock.owner is not None

    client.call(ModeRmFb(parked.fb))

    assert lock.waiters == []
    client.signal(timeline)
    world.run_until_done(removal)


@pytest.mark.requirement("UR7")
def test_what_was_removed_from_the_screen_meanwhile_does_not_come_back_and_does_not_keep_it(
    client, world, parked
):
    world.run_until_done(client.start(ModeRmFb(parked.shown)))
    assert client.shown() == ()
    assert client.parked()

    parked.reach()
    world.run_ms(20)

    assert client.shown() == (parked.fb,)


# -- UR8: in the way, or overridden ------------------------------------------------------------


@pytest.mark.requirement("UR8")
def test_a_parked_commit_makes_its_crtc_busy_and_no_other(client, world, parked):
    other = ("primary0", "FB_ID", parked.shown)
    assert client.refused(ASK, other) == EBUSY
    assert client.refused(ASK, other, client.waits_for((parked.fence, 1))) == EBUSY
    assert client.refused(ASK, ("crtc0", "VRR_ENABLED", 1)) == EBUSY
    assert client.errno(ModePageFlip(client.ids["crtc0"], parked.shown)) == EBUSY
    client.commit(Flag.ALLOW_MODESET | Flag.NONBLOCK, *client.output(1, parked.shown))

    parked.reach()
    world.run_ms(17)

    client.commit(ASK, other)


@pytest.mark.requirement("UR8")
def test_a_newer_frame_takes_its_place(client, world, parked):
    newer, fence = client.framebuffer(), client.user_fence()
    client.commit(
        OVERRIDE,
        ("primary0", "FB_ID", newer),
        client.waits_for((fence, 1)),
        client.owes(parked.out, 2),
        user_data=2,
    )

    assert client.events() == [FlipDropped(1, client.ids["crtc0"], -ECANCELED, world.now_ns)]
    assert client.slot(parked.out) == (1, -ECANCELED)
    assert client.parked()
    client.call(ModeRmFb(parked.fb))
    parked.reach()
    world.run_ms(40)
    assert (client.events(), client.shown()) == ([], (parked.shown,))
    client.reach(fence)
    world.run_ms(17)
    (event,) = client.events()
    assert (type(event), event.user_data) == (FlipComplete, 2)
    assert (client.shown(), client.slot(parked.out)[0]) == ((newer,), 2)


@pytest.mark.requirement("UR8")
@pytest.mark.parametrize("flags", [OVERRIDE, Flag.OVERRIDE])
def test_a_frame_that_waits_for_nobody_may_override_too(client, world, parked, flags):
    newer = client.framebuffer()
    client.commit(flags, ("primary0", "FB_ID", newer))
    world.run_ms(17)

    dropped, *_ = client.events()
    assert dropped.status == -ECANCELED
    assert client.shown() == (newer,)
    assert not client.parked()


@pytest.mark.requirement("UR8")
def test_what_is_committed_cannot_be_recalled(client, world, parked):
    parked.reach()
    newer = ("primary0", "FB_ID", parked.shown)

    assert client.refused(OVERRIDE, newer) == EBUSY
    assert client.refused(OVERRIDE, newer, client.waits_for((parked.fence, 2))) == EBUSY
    world.run_ms(17)

    assert client.shown() == (parked.fb,)
    assert [type(event) for event in client.events()] == [FlipComplete]
    client.commit(OVERRIDE, newer)


@pytest.mark.requirement("UR8")
@pytest.mark.parametrize("flags", [OVERRIDE, Flag.OVERRIDE])
def test_an_override_that_is_refused_drops_nothing(client, world, parked, flags):
    assert client.refused(flags, ("primary0", "CRTC_ID", 0)) == EINVAL
    client.commit(Flag.ALLOW_MODESET | ASK, *client.output(1, parked.shown))
    both = [("primary0", "FB_ID", parked.shown), ("primary1", "FB_ID", parked.shown)]
    assert client.refused(OVERRIDE, *both) == EBUSY
    assert client.parked()


@pytest.mark.requirement("UR8")
def test_nor_does_an_override_that_is_only_a_test(client, world, parked):
    client.commit(Flag.TEST_ONLY | Flag.NONBLOCK | Flag.OVERRIDE, ("primary0", "FB_ID", parked.shown))
    assert client.parked()

    parked.reach()
    world.run_ms(17)

    assert client.shown() == (parked.fb,)


@pytest.mark.requirement("UR8")
def test_nor_does_a_blocking_override_that_a_signal_ends(client, world, parked):
    late = ("primary0", "IN_FENCE_FD", client.fence(client.timeline()))
    call = client.start_commit(Flag.OVERRIDE, ("primary0", "FB_ID", parked.shown), late)
    assert not call.done

    call.interrupt()

    assert call.done
    assert client.parked()


@pytest.mark.requirement("UR8")
def test_a_dropped_commit_without_event_tells_only_its_fence_and_gives_back_the_event_space(client, world):
    shown = client.light_up()
    fb, fence, out = client.framebuffer(), client.user_fence(), client.user_fence()
    for point in range(1, 200):
        wait = (("primary0", "FB_ID", fb), client.waits_for((fence, 1)), client.owes(out, point))
        client.commit(OVERRIDE if point % 2 else Flag.NONBLOCK | Flag.OVERRIDE, *wait)
        assert len(client.events()) == (point > 1 and point % 2 == 0)

    assert client.slot(out) == (198, -ECANCELED)
    assert client.shown() == (shown,)
