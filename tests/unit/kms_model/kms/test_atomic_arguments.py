"""What MODE_ATOMIC refuses, check by check in the kernel's order (kernel.md 3.1)."""

from errno import EACCES, EFAULT, EINVAL, ENOENT, ENOMEM, EOPNOTSUPP

import msgspec
import pytest

from syncline.kms_model.profiles import VGEM, profile
from syncline.kms_model.uapi import (
    BAD_POINTER,
    AtomicFlag as Flag,
    DeviceError,
    DropMaster,
    ModeAtomic,
    ModeCreateBlob,
    SetMaster,
    encode_mode,
)


def test_an_empty_commit_succeeds_but_has_nobody_to_send_an_event(client):
    assert client.commit(0).out_fences == ()
    assert client.commit(Flag.NONBLOCK).out_fences == ()
    assert client.refused(Flag.PAGE_FLIP_EVENT) == EINVAL


def test_only_the_master_commits(client, make_client):
    second = make_client()

    assert second.refused(0) == EACCES
    client.call(DropMaster())
    assert client.refused(0) == EACCES
    client.call(SetMaster())
    client.commit(0)


def test_mastership_is_asked_for_before_the_capability(make_client, client):
    assert make_client(atomic=False).refused(0) == EACCES


def test_a_master_without_the_atomic_capability_is_refused(make_lone_client):
    assert make_lone_client(atomic=False).refused(0) == EINVAL


def test_a_device_without_a_display_has_no_atomic_ioctl(make_world):
    world = make_world(VGEM)
    file = world.device.open()

    with pytest.raises(DeviceError) as error:
        world.device.call(file, ModeAtomic(0, ()), world.now_ns).result()

    assert error.value.errno == EOPNOTSUPP


@pytest.mark.parametrize("flag", [0x4, 0x8, 0x1000, 1 << 30])
def test_unknown_flags_are_refused(client, flag):
    assert client.refused(flag) == EINVAL


def test_reserved_must_be_zero(client):
    assert client.errno(ModeAtomic(0, (), reserved=1)) == EINVAL


def test_a_test_sends_no_event(client):
    client.light_up()

    assert client.refused(Flag.TEST_ONLY | Flag.PAGE_FLIP_EVENT, ("crtc0", "ACTIVE", 1)) == EINVAL


def test_async_needs_a_driver_that_can(make_lone_client):
    client = make_lone_client(profile("vkms"))
    fb = client.light_up()

    assert client.refused(Flag.PAGE_FLIP_ASYNC | Flag.NONBLOCK, ("primary0", "FB_ID", fb)) == EINVAL


def test_objects_that_do_not_exist_or_have_no_properties_are_not_found(client):
    fb = client.framebuffer()

    assert client.errno(ModeAtomic(0, ((99_999, 1, 0),))) == ENOENT
    assert client.errno(ModeAtomic(0, ((fb, 1, 0),))) == ENOENT


def test_a_property_must_be_one_of_the_objects(client):
    plane, active = client.ids["primary0"], client.prop("crtc0", "ACTIVE")

    assert client.errno(ModeAtomic(0, ((plane, 99_999, 0),))) == ENOENT
    assert client.errno(ModeAtomic(0, ((plane, active, 0),))) == ENOENT


REFUSED_VALUES = [
    # object     property            value         because
    ("primary0", "type",             1),         # immutable
    ("primary0", "zpos",             0),         # immutable
    ("primary0", "IN_FORMATS",       0),         # immutable
    ("primary0", "FB_ID",            99_999),    # no such framebuffer
    ("primary0", "CRTC_ID",          99_999),    # no such CRTC
    ("primary0", "SRC_X",            1 << 32),   # 32 bits
    ("primary0", "SRC_W",            -1),        # unsigned
    ("primary0", "CRTC_X",           1 << 31),   # beyond INT_MAX
    ("primary0", "CRTC_W",           1 << 31),   # beyond INT_MAX
    ("primary0", "IN_FENCE_FD",      -2),        # only -1 is none
    ("primary0", "IN_FENCE_FD",      1 << 31),   # beyond INT_MAX
    ("primary0", "IN_FENCE_FD",      9_999),     # not open
    ("primary0", "FB_DAMAGE_CLIPS",  99_999),    # no such blob
    ("crtc0",    "ACTIVE",           2),         # a boolean
    ("crtc0",    "VRR_ENABLED",      2),         # a boolean
    ("crtc0",    "MODE_ID",          99_999),    # no such blob
    ("conn0",    "CRTC_ID",          99_999),    # no such CRTC
]  # fmt: skip


@pytest.mark.parametrize(("thing", "name", "value"), REFUSED_VALUES)
@pytest.mark.parametrize("flags", [0, Flag.TEST_ONLY])
def test_values_outside_their_kind_are_refused_and_tests_know_it(client, thing, name, value, flags):
    assert client.refused(flags, (thing, name, value)) == EINVAL


def test_an_object_property_takes_no_object_of_another_kind(client):
    assert client.refused(0, ("primary0", "FB_ID", client.ids["crtc0"])) == EINVAL


def test_a_negative_coordinate_is_welcome_and_reads_back(client):
    client.light_up()
    cursor = client.framebuffer(64, 64)

    client.commit(0, *client.plane("cursor0", cursor, size=(64, 64), x=-10, y=-20))

    assert client.read("cursor0", "CRTC_X") == 2**64 - 10
    assert client.read("cursor0", "CRTC_Y") == 2**64 - 20


@pytest.mark.parametrize("data", [b"short", b"\x00" * 68])
def test_a_mode_blob_must_hold_a_mode(client, data):
    blob = client.call(ModeCreateBlob(data)).blob_id

    assert client.refused(Flag.ALLOW_MODESET, ("crtc0", "MODE_ID", blob)) == EINVAL


@pytest.mark.parametrize("change", [{"clock_khz": 0}, {"htotal": 5}, {"vdisplay": 0}, {"vtotal": 1 << 16}])
def test_a_mode_that_makes_no_picture_is_refused(client, change):
    mode = msgspec.structs.replace(client.mode, **change)
    blob = client.call(ModeCreateBlob(encode_mode(mode))).blob_id

    assert client.refused(Flag.ALLOW_MODESET, ("crtc0", "MODE_ID", blob)) == EINVAL


def test_setting_a_property_twice_counts_the_last_time(client):
    fb = client.light_up()
    other = client.framebuffer()

    client.commit(0, ("primary0", "FB_ID", other), ("primary0", "FB_ID", fb))

    assert client.read("primary0", "FB_ID") == fb


def test_the_hundred_and_twenty_ninth_unread_event_finds_no_room(client):
    fb = client.light_up()
    for number in range(128):
        client.commit(Flag.PAGE_FLIP_EVENT, ("primary0", "FB_ID", fb), user_data=number)

    assert client.refused(Flag.PAGE_FLIP_EVENT, ("primary0", "FB_ID", fb)) == ENOMEM
    assert [event.user_data for event in client.events()] == list(range(128))
    client.commit(Flag.PAGE_FLIP_EVENT, ("primary0", "FB_ID", fb))


def test_a_refused_commit_gives_its_event_space_back(client):
    client.light_up()
    small = client.framebuffer(64, 64)

    for _ in range(200):
        assert client.refused(Flag.PAGE_FLIP_EVENT, ("primary0", "FB_ID", small)) != ENOMEM


def pointers_of(client, flags, *changes):
    with pytest.raises(DeviceError) as error:
        client.call(client.request(flags, *changes))
    return error.value.errno, error.value.writes


def test_a_failing_commit_wrote_minus_one_only_through_pointers_it_came_to(client):
    client.light_up()
    pointer = client.pointer()
    before = (("crtc0", "OUT_FENCE_PTR", pointer), ("primary0", "FB_ID", 99_999))

    assert pointers_of(client, 0, *before) == (EINVAL, ((pointer, -1),))
    assert pointers_of(client, 0, *reversed(before)) == (EINVAL, ())


@pytest.mark.parametrize("flags", [0, Flag.TEST_ONLY, Flag.NONBLOCK])
def test_a_pointer_outside_the_address_space_faults_while_parsing(client, flags):
    fb = client.light_up()
    other = client.framebuffer()

    changes = (("primary0", "FB_ID", other), ("crtc0", "OUT_FENCE_PTR", BAD_POINTER))

    assert pointers_of(client, flags, *changes) == (EFAULT, ())
    assert client.read("primary0", "FB_ID") == fb


def test_a_pointer_given_twice_is_replaced_and_null_is_no_pointer(client):
    fb = client.light_up()
    first, second = client.pointer(), client.pointer()

    reply = client.commit(
        0,
        ("primary0", "FB_ID", fb),
        ("crtc0", "OUT_FENCE_PTR", first),
        ("crtc0", "OUT_FENCE_PTR", second),
        ("crtc0", "OUT_FENCE_PTR", 0),
    )

    assert [pointer for pointer, _ in reply.out_fences] == [first, second]
    assert reply.out_fences[0][1] == -1
    assert reply.out_fences[1][1] >= 0


def test_a_crtc_that_is_off_and_stays_off_has_no_event_and_no_fence_to_give(client):
    pointer = client.pointer()
    fence = ("crtc0", "OUT_FENCE_PTR", pointer)

    assert client.refused(Flag.PAGE_FLIP_EVENT, ("crtc0", "ACTIVE", 0)) == EINVAL
    assert pointers_of(client, 0, fence) == (EINVAL, ((pointer, -1),))
    assert client.commit(Flag.TEST_ONLY, fence).out_fences == ((pointer, -1),)
