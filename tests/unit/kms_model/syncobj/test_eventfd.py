"""SYNCOBJ_EVENTFD: one increment per registration, and what becomes of the ones that never fire (kernel.md 2.7)."""

import gc
import os
import select
from errno import EBADF, EINVAL
from pathlib import Path
from typing import Any

import pytest

from syncline.kms_model.uapi import (
    CreateFlag,
    Fd,
    SyncobjDestroy,
    SyncobjEventfd,
    SyncobjHandleToFd,
    SyncobjReset,
    SyncobjSignal,
    WaitFlag,
)

AVAILABLE = WaitFlag.AVAILABLE


def test_a_reached_point_fires_at_once_and_once(rig: Any) -> None:
    handle, event = rig.create(), rig.eventfd()
    rig.signal(handle, 5)
    rig.call(SyncobjEventfd(handle, 3, event))
    assert rig.count(event) == 1
    rig.signal(handle, 6)
    assert rig.count(event) == 0


def test_registrations_add_up(rig: Any) -> None:
    handle, event = rig.create(), rig.eventfd()
    for point in (1, 1, 2):
        rig.call(SyncobjEventfd(handle, point, event))
    rig.signal(handle, 2)
    assert rig.count(event) == 3


def test_it_waits_for_submission_and_then_for_the_signal(rig: Any) -> None:
    handle, event, timeline = rig.create(), rig.eventfd(), rig.timeline()
    rig.call(SyncobjEventfd(handle, 1, event))
    rig.put(handle, rig.fence(timeline), 1)
    assert rig.count(event) == 0
    rig.inc(timeline)
    assert rig.count(event) == 1


def test_available_fires_at_submission(rig: Any) -> None:
    handle, event = rig.create(), rig.eventfd()
    rig.call(SyncobjEventfd(handle, 1, event, AVAILABLE))
    rig.put(handle, rig.fence(rig.timeline()), 1)
    assert rig.count(event) == 1


def test_point_0_of_an_empty_syncobj_waits_for_the_first_fence(rig: Any) -> None:
    handle, event = rig.create(), rig.eventfd()
    rig.call(SyncobjEventfd(handle, 0, event))
    assert rig.count(event) == 0
    rig.call(SyncobjSignal((handle,)))
    assert rig.count(event) == 1


def test_a_point_on_a_binary_syncobj_waits_for_a_timeline(rig: Any) -> None:
    handle, event = rig.create(flags=CreateFlag.SIGNALED), rig.eventfd()
    rig.call(SyncobjEventfd(handle, 1, event))
    rig.call(SyncobjSignal((handle,)))
    assert rig.count(event) == 0
    rig.signal(handle, 1)
    assert rig.count(event) == 1


@pytest.mark.parametrize("verb", [SyncobjReset, SyncobjSignal])
def test_what_has_its_fence_fires_with_that_fence(rig: Any, verb: Any) -> None:
    handle, event, timeline = rig.create(), rig.eventfd(), rig.timeline()
    rig.put(handle, rig.fence(timeline))
    rig.call(SyncobjEventfd(handle, 0, event))
    rig.call(verb((handle,)))
    assert rig.count(event) == 0
    rig.inc(timeline)
    assert rig.count(event) == 1


@pytest.mark.requirement("K11")
def test_what_has_its_fence_survives_the_syncobj(rig: Any) -> None:
    handle, event, timeline = rig.create(), rig.eventfd(), rig.timeline()
    rig.put(handle, rig.fence(timeline))
    rig.call(SyncobjEventfd(handle, 0, event))
    rig.call(SyncobjDestroy(handle))
    rig.inc(timeline)
    assert rig.count(event) == 1


def test_what_waits_for_a_fence_keeps_it_alive_when_nobody_else_does(rig: Any) -> None:
    handle, event, timeline = rig.create(), rig.eventfd(), rig.timeline()
    fence = rig.fence(timeline)
    rig.put(handle, fence, 1)
    rig.call(SyncobjEventfd(handle, 1, event))
    rig.call(SyncobjDestroy(handle))
    rig.close_fd(fence)
    gc.collect()
    rig.inc(timeline)
    assert rig.count(event) == 1


def test_what_has_none_is_dropped_with_the_last_reference(rig: Any) -> None:
    handle, event = rig.create(), rig.eventfd()
    before = open_descriptors()
    rig.call(SyncobjEventfd(handle, 1, event))
    assert open_descriptors() == before + 1
    rig.call(SyncobjDestroy(handle))
    assert open_descriptors() == before
    assert rig.count(event) == 0


def test_what_has_none_lives_while_a_descriptor_of_the_syncobj_does(rig: Any) -> None:
    handle, event, before = rig.create(), rig.eventfd(), open_descriptors()
    fd = rig.call(SyncobjHandleToFd(handle)).fd
    rig.call(SyncobjEventfd(handle, 1, event))
    rig.device.close(rig.file, rig.now_ns)
    assert open_descriptors() > before + 1
    rig.close_fd(fd)
    assert open_descriptors() <= before + 2  # the two by which the machine hears of closed descriptors


def test_reset_leaves_a_registration_without_a_fence_alone(rig: Any) -> None:
    handle, event = rig.create(), rig.eventfd()
    rig.call(SyncobjEventfd(handle, 1, event))
    rig.call(SyncobjReset((handle,)))
    rig.signal(handle, 1)
    assert rig.count(event) == 1


def test_an_error_fires(rig: Any) -> None:
    handle, event, timeline = rig.create(), rig.eventfd(), rig.timeline()
    rig.put(handle, rig.fence(timeline))
    rig.call(SyncobjEventfd(handle, 0, event))
    rig.close_fd(timeline)
    assert rig.count(event) == 1


def test_the_callers_eventfd_may_be_closed_meanwhile(rig: Any) -> None:
    handle, event = rig.create(), rig.eventfd()
    kept = os.dup(event)
    rig.call(SyncobjEventfd(handle, 1, event))
    rig.close_fd(event)
    rig.signal(handle, 1)
    assert os.eventfd_read(kept) == 1
    os.close(kept)


@pytest.mark.parametrize("flags", [0, os.EFD_NONBLOCK], ids=["blocking", "non-blocking"])
@pytest.mark.parametrize("is_due", [False, True], ids=["later", "at once"])
def test_a_full_eventfd_does_not_stop_the_machine(rig: Any, flags: int, is_due: bool) -> None:
    handle, full = rig.create(), os.eventfd(0, os.EFD_CLOEXEC | flags)
    os.eventfd_write(full, (1 << 64) - 2)
    if is_due:
        rig.signal(handle, 1)
    rig.call(SyncobjEventfd(handle, 1, Fd(full)))
    if not is_due:
        rig.signal(handle, 1)
    assert os.eventfd_read(full) == (1 << 64) - 2
    os.close(full)


def test_what_is_no_eventfd_is_told_from_what_is_no_descriptor(rig: Any) -> None:
    """eventfd_ctx_fdget. An epoll is an anonymous inode, too: the same one."""
    handle, gone, other, epoll = rig.create(), rig.eventfd(), rig.timeline(), select.epoll()
    rig.close_fd(gone)
    assert rig.errno(SyncobjEventfd(handle, 1, gone)) == EBADF
    assert rig.errno(SyncobjEventfd(handle, 1, Fd(-1))) == EBADF
    assert rig.errno(SyncobjEventfd(handle, 1, other)) == EINVAL
    assert rig.errno(SyncobjEventfd(handle, 1, Fd(epoll.fileno()))) == EINVAL
    epoll.close()


def open_descriptors() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))
