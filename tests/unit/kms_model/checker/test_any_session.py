"""Honest user space breaks no rule, whatever it does; one dishonest act is found, wherever it happens."""

import gc
import os
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from hypothesis import given, settings, strategies as st

from syncline.kms_model.buffers.resv import Resv, Usage
from syncline.kms_model.checker import Checker, Severity
from syncline.kms_model.checker.watch import close_books
from syncline.kms_model.device import Device
from syncline.kms_model.fences.fence import Fence
from syncline.kms_model.observer import Exporter
from syncline.kms_model.uapi import (
    CreateDumb,
    DmaBufExportSyncFile,
    DmaBufImportSyncFile,
    DmaBufSyncFlag,
    HandleFlag,
    Point,
    PrimeHandleToFd,
    Submit,
    SwSyncCreateFence,
    SwSyncCreateTimeline,
    SwSyncInc,
    SyncFileMerge,
    SyncobjCreate,
    SyncobjCreateUser,
    SyncobjEventfd,
    SyncobjFdToHandle,
    SyncobjHandleToFd,
    SyncobjQuery,
    SyncobjTimelineSignal,
    SyncobjTimelineWait,
    SyncobjTransfer,
    WaitFlag,
)

MS = 1_000_000
FOREVER_NS = (1 << 63) - 1
SEVERAL = settings(max_examples=settings().max_examples // 6)
"""For each dishonest act: of what the profile spends on one test, its share."""


@pytest.fixture(autouse=True, scope="module")
def _only_sessions_are_collected() -> Iterator[None]:
    """Every session ends with a collection, which need not walk what the rest of the suite has made."""
    gc.collect()
    gc.freeze()
    yield
    gc.unfreeze()


class Session:
    """Two programs that keep to the rules: points in order, an end to everything, waits only for what will come."""

    def __init__(self) -> None:
        self.device = Device()
        self.checker = Checker(self.device.kernel)
        self.device.advance(1000 * MS)
        self.files = [self.device.open(), self.device.open()]
        self.fds: list[int] = []
        self.eventfd = os.eventfd(0, os.EFD_NONBLOCK)
        self.timelines = [self.call(file, SyncobjCreate()).handle for file in self.files]
        self.users = [self.call(file, SyncobjCreateUser()).handle for file in self.files]
        self.buffers = [self.call(file, CreateDumb(16, 16)).handle for file in self.files]
        self.user_buffers = [self.call(file, CreateDumb(16, 16)).handle for file in self.files]
        self.dmabufs = [
            self.keep(self.call(file, PrimeHandleToFd(buffer)).fd)
            for file, buffer in zip(self.files, self.buffers, strict=True)
        ]
        self.points = [0, 0]
        self.user_points = [0, 0]
        self.sw_sync = self.keep(self.call(self.files[0], SwSyncCreateTimeline()).fd)
        self.counter = 0
        self.lost: Fence | None = None

    def call(self, file: Any, request: Any) -> Any:
        return self.device.call(file, request, self.device.now_ns).result()

    def keep(self, fd: int) -> int:
        self.fds.append(fd)
        return fd

    # -- what they do --------------------------------------------------------------------------

    def job(self, who: int, _other: int) -> None:
        last = self.points[who]
        ins = (Point(self.timelines[who], last),) if last else ()
        self.points[who] += 1
        out = (Point(self.timelines[who], last + 1),)
        self.call(
            self.files[who],
            Submit(self.buffers[who], (16, 16), 64, (), 2 * MS, in_points=ins, out_points=out),
        )

    def user_job(self, who: int, _other: int) -> None:
        """The engine waits for a user fence, and answers with the next point of it. Nothing orders it after `job`."""
        point = self.user_points[who] + 1
        self.user_points[who] += 2
        handle = self.users[who]
        self.call(
            self.files[who],
            Submit(
                self.user_buffers[who],
                (16, 16),
                64,
                (),
                MS,
                user_in_points=(Point(handle, point),),
                out_points=(Point(handle, point + 1),),
                implicit=False,
            ),
        )
        self.call(self.files[who], SyncobjTimelineSignal((handle,), (point,)))

    def signal(self, who: int, _other: int) -> None:
        self.points[who] += 1
        self.call(self.files[who], SyncobjTimelineSignal((self.timelines[who],), (self.points[who],)))

    def query(self, who: int, _other: int) -> None:
        self.call(self.files[who], SyncobjQuery((self.timelines[who], self.users[who])))

    def wait(self, who: int, _other: int) -> None:
        flags = int(WaitFlag.FOR_SUBMIT | WaitFlag.ALL)
        request = SyncobjTimelineWait((self.timelines[who],), (self.points[who] + 1,), FOREVER_NS, flags)
        self.device.call(self.files[who], request, self.device.now_ns)
        self.job(who, 0)

    def notify(self, who: int, _other: int) -> None:
        self.call(self.files[who], SyncobjEventfd(self.timelines[who], self.points[who], self.eventfd))

    def pass_on(self, who: int, other: int) -> None:
        """A sync_file from one to the other, merged with one of sw_sync, to a point, and into a buffer."""
        if not self.points[who]:
            return
        both = int(HandleFlag.SYNC_FILE | HandleFlag.TIMELINE)
        fd = self.call(
            self.files[who], SyncobjHandleToFd(self.timelines[who], both, point=self.points[who])
        ).fd
        self.counter += 1
        sw = self.call(self.files[0], SwSyncCreateFence(self.sw_sync, self.counter)).fd
        merged = self.call(self.files[0], SyncFileMerge(fd, sw, "both")).fd
        carrier = self.call(self.files[other], SyncobjCreate()).handle
        self.call(self.files[other], SyncobjFdToHandle(merged, carrier, HandleFlag.SYNC_FILE))
        self.points[other] += 1
        self.call(self.files[other], SyncobjTransfer(carrier, 0, self.timelines[other], self.points[other]))
        self.call(
            self.files[other],
            DmaBufImportSyncFile(self.dmabufs[other], sync_file=merged, flags=DmaBufSyncFlag.WRITE),
        )
        for each in (fd, sw, merged):
            os.close(each)

    def snapshot(self, who: int, _other: int) -> None:
        os.close(
            self.call(self.files[who], DmaBufExportSyncFile(self.dmabufs[who], flags=DmaBufSyncFlag.READ)).fd
        )

    def advance_sw_sync(self, _who: int, _other: int) -> None:
        self.call(self.files[0], SwSyncInc(self.sw_sync, 1))

    def let_time_pass(self, who: int, other: int) -> None:
        self.device.advance(self.device.now_ns + (1 + who + other) * MS)

    # -- the end -------------------------------------------------------------------------------

    def end(self) -> set[tuple[str, Severity]]:
        self.call(self.files[0], SwSyncInc(self.sw_sync, self.counter))
        self.device.advance(self.device.now_ns + 1000 * MS)
        for file in self.files:
            self.device.close(file, self.device.now_ns)
        for fd in (*self.fds, self.eventfd):
            os.close(fd)
        gc.collect()
        close_books(self.checker, self.device.kernel, (self.device,), alone=True)
        self.device.kernel.descriptors.close()
        return self.checker.ledger.verdict()


HONEST = [
    Session.job,
    Session.user_job,
    Session.signal,
    Session.query,
    Session.wait,
    Session.notify,
    Session.pass_on,
    Session.snapshot,
    Session.advance_sw_sync,
    Session.let_time_pass,
]
Act = Callable[[Session, int, int], None]
acts = st.lists(st.tuples(st.sampled_from(HONEST), st.integers(0, 1), st.integers(0, 1)), max_size=30)


def play(session: Session, told: list[tuple[Act, int, int]]) -> None:
    for act, who, other in told:
        act(session, who, other)


@given(acts)
def test_an_honest_session_gets_no_error(told: list[tuple[Act, int, int]]) -> None:
    session = Session()
    play(session, told)

    assert session.end() <= {("K2", Severity.WARN)}


# -- one dishonest act -------------------------------------------------------------------------------


def publish_a_fence_that_waits_for_user_space(session: Session) -> None:
    syncobj = session.files[0].syncobjs.get(session.users[0])
    assert syncobj is not None
    fence = exported(session)
    assert fence.observer is not None
    fence.observer.depends([syncobj.awaited(1 << 40)], "a driver that trusts user space")
    Resv().add(fence, Usage.WRITE)
    fence.signal(session.device.now_ns)


def publish_a_fence_without_a_bound(session: Session) -> None:
    fence = exported(session, Exporter(name="hope", bounded=False))
    Resv().add(fence, Usage.WRITE)
    fence.signal(session.device.now_ns)


def set_an_error_late(session: Session) -> None:
    fence = exported(session)
    fence.signal(session.device.now_ns)
    fence.set_error(5)


def lose_a_published_fence(session: Session) -> None:
    session.lost = exported(session)
    Resv().add(session.lost, Usage.WRITE)


def exported(session: Session, exporter: Exporter | None = None) -> Fence:
    kernel = session.device.kernel
    fence = Fence(kernel.new_context(), 1, "evil", "evil")
    session.checker.exported(fence, exporter or Exporter(name="evil"))
    return fence


@pytest.mark.parametrize(
    ("act", "rule"),
    [
        (publish_a_fence_that_waits_for_user_space, "K1"),
        (publish_a_fence_without_a_bound, "K2"),
        (set_an_error_late, "K7"),
        (lose_a_published_fence, "K24"),
    ],
)
@SEVERAL
@given(before=acts, after=acts)
def test_one_dishonest_act_is_found_among_honest_ones(
    act: Callable[[Session], None],
    rule: str,
    before: list[tuple[Act, int, int]],
    after: list[tuple[Act, int, int]],
) -> None:
    session = Session()
    play(session, before)
    act(session)
    play(session, after)

    assert session.end() - {("K2", Severity.WARN)} == {(rule, Severity.ERROR)}
