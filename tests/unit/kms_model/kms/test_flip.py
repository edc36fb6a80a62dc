"""The usual frame: a NONBLOCK commit, its vblank, its out-fence and its event (kernel.md 3.5, 3.6)."""

import select
from dataclasses import replace
from errno import EBUSY, EINVAL, ENOENT

import pytest

from syncline.kms_model.kms.mode import Output
from syncline.kms_model.profiles import SYNCLINE, CrtcLayout, profile
from syncline.kms_model.trace import CommitTrace, FlipTrace
from syncline.kms_model.uapi import (
    FORMAT_ARGB8888,
    AtomicFlag as Flag,
    ModePageFlip,
    SyncFileInfo,
)

ASK = Flag.NONBLOCK | Flag.PAGE_FLIP_EVENT


def test_the_story_of_a_flip(client, world):
    shown = client.light_up()
    lit_ns = next(each for each in reversed(world.trace) if isinstance(each, FlipTrace)).t_ns
    fb = client.framebuffer()
    world.run_ms(3)

    reply = client.commit(
        ASK, ("primary0", "FB_ID", fb), ("crtc0", "OUT_FENCE_PTR", client.pointer()), user_data=7
    )
    ((_, fence),) = reply.out_fences
    assert client.read("primary0", "FB_ID") == fb
    assert client.shown() == (shown,)
    assert client.status(fence) == 0
    assert client.events() == []

    world.run_ms(20)
    (event,) = client.events()
    (member,) = client.call(SyncFileInfo(fence, num_fences=1)).fences
    assert client.shown() == (fb,)
    assert (event.user_data, event.crtc_id) == (7, client.ids["crtc0"])
    assert event.time_ns - lit_ns in {16_666_666, 16_666_667}
    assert (member.status, member.timestamp_ns) == (1, event.time_ns)
    assert world.device.next_deadline_ns() is None

    commit, flip = world.trace[-2:]
    assert isinstance(commit, CommitTrace)
    assert commit.nonblock
    assert flip == FlipTrace(event.time_ns, event.crtc_id, event.sequence, (fb,), 7)


def test_the_out_fence_is_signalled_before_the_event_can_be_read(client, world):
    fb = client.light_up()
    seen = []
    reply = client.commit(ASK, ("primary0", "FB_ID", fb), ("crtc0", "OUT_FENCE_PTR", client.pointer()))
    ((_, fence),) = reply.out_fences
    client.file.on_readable = lambda: seen.append(bool(select.select([fence], [], [], 0)[0]))

    world.run_ms(20)

    assert seen == [True]


def test_a_second_nonblock_commit_before_the_vblank_is_busy_and_right_after_it_is_not(client, world):
    fb = client.light_up()
    other = client.framebuffer()
    pointer = client.pointer()
    client.commit(ASK, ("primary0", "FB_ID", other))

    assert client.refused(ASK, ("primary0", "FB_ID", fb)) == EBUSY
    assert client.refused(ASK, ("crtc0", "ACTIVE", 1)) == EBUSY
    assert client.refused(ASK, *client.plane("overlay0", fb)) == EBUSY
    assert client.refused(ASK, ("crtc0", "OUT_FENCE_PTR", pointer)) == EBUSY
    assert client.errno(ModePageFlip(client.ids["crtc0"], fb)) == EBUSY
    client.commit(Flag.TEST_ONLY | Flag.NONBLOCK, ("primary0", "FB_ID", fb))
    client.commit(Flag.NONBLOCK)

    world.run_ms(17)
    assert len(client.events()) == 1
    client.commit(ASK, ("primary0", "FB_ID", fb))


def test_a_commit_at_the_very_vblank_is_for_the_next_one(client, world):
    fb = client.light_up()
    crtc = world.device.kms.display.crtcs[0]
    world.device.advance(crtc.vblank.next_ns())
    vblank_ns = world.now_ns

    client.commit(ASK, ("primary0", "FB_ID", fb))
    world.run_ms(20)

    (event,) = client.events()
    assert event.time_ns - vblank_ns in {16_666_666, 16_666_667}


def test_the_same_framebuffer_again_is_a_flip_like_any_other(client, world):
    fb = client.light_up()

    reply = client.commit(ASK, ("primary0", "FB_ID", fb), ("crtc0", "OUT_FENCE_PTR", client.pointer()))
    world.run_ms(20)

    assert len(client.events()) == 1
    assert client.status(reply.out_fences[0][1]) == 1


def test_a_commit_that_names_only_the_crtc_flips_too(client, world):
    client.light_up()

    client.commit(ASK, ("crtc0", "ACTIVE", 1), user_data=9)
    world.run_ms(20)

    assert [event.user_data for event in client.events()] == [9]


def test_a_blocking_commit_returns_with_fence_signalled_and_event_readable(client, world):
    fb = client.light_up()

    reply = client.commit(
        Flag.PAGE_FLIP_EVENT, ("primary0", "FB_ID", fb), ("crtc0", "OUT_FENCE_PTR", client.pointer())
    )

    assert client.status(reply.out_fences[0][1]) == 1
    assert len(client.events()) == 1


def test_turning_on_waits_for_the_first_vblank_of_the_new_mode(client, world):
    start_ns = world.now_ns
    fb = client.framebuffer()

    client.commit(Flag.ALLOW_MODESET | Flag.PAGE_FLIP_EVENT, *client.output(0, fb))

    (event,) = client.events()
    assert event.time_ns == start_ns + 16_666_666
    assert client.shown() == (fb,)


def test_turning_off_sends_event_and_fence_and_darkens_the_screen(client, world):
    client.light_up()

    reply = client.commit(
        Flag.ALLOW_MODESET | Flag.PAGE_FLIP_EVENT,
        *client.off(0),
        ("crtc0", "OUT_FENCE_PTR", client.pointer()),
    )

    assert len(client.events()) == 1
    assert client.status(reply.out_fences[0][1]) == 1
    assert client.shown() is None
    assert world.device.next_deadline_ns() is None


def test_out_fences_of_a_crtc_count_up_even_for_commits_that_fail(client, world):
    fb = client.light_up()
    crtc = world.device.kms.display.crtcs[0]
    small = client.framebuffer(64, 64)
    before = crtc.fence_seqno

    client.commit(0, ("primary0", "FB_ID", fb), ("crtc0", "OUT_FENCE_PTR", client.pointer()))
    client.refused(0, ("primary0", "FB_ID", small), ("crtc0", "OUT_FENCE_PTR", client.pointer()))
    client.commit(0, ("primary0", "FB_ID", fb), ("crtc0", "OUT_FENCE_PTR", client.pointer()))

    assert crtc.fence_seqno == before + 3


def test_simple_drivers_tell_a_modeset_at_once_because_the_crtc_is_still_off(make_lone_client):
    client = make_lone_client(profile("vkms"))
    fb = client.framebuffer()

    pending = client.start_commit(
        Flag.ALLOW_MODESET | ASK, *client.output(0, fb), ("crtc0", "OUT_FENCE_PTR", client.pointer())
    )

    ((_, fence),) = pending.result().out_fences
    client.world.fds.append(fence)
    (event,) = client.events()
    (member,) = client.call(SyncFileInfo(fence, num_fences=1)).fences
    assert event.time_ns == member.timestamp_ns == client.world.now_ns
    assert client.shown() == (fb,)


def test_without_vblanks_a_flip_is_over_at_once(make_lone_client):
    client = make_lone_client(profile("virtio_gpu", "6.12"))
    client.light_up()
    fb, other = client.framebuffer(), client.framebuffer()
    world = client.world
    world.run_ms(5)

    client.commit(ASK, ("primary0", "FB_ID", fb))
    client.commit(ASK, ("primary0", "FB_ID", other))

    first, second = client.events()
    assert (first.sequence, first.time_ns) == (0, world.now_ns)
    assert second.time_ns == world.now_ns
    assert client.shown() == (other,)


def test_a_legacy_flip_is_a_nonblock_commit(client, world):
    fb = client.light_up()
    other = client.framebuffer()
    crtc = client.ids["crtc0"]

    client.call(ModePageFlip(crtc, other, int(Flag.PAGE_FLIP_EVENT), 3))
    assert client.errno(ModePageFlip(crtc, fb)) == EBUSY
    assert client.refused(ASK, ("primary0", "FB_ID", fb)) == EBUSY
    world.run_ms(20)

    assert [event.user_data for event in client.events()] == [3]
    assert client.shown() == (other,)


def test_a_legacy_flip_needs_something_to_replace_and_something_like_it(client):
    crtc = client.ids["crtc0"]
    assert client.errno(ModePageFlip(crtc, 1)) == EBUSY
    client.light_up()

    alpha = client.framebuffer(format=FORMAT_ARGB8888)
    assert client.errno(ModePageFlip(crtc, alpha)) == EINVAL
    assert client.errno(ModePageFlip(crtc, 99_999)) == ENOENT
    assert client.errno(ModePageFlip(99_999, alpha)) == ENOENT
    assert client.errno(ModePageFlip(crtc, alpha, 0x40)) == EINVAL


def test_a_refused_legacy_flip_gives_its_event_space_back(client, world):
    fb = client.light_up()
    request = ModePageFlip(client.ids["crtc0"], fb, int(Flag.PAGE_FLIP_EVENT))
    client.call(request)

    assert {client.errno(request) for _ in range(200)} == {EBUSY}


def test_a_plane_on_no_crtc_is_done_with_as_soon_as_it_is_programmed(client):
    for x in range(3):
        client.commit(Flag.NONBLOCK, ("overlay0", "CRTC_X", x))

    assert client.read("overlay0", "CRTC_X") == 2


def test_a_legacy_flip_on_a_crtc_that_is_off_is_refused(client):
    fb = client.light_up()
    client.commit(Flag.ALLOW_MODESET, ("crtc0", "ACTIVE", 0))

    assert client.errno(ModePageFlip(client.ids["crtc0"], fb)) == EINVAL


@pytest.mark.parametrize("refresh", [24_000, 59_940, 143_856])
def test_flips_keep_the_pace_of_any_refresh_for_a_thousand_frames(make_lone_client, refresh):
    output = Output(width=320, height=200, refresh_mhz=refresh)
    client = make_lone_client(replace(SYNCLINE, crtcs=(CrtcLayout(output=output),)))
    fb = client.light_up()
    times = []
    for _ in range(1000):
        client.commit(ASK, ("primary0", "FB_ID", fb))
        client.world.device.advance(client.world.device.next_deadline_ns())
        times += [event.time_ns for event in client.events()]

    mode = client.mode
    frames_ns = 999 * mode.htotal * mode.vtotal * 1_000_000 // mode.clock_khz
    assert times[-1] - times[0] in {frames_ns, frames_ns + 1}
