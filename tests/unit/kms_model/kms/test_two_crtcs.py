"""Several screens: independent, unless one commit names them both."""

from dataclasses import replace
from errno import EBUSY, EINVAL

import pytest

from syncline.kms_model.kms.mode import Output
from syncline.kms_model.profiles import SYNCLINE, VKMS_RIG2, CrtcLayout
from syncline.kms_model.uapi import AtomicFlag as Flag, DeviceError

ASK = Flag.NONBLOCK | Flag.PAGE_FLIP_EVENT


@pytest.fixture
def client(make_lone_client):
    client = make_lone_client(VKMS_RIG2)
    client.light_up(0, 1)
    return client


@pytest.fixture
def world(client):
    return client.world


def crtcs_of(events):
    return [event.crtc_id for event in events]


def test_a_fence_on_one_screen_does_not_hold_the_other(client, world):
    one, two = client.framebuffer(), client.framebuffer()
    timeline = client.timeline()
    client.commit(
        ASK, ("primary0", "FB_ID", one), ("primary0", "IN_FENCE_FD", client.fence(timeline)), user_data=1
    )
    client.commit(ASK, ("primary1", "FB_ID", two), user_data=2)
    world.run_ms(50)

    assert [event.user_data for event in client.events()] == [2]
    assert client.shown("crtc1") == (two,)
    client.signal(timeline)
    world.run_ms(17)
    assert [event.user_data for event in client.events()] == [1]


def test_one_commit_for_both_waits_for_every_fence_and_answers_once_per_screen(client, world):
    fb = client.framebuffer()
    timeline = client.timeline()
    reply = client.commit(
        ASK,
        ("primary0", "FB_ID", fb),
        ("primary1", "FB_ID", fb),
        ("primary1", "IN_FENCE_FD", client.fence(timeline)),
        ("crtc0", "OUT_FENCE_PTR", client.pointer()),
        ("crtc1", "OUT_FENCE_PTR", client.pointer()),
        user_data=5,
    )
    fences = [fd for _, fd in reply.out_fences]
    world.run_ms(50)
    assert client.events() == []
    assert [client.status(fence) for fence in fences] == [0, 0]

    client.signal(timeline)
    world.run_ms(17)

    events = client.events()
    assert sorted(crtcs_of(events)) == [client.ids["crtc0"], client.ids["crtc1"]]
    assert {event.user_data for event in events} == {5}
    assert [client.status(fence) for fence in fences] == [1, 1]


def test_a_commit_for_both_is_busy_if_either_is(client, world):
    fb = client.framebuffer()
    client.commit(ASK, ("primary0", "FB_ID", fb))

    assert client.refused(ASK, ("primary0", "FB_ID", fb), ("primary1", "FB_ID", fb)) == EBUSY
    assert client.refused(ASK, ("primary1", "FB_ID", fb), ("primary0", "FB_ID", fb)) == EBUSY
    client.commit(ASK, ("primary1", "FB_ID", fb))


def test_only_the_named_screen_sends_an_event(client, world):
    client.commit(ASK, ("primary1", "FB_ID", client.framebuffer()))
    world.run_ms(50)

    assert crtcs_of(client.events()) == [client.ids["crtc1"]]


def test_an_out_fence_of_a_dark_screen_fails_the_whole_commit(client, world):
    shown = client.shown("crtc0")
    client.commit(Flag.ALLOW_MODESET, *client.off(1))
    one, two = client.pointer(), client.pointer()

    with pytest.raises(DeviceError) as error:
        client.call(
            client.request(
                Flag.NONBLOCK,
                ("primary0", "FB_ID", client.framebuffer()),
                ("crtc0", "OUT_FENCE_PTR", one),
                ("crtc1", "OUT_FENCE_PTR", two),
            )
        )

    assert (error.value.errno, error.value.writes) == (EINVAL, ((one, -1), (two, -1)))
    assert client.shown("crtc0") == shown


def test_screens_of_different_refresh_keep_their_own_time(make_lone_client):
    slow, fast = Output("Slow", 320, 200, 50_000), Output("Fast", 320, 200, 125_000)
    layouts = (CrtcLayout(output=slow), CrtcLayout(output=fast))
    client = make_lone_client(replace(SYNCLINE, crtcs=layouts))
    fb = client.framebuffer()
    start_ns = client.world.now_ns
    client.modes = (fast.mode,)
    client.commit(Flag.ALLOW_MODESET, *client.output(0, fb, slow.mode), *client.output(1, fb))

    client.commit(ASK, ("primary0", "FB_ID", fb), ("primary1", "FB_ID", fb))
    client.world.run_ms(30)

    events = {event.crtc_id: event.time_ns - start_ns for event in client.events()}
    assert events[client.ids["crtc0"]] % 20_000_000 == 0
    assert events[client.ids["crtc1"]] % 8_000_000 == 0
