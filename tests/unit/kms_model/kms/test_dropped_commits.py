"""A parked commit that is late or no longer wanted; and blocking ones, which sleep without locks (kernel.md 6.6)."""

from errno import EACCES, EBUSY, ECANCELED, EINVAL, ETIME

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
    ModeRmFb,
    SetMaster,
)

MS = 1_000_000
ASK = Flag.NONBLOCK | Flag.PAGE_FLIP_EVENT
OVERRIDE = ASK | Flag.OVERRIDE


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
