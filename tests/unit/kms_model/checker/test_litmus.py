"""The litmus programs of the checker: each is a story, and gets exactly its verdict. Numbers as in kernel.md 7."""

from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from typing import Any

import pytest

from syncline.kms_model.buffers.resv import Resv, Usage
from syncline.kms_model.checker import Checker, Severity
from syncline.kms_model.fences.array import FenceArray
from syncline.kms_model.fences.fence import Fence
from syncline.kms_model.observer import Awaited, AwaitedLock, Exporter
from syncline.kms_model.syncobj.find import find_fence_waiting
from syncline.kms_model.syncobj.wait import FOREVER_NS, timeline_wait
from syncline.kms_model.task import Completion, Task
from syncline.kms_model.uapi import (
    CreateDumb,
    HandleFlag,
    Point,
    Submit,
    SyncobjCreateUser,
    SyncobjEventfd,
    SyncobjFdToHandle,
    SyncobjHandleToFd,
    SyncobjTimelineSignal,
    SyncobjTimelineWait,
    SyncobjTransfer,
    WaitFlag,
)
from syncline.kms_model.user_fence.user_fence import UserSyncobj

MS = 1_000_000
ERROR, WARN = Severity.ERROR, Severity.WARN
TIMER = Exporter(name="timer", bound_ns=10_000 * MS)
WORK = Exporter(name="work")


class Reason:
    """Explains what a completion stands for."""

    def __init__(self, *things: Any) -> None:
        self._things = things

    def awaited(self) -> Awaited:
        return Awaited(self._things)


class Stage:
    """A machine with a checker, and the few things a driver's code would do."""

    def __init__(self, rig: Any, checker: Checker) -> None:
        self.rig = rig
        self.kernel = rig.kernel
        self.checker = checker

    def task(self, coroutine: Coroutine[Any, Any, Any]) -> Task[Any]:
        return self.kernel.spawn(coroutine)

    def run(self, ms: float = 0) -> None:
        self.rig.after_ms(ms)

    def fence(
        self,
        exporter: Exporter = TIMER,
        *,
        by: Any = None,
        context: int = 0,
        seqno: int = 1,
        lock: Any = None,
    ) -> Fence:
        fence = Fence(context or self.kernel.new_context(), seqno, exporter.name, "litmus")
        self.checker.exported(fence, exporter, by=by, lock=lock)
        return fence

    def publish(self, fence: Fence) -> Resv:
        resv = Resv()
        resv.add(fence, Usage.WRITE)
        return resv

    def signal(self, *fences: Fence) -> None:
        for fence in fences:
            fence.signal(self.kernel.now_ns)
        self.run()

    def job(self, ms: float = 1, **fields: Any) -> Any:
        target = self.rig.call(CreateDumb(64, 64)).handle
        reply = self.rig.call(Submit(target, (64, 64), 256, (), round(ms * MS), **fields))
        if reply.out_fence >= 0:
            self.rig._fds.append(reply.out_fence)
        return reply

    def user(self) -> tuple[int, UserSyncobj]:
        handle = self.rig.call(SyncobjCreateUser()).handle
        syncobj = self.rig.file.syncobjs.get(handle)
        assert isinstance(syncobj, UserSyncobj)
        return handle, syncobj


# -- K1, K3, K6: who waits for whom ----------------------------------------------------------------


def lock_held_across_a_wait(stage: Stage) -> None:
    """L1. T1: lock A, wait F, unlock. T2: lock A, unlock, signal F. This time T2 was quicker."""
    gate = Completion()

    async def signaller() -> None:
        stage.checker.lock_taken("A", "A")
        stage.checker.lock_released("A")
        await stage.kernel.wait(gate)
        fence.signal(stage.kernel.now_ns)

    async def waiter() -> None:
        stage.checker.lock_taken("A", "A")
        await stage.kernel.wait(fence)
        stage.checker.lock_released("A")

    fence = stage.fence(WORK, by=stage.task(signaller()))
    stage.run()
    stage.task(waiter())
    stage.run()
    gate.complete()
    stage.run()


def lock_dropped_before_the_wait(stage: Stage) -> None:
    """L1, repaired."""

    async def signaller() -> None:
        stage.checker.lock_taken("A", "A")
        stage.checker.lock_released("A")
        fence.signal(stage.kernel.now_ns)

    async def waiter() -> None:
        stage.checker.lock_taken("A", "A")
        stage.checker.lock_released("A")
        await stage.kernel.wait(fence)

    fence = stage.fence(WORK, by=stage.task(signaller()))
    stage.task(waiter())
    stage.run()


def locks_in_both_orders(stage: Stage) -> None:
    async def take(*locks: str) -> None:
        for lock in locks:
            stage.checker.lock_taken(lock, lock)
        for lock in locks:
            stage.checker.lock_released(lock)

    stage.task(take("A", "B"))
    stage.task(take("B", "A"))
    stage.run()


def job_waits_for_an_unsubmitted_point(stage: Stage) -> None:
    """L2. A driver's worker takes a promise that user space still has to make."""
    handle = stage.rig.create()

    async def worker() -> None:
        await find_fence_waiting(stage.rig.file, handle, 1)
        fence.signal(stage.kernel.now_ns)

    fence = stage.fence(WORK, by=stage.task(worker()))
    stage.publish(fence)
    stage.run()
    stage.rig.signal(handle, 1)


def job_waits_for_a_user_point(stage: Stage) -> None:
    """The engine may wait for a user fence, and such a job shows no fence. Here somebody lets it out."""
    handle, syncobj = stage.user()
    fence = stage.fence(WORK)
    assert fence.observer is not None
    fence.observer.depends([syncobj.awaited(1)], "the engine waits for a user fence")
    stage.publish(fence)
    stage.rig.signal(handle, 1)
    stage.signal(fence)


def honest_user_job(stage: Stage) -> None:
    """The same through SUBMIT, which keeps the fence to itself."""
    handle, _ = stage.user()
    done, _ = stage.user()
    stage.job(user_in_points=(Point(handle, 1),), out_points=(Point(done, 1),), implicit=False)
    stage.job()
    stage.run(50)
    stage.rig.signal(handle, 1)
    stage.run(50)


def eviction_circle(stage: Stage, proxy: bool = False) -> None:
    """L3, L4. A user fence waits for a job, whose buffer's eviction waits for the user fence's owner."""
    _, syncobj = stage.user()
    started = Completion()

    async def owner() -> None:
        await stage.kernel.wait(started)
        await stage.kernel.wait(job)

    async def eviction() -> None:
        await stage.kernel.wait(stand_in if proxy else Completion(Reason(program)))

    program, evictor = stage.task(owner()), stage.task(eviction())
    stage.checker.owes(program, syncobj.awaited(1))
    job, stand_in = stage.fence(WORK), stage.fence(TIMER)
    if proxy:
        assert stand_in.observer is not None
        stand_in.observer.depends([syncobj.awaited(1)], "proxy of a user fence", expires=True)
    assert job.observer is not None
    job.observer.depends([evictor], "its buffer is evicted first")
    stage.publish(job)
    stage.run()
    started.complete()
    stage.run()


def release_circle(stage: Stage, timeout_ms: int | None = None) -> None:
    """L9. The client waits for a release point with its lock held, which the compositor needs to flip."""
    file, kernel = stage.rig.file, stage.kernel
    release = stage.rig.create()

    async def client() -> None:
        stage.checker.lock_taken("app", "user app")
        timeout_ns = FOREVER_NS if timeout_ms is None else kernel.now_ns + timeout_ms * MS
        wait = timeline_wait(file, SyncobjTimelineWait((release,), (1,), timeout_ns, WaitFlag.FOR_SUBMIT))
        assert not hasattr(wait, "first_signaled"), "it sleeps"
        await wait

    async def compositor() -> None:
        await kernel.wait(Completion(Reason(AwaitedLock("app", "user app"))))

    stage.task(client())
    stage.run()
    flipper = stage.task(compositor())
    stage.checker.owes(flipper, file.syncobjs.get(release).awaited(1))
    stage.run()


def wait_any(stage: Stage) -> None:
    """L11. Of {never, soon}: never is even the waiter's own to submit."""
    file = stage.rig.file
    never, soon = stage.rig.create(), stage.rig.create()
    stage.job(out_points=(Point(soon, 1),))

    async def waiter() -> None:
        wait = timeline_wait(
            file, SyncobjTimelineWait((never, soon), (1, 1), FOREVER_NS, WaitFlag.FOR_SUBMIT)
        )
        assert not hasattr(wait, "first_signaled"), "it sleeps"
        await wait

    task = stage.task(waiter())
    stage.checker.owes(task, file.syncobjs.get(never).awaited(1))
    stage.run(50)


def wait_any_of_nothing_good(stage: Stage) -> None:
    """A knot: both are the waiter's own."""
    file = stage.rig.file
    handles = stage.rig.create(), stage.rig.create()

    async def waiter() -> None:
        wait = timeline_wait(file, SyncobjTimelineWait(handles, (1, 1), FOREVER_NS, WaitFlag.FOR_SUBMIT))
        assert not hasattr(wait, "first_signaled"), "it sleeps"
        await wait

    task = stage.task(waiter())
    for handle in handles:
        stage.checker.owes(task, file.syncobjs.get(handle).awaited(1))
    stage.run()


def stall_under_a_lock(stage: Stage) -> None:
    """The last-resort stall, but with a modeset lock."""
    handle = stage.rig.create()

    async def worker() -> None:
        stage.checker.lock_taken("crtc", "modeset")
        await find_fence_waiting(stage.rig.file, handle, 1)
        stage.checker.lock_released("crtc")

    stage.task(worker())
    stage.run()
    stage.rig.signal(handle, 1)


def stall_without_a_lock(stage: Stage) -> None:
    """TRANSFER with FOR_SUBMIT is allowed to sleep."""
    source, target = stage.rig.create(), stage.rig.create()
    stage.rig.start(SyncobjTransfer(source, 1, target, 0, WaitFlag.FOR_SUBMIT))
    stage.run(5)
    stage.rig.signal(source, 1)


# -- K2, K7, K8, K9, K10, K11: single fences -------------------------------------------------------


def nobody_bounds_it(stage: Stage) -> None:
    fence = stage.fence(Exporter(name="hope", bounded=False))
    stage.publish(fence)
    stage.signal(fence)


def sw_sync(stage: Stage) -> None:
    timeline = stage.rig.timeline()
    stage.rig.fence(timeline)
    stage.rig.inc(timeline)


def late_for_its_bound(stage: Stage) -> None:
    fence = stage.fence(Exporter(name="sloth", bound_ns=MS))
    stage.publish(fence)
    stage.run(5)
    stage.signal(fence)


def due_only_after_its_dependency(stage: Stage) -> None:
    before, after = stage.fence(), stage.fence(Exporter(name="hare", bound_ns=2 * MS))
    assert after.observer is not None
    after.observer.depends([before], "a dependency")
    stage.publish(after)
    stage.run(5)
    stage.signal(before)
    stage.run(1)
    stage.signal(after)


def signaller_ends_early(stage: Stage) -> None:
    async def worker() -> None:
        await stage.kernel.wait(Completion(), deadline_ns=stage.rig.in_ms(1))

    fence = stage.fence(WORK, by=stage.task(worker()))
    stage.publish(fence)
    stage.run(2)
    stage.signal(fence)


def error_after_the_signal(stage: Stage) -> None:
    """L12."""
    fence = stage.fence()
    stage.signal(fence)
    fence.set_error(5)


def absurd_error(stage: Stage) -> None:
    fence = stage.fence()
    fence.set_error(5000)
    stage.signal(fence)


def signalled_in_the_future(stage: Stage) -> None:
    stage.fence().signal(stage.kernel.now_ns + 1)


def signalled_before_it_was_made(stage: Stage) -> None:
    stage.fence().signal(stage.kernel.now_ns - 1)


def seqnos_going_down(stage: Stage) -> None:
    context = stage.kernel.new_context()
    fences = [stage.fence(context=context, seqno=seqno) for seqno in (2, 1)]
    kept = [stage.publish(fence) for fence in fences]
    stage.signal(*fences)
    assert kept


def signalled_out_of_order(stage: Stage) -> None:
    context = stage.kernel.new_context()
    fences = [stage.fence(context=context, seqno=seqno) for seqno in (1, 2)]
    kept = [stage.publish(fence) for fence in fences]
    stage.signal(*reversed(fences))
    assert kept


def contexts_compared(stage: Stage) -> None:
    assert not stage.fence().is_later(stage.fence())


def array_in_array(stage: Stage) -> None:
    """L13."""
    leaf = stage.fence()
    inner = FenceArray(stage.kernel, [leaf], stage.kernel.new_context())
    FenceArray(stage.kernel, [inner], stage.kernel.new_context())


def chain_in_chain(stage: Stage) -> None:
    """L13: H1, by nothing but ioctls."""
    rig = stage.rig
    source, target = rig.create(), rig.create()
    for point in (1, 2):
        stage.job(out_points=(Point(source, point),))
    both = HandleFlag.SYNC_FILE | HandleFlag.TIMELINE
    fd = rig.call(SyncobjHandleToFd(source, both, point=2)).fd
    rig.call(SyncobjFdToHandle(fd, target, both, point=1))
    stage.run(50)


def container_in_a_reservation(stage: Stage) -> None:
    array = FenceArray(stage.kernel, [stage.fence()], stage.kernel.new_context())
    Resv().add(array, Usage.WRITE)


def callback_signals_its_neighbour(stage: Stage) -> None:
    one, two = (stage.fence(lock="ring") for _ in range(2))
    one.add_callback(lambda _: two.signal(stage.kernel.now_ns))
    stage.signal(one)


def callback_takes_its_own_lock(stage: Stage) -> None:
    one, two = (stage.fence(lock="ring") for _ in range(2))
    one.add_callback(lambda _: two.add_callback(lambda _: None) and None)
    stage.signal(one, two)


def callback_sleeps(stage: Stage) -> None:
    never = Completion()

    async def sleeper() -> None:
        await stage.kernel.wait(never)

    task: Task[None] = Task(kernel=stage.kernel, coroutine=sleeper())
    fence = stage.fence()
    fence.add_callback(lambda _: task.step())
    stage.signal(fence)
    never.complete()
    stage.run()


def callback_leaves_it_to_a_worker(stage: Stage) -> None:
    one, two = (stage.fence(lock="ring") for _ in range(2))
    one.add_callback(lambda _: stage.kernel.defer(lambda: two.signal(stage.kernel.now_ns)))
    stage.signal(one)


def released_with_a_waiter(stage: Stage) -> None:
    stage.fence().add_callback(lambda _: None)


def released_alone(stage: Stage) -> None:
    stage.publish(stage.fence())


# -- K19, K20: what user space does with its timelines ---------------------------------------------


def two_writers(stage: Stage) -> None:
    handle, syncobj = stage.user()
    other = stage.rig.device.open("render")
    theirs = other.syncobjs.add(syncobj)
    syncobj.slot.signallers.add(other)
    stage.rig.signal(handle, 1)
    stage.rig.call(SyncobjTimelineSignal((theirs,), (2,)), other)


def nobody_left_to_wake(stage: Stage) -> None:
    handle, syncobj = stage.user()
    syncobj.slot.signallers.clear()
    eventfd = stage.rig.eventfd()
    stage.rig.call(SyncobjEventfd(handle, 1, eventfd))


def one_writer(stage: Stage) -> None:
    handle, _ = stage.user()
    stage.rig.start(SyncobjTimelineWait((handle,), (2,), FOREVER_NS, WaitFlag.FOR_SUBMIT))
    stage.rig.signal(handle, 1)
    stage.rig.signal(handle, 2)


def unordered_points(stage: Stage) -> None:
    handle = stage.rig.create()
    stage.rig.signal(handle, 5)
    stage.rig.signal(handle, 3)


def query_goes_back(stage: Stage) -> None:
    """H6: point 5 was done, and then it is not. The addition is reported, too."""
    handle, carrier = stage.rig.create(), stage.rig.create()
    stage.rig.signal(handle, 5)
    assert stage.rig.query(handle) == 5
    stage.job(out_points=(Point(carrier, 0),))
    stage.rig.call(SyncobjTransfer(carrier, 0, handle, 3))
    assert stage.rig.query(handle) == 0
    stage.run(50)


def acquire_not_before_release(stage: Stage) -> None:
    handle = stage.rig.create()
    stage.job(out_points=(Point(handle, 4),))
    stage.job(in_points=(Point(handle, 2),), out_points=(Point(handle, 2),))
    stage.run(50)


def ordered_timeline(stage: Stage) -> None:
    handle = stage.rig.create()
    for point in (1, 2, 3):
        stage.job(
            in_points=(Point(handle, point - 1),) if point > 1 else (), out_points=(Point(handle, point),)
        )
        stage.rig.query(handle)
        stage.run(20)
        stage.rig.query(handle)


# -- K24: the end ------------------------------------------------------------------------------------


def job_left_running(stage: Stage) -> None:
    stage.job(ms=1000, out_fence=True)
    stage.run(1)


def waiter_left_sleeping(stage: Stage) -> None:
    handle = stage.rig.create()
    stage.rig.start(SyncobjTimelineWait((handle,), (1,), FOREVER_NS, WaitFlag.FOR_SUBMIT))


def nothing_left(stage: Stage) -> None:
    stage.job(out_fence=True)
    stage.run(50)


@dataclass(frozen=True)
class Litmus:
    """`ends`: the books are closed after it (K24); a program that hangs by design has no end."""

    program: Callable[[Stage], None]
    verdict: frozenset[tuple[str, Severity]]
    name: str = ""
    ends: bool = True

    def __str__(self) -> str:
        return self.name or self.program.__name__


def litmus(program: Callable[[Stage], None], *verdict: tuple[str, Severity], **more: Any) -> Litmus:
    return Litmus(program, frozenset(verdict), **more)


TABLE = [
    litmus(lock_held_across_a_wait, ("K3", ERROR)),
    litmus(lock_dropped_before_the_wait),
    litmus(locks_in_both_orders, ("K3", ERROR)),
    litmus(job_waits_for_an_unsubmitted_point, ("K1", ERROR)),
    litmus(job_waits_for_a_user_point, ("K1", ERROR)),
    litmus(honest_user_job),
    litmus(eviction_circle, ("K3", ERROR), ends=False),
    litmus(
        lambda stage: eviction_circle(stage, proxy=True),
        ("K1", ERROR),
        ("K3", WARN),
        name="eviction_circle_with_a_proxy",
        ends=False,
    ),
    litmus(release_circle, ("K3", ERROR), ends=False),
    litmus(
        lambda stage: release_circle(stage, timeout_ms=100),
        ("K3", WARN),
        name="release_circle_with_a_timeout",
        ends=False,
    ),
    litmus(wait_any),
    litmus(wait_any_of_nothing_good, ("K3", ERROR), ends=False),
    litmus(stall_under_a_lock, ("K6", ERROR)),
    litmus(stall_without_a_lock),
    litmus(nobody_bounds_it, ("K2", ERROR)),
    litmus(sw_sync, ("K2", WARN)),
    litmus(late_for_its_bound, ("K2", ERROR)),
    litmus(due_only_after_its_dependency),
    litmus(signaller_ends_early, ("K2", ERROR)),
    litmus(error_after_the_signal, ("K7", ERROR)),
    litmus(absurd_error, ("K7", ERROR)),
    litmus(signalled_in_the_future, ("K7", ERROR)),
    litmus(signalled_before_it_was_made, ("K7", ERROR)),
    litmus(seqnos_going_down, ("K8", ERROR)),
    litmus(signalled_out_of_order, ("K8", ERROR)),
    litmus(contexts_compared, ("K8", ERROR)),
    litmus(array_in_array, ("K9", ERROR)),
    litmus(chain_in_chain, ("K9", ERROR)),
    litmus(container_in_a_reservation, ("K9", ERROR)),
    litmus(callback_signals_its_neighbour, ("K10", ERROR)),
    litmus(callback_takes_its_own_lock, ("K10", ERROR)),
    litmus(callback_sleeps, ("K10", ERROR)),
    litmus(callback_leaves_it_to_a_worker),
    litmus(released_with_a_waiter, ("K11", ERROR)),
    litmus(released_alone),
    litmus(two_writers, ("K19", WARN)),
    litmus(nobody_left_to_wake, ("K19", ERROR)),
    litmus(one_writer),
    litmus(unordered_points, ("K20", WARN)),
    litmus(query_goes_back, ("K20", WARN)),
    litmus(acquire_not_before_release, ("K20", WARN)),
    litmus(ordered_timeline),
    litmus(job_left_running, ("K24", ERROR)),
    litmus(waiter_left_sleeping, ("K24", ERROR)),
    litmus(nothing_left),
]


@pytest.mark.parametrize("case", TABLE, ids=str)
def test_a_litmus_program_gets_exactly_its_verdict(make_rig: Any, case: Litmus) -> None:
    rig = make_rig()
    checker = Checker(rig.kernel)

    case.program(Stage(rig, checker))
    if case.ends:
        checker.end()

    assert checker.ledger.verdict() == case.verdict
    rig.kernel.observer = None
