"""User fences: slots, signallers, the conversion matrix, and death (kernel.md 6)."""

import mmap
import os
import struct
import subprocess
import sys
from dataclasses import replace
from errno import (
    EACCES,
    EBADF,
    EINVAL,
    ENODEV,
    ENOENT,
    ENOSPC,
    EOPNOTSUPP,
    EOWNERDEAD,
    EPERM,
    ESRCH,
    ETIME,
)
from typing import Any

import msgspec
import pytest

from syncline.kms_model.profiles import SYNCLINE, VIRTIO_GPU, Poison
from syncline.kms_model.trace import WaitTrace, Warn
from syncline.kms_model.uapi import (
    USER_FENCE_POISON,
    Cap,
    CreateDumb,
    DeviceError,
    Fd,
    GetCap,
    HandleFlag,
    Point,
    QueryFlag,
    Submit,
    SyncobjCreate,
    SyncobjCreateUser,
    SyncobjDestroy,
    SyncobjEventfd,
    SyncobjFdToHandle,
    SyncobjHandleToFd,
    SyncobjMapUser,
    SyncobjQueryType,
    SyncobjReset,
    SyncobjSetSignaller,
    SyncobjSignal,
    SyncobjTimelineSignal,
    SyncobjTimelineWait,
    SyncobjTransfer,
    SyncobjType,
    UserFenceFlag,
    UserFenceRight,
    WaitFlag,
)
from syncline.kms_model.user_fence.ioctls import MAX_PAGES
from syncline.kms_model.user_fence.seqno_page import SLOTS_PER_PAGE

POINT_FILE = HandleFlag.SYNC_FILE | HandleFlag.TIMELINE
FOREVER = (1 << 63) - 1


def create(rig: Any, value: int = 0, file: Any = None) -> int:
    return int(rig.call(SyncobjCreateUser(0, value), file).handle)


def status(rig: Any, handle: int) -> int:
    return int(rig.call(SyncobjQueryType(handle)).status)


def share(rig: Any, handle: int, file: Any, flags: int = 0) -> int:
    """The same syncobj in another file."""
    return int(rig.call(SyncobjFdToHandle(rig.call(SyncobjHandleToFd(handle, flags)).fd), file).handle)


def test_a_device_without_them_refuses_the_calls(make_rig: Any) -> None:
    rig = make_rig(VIRTIO_GPU)
    assert rig.errno(SyncobjCreateUser()) == EOPNOTSUPP
    assert rig.errno(SyncobjQueryType(1)) == EOPNOTSUPP
    assert rig.errno(GetCap(Cap.SYNCOBJ_USER)) == EINVAL


@pytest.mark.parametrize(
    ("request_", "errno"),
    [
        (SyncobjCreateUser(4), EINVAL),
        (SyncobjCreateUser(0, -1), EINVAL),
        (SyncobjCreateUser(0, USER_FENCE_POISON), EINVAL),
        (SyncobjCreateUser(UserFenceFlag.PRIVILEGED), EPERM),
        (SyncobjQueryType(9), ENOENT),
        (SyncobjQueryType(1, pad=1), EINVAL),
        (SyncobjSetSignaller(9), ENOENT),
        (SyncobjSetSignaller(1), EINVAL),
        (SyncobjMapUser(1), EINVAL),
        (SyncobjMapUser(9), ENOENT),
    ],
)
def test_bad_arguments_get_their_errno(rig: Any, request_: Any, errno: int) -> None:
    assert rig.create() == 1
    assert rig.errno(request_) == errno


def test_slots_run_out_and_come_back(rig: Any) -> None:
    handles = [create(rig) for _ in range(SLOTS_PER_PAGE * MAX_PAGES)]
    assert rig.errno(SyncobjCreateUser()) == ENOSPC
    rig.call(SyncobjDestroy(handles[0]))
    create(rig)


def test_the_type_tells_empty_dma_and_user_apart(rig: Any) -> None:
    empty, dma, user = rig.create(), rig.create(flags=1), create(rig, 7)
    types = [rig.call(SyncobjQueryType(handle)) for handle in (empty, dma, user)]
    assert [reply.type for reply in types] == [SyncobjType.EMPTY, SyncobjType.DMA, SyncobjType.USER]
    assert (types[2].value, types[2].width, types[2].writable, types[2].status) == (7, 64, True, 0)


@pytest.mark.requirement("F23")
def test_a_point_is_empty_until_there_is_a_fence_for_it(rig: Any) -> None:
    binary, timeline, user = rig.create(flags=1), rig.create(), create(rig)
    rig.signal(timeline, 4)

    def kinds(handle: int) -> list[SyncobjType]:
        return [rig.call(SyncobjQueryType(handle, point=point)).type for point in (0, 3, 5)]

    assert kinds(binary) == [SyncobjType.DMA, SyncobjType.EMPTY, SyncobjType.EMPTY]
    assert kinds(timeline) == [SyncobjType.DMA, SyncobjType.DMA, SyncobjType.EMPTY]
    assert kinds(user) == [SyncobjType.USER] * 3


def test_a_point_is_materialised_only_once_it_is_signalled(rig: Any) -> None:
    user = create(rig)
    assert rig.poll_point(user, 3) == EINVAL
    assert rig.poll_point(user, 3, WaitFlag.FOR_SUBMIT) == ETIME
    assert rig.poll_point(user, 3, WaitFlag.AVAILABLE) == ETIME
    rig.signal(user, 3)
    assert rig.poll_point(user, 3) == 0
    assert rig.poll_point(user, 4) == EINVAL


def test_signalling_never_goes_back(rig: Any) -> None:
    user = create(rig)
    rig.signal(user, 5)
    rig.signal(user, 3)
    assert rig.query(user) == 5
    assert rig.query(user, QueryFlag.LAST_SUBMITTED) == 5


def test_binary_calls_and_point_0_are_refused(rig: Any) -> None:
    user, fence = create(rig), rig.fence(rig.timeline())
    assert rig.errno(SyncobjSignal((user,))) == EINVAL
    assert rig.errno(SyncobjReset((user,))) == EINVAL
    assert rig.errno(SyncobjTimelineSignal((user,), (0,))) == EINVAL
    assert rig.errno(SyncobjTimelineSignal((user,), (USER_FENCE_POISON,))) == EINVAL
    assert rig.errno(SyncobjFdToHandle(fence, user, HandleFlag.SYNC_FILE)) == EINVAL


@pytest.mark.requirement("F22")
def test_a_refused_array_signals_nothing(rig: Any) -> None:
    dma, user = rig.create(), create(rig)
    assert rig.errno(SyncobjTimelineSignal((dma, user), (4, 0))) == EINVAL
    assert rig.query(dma) == 0


def test_a_wait_mixes_both_kinds(rig: Any) -> None:
    dma, user, timeline = rig.create(), create(rig), rig.timeline()
    rig.put(dma, rig.fence(timeline), 1)
    flags = WaitFlag.ALL | WaitFlag.FOR_SUBMIT
    wait = rig.start(SyncobjTimelineWait((dma, user), (1, 2), FOREVER, flags))
    rig.inc(timeline)
    assert not wait.done
    rig.signal(user, 2)
    assert wait.done
    wait.result()


def test_an_eventfd_fires_at_the_point(rig: Any) -> None:
    user, event = create(rig), rig.eventfd()
    rig.call(SyncobjEventfd(user, 2, event))
    rig.signal(user, 1)
    assert rig.count(event) == 0
    rig.signal(user, 2)
    assert rig.count(event) == 1


@pytest.mark.requirement("K1")
@pytest.mark.requirement("F37")
def test_an_unsignalled_point_never_becomes_a_sync_file(rig: Any) -> None:
    user = create(rig)
    assert rig.errno(SyncobjHandleToFd(user, POINT_FILE, point=1)) == EINVAL
    rig.signal(user, 1)
    assert rig.status(rig.call(SyncobjHandleToFd(user, POINT_FILE, point=1)).fd) == 1


def test_a_dma_fence_reaches_a_user_point_over_a_bridge(rig: Any) -> None:
    user, timeline = create(rig), rig.timeline()
    rig.put(user, rig.fence(timeline), 4)
    assert rig.query(user) == 0
    rig.inc(timeline)
    assert rig.query(user) == 4


def test_bridges_of_a_slot_fire_in_the_order_of_their_points(rig: Any) -> None:
    user, early, late = create(rig), rig.timeline(), rig.timeline()
    rig.put(user, rig.fence(late), 8)
    rig.put(user, rig.fence(early), 4)
    rig.inc(late)
    assert rig.query(user) == 0
    rig.inc(early)
    assert rig.query(user) == 8


def test_the_error_of_a_bridged_fence_is_the_status_of_the_slot(rig: Any) -> None:
    user, timeline = create(rig), rig.timeline()
    rig.put(user, rig.fence(timeline), 1)
    rig.close_fd(timeline)
    assert rig.query(user) == 1
    assert status(rig, user) == -ENOENT


def test_the_error_of_a_point_long_passed_reaches_the_memory_too(rig: Any) -> None:
    user, timeline = create(rig), rig.timeline()
    mapping = Mapping(rig, user)
    rig.put(user, rig.fence(timeline), 1)
    rig.signal(user, 5)
    rig.close_fd(timeline)
    assert (mapping.load(), mapping.status()) == (5, -ENOENT)


@pytest.mark.requirement("F25")
def test_asking_for_a_dma_fence_stalls_and_is_reported(rig: Any) -> None:
    user, dma = create(rig), rig.create()
    assert rig.errno(SyncobjTransfer(user, 1, dma, 1)) == EINVAL
    transfer = rig.start(SyncobjTransfer(user, 1, dma, 1, WaitFlag.FOR_SUBMIT))
    assert not transfer.done
    rig.after_ms(40)
    rig.signal(user, 1)
    assert transfer.done
    assert rig.query(dma) == 1
    stalls = [event for event in rig.events if isinstance(event, WaitTrace) and "user fence" in event.reason]
    assert [(event.end, event.waited_ns) for event in stalls] == [(False, 0), (True, 40_000_000)]


@pytest.mark.requirement("F53")
def test_the_stall_ends_after_five_seconds(rig: Any) -> None:
    user, dma = create(rig), rig.create()
    transfer = rig.start(SyncobjTransfer(user, 1, dma, 1, WaitFlag.FOR_SUBMIT))
    rig.after_ms(4_999)
    assert not transfer.done
    rig.after_ms(1)
    with pytest.raises(DeviceError) as refusal:
        transfer.result()
    assert refusal.value.errno == ETIME


def test_user_to_user_forwards_without_a_promise(rig: Any) -> None:
    source, target = create(rig), create(rig)
    rig.call(SyncobjTransfer(source, 2, target, 5))
    assert rig.query(target) == 0
    rig.signal(source, 2)
    assert rig.query(target) == 5


def test_slots_copied_in_a_long_line_or_a_circle_come_to_rest(rig: Any) -> None:
    line = [create(rig) for _ in range(1_500)]
    for source, target in zip(line, line[1:] + line[:1], strict=True):
        rig.call(SyncobjTransfer(source, 3, target, 3))
    event = rig.eventfd()
    rig.call(SyncobjEventfd(line[-1], 3, event))
    rig.signal(line[0], 3)
    assert rig.count(event) == 1
    assert {rig.query(user) for user in line} == {3}


@pytest.mark.requirement("F49")
def test_only_signallers_signal(rig: Any) -> None:
    user, other = create(rig), rig.device.open()
    shared = share(rig, user, other)
    assert rig.errno(SyncobjTimelineSignal((shared,), (1,)), other) == EACCES
    rig.call(SyncobjSetSignaller(shared), other)
    rig.call(SyncobjTimelineSignal((shared,), (1,)), other)
    assert rig.query(user) == 1


def test_a_right_to_read_cannot_become_one_to_write(rig: Any) -> None:
    user, other = create(rig), rig.device.open()
    shared = share(rig, user, other, UserFenceRight.READ_ONLY)
    assert rig.errno(SyncobjSetSignaller(shared), other) == EACCES
    assert rig.errno(SyncobjMapUser(shared, write=True), other) == EACCES
    again = int(rig.call(SyncobjFdToHandle(rig.call(SyncobjHandleToFd(shared), other).fd), other).handle)
    assert rig.errno(SyncobjSetSignaller(again), other) == EACCES
    assert rig.errno(SyncobjHandleToFd(rig.create(), UserFenceRight.READ_ONLY)) == EINVAL


def test_both_ways_of_holding_it_wake_together(rig: Any) -> None:
    user, other = create(rig), rig.device.open()
    shared, event = share(rig, user, other, UserFenceRight.READ_ONLY), rig.eventfd()
    rig.call(SyncobjEventfd(shared, 1, event), other)
    rig.signal(user, 1)
    assert rig.count(event) == 1


@pytest.mark.requirement("F50")
def test_the_death_of_the_last_signaller_releases_everybody(rig: Any) -> None:
    owner = rig.device.open()
    user = create(rig, file=owner)
    shared = int(rig.call(SyncobjFdToHandle(rig.call(SyncobjHandleToFd(user), owner).fd)).handle)
    wait = rig.start(SyncobjTimelineWait((shared,), (9,), FOREVER, WaitFlag.FOR_SUBMIT))
    assert not wait.done
    rig.device.close(owner, rig.now_ns)
    assert wait.done
    wait.result()
    assert rig.query(shared) == USER_FENCE_POISON
    assert status(rig, shared) == -EOWNERDEAD


@pytest.mark.requirement("F50")
def test_a_death_may_be_told_by_the_status_only(make_rig: Any) -> None:
    rig = make_rig(replace(SYNCLINE, poison=Poison.STATUS_ONLY))
    owner, event = rig.device.open(), rig.eventfd()
    user = create(rig, 4, owner)
    shared = int(rig.call(SyncobjFdToHandle(rig.call(SyncobjHandleToFd(user), owner).fd)).handle)
    mapping = Mapping(rig, shared)
    rig.call(SyncobjEventfd(shared, 9, event))
    wait = rig.start(SyncobjTimelineWait((shared,), (9,), FOREVER, WaitFlag.FOR_SUBMIT))

    rig.device.close(owner, rig.now_ns)

    assert (wait.done, rig.count(event)) == (True, 1)
    assert (rig.query(shared), status(rig, shared)) == (4, -EOWNERDEAD)
    assert (mapping.load(), mapping.status()) == (4, -EOWNERDEAD)


def test_a_slot_lives_on_while_one_signaller_does(rig: Any) -> None:
    owner = rig.device.open()
    user = create(rig, file=owner)
    shared = int(rig.call(SyncobjFdToHandle(rig.call(SyncobjHandleToFd(user), owner).fd)).handle)
    rig.call(SyncobjSetSignaller(shared))
    rig.device.close(owner, rig.now_ns)
    assert status(rig, shared) == 0


def test_a_process_can_be_named_and_its_exit_poisons(rig: Any) -> None:
    user, producer = create(rig), subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    pidfd = os.pidfd_open(producer.pid)
    other = rig.device.open()
    shared = share(rig, user, other)
    rig.call(SyncobjSetSignaller(shared, Fd(pidfd)), other)
    rig.device.close(rig.file, rig.now_ns)
    assert rig.call(SyncobjQueryType(shared), other).status == 0
    producer.communicate(b"\n")
    rig.device.collect(rig.now_ns)
    assert rig.call(SyncobjQueryType(shared), other).status == -EOWNERDEAD
    assert rig.errno(SyncobjSetSignaller(shared, Fd(pidfd)), other) == ESRCH
    assert rig.errno(SyncobjSetSignaller(shared, Fd(0)), other) == EBADF
    os.close(pidfd)


def test_a_reset_queue_poisons_what_it_owed(rig: Any) -> None:
    user, queue = create(rig), rig.device.user_fences.add_queue()
    rig.call(SyncobjSetSignaller(user, queue=queue))
    rig.device.user_fences.reset_queue(queue)
    assert status(rig, user) == -125
    assert rig.errno(SyncobjSetSignaller(user, queue=queue)) == ESRCH


def test_unplugging_releases_everybody(rig: Any) -> None:
    user, event = create(rig), rig.eventfd()
    rig.call(SyncobjEventfd(user, 1, event))
    rig.device.unplug()
    assert rig.count(event) == 1
    assert rig.errno(SyncobjCreate()) == ENODEV


class Mapping:
    """A slot as a client maps it."""

    def __init__(self, rig: Any, handle: int) -> None:
        reply = rig.call(SyncobjMapUser(handle, write=True))
        self._at = reply.byte_offset
        self._memory = mmap.mmap(reply.fd, reply.size)
        os.close(reply.fd)

    def load(self) -> int:
        return int(struct.unpack_from("<Q", self._memory, self._at)[0])

    def status(self) -> int:
        return int(struct.unpack_from("<i", self._memory, self._at + 8)[0])

    def deadline(self) -> int:
        return int(struct.unpack_from("<q", self._memory, self._at + 16)[0])

    def store(self, value: int) -> None:
        struct.pack_into("<Q", self._memory, self._at, value)


def test_the_memory_shows_what_calls_signal(rig: Any) -> None:
    rig_before, user = create(rig, 11), create(rig, 5)
    mapping = Mapping(rig, user)
    assert mapping.load() == 5
    rig.signal(user, 6)
    assert mapping.load() == 6
    assert rig.query(rig_before) == 11


def test_a_deadline_is_an_advisory_word_in_the_slot(rig: Any) -> None:
    user = create(rig)
    mapping = Mapping(rig, user)
    rig.errno(SyncobjTimelineWait((user,), (1,), 0, WaitFlag.FOR_SUBMIT | WaitFlag.DEADLINE, 777))
    assert mapping.deadline() == 777


def test_a_store_is_seen_by_the_next_question(rig: Any) -> None:
    user = create(rig)
    Mapping(rig, user).store(4)
    assert rig.query(user) == 4
    assert rig.poll_point(user, 4) == 0


def test_a_store_wakes_a_waiter_at_the_next_repoll(rig: Any) -> None:
    user, event = create(rig), rig.eventfd()
    rig.call(SyncobjEventfd(user, 1, event))
    mapping = Mapping(rig, user)
    mapping.store(1)
    rig.after_ms(1)
    assert rig.count(event) == 1
    assert rig.device.next_deadline_ns() is None


@pytest.mark.requirement("K19")
def test_a_store_that_goes_back_is_undone_and_reported(rig: Any) -> None:
    user = create(rig)
    mapping = Mapping(rig, user)
    rig.signal(user, 5)
    mapping.store(2)
    assert rig.query(user) == 5
    assert mapping.load() == 5
    assert [event.rule for event in rig.events if isinstance(event, Warn)] == ["K19"]


def test_a_page_for_reading_cannot_be_mapped_for_writing(rig: Any) -> None:
    reply = rig.call(SyncobjMapUser(create(rig)))
    with pytest.raises(PermissionError):
        mmap.mmap(reply.fd, reply.size)
    os.close(reply.fd)


def test_a_privileged_slot_backs_a_dma_fence_that_its_watchdog_bounds(rig: Any) -> None:
    slot = rig.device.user_fences.create_privileged(watchdog_ns=100_000_000)
    kept, hung = slot.find(1), slot.find(2)
    slot.write(1)
    rig.after_ms(100)
    assert kept.status() == 1
    assert hung.status() == -ETIME


@pytest.mark.requirement("F24")
@pytest.mark.parametrize("kind", [SyncobjCreate(), SyncobjCreateUser()], ids=["dma", "user"])
def test_one_client_program_runs_on_both_backings(rig: Any, kind: Any) -> None:
    syncobj, consumer, event = rig.call(kind).handle, rig.device.open(), rig.eventfd()
    imported = share(rig, syncobj, consumer)
    wait = SyncobjTimelineWait((imported,), (2,), FOREVER, WaitFlag.FOR_SUBMIT)
    frame = rig.start(wait, consumer)
    rig.call(SyncobjEventfd(imported, 1, event), consumer)
    rig.signal(syncobj, 1)
    assert (rig.count(event), frame.done) == (1, False)
    rig.signal(syncobj, 2)
    assert frame.result().first_signaled == 0
    assert rig.query(syncobj) == 2


def test_a_job_writes_a_user_point_when_it_is_done(rig: Any) -> None:
    user, target = create(rig), rig.call(CreateDumb(64, 64))
    job = Submit(target.handle, (64, 64), target.pitch, (), 2_000_000, out_points=(Point(user, 3),))
    rig.call(job)
    assert rig.query(user) == 0
    rig.after_ms(10)
    assert rig.query(user) == 3


def test_a_job_may_not_wait_for_a_user_point_nor_take_the_place_of_one(rig: Any) -> None:
    user, target = create(rig), rig.call(CreateDumb(64, 64))
    job = Submit(target.handle, (64, 64), target.pitch, (), 0)
    assert rig.errno(msgspec.structs.replace(job, in_points=(Point(user, 1),))) == EINVAL
    assert rig.errno(msgspec.structs.replace(job, out_points=(Point(user, 0),))) == EINVAL
