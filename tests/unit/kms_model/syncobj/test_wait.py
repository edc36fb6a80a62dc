"""WAIT and TIMELINE_WAIT: snapshots, timeouts, signals, and what first_signaled says (kernel.md 2.7)."""

from errno import EINVAL, ETIME
from typing import Any

import pytest

from syncline.kms_model.fences.sync_file import fence_of
from syncline.kms_model.task import ERESTARTSYS
from syncline.kms_model.trace import WaitTrace
from syncline.kms_model.uapi import (
    CreateFlag,
    DeviceError,
    SwSyncGetDeadline,
    SyncobjDestroy,
    SyncobjFdToHandle,
    SyncobjHandleToFd,
    SyncobjReset,
    SyncobjSignal,
    SyncobjTimelineWait,
    SyncobjWait,
    WaitFlag,
)

FOREVER = (1 << 63) - 1
ALL_ONES = 0xFFFF_FFFF
ALL, FOR_SUBMIT, AVAILABLE, DEADLINE = (
    WaitFlag.ALL,
    WaitFlag.FOR_SUBMIT,
    WaitFlag.AVAILABLE,
    WaitFlag.DEADLINE,
)


def ended_with(pending: Any) -> int:
    """The errno of a call that is over, 0 for success."""
    assert pending.done
    try:
        pending.result()
    except DeviceError as refusal:
        return refusal.errno
    return 0


@pytest.mark.parametrize("timeout_ns", [0, -1, 5, 1 << 63, (1 << 64) - 1])
def test_a_timeout_in_the_past_polls_once(rig: Any, timeout_ns: int) -> None:
    pending, done = rig.create(), rig.create(flags=CreateFlag.SIGNALED)
    rig.put(pending, rig.fence(rig.timeline()))
    assert rig.errno(SyncobjWait((pending,), timeout_ns)) == ETIME
    assert rig.call(SyncobjWait((done,), timeout_ns)).first_signaled == 0


def test_a_wait_ends_at_its_absolute_deadline(rig: Any) -> None:
    handle = rig.create()
    rig.put(handle, rig.fence(rig.timeline()))
    wait = rig.start(SyncobjWait((handle,), rig.in_ms(20)))
    rig.after_ms(19)
    assert not wait.done
    rig.after_ms(1)
    assert ended_with(wait) == ETIME


def test_a_wait_ends_when_the_fence_signals(rig: Any) -> None:
    handle, timeline = rig.create(), rig.timeline()
    rig.put(handle, rig.fence(timeline))
    wait = rig.start(SyncobjWait((handle,), FOREVER))
    rig.inc(timeline)
    assert ended_with(wait) == 0


def test_waiting_for_a_point_waits_for_all_before_it(rig: Any) -> None:
    handle, one, two = rig.create(), rig.timeline(), rig.timeline()
    rig.put(handle, rig.fence(one), 1)
    rig.put(handle, rig.fence(two), 2)
    wait = rig.start(SyncobjTimelineWait((handle,), (2,), FOREVER))
    rig.inc(two)
    assert not wait.done
    rig.inc(one)
    assert ended_with(wait) == 0


def test_any_is_over_with_the_first_and_names_it(rig: Any) -> None:
    a, b, timeline = rig.create(), rig.create(), rig.timeline()
    rig.put(a, rig.fence(rig.timeline()))
    rig.put(b, rig.fence(timeline))
    wait = rig.start(SyncobjWait((a, b), FOREVER))
    rig.inc(timeline)
    assert wait.result().first_signaled == 1


def test_all_without_sleeping_names_the_first_and_after_sleeping_nothing(rig: Any) -> None:
    a, b, timeline = rig.create(flags=1), rig.create(flags=1), rig.timeline()
    assert rig.call(SyncobjWait((a, b), 0, ALL)).first_signaled == 0
    rig.put(a, rig.fence(timeline))
    rig.put(b, rig.fence(timeline, 2))
    wait = rig.start(SyncobjWait((a, b), FOREVER, ALL))
    rig.inc(timeline, 2)
    assert wait.result().first_signaled == ALL_ONES


def test_all_waits_for_the_last(rig: Any) -> None:
    a, b, timeline = rig.create(), rig.create(), rig.timeline()
    rig.put(a, rig.fence(timeline, 1))
    rig.put(b, rig.fence(timeline, 2))
    wait = rig.start(SyncobjWait((a, b), FOREVER, ALL))
    rig.inc(timeline)
    assert not wait.done
    rig.inc(timeline)
    assert ended_with(wait) == 0


def test_one_empty_entry_fails_a_wait_for_any_that_another_would_satisfy(rig: Any) -> None:
    empty, done = rig.create(), rig.create(flags=CreateFlag.SIGNALED)
    assert rig.errno(SyncobjWait((done, empty), FOREVER)) == EINVAL
    assert rig.call(SyncobjWait((empty, done), FOREVER, FOR_SUBMIT)).first_signaled == 1


@pytest.mark.parametrize("change", ["replace", "reset", "signal", "destroy"])
def test_a_waiter_that_has_its_fence_does_not_care_what_becomes_of_the_syncobj(rig: Any, change: str) -> None:
    handle, timeline = rig.create(), rig.timeline()
    rig.put(handle, rig.fence(timeline))
    wait = rig.start(SyncobjWait((handle,), FOREVER))
    if change == "replace":
        rig.put(handle, rig.fence(rig.timeline()))
    elif change == "reset":
        rig.call(SyncobjReset((handle,)))
    elif change == "signal":
        rig.call(SyncobjSignal((handle,)))
    else:
        rig.call(SyncobjDestroy(handle))
    assert not wait.done
    rig.inc(timeline)
    assert ended_with(wait) == 0


def test_for_submit_sleeps_until_there_is_a_fence_and_then_until_it_signals(rig: Any) -> None:
    handle, timeline = rig.create(), rig.timeline()
    wait = rig.start(SyncobjWait((handle,), FOREVER, FOR_SUBMIT))
    rig.put(handle, rig.fence(timeline))
    assert not wait.done
    rig.inc(timeline)
    assert ended_with(wait) == 0


def test_for_submit_keeps_the_first_fence_that_appeared(rig: Any) -> None:
    handle, first = rig.create(), rig.timeline()
    wait = rig.start(SyncobjWait((handle,), FOREVER, FOR_SUBMIT))
    rig.put(handle, rig.fence(first))
    rig.call(SyncobjSignal((handle,)))
    assert not wait.done
    rig.inc(first)
    assert ended_with(wait) == 0


def test_for_submit_of_a_point_is_satisfied_by_a_higher_one_and_not_by_a_binary_signal(rig: Any) -> None:
    handle = rig.create()
    wait = rig.start(SyncobjTimelineWait((handle,), (3,), FOREVER, FOR_SUBMIT))
    rig.call(SyncobjSignal((handle,)))
    assert not wait.done
    rig.signal(handle, 8)
    assert ended_with(wait) == 0


def test_another_handle_can_wake_a_waiter_whose_own_was_destroyed(rig: Any) -> None:
    handle = rig.create()
    other = rig.call(SyncobjFdToHandle(rig.call(SyncobjHandleToFd(handle)).fd)).handle
    wait = rig.start(SyncobjWait((handle,), FOREVER, FOR_SUBMIT))
    rig.call(SyncobjDestroy(handle))
    assert not wait.done
    rig.call(SyncobjSignal((other,)))
    assert ended_with(wait) == 0


def test_available_is_satisfied_by_a_pending_fence_and_implies_for_submit(rig: Any) -> None:
    handle, timeline = rig.create(), rig.timeline()
    wait = rig.start(SyncobjTimelineWait((handle,), (1,), FOREVER, AVAILABLE))
    assert not wait.done
    rig.put(handle, rig.fence(timeline), 1)
    assert wait.result().first_signaled == 0
    assert rig.poll_point(handle, 1, AVAILABLE) == 0
    assert rig.poll_point(handle, 1) == ETIME


def test_a_fence_that_ends_in_error_counts_as_signalled(rig: Any) -> None:
    handle, timeline = rig.create(), rig.timeline()
    rig.put(handle, rig.fence(timeline))
    wait = rig.start(SyncobjWait((handle,), FOREVER))
    rig.close_fd(timeline)
    assert ended_with(wait) == 0


def test_a_signal_ends_the_wait_and_a_second_call_waits_on(rig: Any) -> None:
    handle, timeline = rig.create(), rig.timeline()
    rig.put(handle, rig.fence(timeline))
    request = SyncobjWait((handle,), rig.in_ms(30))
    wait = rig.start(request)
    rig.after_ms(10)
    wait.interrupt()
    assert ended_with(wait) == ERESTARTSYS
    again = rig.start(request)
    rig.after_ms(20)
    assert ended_with(again) == ETIME


def test_an_interrupted_wait_leaves_nothing_behind(rig: Any) -> None:
    handle, timeline = rig.create(), rig.timeline()
    rig.put(handle, rig.fence(timeline))
    for request in (
        SyncobjWait((handle,), FOREVER),
        SyncobjTimelineWait((handle,), (9,), FOREVER, FOR_SUBMIT),
    ):
        rig.start(request).interrupt()
    assert not rig.file.syncobjs.get(handle)._watchers
    rig.signal(handle, 9)
    rig.inc(timeline)
    assert rig.device.next_deadline_ns() is None


def test_a_wait_that_is_over_is_forgotten_by_its_fence(rig: Any) -> None:
    handle, sync_file = rig.create(), rig.fence(rig.timeline())
    rig.put(handle, sync_file)
    fence = fence_of(rig.kernel.descriptors, sync_file)
    assert fence is not None
    before = dict(fence._callbacks or {})

    wait = rig.start(SyncobjWait((handle,), rig.in_ms(20)))
    assert len(fence._callbacks or {}) == len(before) + 1
    rig.after_ms(20)
    assert ended_with(wait) == ETIME
    assert (fence._callbacks or {}) == before


def test_a_deadline_reaches_the_fences_that_are_there_and_the_earliest_wins(rig: Any) -> None:
    handle, timeline = rig.create(), rig.timeline()
    one, two = rig.fence(timeline, 1), rig.fence(timeline, 2)
    rig.put(handle, one, 1)
    rig.put(handle, two, 2)
    for deadline_ns in (500, 300, 400):
        rig.errno(SyncobjTimelineWait((handle,), (2,), 0, DEADLINE, deadline_ns))
    assert rig.call(SwSyncGetDeadline(timeline, one)).deadline_ns == 300
    assert rig.call(SwSyncGetDeadline(timeline, two)).deadline_ns == 300


def test_waiters_wake_in_the_order_in_which_they_came(rig: Any) -> None:
    handle, timeline, order = rig.create(), rig.timeline(), []
    rig.put(handle, rig.fence(timeline))
    for name in "abc":
        rig.start(SyncobjWait((handle,), FOREVER)).add_done_callback(lambda _, name=name: order.append(name))
    rig.inc(timeline)
    assert order == ["a", "b", "c"]


def test_a_wait_is_traced_with_its_length(rig: Any) -> None:
    handle, timeline = rig.create(), rig.timeline()
    rig.put(handle, rig.fence(timeline))
    rig.start(SyncobjWait((handle,), FOREVER))
    rig.after_ms(7)
    rig.inc(timeline)
    waits = [(event.end, event.waited_ns) for event in rig.events if isinstance(event, WaitTrace)]
    assert waits == [(False, 0), (True, 7_000_000)]
