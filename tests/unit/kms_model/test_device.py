"""The device: capabilities, masters, events, and what closing a file lets go of."""

import contextlib
import gc
import os
from errno import EACCES, EBUSY, EINVAL, ENODEV, ENOMEM, EOPNOTSUPP
from typing import Any

import pytest

from syncline.kms_model.device import Device
from syncline.kms_model.kernel import Kernel
from syncline.kms_model.profiles import SYNCLINE, VGEM, VIRTIO_GPU, VKMS, profile
from syncline.kms_model.task import ERESTARTSYS
from syncline.kms_model.uapi import (
    Cap,
    ClientCap,
    DeviceError,
    DropMaster,
    Fd,
    FlipComplete,
    GetCap,
    SetClientCap,
    SetMaster,
    SwSyncInc,
    SyncobjEventfd,
    SyncobjFdToHandle,
    SyncobjHandleToFd,
    SyncobjTimelineWait,
    SyncobjWait,
    WaitFlag,
)

FOREVER = (1 << 63) - 1
EVENT = FlipComplete(1, 1, 1, 1)


@pytest.mark.parametrize(
    ("driver", "answers"),
    [
        (
            VIRTIO_GPU,
            {Cap.SYNCOBJ: 1, Cap.SYNCOBJ_TIMELINE: 1, Cap.ATOMIC_ASYNC_PAGE_FLIP: 0, Cap.CURSOR_WIDTH: 64},
        ),
        (VKMS, {Cap.SYNCOBJ: 0, Cap.SYNCOBJ_TIMELINE: 0, Cap.ADDFB2_MODIFIERS: 1, Cap.CURSOR_WIDTH: 512}),
        (VGEM, {Cap.PRIME: 3, Cap.TIMESTAMP_MONOTONIC: 1, Cap.SYNCOBJ: 0}),
    ],
    ids=lambda value: getattr(value, "name", ""),
)
def test_capabilities_are_the_drivers(make_rig: Any, driver: Any, answers: dict[int, int]) -> None:
    rig = make_rig(driver)
    assert {cap: rig.call(GetCap(cap)).value for cap in answers} == answers


def test_an_unknown_capability_is_invalid_and_any_that_is_not_for_every_driver_unsupported_without_a_display(
    make_rig: Any,
) -> None:
    assert make_rig().errno(GetCap(0x77)) == EINVAL
    rig = make_rig(VGEM)
    assert rig.errno(GetCap(Cap.CRTC_IN_VBLANK_EVENT)) == EOPNOTSUPP
    assert rig.errno(GetCap(0x77)) == EOPNOTSUPP


def test_client_capabilities_want_mode_setting_a_known_number_and_a_card(make_rig: Any) -> None:
    assert make_rig(VGEM).errno(SetClientCap(ClientCap.ATOMIC)) == EOPNOTSUPP
    rig = make_rig()
    assert rig.errno(SetClientCap(99)) == EINVAL
    assert rig.errno(SetClientCap(ClientCap.ATOMIC, 3)) == EINVAL
    assert rig.errno(SetClientCap(ClientCap.WRITEBACK_CONNECTORS)) == EINVAL
    assert rig.errno(SetClientCap(ClientCap.ATOMIC), rig.device.open("render")) == EACCES


def test_the_hotspot_is_of_virtual_drivers_and_wants_atomic(make_rig: Any) -> None:
    hotspot = SetClientCap(ClientCap.CURSOR_PLANE_HOTSPOT)
    assert make_rig().errno(hotspot) == EOPNOTSUPP
    rig = make_rig(VIRTIO_GPU)
    assert rig.errno(hotspot) == EINVAL
    rig.call(SetClientCap(ClientCap.ATOMIC))
    rig.call(hotspot)


def test_color_pipelines_came_after_6_12_and_want_atomic(make_rig: Any) -> None:
    pipeline = SetClientCap(ClientCap.PLANE_COLOR_PIPELINE)
    rig, old = make_rig(VIRTIO_GPU), make_rig(profile("virtio_gpu", "6.12"))
    assert rig.errno(pipeline) == EINVAL
    for each in (rig, old):
        each.call(SetClientCap(ClientCap.ATOMIC))
    rig.call(pipeline)
    assert rig.errno(SetClientCap(ClientCap.PLANE_COLOR_PIPELINE, 2)) == EINVAL
    assert old.errno(pipeline) == EINVAL


def test_atomic_brings_universal_planes(rig: Any) -> None:
    rig.call(SetClientCap(ClientCap.ATOMIC))
    assert rig.file.has_cap(ClientCap.UNIVERSAL_PLANES)
    rig.call(SetClientCap(ClientCap.WRITEBACK_CONNECTORS))


def test_there_is_one_master_and_the_first_card_open_is_it(rig: Any) -> None:
    second, render = rig.device.open(), rig.device.open("render")
    assert (rig.file.is_master, second.is_master, render.is_master) == (True, False, False)
    assert rig.errno(SetMaster(), second) == EACCES
    assert rig.errno(DropMaster(), second) == EACCES
    assert rig.errno(SetMaster(), render) == EACCES


def test_mastership_passes_when_it_is_dropped_or_its_file_closed(rig: Any) -> None:
    rig.call(DropMaster())
    assert rig.errno(DropMaster()) == EINVAL
    second = rig.device.open()
    assert second.is_master
    assert rig.errno(SetMaster()) == EBUSY
    rig.device.close(second, rig.now_ns)
    rig.call(SetMaster())
    assert rig.file.is_master


def test_a_node_that_the_driver_does_not_have_cannot_be_opened() -> None:
    with pytest.raises(DeviceError) as refusal:
        Device(VKMS).open("render")
    assert refusal.value.errno == ENODEV


def test_events_are_read_in_order_and_make_room(rig: Any) -> None:
    told = []
    rig.file.on_readable = lambda: told.append(len(told))
    for sequence in range(128):
        rig.file.reserve_event()
        rig.file.send_event(FlipComplete(0, 1, sequence, 1))
    with pytest.raises(DeviceError) as refusal:
        rig.file.reserve_event()
    assert refusal.value.errno == ENOMEM
    assert [event.sequence for event in rig.file.read_events(2)] == [0, 1]
    rig.file.reserve_event()
    rig.file.cancel_event()
    assert len(rig.file.read_events()) == 126
    assert told == [0]


def test_a_closed_file_loses_its_events(rig: Any) -> None:
    other = rig.device.open()
    other.reserve_event()
    rig.device.close(other, rig.now_ns)
    other.send_event(EVENT)
    assert not other.has_events


def test_a_dying_process_ends_its_own_waits_only(rig: Any) -> None:
    other, handle = rig.device.open(), rig.create()
    shared = rig.call(SyncobjFdToHandle(rig.call(SyncobjHandleToFd(handle)).fd), other).handle
    mine = rig.start(SyncobjWait((handle,), FOREVER, WaitFlag.FOR_SUBMIT))
    theirs = rig.start(SyncobjWait((shared,), FOREVER, WaitFlag.FOR_SUBMIT), other)
    rig.device.close(other, rig.now_ns)
    with pytest.raises(DeviceError) as end:
        theirs.result()
    assert end.value.errno == ERESTARTSYS
    assert not mine.done


def test_closing_a_descriptor_lets_a_wait_in_another_thread_finish_first(rig: Any) -> None:
    other = rig.device.open()
    handle = rig.create()
    fd = rig.call(SyncobjHandleToFd(handle)).fd
    shared = rig.call(SyncobjFdToHandle(fd), other).handle
    wait = rig.start(SyncobjWait((shared,), FOREVER, WaitFlag.FOR_SUBMIT), other)
    closing = rig.device.close(other, rig.now_ns, interrupt=False)
    assert (wait.done, closing.done) == (False, False)
    rig.signal(handle, 1)
    assert (wait.done, closing.done) == (True, True)
    assert wait.result().first_signaled == 0
    assert other not in rig.device.files


def test_a_caller_gets_what_interrupts_bring_about_and_does_not_wait_for_whom_it_wakes(rig: Any) -> None:
    """A timeline passes the signal of its fence on by irq work: eventfds ring before the call that signalled is over."""
    timeline, point, wait = rig.timeline(), rig.create(), SyncobjTimelineWait((1,), (5,), FOREVER)
    rig.put(point, rig.fence(timeline), 5)
    bell = os.eventfd(0, os.EFD_NONBLOCK)
    rig.call(SyncobjEventfd(point, 5, Fd(bell)))
    sleeper = rig.start(wait)

    answer = rig.device.enter(rig.file, SwSyncInc(timeline), rig.now_ns)

    assert answer.done
    assert os.eventfd_read(bell) == 1
    assert not sleeper.done
    rig.device.settle()
    assert sleeper.done
    os.close(bell)


def test_two_devices_of_one_kernel_know_each_others_descriptors() -> None:
    kernel = Kernel()
    one, two = Device(VIRTIO_GPU, kernel=kernel), Device(SYNCLINE, kernel=kernel)
    assert one.kernel is two.kernel
    assert one.kernel.new_context() != two.kernel.new_context()


def test_profiles_are_of_recorded_kernels() -> None:
    assert profile("vkms", "6.12").kernel == "6.12"
    with pytest.raises(KeyError):
        profile("vkms-rig2", "6.12")


def test_a_wait_leaves_nothing_for_the_cycle_collector(rig: Any) -> None:
    """Its fences would keep buffers for as long."""
    timeline, syncobj = rig.timeline(), rig.create()
    rig.put(syncobj, rig.fence(timeline, 1), 5)
    gc.collect()
    gc.disable()
    try:
        sleeper = rig.start(SyncobjTimelineWait((syncobj,), (5,), FOREVER))
        rig.call(SyncobjTimelineWait((syncobj,), (5,), 0, WaitFlag.AVAILABLE))
        rig.inc(timeline)
        assert sleeper.done
        del sleeper
        assert gc.collect() == 0
    finally:
        gc.enable()


def test_a_refused_call_leaves_nothing_for_the_cycle_collector(rig: Any) -> None:
    gc.collect()
    gc.disable()
    try:
        for _ in range(3):
            with contextlib.suppress(DeviceError):
                rig.start(GetCap(0x77)).result()
        assert gc.collect() == 0
    finally:
        gc.enable()
