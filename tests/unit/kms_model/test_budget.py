"""What one file may cost the machine."""

import os
import resource
from collections.abc import Iterator
from errno import EMFILE, ENOMEM
from typing import Any

import pytest

from syncline.kms_model import budget
from syncline.kms_model.budget import Budget
from syncline.kms_model.uapi import (
    CreateDumb,
    CreateFlag,
    DeviceError,
    Fd,
    GemClose,
    HandleFlag,
    SyncobjCreate,
    SyncobjEventfd,
    SyncobjHandleToFd,
    SyncobjSignal,
)

SYNC_FILE = HandleFlag.SYNC_FILE


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(budget, "MAX_DESCRIPTORS", 3)
    monkeypatch.setattr(budget, "MAX_BYTES", 3 * 4096)


def test_what_is_refunded_can_be_charged_again() -> None:
    purse = Budget()
    for _ in range(budget.MAX_DESCRIPTORS):
        purse.charge()
    with pytest.raises(DeviceError) as refusal:
        purse.charge()
    assert refusal.value.errno == EMFILE
    purse.refund()
    purse.charge()


def test_sync_files_are_charged_until_they_are_closed(small: None, make_rig: Any) -> None:
    rig = make_rig()
    handle = rig.create(flags=CreateFlag.SIGNALED)
    files = [rig.call(SyncobjHandleToFd(handle, SYNC_FILE)).fd for _ in range(3)]
    assert rig.errno(SyncobjHandleToFd(handle, SYNC_FILE)) == EMFILE
    rig.close_fd(files[0])
    rig.call(SyncobjHandleToFd(handle, SYNC_FILE))


def test_eventfds_are_charged_until_they_fire(small: None, make_rig: Any) -> None:
    rig = make_rig()
    handle, event = rig.create(), rig.eventfd()
    for _ in range(3):
        rig.call(SyncobjEventfd(handle, 0, event))
    assert rig.errno(SyncobjEventfd(handle, 0, event)) == EMFILE
    rig.call(SyncobjSignal((handle,)))
    assert rig.count(event) == 3
    rig.call(SyncobjEventfd(handle, 0, event))


def test_buffers_are_charged_by_size_until_their_handle_is_closed(small: None, make_rig: Any) -> None:
    rig = make_rig()
    two_pages = rig.call(CreateDumb(1024, 2)).handle
    assert rig.errno(CreateDumb(1024, 2)) == ENOMEM
    rig.call(GemClose(two_pages))
    rig.call(CreateDumb(1024, 3))


def test_one_file_does_not_pay_for_another(small: None, make_rig: Any) -> None:
    rig = make_rig()
    rig.call(CreateDumb(1024, 3))
    rig.call(CreateDumb(1024, 3), rig.device.open())


@pytest.fixture
def full_table() -> Iterator[None]:
    """A process that may open nothing more."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    probe = os.dup(0)
    os.close(probe)
    resource.setrlimit(resource.RLIMIT_NOFILE, (probe, hard))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_a_full_descriptor_table_is_an_errno_and_changes_nothing(rig: Any, full_table: None) -> None:
    handle = rig.call(SyncobjCreate(CreateFlag.SIGNALED)).handle
    assert rig.errno(SyncobjHandleToFd(handle)) == EMFILE
    assert rig.errno(SyncobjHandleToFd(handle, SYNC_FILE)) == EMFILE
    assert rig.errno(CreateDumb(64, 64)) == EMFILE
    assert rig.errno(SyncobjEventfd(handle, 0, Fd(0))) != 0
    assert not rig.file.gem_handles
