"""Tasks: coroutines that the machine resumes, in model time."""

from errno import EIO

import pytest

from syncline.kms_model.fences.fence import Fence
from syncline.kms_model.kernel import Kernel
from syncline.kms_model.task import ERESTARTSYS, Bell, Completion, Interrupted
from syncline.kms_model.uapi import DeviceError

MS = 1_000_000


@pytest.fixture
def kernel() -> Kernel:
    return Kernel()


def test_a_task_sleeps_until_its_completion(kernel: Kernel) -> None:
    done, answers = Completion(), []

    async def worker() -> None:
        answers.append(await kernel.wait(done))

    task = kernel.spawn(worker())
    kernel.settle()
    assert not task.done
    done.complete()
    kernel.settle()
    assert task.done
    assert answers == [True]


def test_what_is_done_already_needs_no_sleep(kernel: Kernel) -> None:
    fence = Fence(1, 1, "mock", "mock")
    fence.signal(1)

    async def worker() -> bool:
        return await kernel.wait(fence, deadline_ns=0)

    task = kernel.spawn(worker())
    kernel.settle()
    assert task.result() is True


def test_a_deadline_ends_the_sleep_with_false_at_its_instant(kernel: Kernel) -> None:
    async def worker() -> tuple[bool, int]:
        return await kernel.wait(Completion(), deadline_ns=5 * MS), kernel.now_ns

    task = kernel.spawn(worker())
    kernel.advance(20 * MS)
    assert task.result() == (False, 5 * MS)


def test_a_deadline_that_is_no_longer_needed_is_forgotten(kernel: Kernel) -> None:
    done = Completion()

    async def worker() -> None:
        await kernel.wait(done, deadline_ns=5 * MS)

    kernel.spawn(worker())
    kernel.settle()
    done.complete()
    kernel.settle()
    assert kernel.next_deadline_ns() is None


def test_an_interrupt_ends_an_interruptible_sleep(kernel: Kernel) -> None:
    async def worker() -> None:
        await kernel.wait(Completion())

    task = kernel.spawn(worker())
    kernel.settle()
    task.interrupt()
    with pytest.raises(DeviceError) as end:
        task.result()
    assert end.value.errno == ERESTARTSYS


def test_an_interrupt_waits_for_the_next_interruptible_sleep(kernel: Kernel) -> None:
    first, seen = Completion(), []

    async def worker() -> str:
        seen.append(await kernel.wait(first, interruptible=False))
        try:
            await kernel.wait(Completion())
        except Interrupted:
            return "interrupted"
        return "slept"

    task = kernel.spawn(worker())
    kernel.settle()
    task.interrupt()
    assert not task.done
    first.complete()
    kernel.settle()
    assert seen == [True]
    assert task.result() == "interrupted"


def test_done_wins_over_a_pending_signal(kernel: Kernel) -> None:
    first, second = Completion(), Completion()
    second.complete()

    async def worker() -> bool:
        await kernel.wait(first, interruptible=False)
        return await kernel.wait(second)

    task = kernel.spawn(worker())
    kernel.settle()
    task.interrupt()
    first.complete()
    kernel.settle()
    assert task.result() is True


def test_a_refusal_is_the_result_and_any_other_exception_is_ours(kernel: Kernel) -> None:
    async def refusing() -> None:
        raise DeviceError(EIO)

    async def broken() -> None:
        raise ZeroDivisionError

    task = kernel.spawn(refusing())
    kernel.settle()
    with pytest.raises(DeviceError):
        task.result()
    kernel.spawn(broken())
    with pytest.raises(ZeroDivisionError):
        kernel.settle()


def test_done_callbacks_run_once_now_or_later(kernel: Kernel) -> None:
    done, order = Completion(), []

    async def worker() -> None:
        await kernel.wait(done)

    task = kernel.spawn(worker())
    task.add_done_callback(lambda _: order.append("before"))
    kernel.settle()
    done.complete()
    kernel.settle()
    task.add_done_callback(lambda _: order.append("after"))
    assert order == ["before", "after"]


def test_time_stops_at_every_deadline_on_the_way(kernel: Kernel) -> None:
    seen = []
    kernel.call_at(3, lambda: seen.append(kernel.now_ns))
    kernel.call_at(1, lambda: kernel.call_at(2, lambda: seen.append(kernel.now_ns)) and None)
    kernel.advance(10)
    assert seen == [2, 3]
    assert kernel.now_ns == 10


def test_time_never_goes_back(kernel: Kernel) -> None:
    kernel.advance(10)
    kernel.advance(4)
    assert kernel.now_ns == 10


def test_irq_work_runs_before_tasks_and_in_order(kernel: Kernel) -> None:
    order: list[str] = []

    async def worker() -> None:
        order.append("task")

    kernel.spawn(worker())
    kernel.defer(lambda: order.append("first"))
    kernel.defer(lambda: order.append("second"))
    kernel.settle()
    assert order == ["first", "second", "task"]


def test_a_bell_keeps_a_ring_for_the_next_sleeper(kernel: Kernel) -> None:
    bell = Bell()
    bell.ring()
    bell.ring()

    async def worker() -> list[bool]:
        return [await kernel.wait(bell, deadline_ns=MS), await kernel.wait(bell, deadline_ns=MS)]

    task = kernel.spawn(worker())
    kernel.advance(2 * MS)
    assert task.result() == [True, False]


def test_contexts_start_at_one_and_are_not_used_again(kernel: Kernel) -> None:
    assert [kernel.new_context() for _ in range(3)] == [1, 2, 3]
