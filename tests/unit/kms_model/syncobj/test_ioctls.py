"""The drm_syncobj ioctls: every refusal of kernel.md 2.5, in the kernel's order, and what each call leaves behind."""

import os
from errno import EFAULT, EINVAL, ENODEV, ENOENT, ENOMEM, EOPNOTSUPP, ETIME
from typing import Any

import msgspec
import pytest
from hypothesis import given, strategies as st

from syncline.kms_model.device import Device
from syncline.kms_model.profiles import VGEM, VKMS, profile
from syncline.kms_model.quirks import REPAIRED
from syncline.kms_model.trace import Warn
from syncline.kms_model.uapi import (
    CreateDumb,
    CreateFlag,
    DeviceError,
    DmaBufExportSyncFile,
    DmaBufImportSyncFile,
    DmaBufSyncFlag,
    Fd,
    HandleFlag,
    PrimeHandleToFd,
    QueryFlag,
    SyncFileInfo,
    SyncobjCreate,
    SyncobjDestroy,
    SyncobjEventfd,
    SyncobjFdToHandle,
    SyncobjHandleToFd,
    SyncobjQuery,
    SyncobjReset,
    SyncobjSignal,
    SyncobjTimelineSignal,
    SyncobjTimelineWait,
    SyncobjTransfer,
    SyncobjWait,
    WaitFlag,
)

SYNC_FILE = HandleFlag.SYNC_FILE
POINT_FILE = HandleFlag.SYNC_FILE | HandleFlag.TIMELINE
FOREVER = (1 << 63) - 1
UNKNOWN = 77

EVERY_CALL = [
    SyncobjCreate(),
    SyncobjDestroy(UNKNOWN),
    SyncobjHandleToFd(UNKNOWN),
    SyncobjFdToHandle(Fd(-1)),
    SyncobjWait(()),
    SyncobjReset(()),
    SyncobjSignal(()),
    SyncobjTransfer(UNKNOWN, 0, UNKNOWN, 0),
    SyncobjTimelineWait((), ()),
    SyncobjEventfd(UNKNOWN, 0, Fd(-1)),
    SyncobjTimelineSignal((), ()),
    SyncobjQuery(()),
]


@pytest.mark.requirement("F79")
@pytest.mark.parametrize("call", EVERY_CALL, ids=lambda call: type(call).__name__)
@pytest.mark.parametrize("driver", [VKMS, VGEM], ids=lambda driver: driver.name)
def test_without_the_capability_the_refusal_comes_before_any_other(
    make_rig: Any, driver: Any, call: Any
) -> None:
    assert make_rig(driver).errno(call) == EOPNOTSUPP


@pytest.mark.parametrize("call", EVERY_CALL, ids=lambda call: type(call).__name__)
def test_an_unplugged_device_is_gone(rig: Any, call: Any) -> None:
    rig.device.unplug()
    assert rig.errno(call) == ENODEV


REFUSALS = [
    (SyncobjCreate(2), EINVAL),
    (SyncobjDestroy(0), EINVAL),
    (SyncobjDestroy(UNKNOWN), EINVAL),
    (SyncobjDestroy(1, pad=1), EINVAL),
    (SyncobjHandleToFd(0), EINVAL),
    (SyncobjHandleToFd(UNKNOWN), EINVAL),
    (SyncobjHandleToFd(1, pad=1), EINVAL),
    (SyncobjHandleToFd(1, 4), EINVAL),
    (SyncobjHandleToFd(1, 0, point=1), EINVAL),
    (SyncobjHandleToFd(1, HandleFlag.TIMELINE, point=1), EINVAL),
    (SyncobjHandleToFd(UNKNOWN, SYNC_FILE), ENOENT),
    (SyncobjHandleToFd(1, SYNC_FILE), EINVAL),
    (SyncobjHandleToFd(1, POINT_FILE, point=3), EINVAL),
    (SyncobjFdToHandle(Fd(-1)), EINVAL),
    (SyncobjFdToHandle(Fd(9_999)), EINVAL),
    (SyncobjFdToHandle(Fd(0)), EINVAL),
    (SyncobjFdToHandle(Fd(0), pad=1), EINVAL),
    (SyncobjFdToHandle(Fd(0), flags=4), EINVAL),
    (SyncobjFdToHandle(Fd(0), 1, SYNC_FILE), EINVAL),
    (SyncobjFdToHandle(Fd(-1), UNKNOWN, SYNC_FILE), EINVAL),
    (SyncobjTransfer(UNKNOWN, 0, 2, 0, pad=1), EINVAL),
    (SyncobjTransfer(2, 0, UNKNOWN, 0), ENOENT),
    (SyncobjTransfer(UNKNOWN, 0, 2, 0), ENOENT),
    (SyncobjTransfer(UNKNOWN, 0, 2, 0, WaitFlag.ALL), ENOENT),
    (SyncobjTransfer(2, 0, 2, 0, WaitFlag.ALL), EINVAL),
    (SyncobjTransfer(1, 0, 2, 0), EINVAL),
    (SyncobjTransfer(2, 5, 2, 0), EINVAL),
    (SyncobjWait((UNKNOWN,), 0, 16), EINVAL),
    (SyncobjWait((), 0, WaitFlag.AVAILABLE), EINVAL),
    (SyncobjWait((2, UNKNOWN)), ENOENT),
    (SyncobjWait((1,)), EINVAL),
    (SyncobjWait((2, 1), FOREVER), EINVAL),
    (SyncobjWait((2,), count=1 << 31), ENOMEM),
    (SyncobjWait((2,), count=2), EFAULT),
    (SyncobjTimelineWait((2,), (3,)), EINVAL),
    (SyncobjTimelineWait((2,), (3,), 0, WaitFlag.FOR_SUBMIT), ETIME),
    (SyncobjTimelineWait((2,), ()), EFAULT),
    (SyncobjEventfd(1, 0, Fd(-1), WaitFlag.FOR_SUBMIT), EINVAL),
    (SyncobjEventfd(1, 0, Fd(-1), pad=1), EINVAL),
    (SyncobjEventfd(UNKNOWN, 0, Fd(-1)), ENOENT),
    (SyncobjEventfd(1, 0, Fd(-1)), 9),
    (SyncobjEventfd(1, 0, Fd(0)), EINVAL),
    (SyncobjReset((2,), pad=1), EINVAL),
    (SyncobjReset(()), EINVAL),
    (SyncobjReset((2,), count=0), EINVAL),
    (SyncobjReset((2, UNKNOWN)), ENOENT),
    (SyncobjSignal((1,), pad=1), EINVAL),
    (SyncobjSignal(()), EINVAL),
    (SyncobjSignal((1, UNKNOWN)), ENOENT),
    (SyncobjTimelineSignal((1,), (1,), flags=1), EINVAL),
    (SyncobjTimelineSignal((), ()), EINVAL),
    (SyncobjTimelineSignal((1, UNKNOWN), (1, 1)), ENOENT),
    (SyncobjTimelineSignal((1, 2), (1,)), EFAULT),
    (SyncobjQuery((1,), 2), EINVAL),
    (SyncobjQuery(()), EINVAL),
    (SyncobjQuery((1, UNKNOWN)), ENOENT),
    (SyncobjQuery((UNKNOWN,), null_points=True), ENOENT),
    (SyncobjQuery((1,), null_points=True), EFAULT),
]


def snapshot(rig: Any) -> Any:
    syncobjs = [rig.file.syncobjs.get(handle) for handle in range(1, 5)]
    return [(syncobj, syncobj and syncobj.fence) for syncobj in syncobjs]


@pytest.mark.requirement("H9")
@pytest.mark.parametrize(("call", "errno"), REFUSALS, ids=repr)
def test_a_refusal_has_its_errno_and_changes_nothing(rig: Any, call: Any, errno: int) -> None:
    assert (rig.create(), rig.create(flags=CreateFlag.SIGNALED)) == (1, 2)
    before = snapshot(rig)
    assert rig.errno(call) == errno
    assert snapshot(rig) == before


@pytest.mark.parametrize(
    "call", [SyncobjHandleToFd(1, POINT_FILE, point=0), SyncobjFdToHandle(Fd(0), 1, POINT_FILE)]
)
def test_before_6_16_there_are_no_sync_files_at_points(make_rig: Any, call: Any) -> None:
    rig = make_rig(profile("virtio_gpu", "6.12"))
    rig.create(flags=CreateFlag.SIGNALED)
    assert rig.errno(call) == EINVAL


def test_the_longer_struct_is_ignored_where_it_is_not_known(make_rig: Any) -> None:
    rig = make_rig(profile("virtio_gpu", "6.12"))
    rig.create(flags=CreateFlag.SIGNALED)
    rig.call(SyncobjHandleToFd(1, 0, point=5))


def test_handles_are_the_lowest_free_numbers(rig: Any) -> None:
    assert [rig.create() for _ in range(3)] == [1, 2, 3]
    rig.call(SyncobjDestroy(2))
    rig.call(SyncobjDestroy(1))
    assert [rig.create() for _ in range(3)] == [1, 2, 4]


def test_importing_one_fd_twice_gives_two_handles_to_one_object(rig: Any) -> None:
    fd = rig.call(SyncobjHandleToFd(rig.create())).fd
    handles = [rig.call(SyncobjFdToHandle(fd)).handle for _ in range(2)]
    assert handles == [2, 3]
    rig.signal(2, 6)
    assert rig.query(3) == rig.query(1) == 6


def test_an_object_lives_on_in_its_descriptor(rig: Any) -> None:
    handle = rig.create()
    fd = rig.call(SyncobjHandleToFd(handle)).fd
    rig.signal(handle, 9)
    rig.call(SyncobjDestroy(handle))
    assert rig.query(rig.call(SyncobjFdToHandle(fd)).handle) == 9


def test_the_descriptor_of_a_syncobj_polls_ready_and_is_no_sync_file(rig: Any) -> None:
    fd = rig.call(SyncobjHandleToFd(rig.create())).fd
    assert rig.readable(fd)
    assert rig.errno(SyncFileInfo(fd)) == 25


def test_signal_drops_the_points_of_a_timeline(rig: Any) -> None:
    handle = rig.create()
    rig.signal(handle, 5)
    rig.call(SyncobjSignal((handle,)))
    assert rig.query(handle) == 0
    assert rig.poll_point(handle, 5) == EINVAL
    assert rig.poll_point(handle, 0) == 0


def test_reset_empties(rig: Any) -> None:
    handle = rig.create(flags=CreateFlag.SIGNALED)
    rig.call(SyncobjReset((handle,)))
    assert rig.errno(SyncobjHandleToFd(handle, SYNC_FILE)) == EINVAL


def test_an_exported_sync_file_follows_neither_signal_nor_reset(rig: Any) -> None:
    handle, timeline = rig.create(), rig.timeline()
    rig.put(handle, rig.fence(timeline))
    exported = rig.call(SyncobjHandleToFd(handle, SYNC_FILE)).fd
    rig.call(SyncobjSignal((handle,)))
    assert rig.status(exported) == 0
    rig.call(SyncobjReset((handle,)))
    assert not rig.readable(exported)
    rig.inc(timeline)
    assert rig.readable(exported)


def test_out_of_order_signals_keep_the_larger_point(rig: Any) -> None:
    handle = rig.create()
    rig.signal(handle, 5)
    rig.signal(handle, 3)
    assert rig.query(handle) == rig.query(handle, QueryFlag.LAST_SUBMITTED) == 5
    rig.signal(handle, 7)
    assert rig.query(handle) == 7


def test_an_unordered_pending_point_takes_a_signalled_one_back(rig: Any) -> None:
    handle, timeline = rig.create(), rig.timeline()
    rig.signal(handle, 5)
    rig.put(handle, rig.fence(timeline), 3)
    assert rig.query(handle) == 0
    assert rig.poll_point(handle, 5) == ETIME
    rig.inc(timeline)
    assert rig.query(handle) == 5


@pytest.mark.requirement("H7")
def test_point_0_of_timeline_signal_is_an_unordered_node(rig: Any) -> None:
    handle = rig.create()
    rig.signal(handle, 5)
    rig.call(SyncobjTimelineSignal((handle,), None))
    assert rig.query(handle) == 5


def test_a_transfer_to_point_0_makes_a_binary_one_answer_as_a_timeline(rig: Any) -> None:
    source, target = rig.create(), rig.create()
    rig.signal(source, 4)
    rig.call(SyncobjTransfer(source, 4, target, 0))
    assert rig.query(target) == 4


def test_a_transfer_to_a_point_flattens_and_to_point_0_does_not(rig: Any) -> None:
    timeline, source, points, binary = rig.timeline(), rig.create(), rig.create(), rig.create()
    rig.put(source, rig.fence(timeline, 1), 1)
    rig.put(source, rig.fence(timeline, 2), 2)
    rig.call(SyncobjTransfer(source, 2, points, 5))
    rig.call(SyncobjTransfer(source, 2, binary, 0))
    exported = [rig.call(SyncobjHandleToFd(handle, SYNC_FILE)).fd for handle in (points, binary)]
    assert [rig.call(SyncFileInfo(fd)).num_fences for fd in exported] == [1, 2]
    assert rig.file.syncobjs.get(points).fence.depth == 1


def test_a_transfer_keeps_an_error_in_a_binary_and_loses_it_at_a_point(rig: Any) -> None:
    timeline, carrier, binary, points = rig.timeline(), rig.create(), rig.create(), rig.create()
    rig.put(carrier, rig.fence(timeline))
    rig.close_fd(timeline)
    rig.call(SyncobjTransfer(carrier, 0, binary, 0))
    rig.call(SyncobjTransfer(carrier, 0, points, 1))
    assert rig.status(rig.call(SyncobjHandleToFd(binary, SYNC_FILE)).fd) == -ENOENT
    assert rig.status(rig.call(SyncobjHandleToFd(points, SYNC_FILE)).fd) == 1


def test_a_transfer_waits_for_submission_but_not_for_the_signal(rig: Any) -> None:
    source, target, timeline = rig.create(), rig.create(), rig.timeline()
    transfer = rig.start(SyncobjTransfer(source, 2, target, 1, WaitFlag.FOR_SUBMIT))
    assert not transfer.done
    rig.put(source, rig.fence(timeline), 2)
    assert transfer.done
    assert rig.query(target, QueryFlag.LAST_SUBMITTED) == 1
    assert rig.query(target) == 0


def test_a_transfer_gives_up_after_five_seconds(rig: Any) -> None:
    source, target = rig.create(), rig.create()
    transfer = rig.start(SyncobjTransfer(source, 2, target, 1, WaitFlag.FOR_SUBMIT))
    rig.after_ms(4_999)
    assert not transfer.done
    rig.after_ms(1)
    with pytest.raises(DeviceError) as refusal:
        transfer.result()
    assert refusal.value.errno == ETIME


def chain_in_a_chain(rig: Any) -> int:
    source, target, timeline = rig.create(), rig.create(), rig.timeline()
    rig.put(source, rig.fence(timeline), 1)
    chain = rig.call(SyncobjHandleToFd(source, POINT_FILE, point=1)).fd
    rig.call(SyncobjFdToHandle(chain, target, POINT_FILE, point=1))
    assert rig.query(target) == 0
    rig.inc(timeline)
    assert rig.query(target) == 1
    return len([event for event in rig.events if isinstance(event, Warn) and event.rule == "H1"])


@pytest.mark.requirement("H1")
def test_importing_a_chain_at_a_point_warns_as_upstream(rig: Any) -> None:
    assert chain_in_a_chain(rig) == 1


@pytest.mark.requirement("H1")
def test_importing_a_chain_at_a_point_is_flattened_when_repaired(make_rig: Any) -> None:
    assert chain_in_a_chain(make_rig(quirks=REPAIRED)) == 0


def test_a_huge_count_is_what_the_kernel_warns_about(rig: Any) -> None:
    rig.errno(SyncobjWait((rig.create(),), count=1 << 31))
    assert [event.rule for event in rig.events if isinstance(event, Warn)] == ["alloc"]


def test_count_0_waits_for_nothing_and_writes_nothing(rig: Any) -> None:
    assert rig.call(SyncobjWait((), FOREVER)).first_signaled is None
    assert rig.call(SyncobjTimelineWait((UNKNOWN,), (1,), FOREVER, count=0)).first_signaled is None


FIELDS = {
    "handle": st.integers(0, 6),
    "handles": st.lists(st.integers(0, 6), max_size=3).map(tuple),
    "points": st.one_of(st.none(), st.lists(st.integers(0, 9), max_size=3).map(tuple)),
    "point": st.one_of(st.none(), st.integers(0, 9)),
    "flags": st.integers(0, 31),
    "pad": st.integers(0, 1),
    "count": st.one_of(st.none(), st.integers(0, 4), st.just(1 << 31)),
    "fd": st.sampled_from([Fd(-1), Fd(0), Fd(9_999)]),
    "null_points": st.booleans(),
}
FIELDS["src_handle"] = FIELDS["dst_handle"] = FIELDS["handle"]
FIELDS["src_point"] = FIELDS["dst_point"] = st.integers(0, 9)
CHANGES = {type(call) for call in EVERY_CALL} - {
    SyncobjQuery,
    SyncobjEventfd,
    SyncobjWait,
    SyncobjTimelineWait,
}


@st.composite
def calls(draw: st.DrawFn) -> Any:
    kind = draw(st.sampled_from(sorted(CHANGES, key=lambda kind: kind.__name__)))
    fields = {}
    for field in msgspec.structs.fields(kind):
        strategy = FIELDS[field.name]
        if kind is SyncobjTransfer and field.name == "flags":
            strategy = st.sampled_from([0, 1, 4, 8])
        fields[field.name] = draw(strategy)
    if kind is SyncobjEventfd:
        fields["point"] = fields["point"] or 0
    return kind(**fields)


@given(st.lists(calls(), max_size=30))
def test_any_call_that_fails_leaves_everything_as_it_was(requests: list[Any]) -> None:
    """Handles, payloads and descriptors, whatever the arguments are."""
    device = Device()
    file = device.open()
    given: list[int] = []
    for request in requests:
        before = [(file.syncobjs.get(handle), fence_of(file, handle)) for handle in range(40)]
        try:
            reply = device.call(file, request, 0).result()
        except DeviceError:
            assert [(file.syncobjs.get(handle), fence_of(file, handle)) for handle in range(40)] == before
        else:
            given += [reply.fd] if hasattr(reply, "fd") else []
    for fd in given:
        os.close(fd)
    device.kernel.descriptors.close()


def fence_of(file: Any, handle: int) -> Any:
    syncobj = file.syncobjs.get(handle)
    return syncobj and syncobj.fence


@pytest.mark.requirement("H1")
def test_chains_in_chains_do_not_go_deeper_than_a_stack(rig: Any) -> None:
    timeline = rig.timeline()
    inner = rig.fence(timeline)
    for _ in range(500):
        handle = rig.create()
        rig.call(SyncobjFdToHandle(inner, handle, POINT_FILE, point=1))
        inner = rig.call(SyncobjHandleToFd(handle, POINT_FILE, point=1)).fd
    assert rig.status(inner) == 0
    rig.inc(timeline)
    assert rig.status(inner) == 1


@pytest.mark.requirement("H1")
def test_a_chain_in_a_chain_reaches_a_buffer_as_its_leaves(rig: Any) -> None:
    timeline, outer = rig.timeline(), rig.create()
    inner = rig.create()
    rig.put(inner, rig.fence(timeline), 1)
    for handle, source in ((outer, inner), (outer, inner)):
        chain = rig.call(SyncobjHandleToFd(source, POINT_FILE, point=1)).fd
        rig.call(SyncobjFdToHandle(chain, handle, POINT_FILE, point=rig.query(handle, 1) + 1))
    nested = rig.call(SyncobjHandleToFd(outer, SYNC_FILE)).fd
    dmabuf = rig.call(PrimeHandleToFd(rig.call(CreateDumb(8, 8)).handle)).fd
    rig.call(DmaBufImportSyncFile(dmabuf, DmaBufSyncFlag.WRITE, nested))
    waiting = rig.call(DmaBufExportSyncFile(dmabuf, DmaBufSyncFlag.READ)).fd
    assert rig.call(SyncFileInfo(waiting)).num_fences == 1
    rig.inc(timeline)
    assert rig.status(waiting) == 1
