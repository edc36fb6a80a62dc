"""Tokens: a descriptor left with the node for one other open file."""

import os
from collections.abc import Iterator
from errno import EBADF, EMFILE, ENOENT, ESRCH
from pathlib import Path
from typing import Any

import pytest

from syncline.kms_model.budget import MAX_DESCRIPTORS
from syncline.kms_model.device import Device
from syncline.kms_model.exchange import Exchange
from syncline.kms_model.file import File
from syncline.kms_model.local import LocalNode
from syncline.kms_model.loops import VirtualLoop
from syncline.kms_model.token import LIFETIME_NS, TOKENS_MAX
from syncline.kms_model.uapi import (
    Fd,
    SyncobjFdToHandle,
    SyncobjHandleToFd,
    TokenAddress,
    TokenExport,
    TokenRedeem,
)


@pytest.fixture
def paper() -> Iterator[Fd]:
    """A descriptor that the machine did not make."""
    fd = os.memfd_create("paper")
    yield Fd(fd)
    os.close(fd)


@pytest.fixture
def taker(rig: Any) -> File:
    return rig.device.open("render")


def address(rig: Any, file: File) -> int:
    return rig.call(TokenAddress(), file).address


def deposit(rig: Any, fd: Fd, taker: File) -> bytes:
    return rig.call(TokenExport(fd, address(rig, taker))).token


def same_file(one: int, other: int) -> bool:
    return os.fstat(one).st_ino == os.fstat(other).st_ino


def open_count() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


def test_whoever_it_is_addressed_to_gets_the_descriptor_whatever_it_is(
    rig: Any, paper: Fd, taker: File
) -> None:
    token = deposit(rig, paper, taker)

    assert len(token) == 16
    assert same_file(rig.call(TokenRedeem(token), taker).fd, paper)


def test_a_syncobj_is_itself_on_the_other_side(rig: Any, taker: File) -> None:
    handle = rig.create()
    token = deposit(rig, rig.call(SyncobjHandleToFd(handle)).fd, taker)
    rig.signal(handle, 7)

    imported = rig.call(SyncobjFdToHandle(rig.call(TokenRedeem(token), taker).fd), taker).handle

    assert taker.syncobjs.get(imported) is rig.file.syncobjs.get(handle)


def test_a_descriptor_may_be_closed_as_soon_as_it_is_deposited(rig: Any, taker: File) -> None:
    fd = os.memfd_create("short-lived")
    inode = os.fstat(fd).st_ino
    token = deposit(rig, Fd(fd), taker)
    os.close(fd)

    assert os.fstat(rig.call(TokenRedeem(token), taker).fd).st_ino == inode


def test_a_token_is_good_once(rig: Any, paper: Fd, taker: File) -> None:
    token = deposit(rig, paper, taker)
    rig.call(TokenRedeem(token), taker)

    assert rig.errno(TokenRedeem(token), taker) == ENOENT


def test_somebody_elses_token_is_no_token_and_stays_good_for_its_owner(
    rig: Any, paper: Fd, taker: File
) -> None:
    token = deposit(rig, paper, taker)

    assert rig.errno(TokenRedeem(token), rig.device.open("render")) == ENOENT
    assert rig.errno(TokenRedeem(token)) == ENOENT, "the giver is somebody else, too"
    assert same_file(rig.call(TokenRedeem(token), taker).fd, paper)


@pytest.mark.parametrize("token", [b"", bytes(16), b"\xff" * 17, b"x" * 1000])
def test_a_forged_token_is_no_token(rig: Any, paper: Fd, taker: File, token: bytes) -> None:
    deposit(rig, paper, taker)

    assert rig.errno(TokenRedeem(token), taker) == ENOENT


def test_a_token_ends_with_its_time(rig: Any, paper: Fd, taker: File) -> None:
    before = open_count()
    early, late = deposit(rig, paper, taker), deposit(rig, paper, taker)

    rig.device.advance(rig.now_ns + LIFETIME_NS - 1)
    rig.call(TokenRedeem(early), taker)
    rig.device.advance(rig.now_ns + 1)

    assert rig.errno(TokenRedeem(late), taker) == ENOENT
    assert open_count() == before + 1, "the early one's"


def test_what_was_meant_for_a_closed_file_is_closed_with_it(rig: Any, paper: Fd, taker: File) -> None:
    before = open_count()
    for _ in range(3):
        deposit(rig, paper, taker)
    gone = address(rig, taker)

    rig.device.close(taker, rig.now_ns)

    assert open_count() == before
    assert rig.errno(TokenExport(paper, gone)) == ESRCH
    assert address(rig, rig.device.open("render")) != gone, "an address is never somebody else's"


def test_what_was_sent_before_its_giver_died_still_arrives(rig: Any, paper: Fd, taker: File) -> None:
    giver = rig.device.open("render")
    token = rig.call(TokenExport(paper, address(rig, taker)), giver).token

    rig.device.close(giver, rig.now_ns)

    assert same_file(rig.call(TokenRedeem(token), taker).fd, paper)


def test_what_is_no_descriptor_is_not_kept(rig: Any, taker: File) -> None:
    for fd in (-1, 1 << 20):
        assert rig.errno(TokenExport(Fd(fd), address(rig, taker))) == EBADF


def test_one_file_can_leave_so_many_with_another_and_no_more(rig: Any, paper: Fd, taker: File) -> None:
    tokens = [deposit(rig, paper, taker) for _ in range(TOKENS_MAX)]

    assert rig.errno(TokenExport(paper, address(rig, taker))) == EMFILE
    deposit(rig, paper, rig.device.open("render"))
    rig.call(TokenRedeem(tokens[0]), taker)
    deposit(rig, paper, taker)


def test_what_is_deposited_is_charged_until_it_is_fetched(rig: Any, paper: Fd, taker: File) -> None:
    for _ in range(MAX_DESCRIPTORS - 1):
        rig.file.budget.charge()
    token = deposit(rig, paper, taker)
    before = open_count()

    assert rig.errno(TokenExport(paper, address(rig, taker))) == EMFILE
    assert open_count() == before
    rig.call(TokenRedeem(token), taker)
    deposit(rig, paper, taker)


def test_tokens_are_drawn_from_what_nobody_can_foresee(rig: Any, paper: Fd, taker: File) -> None:
    tokens = {deposit(rig, paper, taker) for _ in range(TOKENS_MAX)}

    assert len(tokens) == TOKENS_MAX
    assert len({byte for token in tokens for byte in token}) > 250


def test_an_exchange_speaks_of_descriptors_and_tokens_only(paper: Fd) -> None:
    loop = VirtualLoop()
    node = LocalNode(Device(), loop)
    ours, theirs = (Exchange(node.open("render")) for _ in range(2))

    token = ours.deposit(paper, theirs.address)
    assert token is not None
    fd = theirs.redeem(token)
    assert fd is not None
    assert same_file(fd, paper)
    os.close(fd)
    assert theirs.redeem(token) is None
    theirs.close()
    assert ours.deposit(paper, theirs.address) is None

    ours.close()
    node.close()
    node.device.kernel.descriptors.close()
    loop.close()
