"""sync_file: MERGE, FILE_INFO, SET_DEADLINE and poll (kernel.md 2.3)."""

import contextlib
import os
import select
from errno import EBADF, EINVAL, ENOENT, ENOTTY
from typing import Any

import pytest
from hypothesis import given, strategies as st

from syncline.kms_model.device import Device
from syncline.kms_model.fences.sync_file import SyncFile
from syncline.kms_model.profiles import profile
from syncline.kms_model.uapi import (
    CreateFlag,
    Fd,
    HandleFlag,
    SwSyncCreateFence,
    SwSyncCreateTimeline,
    SwSyncGetDeadline,
    SwSyncInc,
    SyncFileInfo,
    SyncFileMerge,
    SyncFileSetDeadline,
    SyncobjHandleToFd,
)

ENOENT_STATUS = -2


def merge(rig: Any, one: Fd, two: Fd) -> Fd:
    return Fd(rig.call(SyncFileMerge(one, two, "both")).fd)


def test_it_polls_readable_once_signalled(rig: Any) -> None:
    timeline = rig.timeline()
    fence = rig.fence(timeline)
    assert not rig.readable(fence)
    rig.inc(timeline)
    assert rig.readable(fence)
    assert rig.readable(fence)


def test_an_error_is_readable_too(rig: Any) -> None:
    timeline = rig.timeline()
    fence = rig.fence(timeline)
    rig.close_fd(timeline)
    assert rig.readable(fence)
    assert rig.status(fence) == ENOENT_STATUS


@pytest.mark.parametrize("request_", [SyncFileInfo, SyncFileSetDeadline, SyncFileMerge])
def test_the_ioctls_want_a_sync_file(rig: Any, request_: Any) -> None:
    more = {SyncFileInfo: (), SyncFileSetDeadline: (5,), SyncFileMerge: (Fd(0),)}[request_]
    syncobj = rig.call(SyncobjHandleToFd(rig.create())).fd
    assert rig.errno(request_(syncobj, *more)) == ENOTTY
    assert rig.errno(request_(Fd(-1), *more)) == EBADF


def test_merge_checks_flags_before_the_second_descriptor(rig: Any) -> None:
    fence = rig.fence(rig.timeline())
    assert rig.errno(SyncFileMerge(fence, Fd(-1), flags=1)) == EINVAL
    assert rig.errno(SyncFileMerge(fence, Fd(-1), pad=1)) == EINVAL
    assert rig.errno(SyncFileMerge(fence, Fd(-1))) == ENOENT
    assert rig.errno(SyncFileMerge(fence, Fd(0))) == ENOENT


def test_a_merged_file_is_readable_when_all_of_it_is(rig: Any) -> None:
    one, two = rig.timeline(), rig.timeline()
    both = merge(rig, rig.fence(one), rig.fence(two))
    rig.inc(one)
    assert not rig.readable(both)
    rig.inc(two)
    assert rig.readable(both)


def test_merging_leaves_its_inputs_alone(rig: Any) -> None:
    one, two = rig.timeline(), rig.timeline()
    a, b = rig.fence(one), rig.fence(two)
    merge(rig, a, b)
    rig.inc(one)
    assert (rig.readable(a), rig.readable(b)) == (True, False)


def test_the_name_of_a_merged_file_is_the_callers_cut_to_fit(rig: Any) -> None:
    fence = rig.fence(rig.timeline())
    long = rig.call(SyncFileMerge(fence, fence, "x" * 40)).fd
    assert rig.call(SyncFileInfo(long)).name == "x" * 31


def test_info_counts_leaves_and_wants_room_for_all(rig: Any) -> None:
    both = merge(rig, rig.fence(rig.timeline()), rig.fence(rig.timeline()))
    count = rig.call(SyncFileInfo(both))
    assert (count.num_fences, count.fences, count.status) == (2, (), 0)
    assert rig.errno(SyncFileInfo(both, 1)) == EINVAL
    assert len(rig.call(SyncFileInfo(both, 2)).fences) == 2
    assert rig.errno(SyncFileInfo(both, flags=1)) == EINVAL
    assert rig.errno(SyncFileInfo(both, pad=1)) == EINVAL


def test_an_error_shows_while_the_file_is_not_readable_yet(rig: Any) -> None:
    failing, pending = rig.timeline(), rig.timeline()
    both = merge(rig, rig.fence(failing), rig.fence(pending))
    rig.close_fd(failing)
    assert rig.call(SyncFileInfo(both, 8)).status == ENOENT_STATUS
    assert not rig.readable(both)


def test_an_error_from_before_the_merge_is_lost(rig: Any) -> None:
    failed, done = rig.timeline(), rig.timeline()
    fence = rig.fence(failed)
    rig.close_fd(failed)
    rig.inc(done)
    assert rig.status(merge(rig, fence, rig.fence(done))) == 1


def test_the_timestamp_is_the_signals(rig: Any) -> None:
    timeline = rig.timeline()
    fence = rig.fence(timeline)
    rig.after_ms(3)
    rig.inc(timeline)
    signalled_ns = rig.now_ns
    rig.after_ms(3)
    assert rig.call(SyncFileInfo(fence, 1)).fences[0].timestamp_ns == signalled_ns


@pytest.mark.parametrize(
    ("kernel", "names"), [("7.2", ("detached-driver", "signaled-timeline")), ("6.12", ("stub", "stub"))]
)
def test_a_signalled_stub_is_detached_since_7(make_rig: Any, kernel: str, names: tuple[str, str]) -> None:
    rig = make_rig(profile("virtio_gpu", kernel))
    fd = rig.call(SyncobjHandleToFd(rig.create(flags=CreateFlag.SIGNALED), HandleFlag.SYNC_FILE)).fd
    leaf = rig.call(SyncFileInfo(fd, 1)).fences[0]
    assert (leaf.driver_name, leaf.obj_name) == names


def test_a_fence_of_sw_sync_keeps_its_name(rig: Any) -> None:
    timeline = rig.timeline()
    fence = rig.fence(timeline)
    rig.inc(timeline)
    assert rig.call(SyncFileInfo(fence, 1)).fences[0].driver_name == "sw_sync"


def test_a_deadline_reaches_every_member(rig: Any) -> None:
    one, two = rig.timeline(), rig.timeline()
    a, b = rig.fence(one), rig.fence(two)
    rig.call(SyncFileSetDeadline(merge(rig, a, b), 700))
    assert rig.call(SwSyncGetDeadline(one, a)).deadline_ns == 700
    assert rig.call(SwSyncGetDeadline(two, b)).deadline_ns == 700
    assert rig.errno(SyncFileSetDeadline(a, 1, pad=1)) == EINVAL


def poll_first(rig: Any, fd: Fd) -> None:
    """What poll(2) does in the kernel, for a machine that is told of it."""
    rig.kernel.descriptors.find(fd, SyncFile).polled()


def test_sync_files_wake_in_the_order_of_their_first_poll(rig: Any) -> None:
    rig.kernel.descriptors.hears_of_polls = True
    timeline, ready = rig.timeline(), select.epoll()
    fence = rig.fence(timeline)
    one, two = merge(rig, fence, fence), merge(rig, fence, fence)
    for fd in (two, one, two):
        poll_first(rig, fd)
    for fd in (one, two):
        ready.register(fd, select.EPOLLIN | select.EPOLLET)
    rig.inc(timeline)
    assert [fd for fd, _ in ready.poll(0)] == [two, one]
    ready.close()


@pytest.mark.parametrize(("polled", "status"), [(True, ENOENT_STATUS), (False, 1)])
def test_the_error_of_a_merged_file_is_its_own_only_if_somebody_waited(
    rig: Any, polled: bool, status: int
) -> None:
    rig.kernel.descriptors.hears_of_polls = True
    failing, done = rig.timeline(), rig.timeline()
    both = merge(rig, rig.fence(failing), rig.fence(done))
    if polled:
        poll_first(rig, both)
    rig.close_fd(failing)
    rig.inc(done)
    assert rig.call(SyncFileInfo(both)).status == status
    assert rig.call(SyncFileInfo(both, 2)).status == ENOENT_STATUS


def test_a_client_that_fills_the_pipe_only_fools_itself(rig: Any) -> None:
    timeline = rig.timeline()
    fence = rig.fence(timeline)
    forged = os.open(f"/proc/self/fd/{fence}", os.O_WRONLY | os.O_NONBLOCK)
    with contextlib.suppress(BlockingIOError):
        while True:
            os.write(forged, bytes(4096))
    os.close(forged)
    assert rig.status(fence) == 0
    rig.inc(timeline)
    assert rig.status(fence) == 1


def test_a_file_that_is_closed_before_its_signal_is_forgotten(rig: Any) -> None:
    timeline = rig.timeline()
    fence = rig.fence(timeline)
    rig.close_fd(fence)
    assert not [thing for thing in rig.kernel.descriptors.known() if type(thing).__name__ == "SyncFile"]
    rig.inc(timeline)


@pytest.mark.requirement("F52")
@given(st.lists(st.integers(0, 3), min_size=1, max_size=6), st.permutations(range(4)))
def test_merging_is_idempotent_commutative_and_drops_nothing_pending(
    members: list[int], order: list[int]
) -> None:
    device = Device()
    file = device.open()

    def call(request: Any) -> Any:
        reply = device.call(file, request, 1).result()
        opened.append(reply.fd)
        return reply.fd

    opened: list[int] = []
    timelines = [call(SwSyncCreateTimeline()) for _ in range(4)]
    fences = [call(SwSyncCreateFence(timeline, 1)) for timeline in timelines]
    merged = fences[members[0]]
    for member in members[1:]:
        merged = call(SyncFileMerge(merged, fences[member]))
    mirrored = fences[members[-1]]
    for member in reversed(members[:-1]):
        mirrored = call(SyncFileMerge(mirrored, fences[member]))
    twice = call(SyncFileMerge(merged, merged))
    counts = {device.call(file, SyncFileInfo(fd), 1).result().num_fences for fd in (merged, mirrored, twice)}
    assert counts == {len(set(members))}
    for at in order:
        device.call(file, SwSyncInc(timelines[at]), 1).result()
        done = set(order[: order.index(at) + 1]) >= set(members)
        assert [
            device.call(file, SyncFileInfo(fd), 1).result().status for fd in (merged, mirrored, twice)
        ] == [int(done)] * 3
    for fd in opened:
        os.close(fd)
    device.kernel.descriptors.close()
