"""User fences in a commit as user space sees them: the properties, the flag and the timeout (kernel.md 6.6)."""

from errno import EACCES, EINVAL, ENOENT

import pytest

from syncline.kms_model.profiles import DMA_KMS, VIRTIO_GPU, profile
from syncline.kms_model.uapi import (
    USER_FENCE_POISON,
    USER_POINT,
    AtomicFlag as Flag,
    Cap,
    GetCap,
    ModeDestroyBlob,
    SyncobjCreate,
    SyncobjDestroy,
    SyncobjFdToHandle,
    SyncobjHandleToFd,
    UserFenceRight,
)

ASK = Flag.NONBLOCK | Flag.PAGE_FLIP_EVENT


class Frame:
    """A lit screen, a framebuffer to show next, and a user fence nobody has signalled."""

    def __init__(self, client):
        self.shown = client.light_up()
        self.fb = client.framebuffer()
        self.fence = client.user_fence()
        self.show = ("primary0", "FB_ID", self.fb)
        self.user = client.waits_for((self.fence, 1))


@pytest.fixture
def frame(client):
    return Frame(client)


@pytest.mark.parametrize("machine", [DMA_KMS, VIRTIO_GPU, profile("vkms")], ids=lambda machine: machine.name)
def test_a_display_without_the_capability_knows_neither_the_properties_nor_the_flag_nor_the_timeout(
    make_lone_client, machine
):
    client = make_lone_client(machine)
    client.light_up()

    with pytest.raises(KeyError):
        client.prop("primary0", "IN_USER_FENCE")
    with pytest.raises(KeyError):
        client.prop("crtc0", "OUT_USER_FENCE")
    assert client.errno(GetCap(Cap.ATOMIC_USER_FENCE)) == EINVAL
    assert client.refused(Flag.OVERRIDE) == EINVAL
    assert client.refused(0, timeout_ns=1) == EINVAL


def test_a_display_with_it_says_so(client):
    assert client.call(GetCap(Cap.ATOMIC_USER_FENCE)).value == 1


@pytest.mark.parametrize(
    "data",
    [
        b"\0" * (USER_POINT.size + 1),
        USER_POINT.pack(1, 1, 1),
        USER_POINT.pack(1, 0, 0),
        USER_POINT.pack(1, 0, USER_FENCE_POISON),
        USER_POINT.pack(2, 0, 1),
        USER_POINT.pack(1, 0, 1) * 65,
    ],
    ids=["size", "pad", "point 0", "poison", "a dma syncobj", "too many"],
)
@pytest.mark.parametrize("flags", [Flag.NONBLOCK, Flag.TEST_ONLY, 0])
def test_a_malformed_list_of_points_is_refused(client, data, flags):
    fb = client.light_up()
    assert (client.user_fence(), client.call(SyncobjCreate()).handle) == (1, 2)

    for thing, name in (("primary0", "IN_USER_FENCE"), ("crtc0", "OUT_USER_FENCE")):
        assert client.refused(flags, ("primary0", "FB_ID", fb), (thing, name, client.blob(data))) == EINVAL


def test_a_plane_may_wait_for_sixty_four_points_and_a_crtc_owes_one(client, frame):
    point = USER_POINT.pack(frame.fence, 0, 1)

    client.commit(Flag.TEST_ONLY, frame.show, ("primary0", "IN_USER_FENCE", client.blob(point * 64)))
    assert client.refused(0, frame.show, ("crtc0", "OUT_USER_FENCE", client.blob(point * 2))) == EINVAL


def test_handles_are_the_callers(client, frame):
    client.call(SyncobjDestroy(frame.fence))

    assert client.refused(Flag.TEST_ONLY, frame.show, frame.user) == ENOENT


def test_handle_and_blob_may_go_right_after_the_commit(client, world, frame):
    handle = client.call(SyncobjFdToHandle(share(client, frame.fence))).handle
    client.commit(ASK, frame.show, frame.user)
    client.call(SyncobjDestroy(frame.fence))
    client.call(ModeDestroyBlob(frame.user[2]))
    world.run_ms(20)
    assert client.events() == []

    client.reach(handle)
    world.run_ms(20)

    assert client.shown() == (frame.fb,)


def test_only_who_may_signal_a_fence_may_let_the_display_signal_it(client, frame):
    reader = client.call(SyncobjFdToHandle(share(client, frame.fence, UserFenceRight.READ_ONLY))).handle

    assert client.refused(0, frame.show, client.owes(reader, 1)) == EACCES
    client.commit(Flag.TEST_ONLY, frame.show, client.waits_for((reader, 1)))


def share(client, handle, flags=0):
    fd = client.call(SyncobjHandleToFd(handle, flags)).fd
    client.world.fds.append(fd)
    return fd


def test_user_fences_read_back_as_none_are_for_one_commit_and_the_last_of_two_counts(client, world, frame):
    none = ("primary0", "IN_USER_FENCE", 0)
    client.commit(
        0, frame.show, frame.user, none, client.owes(frame.fence, 5), ("crtc0", "OUT_USER_FENCE", 0)
    )

    assert client.slot(frame.fence) == (0, 0)
    client.reach(frame.fence)
    client.commit(ASK, frame.show, frame.user)
    world.run_ms(20)
    client.commit(0, frame.show)
    assert client.read("primary0", "IN_USER_FENCE") == 0
    assert client.read("crtc0", "OUT_USER_FENCE") == 0


def test_a_plane_that_shows_nothing_has_nothing_to_wait_for(client, frame):
    user = client.waits_for((frame.fence, 1), plane="overlay0")

    assert client.refused(Flag.NONBLOCK, frame.show, user) == EINVAL


def test_a_timeout_is_for_user_fences_and_never_negative(client, frame):
    assert client.refused(Flag.NONBLOCK, frame.show, timeout_ns=1) == EINVAL
    assert client.refused(Flag.TEST_ONLY, frame.show, frame.user, timeout_ns=-1) == EINVAL
    client.commit(Flag.TEST_ONLY, frame.show, frame.user, timeout_ns=1)
