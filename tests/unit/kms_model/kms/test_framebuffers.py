"""Framebuffers and blobs come and go (drm_framebuffer.c); what that does to the screen and to the caller."""

from errno import EBUSY, EINVAL, ENOENT, EPERM, ERANGE
from struct import pack

import pytest

from syncline.kms_model.profiles import profile
from syncline.kms_model.uapi import (
    FORMAT_XRGB8888,
    MODIFIER_LINEAR,
    AtomicFlag as Flag,
    CreateDumb,
    GemClose,
    ModeAddFb2,
    ModeCreateBlob,
    ModeDestroyBlob,
    ModeRmFb,
)

ASK = Flag.NONBLOCK | Flag.PAGE_FLIP_EVENT
GOOD = {"width": 64, "height": 64, "pixel_format": FORMAT_XRGB8888, "pitch": 256}


def test_a_framebuffer_keeps_its_buffer_when_the_handle_is_closed(client, world):
    fb = client.light_up()

    client.call(GemClose(client.handle))
    client.commit(0, ("primary0", "FB_ID", fb))

    assert client.shown() == (fb,)


REFUSED = [
    # but                                because
    ({"width": 0},                       EINVAL),
    ({"height": 0},                      EINVAL),
    ({"width": 8193, "pitch": 32772},    EINVAL),
    ({"flags": 8},                       EINVAL),
    ({"pixel_format": 0x12345678},       EINVAL),
    ({"modifier": 1, "flags": 2},        EINVAL),
    ({"handle": 0},                      EINVAL),
    ({"handle": 77},                     ENOENT),
    ({"pitch": 255},                     EINVAL),
    ({"height": 65},                     EINVAL),
    ({"offset": 4},                      EINVAL),
    ({"pitch": 1 << 31},                 ERANGE),
]  # fmt: skip


@pytest.mark.parametrize(("but", "because"), REFUSED)
def test_a_framebuffer_must_fit_its_buffer_and_the_device(client, but, because):
    handle = client.call(CreateDumb(64, 64)).handle

    assert client.errno(ModeAddFb2(**{"handle": handle, **GOOD, **but})) == because
    client.call(ModeAddFb2(handle=handle, **GOOD, modifier=MODIFIER_LINEAR))


FOREIGN = int.from_bytes(b"XB24", "little")
BY_DRIVER = [
    # driver        but                          because
    ("vkms",       {"pixel_format": FOREIGN},    EINVAL),
    ("vkms",       {"handle": 77},               ENOENT),
    ("vkms",       {"width": 9},                 EINVAL),
    ("vkms",       {"height": 10, "width": 10},  0),
    ("virtio_gpu", {"pixel_format": FOREIGN},    ENOENT),
    ("virtio_gpu", {"pixel_format": 0x12345678}, EINVAL),
    ("virtio_gpu", {"handle": 77},               EINVAL),
    ("virtio_gpu", {"height": 31},               EINVAL),
    ("virtio_gpu", {"height": 32, "width": 32},  0),
]  # fmt: skip


@pytest.mark.parametrize(("driver", "but", "because"), BY_DRIVER)
def test_drivers_refuse_framebuffers_each_in_its_own_way(make_lone_client, driver, but, because):
    client = make_lone_client(profile(driver))
    handle = client.call(CreateDumb(64, 64)).handle
    request = ModeAddFb2(**{"handle": handle, **GOOD, **but})

    if because:
        assert client.errno(request) == because
    else:
        client.call(request)


def test_modifiers_need_a_device_that_has_them(make_lone_client):
    client = make_lone_client(profile("virtio_gpu"))
    handle = client.call(CreateDumb(64, 64)).handle

    assert client.errno(ModeAddFb2(handle=handle, **GOOD, flags=2)) == EINVAL


def test_only_the_maker_removes_a_framebuffer_and_only_once(client, make_client):
    fb = client.framebuffer()
    other = make_client()

    assert other.errno(ModeRmFb(fb)) == ENOENT
    client.call(ModeRmFb(fb))
    assert client.errno(ModeRmFb(fb)) == ENOENT


def test_the_lowest_free_id_is_taken_again(client):
    fb = client.framebuffer()
    client.call(ModeRmFb(fb))

    assert client.framebuffer() == fb


def test_removing_what_is_shown_takes_the_plane_off_and_leaves_the_crtc_active(client, world):
    fb = client.light_up()

    world.run_until_done(client.start(ModeRmFb(fb)))

    assert client.shown() == ()
    assert client.read("primary0", "FB_ID") == 0
    assert client.read("primary0", "CRTC_ID") == 0
    assert client.read("crtc0", "ACTIVE") == 1


def test_removing_what_a_pending_commit_will_show_sleeps_until_it_did(client, world):
    client.light_up()
    fb = client.framebuffer()
    timeline = client.timeline()
    client.commit(ASK, ("primary0", "FB_ID", fb), ("primary0", "IN_FENCE_FD", client.fence(timeline)))

    removal = client.start(ModeRmFb(fb))
    world.run_ms(100)
    assert not removal.done
    removal.interrupt()
    assert not removal.done
    client.signal(timeline)
    world.run_until_done(removal)

    assert len(client.events()) == 1
    assert client.shown() == ()


def test_removing_what_is_still_on_screen_but_already_replaced_does_not_sleep(client, world):
    shown = client.light_up()
    fb = client.framebuffer()
    client.commit(
        ASK, ("primary0", "FB_ID", fb), ("primary0", "IN_FENCE_FD", client.fence(client.timeline()))
    )

    removal = client.start(ModeRmFb(shown))

    assert removal.done
    assert client.shown() == (shown,)


def test_removing_an_idle_framebuffer_does_not_sleep_behind_anybody(client, world):
    fb, idle = client.light_up(), client.framebuffer()
    client.start_commit(
        0, ("primary0", "FB_ID", fb), ("primary0", "IN_FENCE_FD", client.fence(client.timeline()))
    )

    client.call(ModeRmFb(idle))


def test_removing_takes_every_lock_and_sleeps_behind_a_commit_on_another_screen(client, world):
    client.light_up(0, 1)
    other = client.framebuffer()
    client.commit(0, ("primary1", "FB_ID", other))
    timeline = client.timeline()
    client.start_commit(
        0,
        ("primary0", "FB_ID", client.framebuffer()),
        ("primary0", "IN_FENCE_FD", client.fence(timeline)),
    )

    removal = client.start(ModeRmFb(other))
    world.run_ms(100)
    assert client.shown("crtc1") == (other,)
    client.signal(timeline)
    world.run_until_done(removal)

    assert client.shown("crtc1") == ()


def test_removing_what_a_commit_in_flight_replaces_needs_the_locks_all_the_same(client, world):
    shown = client.light_up(0, 1)
    fb = client.framebuffer()
    client.commit(0, ("primary1", "FB_ID", fb))
    client.commit(
        ASK, ("primary0", "FB_ID", fb), ("primary0", "IN_FENCE_FD", client.fence(client.timeline()))
    )
    timeline = client.timeline()
    client.start_commit(0, ("primary1", "FB_ID", fb), ("primary1", "IN_FENCE_FD", client.fence(timeline)))

    removal = client.start(ModeRmFb(shown))
    assert not removal.done
    client.signal(timeline)
    world.run_until_done(removal)


def test_a_removed_framebuffer_is_no_value_any_more(client, world):
    fb = client.light_up()
    gone = client.framebuffer()
    client.call(ModeRmFb(gone))

    assert client.refused(0, ("primary0", "FB_ID", gone)) == EINVAL
    assert client.read("primary0", "FB_ID") == fb


def test_closing_the_file_sleeps_for_its_commit_and_leaves_an_active_empty_screen(client, make_client, world):
    client.light_up()
    fb = client.framebuffer()
    timeline = client.timeline()
    reply = client.commit(
        ASK,
        ("primary0", "FB_ID", fb),
        ("primary0", "IN_FENCE_FD", client.fence(timeline)),
        ("crtc0", "OUT_FENCE_PTR", client.pointer()),
    )
    other = make_client()

    closing = world.device.close(client.file, world.now_ns)
    world.run_ms(100)
    assert not closing.done
    other.signal(timeline)
    world.run_until_done(closing)

    assert other.status(reply.out_fences[0][1]) == 1
    assert other.shown() == ()
    assert other.read("crtc0", "ACTIVE") == 1
    assert client.file.has_events is False


def test_closing_an_idle_file_does_not_sleep(client, world):
    client.framebuffer()

    assert world.device.close(client.file, world.now_ns).done


def test_framebuffers_of_other_files_stay_when_one_closes(client, make_client, world):
    other = make_client()
    foreign = other.framebuffer()
    client.light_up()
    client.commit(0, ("primary0", "FB_ID", foreign))

    world.run_until_done(world.device.close(client.file, world.now_ns))

    assert other.shown() == (foreign,)


def test_blobs_belong_to_their_maker(client, make_client):
    blob = client.call(ModeCreateBlob(b"data")).blob_id
    other = make_client()

    assert other.errno(ModeDestroyBlob(blob)) == EPERM
    client.call(ModeDestroyBlob(blob))
    assert client.errno(ModeDestroyBlob(blob)) == ENOENT
    assert client.errno(ModeCreateBlob(b"")) == EINVAL


def test_a_mode_outlives_its_blobs_destruction(client, world):
    client.light_up()
    blob = client.read("crtc0", "MODE_ID")

    client.call(ModeDestroyBlob(blob))

    assert client.read("crtc0", "MODE_ID") == blob
    client.commit(0, ("crtc0", "MODE_ID", blob))
    assert client.framebuffer() != blob


def test_a_destroyed_blob_goes_with_the_last_state_that_has_it(client, world):
    client.light_up()
    blob = client.read("crtc0", "MODE_ID")
    client.call(ModeDestroyBlob(blob))

    client.commit(Flag.ALLOW_MODESET, *client.off(0))

    assert client.refused(Flag.ALLOW_MODESET, ("crtc0", "MODE_ID", blob)) == EINVAL
    assert client.framebuffer() == blob


def test_damage_is_told_under_its_blobs_id_until_the_next_commit(client, world):
    shown = client.light_up()
    blob = client.blob(pack("<4i", 0, 0, 8, 8))
    client.commit(0, ("primary0", "FB_ID", shown), ("primary0", "FB_DAMAGE_CLIPS", blob))
    client.call(ModeDestroyBlob(blob))

    assert client.read("primary0", "FB_DAMAGE_CLIPS") == blob
    assert client.framebuffer() != blob
    client.commit(0, ("primary0", "FB_ID", shown))

    assert client.read("primary0", "FB_DAMAGE_CLIPS") == 0
    assert client.framebuffer() == blob


def test_a_nonblock_commit_behind_a_removal_is_busy(client, world):
    fb, other = client.light_up(), client.framebuffer()
    removal = client.start(ModeRmFb(fb))
    assert not removal.done

    late = client.start_commit(ASK, *client.plane("primary0", other))
    world.run_until_done(removal)
    world.run_until_done(late)

    assert client.errno(client.request(ASK, ("primary0", "FB_ID", other))) == EBUSY
