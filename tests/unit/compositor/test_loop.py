"""The edge of the compositor: watched points, and the event stream."""

import json
import os
from collections.abc import Iterator
from errno import ENOSPC

import pytest

from syncline.compositor.core.report import Flip
from syncline.compositor.loop import WATCHDOG_NS, Watches
from syncline.kms_model.descriptors import is_open
from syncline.kms_model.device import Device
from syncline.kms_model.journal import UNREAD_MAX, EventStream
from syncline.kms_model.local import LocalFile, LocalNode
from syncline.kms_model.loops import VirtualLoop, sleep_until
from syncline.kms_model.uapi import (
    DeviceError,
    SwSyncCreateFence,
    SwSyncCreateTimeline,
    SwSyncInc,
    SyncobjCreate,
    SyncobjEventfd,
    SyncobjTimelineSignal,
    SyncobjTransfer,
    one_by_one,
)

MS = 1_000_000


class Forgetful:
    """A device file that takes registrations and never rings: a lost wake-up."""

    def __init__(self, file: LocalFile) -> None:
        self._file = file

    def call(self, request):
        return None if isinstance(request, SyncobjEventfd) else self._file.call(request)

    def batch(self, requests):
        return one_by_one(self.call, requests)


class Desk:
    """A loop, a device file, and what was reported."""

    def __init__(self) -> None:
        self.loop = VirtualLoop()
        self.node = LocalNode(Device(), self.loop)
        self.file = self.node.open()
        self.heard: list[int] = []
        self.watches = Watches(self.loop, self.file, self.heard.append)

    def syncobj(self) -> int:
        return self.file.call(SyncobjCreate()).handle

    def signal(self, handle: int, point: int) -> None:
        self.file.call(SyncobjTimelineSignal((handle,), (point,)))

    def run(self, ms: float) -> None:
        self.loop.run_until_complete(sleep_until(self.loop, self.loop.now_ns() + round(ms * MS)))

    def close(self) -> None:
        self.watches.close()
        self.file.close()
        self.run(1)
        self.node.close()
        self.node.device.kernel.descriptors.close()
        self.loop.close()


@pytest.fixture
def desk() -> Iterator[Desk]:
    desk = Desk()
    yield desk
    desk.close()


def test_a_point_is_reported_once_when_it_signals(desk) -> None:
    handle = desk.syncobj()
    watch = desk.watches.watch(handle, 5, available=False)
    desk.signal(handle, 4)
    desk.run(1)
    assert desk.heard == []

    desk.signal(handle, 5)
    desk.run(1)
    desk.signal(handle, 6)
    desk.run(1)

    assert desk.heard == [watch]


def test_a_sync_file_is_reported_when_it_signals_and_closed(desk) -> None:
    timeline = desk.file.call(SwSyncCreateTimeline()).fd
    fence = desk.file.call(SwSyncCreateFence(timeline, 1)).fd
    watch = desk.watches.watch_fence(fence)
    desk.run(1)
    assert desk.heard == []

    desk.file.call(SwSyncInc(timeline))
    desk.run(1)

    assert desk.heard == [watch]
    assert not is_open(fence)
    os.close(timeline)


def test_a_sync_file_that_has_signalled_needs_no_watch(desk) -> None:
    timeline = desk.file.call(SwSyncCreateTimeline()).fd
    fence = desk.file.call(SwSyncCreateFence(timeline, 1)).fd
    desk.file.call(SwSyncInc(timeline))

    assert desk.watches.watch_fence(fence) is None
    assert not is_open(fence)
    os.close(timeline)


def test_a_forgotten_sync_file_is_closed_and_not_reported(desk) -> None:
    timeline = desk.file.call(SwSyncCreateTimeline()).fd
    fence = desk.file.call(SwSyncCreateFence(timeline, 1)).fd
    watch = desk.watches.watch_fence(fence)

    desk.watches.unwatch(watch)
    desk.file.call(SwSyncInc(timeline))
    desk.run(1)

    assert desk.heard == []
    assert not is_open(fence)
    os.close(timeline)


def test_a_point_that_is_reached_when_it_is_asked_for_is_not_watched(desk) -> None:
    handle = desk.syncobj()
    desk.signal(handle, 1)

    assert desk.watches.ask(handle, 1, available=False) is None
    desk.run(1)
    assert desk.heard == []

    watch = desk.watches.ask(handle, 2, available=False)
    assert watch is not None
    desk.signal(handle, 2)
    desk.run(1)
    assert desk.heard == [watch]


def test_what_cannot_be_asked_for_is_raised_and_leaves_no_descriptor(desk) -> None:
    before = len(os.listdir("/proc/self/fd"))  # noqa: PTH208  counted, not opened

    with pytest.raises(DeviceError):
        desk.watches.ask(0xDEAD, 1, available=False)

    assert len(os.listdir("/proc/self/fd")) == before  # noqa: PTH208


def test_two_watches_have_two_numbers(desk) -> None:
    handle = desk.syncobj()

    assert desk.watches.watch(handle, 1, available=False) != desk.watches.watch(handle, 1, available=True)


def test_a_forgotten_watch_is_not_reported(desk) -> None:
    handle = desk.syncobj()
    watch = desk.watches.watch(handle, 1, available=False)

    desk.watches.unwatch(watch)
    desk.signal(handle, 1)
    desk.run(1)

    assert desk.heard == []


@pytest.mark.requirement("S24")
def test_eventfds_that_have_fired_are_used_again(desk) -> None:
    handle = desk.syncobj()
    for point in range(1, 50):
        desk.watches.watch(handle, point, available=False)
        desk.signal(handle, point)
        desk.run(0.1)

    assert len(set(desk.heard)) == 1
    assert len(desk.heard) == 49


@pytest.mark.parametrize("available", [False, True])
def test_a_lost_wake_up_is_noticed(desk, available) -> None:
    desk.watches.close()
    desk.watches = Watches(desk.loop, Forgetful(desk.file), desk.heard.append)
    first, second = desk.syncobj(), desk.syncobj()
    early = desk.watches.watch(first, 1, available=available)
    late = desk.watches.watch(second, 1, available=available)
    desk.signal(first, 1)

    desk.run(WATCHDOG_NS / MS + 1)
    assert desk.heard == [early]
    desk.signal(second, 1)
    desk.run(WATCHDOG_NS / MS + 1)

    assert desk.heard == [early, late]


def test_the_watchdog_sleeps_when_nothing_is_watched(desk) -> None:
    handle = desk.syncobj()
    desk.watches.watch(handle, 1, available=False)
    desk.signal(handle, 1)
    desk.run(WATCHDOG_NS / MS + 1)

    with pytest.raises(AssertionError, match="virtual time stands still"):
        desk.loop.run_forever()


def test_what_cannot_be_watched_leaves_no_descriptor(desk) -> None:
    before = len(os.listdir("/proc/self/fd"))  # noqa: PTH208  counted, not opened

    with pytest.raises(DeviceError):
        desk.watches.watch(0xDEAD, 1, available=False)

    assert len(os.listdir("/proc/self/fd")) == before  # noqa: PTH208


def test_a_point_that_came_by_transfer_is_reported(desk) -> None:
    source, target = desk.syncobj(), desk.syncobj()
    watch = desk.watches.watch(target, 7, available=False)
    desk.signal(source, 1)

    desk.file.call(SyncobjTransfer(src_handle=source, src_point=1, dst_handle=target, dst_point=7))
    desk.run(1)

    assert desk.heard == [watch]


# -- the event stream -----------------------------------------------------------------------------


def flip(number: int) -> Flip:
    return Flip(t_ns=number, output="Virtual-1", frame=number, sequence=number, target_ns=number)


@pytest.fixture
def pipe():
    ends = os.pipe()
    yield ends
    os.close(ends[0])


def test_events_are_lines_and_come_in_order(desk, pipe) -> None:
    reader, writer = pipe
    stream = EventStream(desk.loop, writer)
    stream.write([flip(1), flip(2)])
    stream.write([flip(3)])
    desk.run(1)
    stream.close()

    lines = os.read(reader, 65536).splitlines()
    assert [json.loads(line)["t_ns"] for line in lines] == [1, 2, 3]
    assert json.loads(lines[0])["ev"] == "flip"


def test_a_full_disk_ends_the_stream_and_is_told_once(desk) -> None:
    told: list[OSError] = []
    stream = EventStream(desk.loop, os.open("/dev/full", os.O_WRONLY), failed=told.append)
    for number in range(3):
        stream.write([flip(number)])
        desk.run(1)
    stream.close()

    assert [error.errno for error in told] == [ENOSPC]
    assert stream.is_broken


def test_a_slow_reader_waits_for_itself_alone(desk, pipe) -> None:
    reader, writer = pipe
    stream = EventStream(desk.loop, writer)
    for number in range(2000):
        stream.write([flip(number)])
        desk.run(0.01)
    assert stream.lost == 0

    heard = b""
    while heard.count(b"\n") < 2000:
        heard += os.read(reader, 1 << 20)
        desk.run(0.01)
    stream.close()

    assert [json.loads(line)["t_ns"] for line in heard.splitlines()] == list(range(2000))


def test_a_reader_that_never_reads_loses_events_and_it_is_counted(desk, pipe) -> None:
    stream = EventStream(desk.loop, pipe[1])
    burst = [flip(number) for number in range(20_000)]
    while not stream.lost:
        stream.write(burst)

    lost = stream.lost
    stream.write(burst)
    assert stream.lost == lost + len(burst)
    assert len(stream._unread) > UNREAD_MAX
    desk.run(1)
    stream.close()


def test_a_reader_that_has_gone_is_no_trouble(desk) -> None:
    reader, writer = os.pipe()
    stream = EventStream(desk.loop, writer)
    os.close(reader)

    stream.write([flip(1)])
    desk.run(1)
    stream.write([flip(2)])
    desk.run(1)

    stream.close()
