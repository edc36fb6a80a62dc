"""Buffers, PRIME, and the dma-buf sync ioctls (kernel.md 2.8, 2.9)."""

import fcntl
import gc
import mmap
import os
import select
from errno import EACCES, EBADF, EINVAL, ENOENT, ENOMEM, ENOTTY
from pathlib import Path
from typing import Any

import pytest

from syncline.kms_model.uapi import (
    CreateDumb,
    DmaBufExportSyncFile,
    DmaBufImportSyncFile,
    DmaBufPoll,
    DmaBufSync,
    DmaBufSyncFlag,
    Fd,
    GemClose,
    PrimeFdToHandle,
    PrimeHandleToFd,
    SyncobjHandleToFd,
)

READ, WRITE, END = DmaBufSyncFlag.READ, DmaBufSyncFlag.WRITE, DmaBufSyncFlag.END


def buffer(rig: Any) -> tuple[int, Fd]:
    handle = rig.call(CreateDumb(64, 64)).handle
    return handle, rig.call(PrimeHandleToFd(handle)).fd


def export(rig: Any, dmabuf: Fd, flags: int) -> int:
    """The status of what such an access waits for."""
    return int(rig.status(rig.call(DmaBufExportSyncFile(dmabuf, flags)).fd))


def test_pitch_and_size_are_rounded_up(rig: Any) -> None:
    reply = rig.call(CreateDumb(33, 3, 24))
    assert (reply.pitch, reply.size) == (128, 4096)


@pytest.mark.parametrize(
    ("request_", "errno"),
    [
        (CreateDumb(0, 1), EINVAL),
        (CreateDumb(1, 0), EINVAL),
        (CreateDumb(1, 1, 0), EINVAL),
        (CreateDumb(1 << 31, 1 << 31), EINVAL),
        (CreateDumb(1 << 15, 1 << 14), ENOMEM),
        (GemClose(1), EINVAL),
        (PrimeHandleToFd(1), ENOENT),
        (PrimeHandleToFd(1, flags=1), EINVAL),
        (PrimeFdToHandle(Fd(-1)), EBADF),
        (PrimeFdToHandle(Fd(0)), EINVAL),
        (DmaBufExportSyncFile(Fd(0), READ), ENOTTY),
        (DmaBufImportSyncFile(Fd(-1), READ, Fd(0)), EBADF),
        (DmaBufSync(Fd(0), READ), ENOTTY),
    ],
    ids=repr,
)
def test_bad_arguments_get_their_errno(rig: Any, request_: Any, errno: int) -> None:
    assert rig.errno(request_) == errno


def test_a_render_node_makes_no_dumb_buffers(rig: Any) -> None:
    assert rig.errno(CreateDumb(1, 1), rig.device.open("render")) == EACCES


def test_importing_what_a_file_has_gives_the_handle_it_has(rig: Any) -> None:
    handle, dmabuf = buffer(rig)
    assert rig.call(PrimeFdToHandle(dmabuf)).handle == handle
    other = rig.device.open()
    foreign = rig.call(PrimeFdToHandle(dmabuf), other).handle
    assert rig.call(PrimeFdToHandle(dmabuf), other).handle == foreign
    assert rig.file.gems.get(handle) is other.gems.get(foreign)


def test_the_memory_outlives_every_handle_while_a_descriptor_is_open(rig: Any) -> None:
    handle, dmabuf = buffer(rig)
    rig.file.gems.get(handle).memory[:4] = b"abcd"
    rig.call(GemClose(handle))
    again = rig.call(PrimeFdToHandle(dmabuf)).handle
    assert rig.file.gems.get(again).memory[:4] == b"abcd"


def test_the_fences_outlive_every_handle_while_a_descriptor_is_open(rig: Any) -> None:
    handle, dmabuf = buffer(rig)
    rig.call(DmaBufImportSyncFile(dmabuf, WRITE, rig.fence(rig.timeline())))
    rig.call(GemClose(handle))
    rig.call(PrimeFdToHandle(dmabuf))
    assert export(rig, dmabuf, READ) == 0


def test_a_buffer_nobody_refers_to_is_freed(rig: Any) -> None:
    before = descriptors()
    handle, dmabuf = buffer(rig)
    rig.call(GemClose(handle))
    rig.close_fd(dmabuf)
    gc.collect()
    assert not rig.kernel.descriptors.known()
    assert descriptors() <= before + 2  # the two by which the machine hears of closed descriptors


def test_a_mapping_alone_keeps_a_buffer_known(rig: Any) -> None:
    handle, dmabuf = buffer(rig)
    memory = mmap.mmap(dmabuf, 4096)
    rig.call(GemClose(handle))
    rig.close_fd(dmabuf)
    assert rig.kernel.descriptors.known()
    memory.close()
    rig.device.collect(rig.now_ns)
    assert not rig.kernel.descriptors.known()


def test_a_client_cannot_shrink_a_buffer_under_its_readers(rig: Any) -> None:
    _, dmabuf = buffer(rig)
    with pytest.raises(PermissionError):
        os.ftruncate(dmabuf, 0)


def test_a_client_cannot_seal_a_buffer_against_the_machine(rig: Any) -> None:
    handle, dmabuf = buffer(rig)
    with pytest.raises(PermissionError):
        fcntl.fcntl(dmabuf, fcntl.F_ADD_SEALS, fcntl.F_SEAL_WRITE)
    rig.file.gems.get(handle).memory[:1] = b"x"


@pytest.mark.parametrize("flags", [0, 4, 8, READ | 4])
def test_export_and_import_want_a_direction_and_nothing_else(rig: Any, flags: int) -> None:
    _, dmabuf = buffer(rig)
    assert rig.errno(DmaBufExportSyncFile(dmabuf, flags)) == EINVAL
    assert rig.errno(DmaBufImportSyncFile(dmabuf, flags, Fd(-1))) == EINVAL


def test_import_wants_a_sync_file(rig: Any) -> None:
    _, dmabuf = buffer(rig)
    syncobj = rig.call(SyncobjHandleToFd(rig.create())).fd
    assert rig.errno(DmaBufImportSyncFile(dmabuf, READ, syncobj)) == EINVAL


def test_an_idle_buffer_exports_a_signalled_fence(rig: Any) -> None:
    _, dmabuf = buffer(rig)
    assert [export(rig, dmabuf, flags) for flags in (READ, WRITE, READ | WRITE)] == [1, 1, 1]


@pytest.mark.requirement("F68")
def test_readers_wait_for_writers_and_writers_for_everybody(rig: Any) -> None:
    _, dmabuf = buffer(rig)
    timeline = rig.timeline()
    rig.call(DmaBufImportSyncFile(dmabuf, READ, rig.fence(timeline, 1)))
    assert (export(rig, dmabuf, READ), export(rig, dmabuf, WRITE)) == (1, 0)
    rig.call(DmaBufImportSyncFile(dmabuf, WRITE, rig.fence(rig.timeline(), 1)))
    assert (export(rig, dmabuf, READ), export(rig, dmabuf, WRITE)) == (0, 0)


def test_an_export_does_not_see_later_imports(rig: Any) -> None:
    _, dmabuf = buffer(rig)
    snapshot = rig.call(DmaBufExportSyncFile(dmabuf, WRITE)).fd
    rig.call(DmaBufImportSyncFile(dmabuf, WRITE, rig.fence(rig.timeline())))
    assert rig.status(snapshot) == 1


@pytest.mark.requirement("kernel.md 2.9")
def test_a_poll_is_readable_without_writers_and_writable_without_anybody(rig: Any) -> None:
    _, dmabuf = buffer(rig)
    readers, writers = rig.timeline(), rig.timeline()

    def ready(events: int = select.POLLIN | select.POLLOUT) -> int:
        return int(rig.call(DmaBufPoll(dmabuf, events)).ready)

    assert ready() == select.POLLIN | select.POLLOUT
    assert (ready(0), ready(select.POLLPRI), ready(select.POLLIN | select.POLLPRI)) == (0, 0, select.POLLIN)
    rig.call(DmaBufImportSyncFile(dmabuf, READ, rig.fence(readers)))
    assert ready() == select.POLLIN
    rig.call(DmaBufImportSyncFile(dmabuf, WRITE, rig.fence(writers)))
    assert ready() == 0
    rig.inc(readers)
    assert ready() == 0
    rig.inc(writers)
    assert ready() == select.POLLIN | select.POLLOUT
    assert rig.errno(DmaBufPoll(rig.timeline(), select.POLLIN)) == ENOTTY


def test_begin_cpu_access_sleeps_until_the_buffer_is_idle(rig: Any) -> None:
    _, dmabuf = buffer(rig)
    timeline = rig.timeline()
    rig.call(DmaBufImportSyncFile(dmabuf, WRITE, rig.fence(timeline)))
    begin = rig.start(DmaBufSync(dmabuf, READ))
    assert not begin.done
    rig.call(DmaBufSync(dmabuf, READ | END))
    rig.inc(timeline)
    assert begin.done
    begin.result()


@pytest.mark.parametrize("flags", [0, END, 8 | READ])
def test_cpu_access_wants_a_direction_and_no_unknown_bit(rig: Any, flags: int) -> None:
    _, dmabuf = buffer(rig)
    assert rig.errno(DmaBufSync(dmabuf, flags)) == EINVAL


def descriptors() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))
