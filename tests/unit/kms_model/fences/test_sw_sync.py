"""sw_sync timelines (kernel.md 2.4)."""

from errno import EBADF, EINVAL, ENOENT, ENOTTY
from typing import Any

import pytest

from syncline.kms_model.trace import FenceSignalled
from syncline.kms_model.uapi import (
    CreateFlag,
    Fd,
    HandleFlag,
    SwSyncCreateFence,
    SwSyncGetDeadline,
    SwSyncInc,
    SyncFileInfo,
    SyncFileMerge,
    SyncFileSetDeadline,
    SyncobjHandleToFd,
)


def test_a_fence_signals_when_the_counter_reaches_it(rig: Any) -> None:
    timeline = rig.timeline()
    fences = [rig.fence(timeline, value) for value in (3, 1, 2)]
    rig.inc(timeline, 2)
    assert [rig.readable(fence) for fence in fences] == [False, True, True]


def test_a_fence_behind_the_counter_is_signalled(rig: Any) -> None:
    timeline = rig.timeline()
    rig.inc(timeline, 5)
    assert rig.status(rig.fence(timeline, 5)) == 1
    assert rig.status(rig.fence(timeline, 6)) == 0


def test_equal_pending_values_share_one_fence(rig: Any) -> None:
    timeline = rig.timeline()
    one, two = rig.fence(timeline, 4), rig.fence(timeline, 4)
    assert rig.call(SyncFileInfo(rig.call(SyncFileMerge(one, two)).fd)).num_fences == 1
    assert rig.call(SyncFileInfo(one)).name == rig.call(SyncFileInfo(two)).name


def test_a_value_that_nobody_holds_any_more_gets_a_new_fence(rig: Any) -> None:
    timeline = rig.timeline()
    rig.close_fd(rig.fence(timeline, 4))
    assert rig.status(rig.fence(timeline, 4)) == 0


def test_the_counter_wraps_at_32_bits(rig: Any) -> None:
    timeline = rig.timeline()
    rig.inc(timeline, 0xFFFF_FFFE)
    wrapped = rig.fence(timeline, 1)
    assert rig.status(wrapped) == 0
    rig.inc(timeline, 3)
    assert rig.status(wrapped) == 1


def test_a_large_step_signals_everything_on_the_way(rig: Any) -> None:
    timeline = rig.timeline()
    fences = [rig.fence(timeline, value) for value in (1, 0x7FFF_FFFF)]
    rig.inc(timeline, 0xFFFF_FFFF)
    assert all(rig.readable(fence) for fence in fences)


def test_closing_the_timeline_ends_what_is_pending_with_enoent(rig: Any) -> None:
    timeline = rig.timeline()
    early, late = rig.fence(timeline, 1), rig.fence(timeline, 2)
    rig.inc(timeline)
    rig.close_fd(timeline)
    assert (rig.status(early), rig.status(late)) == (1, -ENOENT)


def test_a_fence_of_a_closed_timeline_is_traced_with_its_error(rig: Any) -> None:
    timeline = rig.timeline()
    kept = rig.fence(timeline)
    rig.close_fd(timeline)
    ended = [event for event in rig.events if isinstance(event, FenceSignalled)]
    assert [(event.driver, event.error) for event in ended] == [("sw_sync", -ENOENT)]
    assert rig.readable(kept)


@pytest.mark.parametrize(
    "request_", [SwSyncInc(Fd(0)), SwSyncCreateFence(Fd(0), 1), SwSyncGetDeadline(Fd(0), Fd(0))]
)
def test_the_calls_want_a_timeline(rig: Any, request_: Any) -> None:
    assert rig.errno(request_) == ENOTTY
    assert rig.errno(type(request_)(Fd(-1), *([1] if not isinstance(request_, SwSyncInc) else []))) == EBADF


def test_a_deadline_is_told_and_the_earliest_wins(rig: Any) -> None:
    timeline = rig.timeline()
    fence = rig.fence(timeline)
    assert rig.errno(SwSyncGetDeadline(timeline, fence)) == ENOENT
    for deadline_ns in (90, 40, 60):
        rig.call(SyncFileSetDeadline(fence, deadline_ns))
    assert rig.call(SwSyncGetDeadline(timeline, fence)).deadline_ns == 40


def test_a_deadline_is_of_sw_sync_fences_only(rig: Any) -> None:
    timeline = rig.timeline()
    foreign = rig.call(SyncobjHandleToFd(rig.create(flags=CreateFlag.SIGNALED), HandleFlag.SYNC_FILE)).fd
    assert rig.errno(SwSyncGetDeadline(timeline, foreign)) == EINVAL
    assert rig.errno(SwSyncGetDeadline(timeline, Fd(-1))) == EINVAL


@pytest.mark.requirement("kernel.md 2.4")
@pytest.mark.parametrize("used", [{"deadline_ns": 1}, {"pad": 1}])
def test_the_question_for_a_deadline_carries_none(rig: Any, used: dict[str, int]) -> None:
    timeline = rig.timeline()
    assert rig.errno(SwSyncGetDeadline(timeline, rig.fence(timeline), **used)) == EINVAL


def test_a_deadline_after_the_signal_is_ignored(rig: Any) -> None:
    timeline = rig.timeline()
    fence = rig.fence(timeline)
    rig.inc(timeline)
    rig.call(SyncFileSetDeadline(fence, 40))
    assert rig.errno(SwSyncGetDeadline(timeline, fence)) == ENOENT
