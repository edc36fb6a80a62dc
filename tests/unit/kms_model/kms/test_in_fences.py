"""What a commit waits for, and who notices (kernel.md 3.3 steps 5, 6 and 8)."""

import os
from dataclasses import replace
from errno import EBUSY, EINVAL, ENOENT

import pytest

from syncline.kms_model.kms.mode import Output
from syncline.kms_model.profiles import SYNCLINE, CrtcLayout, profile
from syncline.kms_model.quirks import REPAIRED
from syncline.kms_model.trace import WaitTrace, Warn
from syncline.kms_model.uapi import (
    AtomicFlag as Flag,
    DeviceError,
    DmaBufExportSyncFile,
    DmaBufImportSyncFile,
    DmaBufSyncFlag,
    ModeCreateBlob,
    ModePageFlip,
    SwSyncGetDeadline,
    encode_mode,
)

ASK = Flag.NONBLOCK | Flag.PAGE_FLIP_EVENT


def close(world, fd):
    world.fds.remove(fd)
    os.close(fd)
    world.device.collect(world.now_ns)


@pytest.mark.requirement("F38")
def test_a_pending_in_fence_delays_the_flip_and_not_the_ioctl(client, world):
    shown = client.light_up()
    fb = client.framebuffer()
    timeline = client.timeline()

    reply = client.commit(
        ASK,
        ("primary0", "FB_ID", fb),
        ("primary0", "IN_FENCE_FD", client.fence(timeline)),
        ("crtc0", "OUT_FENCE_PTR", client.pointer()),
    )
    world.run_ms(100)
    view = world.device.kms.view()[0]
    assert client.read("primary0", "FB_ID") == fb
    assert (client.shown(), view.pending, view.waiting.fb_ids) == ((shown,), None, (fb,))
    assert client.events() == []
    assert world.device.next_deadline_ns() is None

    client.signal(timeline)
    view = world.device.kms.view()[0]
    assert (client.shown(), view.pending.fb_ids, view.waiting) == ((shown,), (fb,), None)
    world.run_ms(17)
    assert client.shown() == (fb,)
    assert len(client.events()) == 1
    assert client.status(reply.out_fences[0][1]) == 1


def test_the_wait_is_told_with_its_length(client, world):
    fb = client.light_up()
    timeline = client.timeline()
    client.commit(ASK, ("primary0", "FB_ID", fb), ("primary0", "IN_FENCE_FD", client.fence(timeline)))
    world.run_ms(25)
    client.signal(timeline)

    begin, end = (each for each in world.trace if isinstance(each, WaitTrace))

    assert (begin.reason, begin.end) == ("in-fence", False)
    assert (end.end, end.waited_ns) == (True, 25_000_000)


def test_the_descriptor_may_be_closed_right_after_the_commit(client, world):
    fb = client.light_up()
    timeline = client.timeline()
    fence = client.fence(timeline)
    client.commit(ASK, ("primary0", "FB_ID", fb), ("primary0", "IN_FENCE_FD", fence))

    close(world, fence)
    world.run_ms(50)
    assert client.events() == []
    client.signal(timeline)
    world.run_ms(17)

    assert len(client.events()) == 1


def test_a_fence_that_ends_in_error_flips_all_the_same_and_passes_nothing_on(client, world):
    fb = client.light_up()
    timeline = client.timeline()
    fence = client.fence(timeline)
    reply = client.commit(
        ASK,
        ("primary0", "FB_ID", fb),
        ("primary0", "IN_FENCE_FD", fence),
        ("crtc0", "OUT_FENCE_PTR", client.pointer()),
    )

    close(world, timeline)
    world.run_ms(17)

    assert client.status(fence) == -ENOENT
    assert client.status(reply.out_fences[0][1]) == 1


def test_one_fence_per_plane_and_minus_one_takes_none_back(client, world):
    fb = client.light_up()
    timeline = client.timeline()
    fence = ("primary0", "IN_FENCE_FD", client.fence(timeline))
    none = ("primary0", "IN_FENCE_FD", -1)
    client.signal(timeline)

    assert client.refused(0, ("primary0", "FB_ID", fb), fence, fence) == EINVAL
    assert client.refused(0, fence, none) == EINVAL
    client.commit(0, none, fence)
    client.commit(0, none, none)


def test_only_a_sync_file_is_an_in_fence(client, world):
    fb = client.light_up()
    timeline = client.timeline()
    dma_buf = client.dma_buf(client.handle)

    for fd in (timeline, dma_buf):
        assert client.refused(Flag.TEST_ONLY, ("primary0", "IN_FENCE_FD", fd)) == EINVAL
        assert client.refused(0, ("primary0", "FB_ID", fb), ("primary0", "IN_FENCE_FD", fd)) == EINVAL


def test_the_whole_commit_waits_for_every_plane(client, world):
    shown = client.light_up()
    fb, cursor = client.framebuffer(), client.framebuffer(64, 64)
    first, second = client.timeline(), client.timeline()
    client.commit(
        ASK,
        ("primary0", "FB_ID", fb),
        ("primary0", "IN_FENCE_FD", client.fence(first)),
        *client.plane("cursor0", cursor, size=(64, 64)),
        ("cursor0", "IN_FENCE_FD", client.fence(second)),
    )

    client.signal(second)
    world.run_ms(40)
    assert client.shown() == (shown,)
    client.signal(first)
    world.run_ms(17)

    assert client.shown() == (fb, cursor)


@pytest.mark.requirement("H8")
def test_a_fence_that_never_comes_wedges_the_crtc_for_ever(client, world):
    fb = client.light_up()
    client.commit(
        ASK, ("primary0", "FB_ID", fb), ("primary0", "IN_FENCE_FD", client.fence(client.timeline()))
    )
    world.run_ms(3_600_000)

    assert client.refused(ASK, ("primary0", "FB_ID", fb)) == EBUSY
    blocking = client.start_commit(0, ("primary0", "FB_ID", fb))
    world.run_ms(3_600_000)
    assert not blocking.done


def deadline_of(client, timeline, fence):
    return client.call(SwSyncGetDeadline(timeline, fence)).deadline_ns


def test_the_coming_vblank_is_the_deadline_of_the_fence(client, world):
    fb = client.light_up()
    timeline = client.timeline()
    fence = client.fence(timeline)
    vblank_ns = world.device.kms.display.crtcs[0].vblank.next_ns()

    client.commit(ASK, ("primary0", "FB_ID", fb), ("primary0", "IN_FENCE_FD", fence))

    assert deadline_of(client, timeline, fence) == vblank_ns


def test_with_variable_refresh_the_deadline_is_that_of_the_nominal_one(client, world):
    """drm_crtc_next_vblank_start adds one frame of the mode to the last vblank, whatever VRR makes of it."""
    fb = client.light_up()
    client.commit(0, ("crtc0", "VRR_ENABLED", 1))
    timeline = client.timeline()
    fence = client.fence(timeline)
    _, last_ns = world.device.kms.display.crtcs[0].vblank.last()

    client.commit(ASK, ("primary0", "FB_ID", fb), ("primary0", "IN_FENCE_FD", fence))

    assert abs(deadline_of(client, timeline, fence) - last_ns - client.mode.refresh_ns) <= 1


def test_a_modeset_gives_no_deadline(client, world):
    fb = client.framebuffer()
    timeline = client.timeline()
    fence = client.fence(timeline)

    client.commit(ASK | Flag.ALLOW_MODESET, *client.output(0, fb), ("primary0", "IN_FENCE_FD", fence))

    with pytest.raises(DeviceError) as error:
        deadline_of(client, timeline, fence)
    assert error.value.errno == ENOENT


def test_a_change_of_mode_gives_no_deadline_either(client, world):
    client.light_up()
    small = client.call(ModeCreateBlob(encode_mode(client.modes[1]))).blob_id
    timeline = client.timeline()
    fence = client.fence(timeline)

    client.commit(ASK | Flag.ALLOW_MODESET, ("crtc0", "MODE_ID", small), ("primary0", "IN_FENCE_FD", fence))

    with pytest.raises(DeviceError) as error:
        deadline_of(client, timeline, fence)
    assert error.value.errno == ENOENT


def test_the_earliest_screen_of_a_commit_sets_the_deadline(make_lone_client):
    outputs = Output("Slow", 320, 200, 24_000), Output("Fast", 320, 200, 125_000)
    client = make_lone_client(replace(SYNCLINE, crtcs=tuple(CrtcLayout(output=output) for output in outputs)))
    fb = client.framebuffer()
    changes = [change for at in (0, 1) for change in client.output(at, fb, outputs[at].mode)]
    client.commit(Flag.ALLOW_MODESET, *changes)
    timeline = client.timeline()
    fence = client.fence(timeline)
    fast_ns = client.world.device.kms.display.crtcs[1].vblank.next_ns()

    client.commit(
        ASK, ("primary0", "FB_ID", fb), ("primary1", "FB_ID", fb), ("primary0", "IN_FENCE_FD", fence)
    )

    assert deadline_of(client, timeline, fence) == fast_ns


def test_a_nonblock_modeset_with_a_pending_fence_lights_up_when_it_signals(client, world):
    fb = client.framebuffer()
    timeline = client.timeline()
    client.commit(
        ASK | Flag.ALLOW_MODESET, *client.output(0, fb), ("primary0", "IN_FENCE_FD", client.fence(timeline))
    )
    world.run_ms(30)
    assert client.read("crtc0", "ACTIVE") == 1
    assert client.shown() is None

    client.signal(timeline)
    world.run_ms(17)

    assert client.shown() == (fb,)
    assert len(client.events()) == 1


# -- implicit fences ---------------------------------------------------------------------------


class Painter:
    """Attaches pending fences to the buffer behind the newest framebuffer of the client."""

    def __init__(self, client):
        self.client = client
        self.fb = client.framebuffer()
        self.buffer = client.dma_buf(client.handle)

    def attach(self, flags):
        timeline = self.client.timeline()
        fence = self.client.fence(timeline)
        self.client.call(DmaBufImportSyncFile(self.buffer, int(flags), fence))
        return timeline


def is_held(client, world):
    world.run_ms(50)
    return client.events() == []


def test_a_writer_of_the_buffer_holds_the_flip(client, world):
    client.light_up()
    painter = Painter(client)
    writers = [painter.attach(DmaBufSyncFlag.WRITE) for _ in range(2)]
    client.commit(ASK, ("primary0", "FB_ID", painter.fb))

    assert is_held(client, world)
    client.signal(writers[1])
    assert is_held(client, world)
    client.signal(writers[0])
    assert not is_held(client, world)


@pytest.mark.parametrize("minus_one", [False, True])
def test_minus_one_does_not_switch_implicit_sync_off(client, world, minus_one):
    client.light_up()
    painter = Painter(client)
    writer = painter.attach(DmaBufSyncFlag.WRITE)
    no_fence = [("primary0", "IN_FENCE_FD", -1)] if minus_one else []
    client.commit(ASK, ("primary0", "FB_ID", painter.fb), *no_fence)

    assert is_held(client, world)
    client.signal(writer)
    assert not is_held(client, world)


def test_an_explicit_fence_takes_the_place_of_the_implicit_ones(client, world):
    client.light_up()
    painter = Painter(client)
    painter.attach(DmaBufSyncFlag.WRITE)
    explicit = client.timeline()
    client.commit(ASK, ("primary0", "FB_ID", painter.fb), ("primary0", "IN_FENCE_FD", client.fence(explicit)))

    assert is_held(client, world)
    client.signal(explicit)
    assert not is_held(client, world)


def test_readers_and_late_writers_hold_nothing(client, world):
    client.light_up()
    painter = Painter(client)
    painter.attach(DmaBufSyncFlag.READ)
    client.commit(ASK, ("primary0", "FB_ID", painter.fb))
    painter.attach(DmaBufSyncFlag.WRITE)

    assert not is_held(client, world)


def test_a_legacy_flip_waits_for_the_writer_too(client, world):
    client.light_up()
    painter = Painter(client)
    writer = painter.attach(DmaBufSyncFlag.WRITE)
    client.call(ModePageFlip(client.ids["crtc0"], painter.fb, int(Flag.PAGE_FLIP_EVENT)))

    assert is_held(client, world)
    client.signal(writer)
    assert not is_held(client, world)


def test_a_commit_publishes_nothing_in_the_buffer(client, world):
    client.light_up()
    painter = Painter(client)
    client.commit(ASK, ("primary0", "FB_ID", painter.fb), ("crtc0", "OUT_FENCE_PTR", client.pointer()))

    exported = client.call(DmaBufExportSyncFile(painter.buffer, int(DmaBufSyncFlag.WRITE))).fd
    world.fds.append(exported)

    assert client.status(exported) == 1


@pytest.mark.parametrize(("driver", "held"), [("vkms", True), ("virtio_gpu", False)])
def test_a_crtc_only_commit_waits_for_the_shown_buffer_where_the_driver_adds_all_planes(
    make_lone_client, driver, held
):
    client = make_lone_client(profile(driver))
    painter = Painter(client)
    client.commit(Flag.ALLOW_MODESET, *client.output(0, painter.fb))
    painter.attach(DmaBufSyncFlag.WRITE)

    client.commit(ASK, ("crtc0", "ACTIVE", 1))

    assert is_held(client, client.world) is held


def test_a_modeset_waits_for_the_writers_of_every_plane_it_keeps(client, world):
    painter = Painter(client)
    client.commit(Flag.ALLOW_MODESET, *client.output(0, painter.fb))
    client.commit(Flag.ALLOW_MODESET, ("crtc0", "ACTIVE", 0))
    writer = painter.attach(DmaBufSyncFlag.WRITE)
    client.commit(ASK | Flag.ALLOW_MODESET, ("crtc0", "ACTIVE", 1))

    assert is_held(client, world)
    client.signal(writer)
    assert not is_held(client, world)


def test_the_virtio_gpu_of_6_12_knows_no_implicit_fences(make_lone_client):
    client = make_lone_client(profile("virtio_gpu", "6.12"))
    client.light_up()
    painter = Painter(client)
    painter.attach(DmaBufSyncFlag.WRITE)

    client.commit(ASK, ("primary0", "FB_ID", painter.fb))

    assert len(client.events()) == 1


# -- H3 ----------------------------------------------------------------------------------------


@pytest.mark.requirement("H3")
def test_a_fence_on_a_plane_without_framebuffer_is_accepted_with_a_warning(client, world):
    client.light_up()
    timeline = client.timeline()
    fence = client.fence(timeline)
    client.commit(Flag.TEST_ONLY, ("overlay0", "IN_FENCE_FD", fence))
    assert not any(isinstance(each, Warn) for each in world.trace)

    pending = client.start_commit(0, ("overlay0", "IN_FENCE_FD", fence))
    assert not pending.done
    client.signal(timeline)
    world.run_until_done(pending)

    assert [each.rule for each in world.trace if isinstance(each, Warn)] == ["H3"]


@pytest.mark.requirement("H3")
def test_a_repaired_kernel_forgets_the_fence_of_a_plane_without_framebuffer(make_lone_client):
    client = make_lone_client(quirks=REPAIRED)
    client.light_up()
    fence = client.fence(client.timeline())

    client.commit(0, ("overlay0", "IN_FENCE_FD", fence))

    assert not any(isinstance(each, Warn) for each in client.world.trace)


def test_a_fence_on_a_plane_of_an_inactive_crtc_is_waited_for(client, world):
    fb = client.light_up()
    other = client.framebuffer()
    client.commit(Flag.ALLOW_MODESET, ("crtc0", "ACTIVE", 0))
    timeline = client.timeline()

    client.commit(
        Flag.NONBLOCK, ("primary0", "FB_ID", other), ("primary0", "IN_FENCE_FD", client.fence(timeline))
    )
    assert client.read("primary0", "FB_ID") == other
    blocking = client.start_commit(0, ("primary0", "FB_ID", fb))
    assert not blocking.done
    client.signal(timeline)

    assert blocking.done
    assert client.read("primary0", "FB_ID") == fb
    assert client.shown() is None
