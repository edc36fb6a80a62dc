"""What becomes of a parked commit that is in the way, late, or no longer wanted; and blocking ones (kernel.md 6.6)."""

from errno import EACCES, EBUSY, ECANCELED, EINVAL, EOWNERDEAD, ETIME

import pytest

from syncline.kms_model.task import ERESTARTSYS
from syncline.kms_model.trace import FlipTrace, WaitTrace
from syncline.kms_model.uapi import (
    AtomicFlag as Flag,
    CrtcGetSequence,
    DeviceError,
    DropMaster,
    FlipComplete,
    FlipDropped,
    ModePageFlip,
    ModeRmFb,
    SetMaster,
)

MS = 1_000_000
ASK = Flag.NONBLOCK | Flag.PAGE_FLIP_EVENT
OVERRIDE = ASK | Flag.OVERRIDE


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
def test_a_promotion_that_has_to_wait_for_a_lock_waits_and_may_still_be_overridden(client, world, parked):
    """A blocking commit on another screen whose removal takes every lock keeps ours from us."""
    timeline = client.timeline()
    client.commit(Flag.ALLOW_MODESET, *client.output(1, client.framebuffer()))
    old = client.framebuffer()
    client.commit(0, ("primary1", "FB_ID", old))
    client.commit(
        Flag.NONBLOCK, ("primary1", "FB_ID", old), ("primary1", "IN_FENCE_FD", client.fence(timeline))
    )
    removal = client.start(ModeRmFb(old))
    assert not removal.done

    parked.reach()
    assert client.parked()
    client.signal(timeline)
    world.run_until_done(removal)
    world.run_ms(20)

    assert client.shown() == (parked.fb,)


@pytest.mark.requirement("UR7")
def test_dropped_while_its_promotion_waits_for_a_lock_it_takes_nothing(client, world, parked):
    client.commit(Flag.ALLOW_MODESET, *client.output(1, client.framebuffer()))
    old, timeline = client.framebuffer(), client.timeline()
    client.commit(0, ("primary1", "FB_ID", old))
    client.commit(
        Flag.NONBLOCK, ("primary1", "FB_ID", old), ("primary1", "IN_FENCE_FD", client.fence(timeline))
    )
    removal = client.start(ModeRmFb(old))
    parked.reach()

    client.call(ModeRmFb(parked.fb))

    parked.assert_dropped(ECANCELED)
    client.signal(timeline)
    world.run_until_done(removal)
    world.run_ms(20)
    assert client.shown() == (parked.shown,)


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


# -- UR9: too late -----------------------------------------------------------------------------


@pytest.mark.requirement("UR9")
def test_the_timeout_keeps_the_old_frame_and_says_so(client, world, park):
    parked = park(client, timeout_ns=2_000 * MS)
    world.run_ms((2_000 * MS - world.now_ns) / MS - 1)
    assert client.parked()
    world.run_ms(1)

    parked.assert_dropped(ETIME)
    assert world.now_ns >= 2_000 * MS
    client.commit(ASK, ("primary0", "FB_ID", parked.fb))


@pytest.mark.requirement("UR9")
def test_a_frame_in_time_is_shown_though_its_vblank_is_after_the_timeout(client, world, park):
    parked = park(client, timeout_ns=1_100 * MS)
    parked.reach()
    world.run_ms(200)

    assert client.shown() == (parked.fb,)
    assert [type(event) for event in client.events()] == [FlipComplete]


@pytest.mark.requirement("UR9")
@pytest.mark.parametrize("reached", [True, False])
def test_a_timeout_in_the_past_asks_whether_it_is_done_already(client, world, reached):
    client.light_up()
    fb, fence = client.framebuffer(), client.user_fence()
    if reached:
        client.reach(fence)

    client.commit(ASK, ("primary0", "FB_ID", fb), client.waits_for((fence, 1)), timeout_ns=1)
    world.run_ms(17)

    (event,) = client.events()
    assert isinstance(event, FlipComplete if reached else FlipDropped)


@pytest.mark.requirement("UR9")
def test_without_a_timeout_it_waits_as_long_as_it_takes(client, world, parked):
    world.run_ms(3_600_000)
    assert client.parked()
    parked.reach()
    world.run_ms(17)

    assert client.shown() == (parked.fb,)


# -- UR11: blocking ----------------------------------------------------------------------------


class Sleeping:
    """A blocking commit that waits for point 1 of `fence`."""

    def __init__(self, client, **options):
        self.shown = client.light_up()
        self.fb, self.fence = client.framebuffer(), client.user_fence()
        change = ("primary0", "FB_ID", self.fb)
        user = client.waits_for((self.fence, 1))
        self.call = client.start_commit(Flag.PAGE_FLIP_EVENT, change, user, **options)
        assert not self.call.done


@pytest.mark.requirement("UR11")
def test_a_blocking_commit_sleeps_for_user_space_without_any_lock(client, world):
    sleeping = Sleeping(client)
    newer = client.framebuffer()
    client.call(CrtcGetSequence(client.ids["crtc0"]))
    assert client.read("primary0", "FB_ID") == sleeping.shown
    client.commit(ASK, ("primary0", "FB_ID", newer))
    world.run_ms(17)
    assert client.shown() == (newer,)
    assert not client.parked()
    client.events()

    client.reach(sleeping.fence)
    world.run_until_done(sleeping.call)

    assert client.shown() == (sleeping.fb,)
    assert len(client.events()) == 1
    assert [each.waited_ns for each in world.trace if isinstance(each, WaitTrace) and each.end] == [17 * MS]


@pytest.mark.requirement("UR11")
def test_a_wrong_blocking_commit_is_refused_before_it_sleeps(client):
    client.light_up()

    assert client.refused(0, client.waits_for((client.user_fence(), 1)), ("primary0", "CRTC_ID", 0)) == EINVAL


@pytest.mark.requirement("UR11")
def test_a_signal_or_the_timeout_ends_it_with_nothing_changed(client, world):
    sleeping = Sleeping(client)
    sleeping.call.interrupt()
    with pytest.raises(DeviceError) as error:
        sleeping.call.result()
    assert error.value.errno == ERESTARTSYS

    change, user = ("primary0", "FB_ID", sleeping.fb), client.waits_for((sleeping.fence, 1))
    late = client.start_commit(
        0, change, user, client.owes(sleeping.fence, 2), timeout_ns=world.now_ns + 30 * MS
    )
    world.run_ms(29)
    assert not late.done
    world.run_ms(1)
    with pytest.raises(DeviceError) as error:
        late.result()

    assert error.value.errno == ETIME
    assert client.shown() == (sleeping.shown,)
    assert client.slot(sleeping.fence) == (0, 0)
    assert client.events() == []


@pytest.mark.requirement("UR11")
def test_who_is_master_no_longer_when_it_wakes_up_shows_nothing(client, world):
    sleeping = Sleeping(client)
    client.call(DropMaster())

    client.reach(sleeping.fence)

    with pytest.raises(DeviceError) as error:
        sleeping.call.result()
    assert error.value.errno == EACCES


@pytest.mark.requirement("UR11")
@pytest.mark.parametrize("user_space", ["signals", "never does"])
def test_a_blocking_commit_waits_for_a_parked_one_without_any_lock(client, world, parked, user_space):
    call = client.start_commit(Flag.PAGE_FLIP_EVENT, ("primary0", "FB_ID", parked.shown), user_data=2)
    world.run_ms(50)
    assert not call.done
    client.call(CrtcGetSequence(client.ids["crtc0"]))

    if user_space == "signals":
        parked.reach()
    else:
        client.call(ModeRmFb(parked.fb))
    world.run_until_done(call)

    first, second = client.events()
    assert isinstance(first, FlipComplete if user_space == "signals" else FlipDropped)
    assert (second.user_data, client.shown()) == (2, (parked.shown,))


# -- UR14: no longer wanted --------------------------------------------------------------------


@pytest.mark.requirement("UR14")
def test_with_the_mastership_goes_what_is_parked_and_nothing_that_is_committed(client, world, parked):
    client.call(DropMaster())
    parked.assert_dropped(ECANCELED)
    client.call(SetMaster())
    client.commit(ASK, ("primary0", "FB_ID", parked.fb))

    client.call(DropMaster())
    world.run_ms(17)

    assert client.shown() == (parked.fb,)


@pytest.mark.requirement("UR14")
def test_removing_its_framebuffer_cancels_it_without_sleeping_and_removing_another_does_not(
    client, world, parked
):
    client.call(ModeRmFb(client.framebuffer()))
    assert client.parked()

    client.call(ModeRmFb(parked.fb))

    parked.assert_dropped(ECANCELED)


@pytest.mark.requirement("UR14")
@pytest.mark.parametrize("whose", ["the committer's", "the framebuffer's"])
def test_closing_the_file_cancels_it(client, make_client, world, whose):
    shown = client.light_up()
    other = make_client()
    maker = other if whose == "the framebuffer's" else client
    fb, fence = maker.framebuffer(), client.user_fence()
    client.commit(ASK, ("primary0", "FB_ID", fb), client.waits_for((fence, 1)))

    world.run_until_done(world.device.close(maker.file, world.now_ns))

    assert not client.parked()
    assert not [each for each in world.trace if isinstance(each, FlipTrace) and fb in each.fb_ids]
    if maker is other:
        assert client.shown() == (shown,)
        assert [event.status for event in client.events()] == [-ECANCELED]


@pytest.mark.requirement("UR14")
def test_the_out_fence_of_a_closed_file_is_cancelled_before_it_is_orphaned(client, make_client, world):
    watcher = make_client()
    client.light_up()
    fb, fence, out = client.framebuffer(), client.user_fence(), client.user_fence()
    seen = watcher.take(client, out)
    client.commit(ASK, ("primary0", "FB_ID", fb), client.waits_for((fence, 1)), client.owes(out, 1))

    world.run_until_done(world.device.close(client.file, world.now_ns))

    assert watcher.slot(seen)[1] in (-ECANCELED, -EOWNERDEAD)
    assert watcher.slot(seen)[1] == -ECANCELED


@pytest.mark.requirement("UR14")
@pytest.mark.parametrize("flags", [Flag.NONBLOCK, 0])
def test_switching_the_screen_off_cancels_it_and_changing_its_mode_does_not(client, world, parked, flags):
    mode = client.modes[1]
    fb = client.framebuffer(mode.hdisplay, mode.vdisplay)
    if flags:
        assert client.refused(flags | Flag.ALLOW_MODESET, *client.output(0, fb, mode)) == EBUSY
    assert client.parked()

    client.commit(flags | Flag.ALLOW_MODESET, *client.off(0))

    (event,) = client.events()
    assert (event.status, client.slot(parked.out)) == (-ECANCELED, (1, -ECANCELED))
    assert client.shown() is None
    parked.reach()
    world.run_ms(40)
    assert client.shown() is None
