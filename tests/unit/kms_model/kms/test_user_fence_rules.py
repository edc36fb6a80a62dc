"""What a commit with user fences may ask for: decided by what it names, never by what has signalled (kernel.md 6.6)."""

from dataclasses import replace
from errno import EBUSY, EINVAL, ENOENT

import pytest

from syncline.kms_model.kms.mode import Output
from syncline.kms_model.profiles import SYNCLINE, CrtcLayout
from syncline.kms_model.trace import OutPointTrace
from syncline.kms_model.uapi import (
    AtomicFlag as Flag,
    DeviceError,
    FlipComplete,
    GemAttachUserFence,
    SyncobjCreate,
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


# -- UR1 to UR4 --------------------------------------------------------------------------------


@pytest.mark.requirement("UR1")
@pytest.mark.parametrize("signalled", [False, True])
@pytest.mark.parametrize("flags", [Flag.NONBLOCK, Flag.TEST_ONLY, 0])
def test_who_waits_for_user_space_is_promised_no_dma_fence(client, frame, signalled, flags):
    if signalled:
        client.reach(frame.fence)

    assert (
        client.refused(flags, frame.show, frame.user, ("crtc0", "OUT_FENCE_PTR", client.pointer())) == EINVAL
    )
    assert client.shown() == (frame.shown,)


@pytest.mark.requirement("UR1")
def test_nor_by_a_writeback_whose_pointer_would_even_be_ignored(make_lone_client):
    client = make_lone_client(writeback=True)
    frame = Frame(client)
    pointer = ("writeback0", "WRITEBACK_OUT_FENCE_PTR", client.pointer())
    client.commit(Flag.ALLOW_MODESET, ("writeback0", "CRTC_ID", client.ids["crtc0"]))
    target = ("writeback0", "WRITEBACK_FB_ID", client.framebuffer())

    assert client.refused(Flag.NONBLOCK, frame.show, frame.user, target, pointer) == EINVAL
    assert client.refused(Flag.NONBLOCK, frame.show, frame.user, pointer) == EINVAL
    client.commit(Flag.NONBLOCK, frame.show, frame.user, target)


@pytest.mark.requirement("UR1")
def test_a_null_pointer_asks_for_nothing_and_a_dma_in_fence_allows_a_dma_out_fence(client, world, frame):
    client.commit(Flag.NONBLOCK, frame.show, frame.user, ("crtc0", "OUT_FENCE_PTR", 0))
    client.reach(frame.fence)
    world.run_ms(20)
    timeline = client.timeline()
    fenced = ("primary0", "IN_FENCE_FD", client.fence(timeline))

    reply = client.commit(Flag.NONBLOCK, frame.show, fenced, ("crtc0", "OUT_FENCE_PTR", client.pointer()))

    assert client.status(reply.out_fences[0][1]) == 0
    client.signal(timeline)


@pytest.mark.requirement("UR2")
@pytest.mark.parametrize("first", ["dma", "user"])
@pytest.mark.parametrize("plane", ["primary0", "overlay0"])
def test_both_kinds_of_in_fence_hold_a_frame_on_one_plane_or_on_two(client, world, frame, first, plane):
    timeline = client.timeline()
    user = client.waits_for((frame.fence, 1), plane=plane)
    dma = ("primary0", "IN_FENCE_FD", client.fence(timeline))
    client.commit(ASK, frame.show, *client.plane("overlay0", frame.fb), dma, user)
    ends = {"dma": lambda: client.signal(timeline), "user": lambda: client.reach(frame.fence)}

    ends.pop(first)()
    world.run_ms(20)
    assert client.events() == []
    ends.popitem()[1]()
    world.run_ms(20)

    assert len(client.events()) == 1


@pytest.mark.requirement("UR3")
@pytest.mark.parametrize("owner", ["crtc0", "crtc1"])
def test_out_fences_of_both_kinds_are_refused_in_one_commit(client, owner):
    client.light_up(0, 1)
    both = (client.owes(client.user_fence(), 1), (owner, "OUT_FENCE_PTR", client.pointer()))

    assert client.refused(Flag.NONBLOCK, *both) == EINVAL
    assert client.refused(Flag.TEST_ONLY, *both) == EINVAL


@pytest.mark.requirement("UR3")
def test_a_user_out_fence_for_dma_in_fences_is_written_at_the_flip_with_its_time(client, world, frame):
    timeline = client.timeline()
    fenced = ("primary0", "IN_FENCE_FD", client.fence(timeline))
    client.commit(ASK, frame.show, fenced, client.owes(frame.fence, 7))
    world.run_ms(20)
    assert client.slot(frame.fence) == (0, 0)

    client.signal(timeline)
    assert client.slot(frame.fence) == (0, 0)
    world.run_ms(20)

    (event,) = client.events()
    (told,) = [each for each in world.trace if isinstance(each, OutPointTrace)]
    assert client.slot(frame.fence) == (7, 0)
    assert (told.t_ns, told.crtc_id, told.point) == (event.time_ns, event.crtc_id, 7)


@pytest.mark.requirement("UR3")
def test_turning_a_screen_off_pays_its_point_and_a_dark_one_owes_none(client, frame):
    client.commit(Flag.ALLOW_MODESET, *client.off(0), client.owes(frame.fence, 1))

    assert client.slot(frame.fence) == (1, 0)
    assert client.refused(0, client.owes(frame.fence, 2)) == EINVAL


@pytest.mark.requirement("UR4")
@pytest.mark.parametrize("ask", [True, False])
def test_an_event_is_no_fence_and_comes_if_asked_for(client, world, frame, ask):
    client.commit(ASK if ask else Flag.NONBLOCK, frame.show, frame.user, user_data=9)
    client.reach(frame.fence)
    world.run_ms(20)

    events = client.events()
    assert client.shown() == (frame.fb,)
    assert [type(event) for event in events] == [FlipComplete] * ask
    assert [event.user_data for event in events] == [9] * ask


# -- UR10, UR12, UR13, UR15 --------------------------------------------------------------------


@pytest.mark.requirement("UR10")
@pytest.mark.parametrize("flags", [Flag.NONBLOCK, Flag.TEST_ONLY, 0])
def test_a_modeset_does_not_wait_for_user_space(client, frame, flags):
    other_mode = client.output(0, client.framebuffer(640, 480), client.modes[1])

    assert client.refused(flags | Flag.ALLOW_MODESET, *other_mode, frame.user) == EINVAL
    client.commit(Flag.TEST_ONLY | Flag.ALLOW_MODESET, *other_mode)
    client.commit(Flag.TEST_ONLY | Flag.ALLOW_MODESET, frame.show, frame.user)


@pytest.mark.requirement("UR10")
def test_nor_do_two_screens_at_once(client):
    fb = client.light_up(0, 1)
    both = [("primary0", "FB_ID", fb), ("primary1", "FB_ID", fb)]
    user = client.waits_for((client.user_fence(), 1))

    assert client.refused(Flag.NONBLOCK, *both, user) == EINVAL
    client.commit(Flag.NONBLOCK, *both, client.owes(client.user_fence(), 1))


@pytest.mark.requirement("UR12")
@pytest.mark.parametrize("signalled", [False, True])
def test_a_test_looks_at_no_value_and_leaves_no_trace(client, world, frame, signalled):
    if signalled:
        client.reach(frame.fence, 5)
    told = len(world.trace)

    client.commit(Flag.TEST_ONLY, frame.show, frame.user, client.owes(frame.fence, 1))

    assert not client.parked()
    assert len(world.trace) == told
    assert client.slot(frame.fence) == (5 * signalled, 0)
    client.commit(Flag.NONBLOCK, frame.show, client.owes(frame.fence, 1))


@pytest.mark.requirement("UR12")
def test_a_test_is_against_what_is_committed_and_not_against_what_is_parked(client, frame):
    """The parked commit would give overlay0 a CRTC; until it does, a CRTC has to be named."""
    user = client.waits_for((frame.fence, 1))
    client.commit(Flag.NONBLOCK, frame.show, *client.plane("overlay0", frame.fb), user)
    on_overlay = ("overlay0", "FB_ID", frame.shown)

    assert client.refused(Flag.TEST_ONLY, on_overlay) == EINVAL
    client.commit(Flag.TEST_ONLY, *client.plane("overlay0", frame.shown))
    client.commit(Flag.TEST_ONLY | Flag.NONBLOCK, frame.show)
    assert client.parked()


@pytest.mark.requirement("UR13")
def test_the_points_that_commits_owe_to_one_slot_increase(client, world, frame):
    client.commit(0, frame.show, client.owes(frame.fence, 5))

    for flags in (Flag.NONBLOCK, Flag.TEST_ONLY, 0):
        for point in (4, 5):
            assert client.refused(flags, frame.show, client.owes(frame.fence, point)) == EINVAL
    client.commit(0, frame.show, client.owes(frame.fence, 6))
    client.commit(0, frame.show, client.owes(client.user_fence(), 1))
    assert client.slot(frame.fence) == (6, 0)


@pytest.mark.requirement("UR13")
def test_also_from_screen_to_screen_and_the_slot_rises_in_order_whoever_flips_first(make_lone_client):
    slow, fast = CrtcLayout(output=Output(refresh_mhz=30_000)), CrtcLayout(output=Output(refresh_mhz=144_000))
    client = make_lone_client(replace(SYNCLINE, crtcs=(slow, fast)))
    first, second = client.framebuffer(), client.framebuffer()
    client.commit(Flag.ALLOW_MODESET, *client.output(0, first, slow.output.mode))
    client.commit(Flag.ALLOW_MODESET, *client.output(1, second, fast.output.mode))
    fence = client.user_fence()
    flips = [("primary0", "FB_ID", second), ("primary1", "FB_ID", first)]

    assert (
        client.refused(Flag.NONBLOCK, *flips, client.owes(fence, 1), client.owes(fence, 1, "crtc1")) == EINVAL
    )
    client.commit(ASK, *flips, client.owes(fence, 1), client.owes(fence, 2, "crtc1"))
    client.world.run_ms(10)
    assert len(client.events()) == 1
    assert client.slot(fence) == (0, 0)
    client.world.run_ms(40)

    assert client.slot(fence) == (2, 0)


@pytest.mark.requirement("UR13")
def test_a_refused_commit_owes_nothing(client, world, frame):
    client.commit(ASK, frame.show)
    assert client.refused(ASK, frame.show, client.owes(frame.fence, 5)) == EBUSY
    world.run_ms(20)

    client.commit(0, frame.show, client.owes(frame.fence, 5))


@pytest.mark.requirement("UR13")
def test_who_was_overtaken_while_it_slept_is_refused_and_shows_nothing(client, world, frame):
    other = client.framebuffer()
    client.commit(Flag.ALLOW_MODESET, *client.output(1, other))
    timeline = client.timeline()
    fenced = ("primary0", "IN_FENCE_FD", client.fence(timeline))
    slow = client.start_commit(0, frame.show, fenced, client.owes(frame.fence, 5))
    client.commit(0, ("primary1", "FB_ID", other), client.owes(frame.fence, 6, "crtc1"))

    client.signal(timeline)

    with pytest.raises(DeviceError) as error:
        slow.result()
    assert error.value.errno == EINVAL
    world.run_ms(20)
    assert client.shown() == (frame.shown,)


@pytest.mark.requirement("UR15")
@pytest.mark.parametrize("flags", [Flag.NONBLOCK, Flag.TEST_ONLY, 0])
def test_a_dma_fence_of_a_buffer_with_an_implicit_user_fence_is_refused(client, frame, flags):
    client.call(GemAttachUserFence(client.handle, frame.fence, 1))
    out = ("crtc0", "OUT_FENCE_PTR", client.pointer())

    assert client.refused(flags, frame.show, out) == EINVAL
    client.reach(frame.fence)
    assert client.refused(flags, frame.show, out) == EINVAL
    client.call(GemAttachUserFence(client.handle, 0))
    client.commit(flags, frame.show, out)


@pytest.mark.requirement("UR15")
def test_who_names_the_fence_or_wants_no_dma_fence_may_show_it(client, world, frame):
    client.call(GemAttachUserFence(client.handle, frame.fence, 1))

    client.commit(Flag.NONBLOCK, frame.show, frame.user, client.owes(client.user_fence(), 1))
    client.reach(frame.fence)
    world.run_ms(20)
    client.commit(Flag.NONBLOCK, frame.show)


def test_attaching_needs_a_buffer_and_a_user_fence(client):
    client.light_up()
    dma = client.call(SyncobjCreate()).handle

    assert client.errno(GemAttachUserFence(99, client.user_fence(), 1)) == ENOENT
    assert client.errno(GemAttachUserFence(client.handle, 99, 1)) == ENOENT
    assert client.errno(GemAttachUserFence(client.handle, dma, 1)) == EINVAL
