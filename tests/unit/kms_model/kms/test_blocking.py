"""Blocking commits, and everybody they block (kernel.md 3.4)."""

from dataclasses import replace

import pytest

from syncline.kms_model.kms.mode import Output
from syncline.kms_model.profiles import SYNCLINE, CrtcLayout, profile
from syncline.kms_model.task import ERESTARTSYS
from syncline.kms_model.trace import Warn
from syncline.kms_model.uapi import (
    AtomicFlag as Flag,
    CrtcGetSequence,
    DeviceError,
    ModeCreateBlob,
    ModeGetConnector,
    ModeGetPlane,
    ModeObjGetProperties,
    ModePageFlip,
    ModeRmFb,
    WaitVblank,
    encode_mode,
)

ASK = Flag.NONBLOCK | Flag.PAGE_FLIP_EVENT


class Stalled:
    """A blocking commit asleep on its in-fence, holding the locks of primary0 and crtc0."""

    def __init__(self, client, *extra, flags=0):
        self.client = client
        self.shown = client.light_up()
        self.fb = client.framebuffer()
        self.timeline = client.timeline()
        self.pending = client.start_commit(
            flags,
            *extra,
            ("primary0", "FB_ID", self.fb),
            ("primary0", "IN_FENCE_FD", client.fence(self.timeline)),
        )
        client.world.run_ms(100)
        assert not self.pending.done

    def signal(self):
        self.client.signal(self.timeline)


def test_a_blocking_commit_sleeps_until_its_fence_signals_and_its_frame_is_shown(client, world):
    stalled = Stalled(client)
    assert client.shown() == (stalled.shown,)

    stalled.signal()
    assert not stalled.pending.done
    world.run_until_done(stalled.pending)

    assert client.shown() == (stalled.fb,)


def test_who_needs_its_locks_sleeps_too_and_who_needs_none_does_not(client, world):
    stalled = Stalled(client)
    other = client.framebuffer()
    free = {
        "empty": client.start_commit(0),
        "other crtc": client.start_commit(Flag.TEST_ONLY, ("crtc1", "VRR_ENABLED", 1)),
        "connector": client.start(ModeGetConnector(client.ids["conn0"])),
        "other plane": client.start(ModeGetPlane(client.ids["primary1"])),
    }
    assert all(call.done for call in free.values())
    blocked = {
        "properties": client.start(ModeObjGetProperties(client.ids["crtc0"])),
        "properties of anything": client.start(ModeObjGetProperties(client.ids["crtc1"])),
        "sequence": client.start(CrtcGetSequence(client.ids["crtc0"])),
        "plane": client.start(ModeGetPlane(client.ids["primary0"])),
        "test": client.start_commit(Flag.TEST_ONLY, ("primary0", "FB_ID", other)),
        "nonblock": client.start_commit(Flag.NONBLOCK, ("primary0", "FB_ID", other)),
    }
    assert not any(call.done for call in blocked.values())

    stalled.signal()
    world.run_ms(1)
    assert not any(call.done for call in blocked.values())
    for name in blocked.keys() - {"nonblock"}:
        world.run_until_done(blocked[name])
    world.run_ms(100)

    assert all(call.done for call in blocked.values())
    assert client.read("primary0", "FB_ID") == other


def test_a_property_reader_asleep_holds_the_connectors_too(client, world):
    stalled = Stalled(client)
    client.start(ModeObjGetProperties(client.ids["primary1"]))

    connector = client.start(ModeGetConnector(client.ids["conn1"]))

    assert not connector.done
    stalled.signal()
    world.run_until_done(connector)


def test_a_signal_ends_a_blocking_commit_with_nothing_changed(client, world):
    pointer = client.pointer()
    stalled = Stalled(client, ("crtc0", "OUT_FENCE_PTR", pointer), flags=Flag.PAGE_FLIP_EVENT)

    stalled.pending.interrupt()

    with pytest.raises(DeviceError) as error:
        stalled.pending.result()
    assert (error.value.errno, error.value.writes) == (ERESTARTSYS, ((pointer, -1),))
    assert client.read("primary0", "FB_ID") == stalled.shown
    world.run_ms(50)
    assert client.events() == []
    assert world.device.kms.display.states == []
    client.commit(0, ("primary0", "FB_ID", stalled.fb))


def test_a_signal_ends_the_wait_for_a_lock_but_not_a_property_read(client, world):
    stalled = Stalled(client)
    test = client.start_commit(Flag.TEST_ONLY, ("primary0", "FB_ID", stalled.fb))
    read = client.start(ModeObjGetProperties(client.ids["primary0"]))

    test.interrupt()
    read.interrupt()

    with pytest.raises(DeviceError) as error:
        test.result()
    assert error.value.errno == ERESTARTSYS
    assert not read.done
    stalled.signal()
    world.run_until_done(read)


def test_a_nonblock_commit_holds_no_locks_while_it_waits(client, world):
    client.light_up()
    fb = client.framebuffer()
    client.commit(
        ASK, ("primary0", "FB_ID", fb), ("primary0", "IN_FENCE_FD", client.fence(client.timeline()))
    )
    world.run_ms(50)

    assert client.read("primary0", "FB_ID") == fb
    client.commit(Flag.TEST_ONLY, ("primary0", "FB_ID", fb))


def test_a_blocking_commit_waits_for_the_one_before_and_the_events_come_in_order(client, world):
    client.light_up()
    first, second = client.framebuffer(), client.framebuffer()
    timeline = client.timeline()
    client.commit(
        ASK,
        ("primary0", "FB_ID", first),
        ("primary0", "IN_FENCE_FD", client.fence(timeline)),
        user_data=1,
    )
    blocking = client.start_commit(Flag.PAGE_FLIP_EVENT, ("primary0", "FB_ID", second), user_data=2)
    world.run_ms(100)
    assert not blocking.done

    client.signal(timeline)
    world.run_until_done(blocking)

    one, two = client.events()
    assert (one.user_data, two.user_data) == (1, 2)
    assert two.sequence == one.sequence + 1


def test_a_signal_ends_the_wait_for_the_commit_before(client, world):
    client.light_up()
    first, second = client.framebuffer(), client.framebuffer()
    timeline = client.timeline()
    client.commit(ASK, ("primary0", "FB_ID", first), ("primary0", "IN_FENCE_FD", client.fence(timeline)))
    blocking = client.start_commit(Flag.PAGE_FLIP_EVENT, ("primary0", "FB_ID", second))

    blocking.interrupt()
    assert blocking.done
    client.signal(timeline)
    world.run_ms(50)

    assert client.read("primary0", "FB_ID") == first
    assert len(client.events()) == 1


def test_a_legacy_flip_sleeps_for_the_lock_and_a_signal_wakes_it(client, world):
    stalled = Stalled(client)

    flip = client.start(ModePageFlip(client.ids["crtc0"], stalled.fb))
    assert not flip.done
    flip.interrupt()

    with pytest.raises(DeviceError) as error:
        flip.result()
    assert error.value.errno == ERESTARTSYS


def test_a_throttled_commit_gives_up_after_ten_seconds_and_says_so(client, world):
    client.light_up()
    crtc = world.device.kms.display.crtcs[0]
    fb = client.framebuffer()
    timeline = client.timeline()
    fence = client.fence(timeline)
    client.commit(ASK, ("primary0", "FB_ID", fb), ("primary0", "IN_FENCE_FD", fence))
    crtc.commits.append(crtc.commits[0])

    blocking = client.start_commit(0, ("primary0", "FB_ID", fb))
    world.run_ms(9_999)
    assert not any(isinstance(each, Warn) for each in world.trace)
    world.run_ms(2)

    assert [each.rule for each in world.trace if isinstance(each, Warn)] == ["cleanup_done"]
    crtc.commits.pop()
    blocking.interrupt()
    client.signal(timeline)
    world.run_ms(50)


def test_commits_that_name_their_objects_crosswise_both_get_through(client, world):
    client.light_up(0, 1)
    fb = client.framebuffer()
    timeline = client.timeline()
    holder = client.start_commit(
        0, ("primary0", "FB_ID", fb), ("primary0", "IN_FENCE_FD", client.fence(timeline))
    )
    one = client.start_commit(0, ("primary1", "FB_ID", fb), ("primary0", "FB_ID", fb))
    two = client.start_commit(0, ("primary0", "FB_ID", fb), ("primary1", "FB_ID", fb))
    assert not one.done
    assert not two.done

    client.signal(timeline)
    for call in (holder, one, two):
        world.run_until_done(call)

    assert (client.shown("crtc0"), client.shown("crtc1")) == ((fb,), (fb,))


def test_a_commit_that_backs_off_after_it_reserved_its_event_reserves_it_once(client, world):
    client.light_up(0, 1)
    crtc = client.ids["crtc1"]
    for _ in range(127):
        client.call(WaitVblank(crtc, client.call(CrtcGetSequence(crtc)).sequence, event=True))
    small = client.call(ModeCreateBlob(encode_mode(client.modes[1]))).blob_id
    timeline = client.timeline()
    holder = client.start_commit(
        0, ("primary0", "FB_ID", client.framebuffer()), ("primary0", "IN_FENCE_FD", client.fence(timeline))
    )
    reader = client.start(ModeObjGetProperties(crtc))
    modeset = client.start_commit(
        Flag.ALLOW_MODESET | Flag.PAGE_FLIP_EVENT, ("crtc1", "MODE_ID", small), user_data=1
    )
    assert not modeset.done

    client.signal(timeline)
    for call in (holder, reader, modeset):
        world.run_until_done(call)

    assert len(client.events()) == 128


def test_the_cleanup_of_the_one_before_the_last_is_waited_for_and_no_longer(make_lone_client):
    client = make_lone_client(profile("virtio_gpu"))
    world = client.world
    fb = client.framebuffer()
    client.commit(ASK | Flag.ALLOW_MODESET, *client.output(0, fb))
    client.commit(ASK, ("primary0", "FB_ID", fb))
    start_ns = world.now_ns

    client.commit(0, ("primary0", "FB_ID", fb))

    assert not any(isinstance(each, Warn) for each in world.trace)
    assert world.now_ns - start_ns < 50_000_000


@pytest.mark.parametrize("whole", ["reader", "removal"])
def test_who_wants_every_lock_gives_way_to_an_older_commit(client, world, whole):
    """The old commit holds crtc0 and wants the connectors; the young one holds those and wants crtc0."""
    fb = client.light_up(0, 1)
    shown = client.framebuffer()
    client.commit(0, ("primary1", "FB_ID", shown))
    small = client.call(ModeCreateBlob(encode_mode(client.modes[1]))).blob_id
    timeline = client.timeline()
    holder = client.start_commit(
        0, ("primary1", "FB_ID", fb), ("primary1", "IN_FENCE_FD", client.fence(timeline))
    )
    old = client.start_commit(Flag.ALLOW_MODESET, ("crtc0", "VRR_ENABLED", 1), ("crtc1", "MODE_ID", small))
    young = client.start(ModeObjGetProperties(client.ids["crtc0"]) if whole == "reader" else ModeRmFb(shown))
    assert not any(call.done for call in (holder, old, young))

    client.signal(timeline)
    for call in (holder, old, young):
        world.run_until_done(call)

    assert client.read("crtc0", "VRR_ENABLED") == 1


def test_a_frame_longer_than_ten_seconds_is_reported_and_not_waited_for(make_lone_client):
    slow = CrtcLayout(output=Output(refresh_mhz=50))
    client = make_lone_client(replace(SYNCLINE, crtcs=(slow,)))
    fb = client.framebuffer()
    start_ns = client.world.now_ns

    client.commit(Flag.ALLOW_MODESET, *client.output(0, fb))

    assert [each.rule for each in client.world.trace if isinstance(each, Warn)] == ["flip_done"]
    assert client.world.now_ns == start_ns + 10_000_000_000
    client.commit(0, ("primary0", "FB_ID", fb))
    client.world.run_ms(50_000)
