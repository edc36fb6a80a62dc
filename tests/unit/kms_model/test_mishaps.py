"""What goes wrong because somebody asked: how it is written, whom it meets, and by which door."""

import os
from collections.abc import Callable
from errno import EBUSY, ECANCELED, EINVAL, EIO, EMFILE, ENODEV, ENOENT, ETIME
from typing import Any

import pytest

from syncline.kms_model.checker import Checker, Severity
from syncline.kms_model.checker.watch import close_books
from syncline.kms_model.device import Device
from syncline.kms_model.faults import NoFault, parse
from syncline.kms_model.uapi import (
    DEBUG_NODE,
    ClearFaults,
    CreateDumb,
    DeviceError,
    GetCap,
    Hotplug,
    InjectFault,
    ModeGetConnector,
    ModeGetResources,
    Submit,
    SyncobjCreate,
    SyncobjEventfd,
    Wedged,
)

MS = 1_000_000


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "say NAME[=VALUE][:WHEN[:COUNT]]"),
        ("lost wake", "say NAME[=VALUE][:WHEN[:COUNT]]"),
        ("no-such", "no such fault; a call like ModeAtomic, or memory, lost-wake"),
        ("ModeAtomic=EWHAT", "EWHAT is no errno"),
        ("ModeAtomic=errorcode", "errorcode is no errno"),
        ("lost-wake=3", "lost-wake takes no value"),
        ("slow-job=soon", "soon is neither an occasion nor a time like 250ms or 2s"),
        ("lost-wake:0", "0 is neither an occasion nor a time like 250ms or 2s"),
        ("lost-wake:2:0", "at least once"),
        ("gpu-reset:3", "3 is neither an occasion nor a time like 250ms or 2s"),
        ("memory:1:2:3", "say NAME[=VALUE][:WHEN[:COUNT]]"),
    ],
)
def test_what_names_no_fault_is_refused_in_one_sentence(text: str, why: str) -> None:
    with pytest.raises(NoFault) as refusal:
        parse(text)
    assert why in str(refusal.value)
    assert "\n" not in str(refusal.value)


def test_a_call_fails_on_the_occasions_that_were_asked_for(rig: Any) -> None:
    rig.device.inject(parse("SyncobjCreate=EMFILE:2:2"))
    outcomes = []
    for _ in range(5):
        try:
            outcomes.append(rig.create() > 0)
        except DeviceError as refusal:
            outcomes.append(refusal.errno)
    assert outcomes == [True, EMFILE, EMFILE, True, True]


def test_a_fault_may_begin_later_and_last_for_ever(rig: Any) -> None:
    rig.device.inject(parse("SyncobjCreate:250ms:*"))
    rig.create()
    rig.after_ms(250)
    assert [rig.errno(SyncobjCreate()) for _ in range(100)] == [EIO] * 100


def test_only_the_master_of_the_display_is_hurt(rig: Any) -> None:
    other = rig.device.open("card")
    rig.device.inject(parse("SyncobjCreate=EBUSY"))
    assert rig.call(SyncobjCreate(), other).handle == 1
    assert rig.errno(SyncobjCreate()) == EBUSY


def test_a_lost_wake_is_registered_and_never_comes(rig: Any) -> None:
    handle, lost, heard = rig.create(), rig.eventfd(), rig.eventfd()
    rig.device.inject(parse("lost-wake"))
    for fd in (lost, heard):
        rig.call(SyncobjEventfd(handle, 1, fd))
    rig.signal(handle, 1)
    assert [rig.readable(fd) for fd in (lost, heard)] == [False, True]


def test_a_spurious_wake_comes_before_the_point_and_the_real_one_after_it(rig: Any) -> None:
    handle, fd = rig.create(), rig.eventfd()
    rig.device.inject(parse("spurious-wake"))
    rig.call(SyncobjEventfd(handle, 1, fd))
    assert os.eventfd_read(fd) == 1
    rig.signal(handle, 1)
    assert os.eventfd_read(fd) == 1


def submit(rig: Any, ms: float = 1) -> int:
    """The out-fence of a job without pixels."""
    target = rig.call(CreateDumb(width=1, height=1))
    job = Submit(
        target=target.handle, target_size=(1, 1), pitch=target.pitch, commands=(),
        duration_ns=round(ms * MS), out_fence=True,
    )  # fmt: skip
    fence = rig.call(job).out_fence
    rig._fds.append(fence)
    return fence


def test_a_job_fails_or_takes_its_time(rig: Any) -> None:
    rig.device.inject(parse("failed-job=ENOENT"))
    failed = submit(rig)
    rig.after_ms(2)
    assert rig.status(failed) == -ENOENT

    rig.device.inject(parse("slow-job=30ms"))
    slow = submit(rig)
    rig.after_ms(30)
    assert rig.status(slow) == 0
    rig.after_ms(2)
    assert rig.status(slow) == 1


def test_a_reset_loses_what_the_engine_has_begun_and_nothing_else(rig: Any) -> None:
    begun, queued = submit(rig, 10), submit(rig, 10)
    rig.after_ms(3)
    rig.device.inject(parse("gpu-reset"))
    assert [rig.status(fence) for fence in (begun, queued)] == [-ECANCELED, 0]
    assert rig.file.read_events() == [Wedged()]
    rig.after_ms(10)
    assert rig.status(queued) == 1
    idle = submit(rig)
    rig.after_ms(1)
    rig.device.inject(parse("gpu-reset"))
    assert rig.status(idle) == 1


def test_several_resets_come_at_an_interval(rig: Any) -> None:
    rig.device.inject(parse("gpu-reset:100ms:3"))
    rig.after_ms(299)
    assert rig.file.read_events() == [Wedged()] * 2
    rig.after_ms(1000)
    assert rig.file.read_events() == [Wedged()]


def test_a_newer_fault_takes_the_place_of_one_of_the_same_name(rig: Any) -> None:
    rig.device.inject(parse("gpu-reset:100ms"))
    rig.device.inject(parse("gpu-reset:200ms"))
    rig.after_ms(150)
    assert rig.file.read_events() == []
    rig.after_ms(100)
    assert rig.file.read_events() == [Wedged()]


def connectors(rig: Any) -> dict[str, bool]:
    found = (rig.call(ModeGetConnector(id)) for id in rig.call(ModeGetResources()).connectors)
    return {each.name: each.connected for each in found if not each.writeback}


def test_a_pulled_cable_is_told_and_so_is_one_put_in(rig: Any) -> None:
    rig.device.inject(parse("output-removed=Virtual-1"))
    assert connectors(rig) == {"Virtual-1": False, "Virtual-2": True}
    rig.device.inject(parse("output-removed"))
    assert connectors(rig) == {"Virtual-1": False, "Virtual-2": False}
    rig.device.inject(parse("output-added=Virtual-1"))
    assert connectors(rig) == {"Virtual-1": True, "Virtual-2": False}
    assert rig.file.read_events() == [Hotplug()] * 3
    with pytest.raises(DeviceError, match="no output DP-1, of Virtual-1, Virtual-2"):
        rig.device.inject(parse("output-removed=DP-1"))


def test_an_unplugged_device_says_so_once_and_then_nothing_else(rig: Any) -> None:
    rig.device.inject(parse("unplug"))
    assert rig.file.read_events() == [Hotplug()]
    assert rig.errno(GetCap(0)) == ENODEV


# -- the debug node ----------------------------------------------------------------------------------


def test_there_is_no_debug_node_unless_the_device_was_made_with_one() -> None:
    with pytest.raises(DeviceError) as refusal:
        Device().open(DEBUG_NODE)
    assert refusal.value.errno == ENODEV


def test_the_debug_node_injects_and_clears_and_does_nothing_else(
    make_rig: Callable[..., Any],
) -> None:
    rig = make_rig(allows_faults=True)
    debug = rig.device.open(DEBUG_NODE)
    rig.call(InjectFault("SyncobjCreate:1:*"), debug)
    rig.call(InjectFault("gpu-reset:1s"), debug)
    assert rig.errno(SyncobjCreate()) == EIO
    rig.call(ClearFaults(), debug)
    rig.after_ms(2000)
    assert rig.create() == 1
    assert rig.file.read_events() == []
    assert rig.errno(InjectFault("nothing"), debug) == EINVAL
    assert rig.errno(SyncobjCreate(), debug) == EINVAL
    assert rig.errno(InjectFault("memory")) == EINVAL, "a card has no such call"


# -- under the checker -------------------------------------------------------------------------------


@pytest.mark.requirement("K7", "K11", "K24")
def test_a_fence_that_ends_badly_still_keeps_the_contract(rig: Any) -> None:
    """Error before signal, once, at an instant that has come; nobody is left waiting and nothing unsignalled."""
    checker = Checker(rig.kernel)
    rig.device.inject(parse("failed-job=ETIME"))
    rig.device.inject(parse("gpu-reset:4ms:3"))
    fences = [submit(rig, ms) for ms in (2, 5, 5, 1)]
    watches = [rig.eventfd() for _ in fences]
    for fence, watch in zip(fences, watches, strict=True):
        handle = rig.create()
        rig.put(handle, fence)
        rig.call(SyncobjEventfd(handle, 0, watch))
    rig.after_ms(40)

    assert [rig.status(fence) for fence in fences] == [-ETIME, -ECANCELED, -ECANCELED, 1]
    assert all(rig.readable(watch) for watch in watches)
    rig.device.close(rig.file, rig.now_ns)
    close_books(checker, rig.kernel, (rig.device,), alone=False)
    assert [rule for rule, severity in checker.ledger.verdict() if severity is Severity.ERROR] == []
