"""vgem fences (kernel.md 2.4)."""

from errno import EBUSY, EINVAL, ENOENT, ETIMEDOUT
from typing import Any

import pytest

from syncline.kms_model.profiles import VIRTIO_GPU
from syncline.kms_model.uapi import (
    CreateDumb,
    DmaBufExportSyncFile,
    DmaBufSyncFlag,
    PrimeHandleToFd,
    VgemFenceAttach,
    VgemFenceSignal,
    VgemFlag,
)


def make(rig: Any) -> tuple[int, Any]:
    """A buffer's handle, and a question: the sync_file a writer waits for."""
    handle = rig.call(CreateDumb(16, 16)).handle
    dmabuf = rig.call(PrimeHandleToFd(handle)).fd
    return handle, lambda: rig.call(DmaBufExportSyncFile(dmabuf, DmaBufSyncFlag.WRITE)).fd


@pytest.mark.requirement("K2")
def test_it_is_a_fence_of_its_buffer_until_it_is_signalled(rig: Any) -> None:
    handle, export = make(rig)
    fence = rig.call(VgemFenceAttach(handle, VgemFlag.WRITE)).out_fence
    pending = export()
    assert rig.status(pending) == 0
    rig.call(VgemFenceSignal(fence))
    assert rig.status(pending) == 1


def test_it_expires_after_ten_seconds(rig: Any) -> None:
    handle, export = make(rig)
    fence = rig.call(VgemFenceAttach(handle)).out_fence
    pending = export()
    rig.after_ms(9_999)
    assert rig.status(pending) == 0
    rig.after_ms(1)
    assert rig.status(pending) == 1
    assert rig.errno(VgemFenceSignal(fence)) == ETIMEDOUT
    assert rig.errno(VgemFenceSignal(fence)) == ENOENT


def test_signalling_twice_finds_nothing(rig: Any) -> None:
    handle, _ = make(rig)
    fence = rig.call(VgemFenceAttach(handle)).out_fence
    rig.call(VgemFenceSignal(fence))
    assert rig.errno(VgemFenceSignal(fence)) == ENOENT
    assert rig.device.next_deadline_ns() is None


@pytest.mark.parametrize(
    ("first", "second", "conflict"),
    [
        (0, 0, False),
        (0, VgemFlag.WRITE, True),
        (VgemFlag.WRITE, 0, True),
        (VgemFlag.WRITE, VgemFlag.WRITE, True),
    ],
)
def test_readers_go_together_and_a_writer_goes_alone(
    rig: Any, first: int, second: int, conflict: bool
) -> None:
    handle, _ = make(rig)
    rig.call(VgemFenceAttach(handle, first))
    if conflict:
        assert rig.errno(VgemFenceAttach(handle, second)) == EBUSY
    else:
        assert rig.call(VgemFenceAttach(handle, second)).out_fence == 2


def test_bad_arguments_get_their_errno(rig: Any) -> None:
    handle, _ = make(rig)
    assert rig.errno(VgemFenceAttach(handle, 2)) == EINVAL
    assert rig.errno(VgemFenceAttach(handle, pad=1)) == EINVAL
    assert rig.errno(VgemFenceAttach(99)) == ENOENT
    assert rig.errno(VgemFenceSignal(1)) == ENOENT
    assert rig.errno(VgemFenceSignal(0)) == ENOENT
    assert rig.errno(VgemFenceSignal(1, flags=1)) == EINVAL


def test_numbers_are_not_used_again(rig: Any) -> None:
    handle, _ = make(rig)
    for expected in (1, 2):
        fence = rig.call(VgemFenceAttach(handle)).out_fence
        assert fence == expected
        rig.call(VgemFenceSignal(fence))


def test_closing_the_file_signals_what_is_left(rig: Any) -> None:
    handle, export = make(rig)
    rig.call(VgemFenceAttach(handle))
    pending = export()
    rig.device.close(rig.file, rig.now_ns)
    assert rig.readable(pending)


def test_other_drivers_have_no_such_call(make_rig: Any) -> None:
    assert make_rig(VIRTIO_GPU).errno(VgemFenceAttach(1)) == EINVAL
