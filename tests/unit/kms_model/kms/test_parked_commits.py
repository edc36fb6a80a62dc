"""PENDING_USER: a commit parked until user space signals, and what it means to be parked (kernel.md 6.6)."""

import mmap
import struct
from errno import EINVAL, EOWNERDEAD

import pytest

from syncline.kms_model.buffers.resv import Usage
from syncline.kms_model.fences.fence import Fence
from syncline.kms_model.trace import WaitTrace
from syncline.kms_model.uapi import (
    AtomicFlag as Flag,
    CrtcGetSequence,
    FlipComplete,
    GemClose,
    ModeGetPlane,
    ModeObjGetProperties,
    SyncobjMapUser,
)

MS = 1_000_000
ASK = Flag.NONBLOCK | Flag.PAGE_FLIP_EVENT


# -- UR5 to UR7: parked, and promoted ----------------------------------------------------------


@pytest.mark.requirement("UR5")
def test_the_ioctl_returns_and_the_frame_comes_when_user_space_is_done(client, world, parked):
    world.run_ms(100)
    assert client.parked()
    assert (client.shown(), client.read("primary0", "FB_ID")) == ((parked.shown,), parked.shown)
    assert client.events() == []
    assert world.device.next_deadline_ns() is None, "nobody polls a slot that nobody outside can write"

    parked.reach()
    assert not client.parked()
    assert client.read("primary0", "FB_ID") == parked.fb
    world.run_ms(17)

    (event,) = client.events()
    assert (type(event), event.user_data) == (FlipComplete, 1)
    assert client.slot(parked.out) == (1, 0)
    assert client.shown() == (parked.fb,)
    begin, end = (each for each in world.trace if isinstance(each, WaitTrace) and each.reason == "user-fence")
    assert (begin.end, end.end, end.waited_ns) == (False, True, 100 * MS)


@pytest.mark.requirement("UR5")
def test_an_onlooker_sees_what_is_parked_beside_what_is_shown(client, world, parked):
    def stages():
        view = world.device.kms.view()[0]
        return [image and image.fb_ids for image in (view.parked, view.waiting, view.pending, view.showing)]

    assert stages() == [(parked.fb,), None, None, (parked.shown,)]
    parked.reach()
    assert stages() == [None, None, (parked.fb,), (parked.shown,)]
    world.run_ms(17)
    assert stages() == [None, None, None, (parked.fb,)]


@pytest.mark.requirement("UR5")
def test_points_that_are_reached_already_change_nothing_but_the_wait(client, world):
    client.light_up()
    fb, fence = client.framebuffer(), client.user_fence()
    client.reach(fence, 9)

    client.commit(ASK, ("primary0", "FB_ID", fb), client.waits_for((fence, 3), (fence, 9)))
    world.run_ms(17)

    assert client.shown() == (fb,)


@pytest.mark.requirement("UR5")
def test_every_point_of_every_plane_is_waited_for_whatever_their_order(client, world):
    client.light_up()
    fb = client.framebuffer()
    fences = [client.user_fence() for _ in range(3)]
    one, two, three = ((fence, 2) for fence in fences)
    client.commit(
        ASK,
        *client.plane("overlay0", fb),
        client.waits_for(one, two),
        client.waits_for(three, plane="overlay0"),
    )

    for fence in (fences[2], fences[0]):
        client.reach(fence, 2)
        assert client.parked()
    client.reach(fences[1], 1)
    assert client.parked()
    client.reach(fences[1], 2)

    assert not client.parked()


@pytest.mark.requirement("UR5")
def test_its_buffers_are_kept_though_their_handles_are_closed(client, world, parked):
    client.call(GemClose(parked.handle))
    parked.reach()
    world.run_ms(17)

    assert client.shown() == (parked.fb,)


@pytest.mark.requirement("UR5")
def test_it_holds_no_lock_and_nobody_sleeps_behind_it(client, world, parked):
    """As K15 wants it; a blocking commit with a dma_fence would stop every one of these."""
    client.call(ModeObjGetProperties(client.ids["crtc0"]))
    client.call(ModeGetPlane(client.ids["primary0"]))
    client.call(CrtcGetSequence(client.ids["crtc0"]))
    client.commit(Flag.TEST_ONLY, ("primary0", "FB_ID", parked.shown))
    other = client.output(1, client.framebuffer())
    client.commit(Flag.ALLOW_MODESET, *other)

    assert client.parked()
    world.check()


@pytest.mark.requirement("UR5")
def test_a_store_from_outside_is_seen_at_the_next_look(client, world, parked):
    reply = client.call(SyncobjMapUser(parked.fence, write=True))
    world.fds.append(reply.fd)
    with mmap.mmap(reply.fd, reply.size) as page:
        struct.pack_into("<Q", page, reply.byte_offset, 1)
    world.run_ms(1)
    assert not client.parked()
    world.run_ms(17)

    assert client.shown() == (parked.fb,)


@pytest.mark.requirement("UR5")
def test_a_producer_that_dies_holds_nobody(client, make_client, world):
    """Poison is a signal (Q4): the frame is shown, and the slot says what it is worth."""
    client.light_up()
    producer, fb = make_client(), client.framebuffer()
    theirs = producer.user_fence()
    fence = client.take(producer, theirs)
    client.commit(ASK, ("primary0", "FB_ID", fb), client.waits_for((fence, 1)))

    world.device.close(producer.file, world.now_ns)
    world.run_ms(17)

    assert client.shown() == (fb,)
    assert client.slot(fence)[1] == -EOWNERDEAD


@pytest.mark.requirement("Q17")
def test_an_async_flip_tears_at_its_promotion(client, world, park):
    client.light_up()
    fb, fence = client.framebuffer(), client.user_fence()
    client.commit(ASK | Flag.PAGE_FLIP_ASYNC, ("primary0", "FB_ID", fb), client.waits_for((fence, 1)))
    world.run_ms(5)
    assert client.parked()

    client.reach(fence)

    assert client.shown() == (fb,)
    assert len(client.events()) == 1
    with_point = (("primary0", "FB_ID", fb), client.owes(fence, 9))
    assert client.refused(ASK | Flag.PAGE_FLIP_ASYNC, *with_point) == EINVAL


@pytest.mark.requirement("Q12")
def test_the_coming_vblank_is_written_to_the_slot_as_a_hint(client, world):
    client.light_up()
    fb, fence = client.framebuffer(), client.user_fence()
    reply = client.call(SyncobjMapUser(fence))
    world.fds.append(reply.fd)
    client.commit(ASK, ("primary0", "FB_ID", fb), client.waits_for((fence, 1)))

    with mmap.mmap(reply.fd, reply.size, prot=mmap.PROT_READ) as page:
        (hint_ns,) = struct.unpack_from("<q", page, reply.byte_offset + 16)
    assert world.now_ns < hint_ns <= world.now_ns + 17 * MS


@pytest.mark.requirement("UR6")
@pytest.mark.parametrize("usage", list(Usage))
def test_moves_of_the_memory_are_waited_for_as_of_the_promotion(client, world, parked, usage):
    """A fence that came while the commit was parked. Only the kernel's own counts: the user fence was explicit."""
    fence = pending_fence(client, parked.handle, usage)

    parked.reach()
    world.run_ms(40)

    assert not client.parked()
    assert client.shown() == ((parked.shown,) if usage is Usage.KERNEL else (parked.fb,))
    fence.signal(world.now_ns)
    world.run_ms(20)
    assert client.shown() == (parked.fb,)


@pytest.mark.requirement("UR6")
def test_a_named_user_fence_takes_the_place_of_the_writers_of_the_buffer(client, world):
    client.light_up()
    fb, fence = client.framebuffer(), client.user_fence()
    writer = pending_fence(client, client.handle, Usage.WRITE)
    client.commit(ASK, ("primary0", "FB_ID", fb), client.waits_for((fence, 1)))

    client.reach(fence)
    world.run_ms(20)

    assert client.shown() == (fb,)
    writer.signal(world.now_ns)


@pytest.mark.requirement("UR6")
def test_who_writes_to_a_plane_without_fences_after_the_ioctl_holds_nothing(client, world):
    client.light_up()
    fb, written = client.framebuffer(), client.framebuffer()
    fence = client.user_fence()
    changes = (*client.plane("overlay0", written), ("primary0", "FB_ID", fb))
    client.commit(ASK, *changes, client.waits_for((fence, 1)))
    late = pending_fence(client, client.handle, Usage.WRITE)

    client.reach(fence)
    world.run_ms(20)

    assert len(client.events()) == 1
    late.signal(world.now_ns)


@pytest.mark.requirement("UR6")
def test_a_plane_without_fences_waits_for_those_who_wrote_before_the_ioctl(client, world):
    client.light_up()
    fb, written = client.framebuffer(), client.framebuffer()
    before = pending_fence(client, client.handle, Usage.WRITE)
    fence = client.user_fence()
    client.commit(
        ASK, *client.plane("overlay0", written), ("primary0", "FB_ID", fb), client.waits_for((fence, 1))
    )
    after = pending_fence(client, client.handle, Usage.WRITE)
    client.reach(fence)
    world.run_ms(40)
    assert client.events() == []

    before.signal(world.now_ns)
    world.run_ms(20)

    assert len(client.events()) == 1
    after.signal(world.now_ns)


def pending_fence(client, handle, usage):
    """A dma_fence in the buffer's reservation object, which only the test can signal."""
    fence = Fence(client.world.device.kernel.new_context(), 1, "test", "test")
    client.file.gems.get(handle).resv.add(fence, usage)
    return fence
