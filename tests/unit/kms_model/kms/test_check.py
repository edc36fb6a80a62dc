"""What a commit is refused for although every value is good (kernel.md 3.2)."""

from errno import EINVAL, ENOSPC, ERANGE
from struct import pack

import pytest

from syncline.kms_model.profiles import profile
from syncline.kms_model.uapi import FORMAT_ARGB8888, AtomicFlag as Flag, ModeCreateBlob


def test_a_plane_has_a_framebuffer_and_a_crtc_or_neither(client):
    client.light_up()

    assert client.refused(0, ("primary0", "FB_ID", 0)) == EINVAL
    assert client.refused(0, ("primary0", "CRTC_ID", 0)) == EINVAL
    client.commit(0, ("primary0", "FB_ID", 0), ("primary0", "CRTC_ID", 0))
    assert client.shown() == ()


def test_a_plane_stays_on_the_crtc_it_can_reach(client):
    client.light_up(0, 1)
    overlay = next(name for name, id in client.ids.items() if "overlay" in name)
    foreign = client.plane_crtcs[client.ids[overlay]] != (client.ids["crtc1"],)

    assert foreign
    assert client.refused(0, *client.plane(overlay, client.framebuffer(), crtc="crtc1")) == EINVAL


def test_a_plane_that_reaches_two_crtcs_is_disabled_before_it_moves(client, world):
    client.light_up(0, 1)
    display = world.device.kms.display
    roaming = next(plane for plane in display.planes if plane.id == client.ids["overlay0"])
    roaming.crtcs = tuple(display.crtcs)
    fb = client.framebuffer()
    client.commit(0, *client.plane("overlay0", fb, crtc="crtc0"))

    assert client.refused(0, *client.plane("overlay0", fb, crtc="crtc1")) == EINVAL
    client.commit(0, ("overlay0", "FB_ID", 0), ("overlay0", "CRTC_ID", 0))
    client.commit(0, *client.plane("overlay0", fb, crtc="crtc1"))

    assert fb in client.shown("crtc1")
    assert fb not in client.shown("crtc0")


def test_a_source_beyond_the_framebuffer_has_no_space(client):
    fb = client.light_up()
    small = client.framebuffer(64, 64)

    assert client.refused(0, ("primary0", "FB_ID", small)) == ENOSPC
    assert client.refused(Flag.TEST_ONLY, ("primary0", "SRC_X", 1)) == ENOSPC
    assert client.read("primary0", "FB_ID") == fb


def test_a_crtc_rectangle_that_overflows_is_out_of_range(client):
    client.light_up()

    assert client.refused(0, ("primary0", "CRTC_X", 2**31 - 1)) == ERANGE


def test_planes_do_not_scale(client):
    client.light_up()

    assert client.refused(0, ("primary0", "SRC_W", 640 << 16)) == ERANGE
    assert client.refused(0, ("primary0", "SRC_W", 0)) == ERANGE
    assert client.refused(0, ("primary0", "SRC_W", (1280 << 16) - 1)) == ERANGE


@pytest.mark.parametrize("driver", ["syncline", "virtio_gpu"])
@pytest.mark.parametrize("empty", ["CRTC_W", "CRTC_H"])
def test_a_plane_of_no_width_or_height_is_legal_and_invisible(make_lone_client, driver, empty):
    client = make_lone_client(profile(driver))
    client.light_up()

    client.commit(0, ("primary0", empty, 0), ("primary0", "CRTC_X", 5))

    assert client.read("primary0", empty) == 0


def test_a_small_primary_plane_is_for_drivers_that_can(client, make_lone_client):
    client.light_up()
    window = client.framebuffer(640, 480)
    client.commit(0, *client.plane("primary0", window, size=(640, 480), x=10))
    assert client.shown() == (window,)

    strict = make_lone_client(profile("virtio_gpu"))
    strict.light_up()
    window = strict.framebuffer(640, 480)
    assert strict.refused(0, *strict.plane("primary0", window, size=(640, 480), x=10)) == EINVAL
    strict.commit(0, *strict.plane("primary0", window, size=(640, 480), x=5000))
    alpha = strict.framebuffer(format=FORMAT_ARGB8888)
    assert strict.refused(0, *strict.plane("primary0", alpha)) == EINVAL


@pytest.mark.parametrize("clip", [(0, 0, 0, 5), (5, 5, 4, 6), (-1, 0, 5, 5), (0, 0, 1281, 5)])
def test_damage_must_be_inside_the_framebuffer_and_not_empty(client, clip):
    fb = client.light_up()
    good = client.call(ModeCreateBlob(pack("<8i", 0, 0, 1280, 720, 5, 5, 6, 6))).blob_id
    bad = client.call(ModeCreateBlob(pack("<4i", *clip))).blob_id
    ragged = client.call(ModeCreateBlob(b"123")).blob_id

    client.commit(0, ("primary0", "FB_ID", fb), ("primary0", "FB_DAMAGE_CLIPS", good))
    assert client.read("primary0", "FB_DAMAGE_CLIPS") == good
    assert client.refused(0, ("primary0", "FB_DAMAGE_CLIPS", bad)) == EINVAL
    assert client.refused(0, ("primary0", "FB_DAMAGE_CLIPS", ragged)) == EINVAL


def test_damage_and_in_fences_are_for_one_commit(client, world):
    fb = client.light_up()
    damage = client.call(ModeCreateBlob(pack("<4i", 0, 0, 5, 5))).blob_id
    timeline = client.timeline()
    fence = client.fence(timeline)
    client.signal(timeline)
    client.commit(0, ("primary0", "FB_DAMAGE_CLIPS", damage), ("primary0", "IN_FENCE_FD", fence))

    client.commit(0, ("primary0", "FB_ID", fb))

    assert client.read("primary0", "FB_DAMAGE_CLIPS") == 0
    assert client.read("primary0", "IN_FENCE_FD") == 2**64 - 1


def test_active_needs_a_mode_and_a_mode_needs_a_connector(client):
    blob = next(value for _, name, value in client.output(0, 0) if name == "MODE_ID")

    assert client.refused(Flag.ALLOW_MODESET, ("crtc0", "ACTIVE", 1)) == EINVAL
    assert client.refused(Flag.ALLOW_MODESET, ("crtc0", "MODE_ID", blob)) == EINVAL


def test_a_modeset_needs_leave_even_to_be_tested(client, world):
    changes = client.output(0, client.framebuffer())

    assert client.refused(0, *changes) == EINVAL
    assert client.refused(Flag.TEST_ONLY, *changes) == EINVAL
    client.commit(Flag.TEST_ONLY | Flag.ALLOW_MODESET, *changes)
    assert client.read("crtc0", "ACTIVE") == 0
    assert world.device.next_deadline_ns() is None


def test_the_same_mode_in_another_blob_is_no_modeset(client):
    fb = client.light_up()

    client.commit(0, *client.output(0, fb))

    assert client.shown() == (fb,)


def test_variable_refresh_is_switched_without_a_modeset(client):
    client.light_up()

    client.commit(0, ("crtc0", "VRR_ENABLED", 1))

    assert client.read("crtc0", "VRR_ENABLED") == 1


def test_two_screens_do_not_share_a_crtc(client):
    client.light_up()

    assert client.refused(Flag.ALLOW_MODESET, ("conn1", "CRTC_ID", client.ids["crtc0"])) == EINVAL


def test_a_failed_check_leaves_no_trace(client, world):
    fb = client.light_up()
    seen = len(world.trace)
    cursor = client.framebuffer(64, 64, format=FORMAT_ARGB8888)

    changes = client.plane("cursor0", cursor, size=(64, 64))
    assert client.refused(0, *changes, ("primary0", "SRC_X", 1)) == ENOSPC

    assert client.read("cursor0", "FB_ID") == 0
    assert client.shown() == (fb,)
    assert len(world.trace) == seen
    assert world.device.kms.display.states == []


def test_a_test_changes_nothing(client, world):
    fb = client.light_up()
    seen = len(world.trace)
    other = client.framebuffer()

    client.commit(Flag.TEST_ONLY, ("primary0", "FB_ID", other))
    client.commit(Flag.TEST_ONLY | Flag.NONBLOCK, ("primary0", "FB_ID", other), ("primary0", "CRTC_X", 5))
    world.run_ms(50)

    assert client.read("primary0", "FB_ID") == fb
    assert client.read("primary0", "CRTC_X") == 0
    assert client.shown() == (fb,)
    assert len(world.trace) == seen
    assert world.device.kms.display.states == []
