"""Asking for vblanks by number (drm_vblank.c)."""

from errno import EBUSY, EINTR, EINVAL, ENOENT, ENOMEM, EOPNOTSUPP

import pytest

from syncline.kms_model.profiles import profile
from syncline.kms_model.uapi import AtomicFlag as Flag, CrtcGetSequence, DeviceError, VblankEvent, WaitVblank


def now(client):
    return client.call(CrtcGetSequence(client.ids["crtc0"]))


def wait(client, sequence, **options):
    return client.start(WaitVblank(client.ids["crtc0"], sequence, **options))


def test_the_counter_and_its_time_are_right_after_an_idle_minute(client, world):
    client.light_up()
    before = now(client)

    world.run_ms(60_000)

    after = now(client)
    assert after.sequence == before.sequence + 3600
    assert after.time_ns == before.time_ns + 60_000_000_000


def test_a_wait_ends_at_its_vblank_and_says_when_that_was(client, world):
    client.light_up()
    before = now(client)

    waiting = wait(client, before.sequence + 3)
    reply = world.run_until_done(waiting)

    assert (reply.sequence, reply.time_ns) == (before.sequence + 3, world.now_ns)
    assert reply.time_ns == before.time_ns + 50_000_000


def test_a_vblank_that_has_passed_is_not_waited_for(client, world):
    client.light_up()
    world.run_ms(1000)

    assert wait(client, 1).result() == now(client)


def test_an_event_comes_at_its_vblank_and_one_for_the_past_at_once(client, world):
    client.light_up()
    before = now(client)
    crtc = client.ids["crtc0"]

    wait(client, before.sequence + 1, event=True, user_data=1)
    wait(client, before.sequence, event=True, user_data=2)
    assert client.events() == [VblankEvent(2, crtc, before.sequence, before.time_ns)]
    world.run_ms(17)

    (event,) = client.events()
    assert (event.user_data, event.sequence) == (1, before.sequence + 1)


def test_a_signal_ends_the_wait_and_three_seconds_do_too(client, world):
    client.light_up()
    for end, because in ((lambda call: call.interrupt(), EINTR), (lambda _: world.run_ms(3001), EBUSY)):
        waiting = wait(client, now(client).sequence + 10_000)
        end(waiting)
        with pytest.raises(DeviceError) as error:
            waiting.result()
        assert error.value.errno == because


def test_turning_the_crtc_off_tells_everybody_who_waits(client, world):
    client.light_up()
    waiting = wait(client, now(client).sequence + 1000)
    wait(client, now(client).sequence + 1000, event=True)

    client.commit(Flag.ALLOW_MODESET, ("crtc0", "ACTIVE", 0))

    assert waiting.done
    assert len(client.events()) == 1


def test_a_dark_crtc_has_no_vblanks(client):
    crtc = client.ids["crtc0"]

    assert client.errno(CrtcGetSequence(crtc)) == EINVAL
    assert client.errno(WaitVblank(crtc, 1)) == EINVAL
    assert client.errno(CrtcGetSequence(99_999)) == ENOENT


def test_a_device_without_vblanks_says_so(make_lone_client):
    client = make_lone_client(profile("virtio_gpu", "6.12"))
    client.light_up()

    assert client.errno(CrtcGetSequence(client.ids["crtc0"])) == EOPNOTSUPP


def test_vblank_events_take_event_space(client, world):
    client.light_up()
    request = WaitVblank(client.ids["crtc0"], now(client).sequence + 5, event=True)
    for _ in range(128):
        client.call(request)

    assert client.errno(request) == ENOMEM


def test_with_variable_refresh_a_late_flip_is_on_screen_at_once(client, world):
    client.light_up()
    client.commit(0, ("crtc0", "VRR_ENABLED", 1))
    world.run_ms(18)

    client.commit(Flag.NONBLOCK | Flag.PAGE_FLIP_EVENT, ("primary0", "FB_ID", client.framebuffer()))
    world.run_ms(0)

    (event,) = client.events()
    assert event.time_ns == world.now_ns
    assert now(client).time_ns == world.now_ns
