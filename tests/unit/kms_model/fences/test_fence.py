"""dma_fence, case by case as the kernel tests its own (st-dma-fence.c), and what they leave out."""

from errno import EIO
from weakref import ref

import pytest

from syncline.kms_model.fences.fence import Fence, Stub
from syncline.kms_model.kernel import Kernel
from syncline.kms_model.task import Task

NOW_NS = 1_000


def make(seqno: int = 1) -> Fence:
    return Fence(7, seqno, "mock", "mock")


class Spy:
    def __init__(self) -> None:
        self.calls: list[Fence] = []

    def __call__(self, fence: Fence) -> None:
        self.calls.append(fence)


@pytest.mark.requirement("st-dma-fence sanitycheck")
def test_a_fence_is_made_pending_and_goes_when_nobody_holds_it() -> None:
    fence = make()
    assert (fence.told, fence.signalled, fence.error, fence.timestamp_ns) == (False, False, 0, 0)
    gone = ref(fence)
    del fence
    assert gone() is None


@pytest.mark.requirement("st-dma-fence signaling")
def test_a_fence_signals_once_and_keeps_its_first_timestamp() -> None:
    fence = make()
    assert not fence.signalled
    fence.signal(NOW_NS)
    fence.signal(NOW_NS + 1)
    assert fence.signalled
    assert fence.timestamp_ns == NOW_NS


@pytest.mark.requirement("st-dma-fence status")
def test_status_goes_from_pending_to_signalled() -> None:
    fence = make()
    assert fence.status() == 0
    fence.signal(NOW_NS)
    assert fence.status() == 1


@pytest.mark.requirement("st-dma-fence error")
def test_an_error_is_invisible_until_the_signal() -> None:
    fence = make()
    fence.set_error(EIO)
    assert fence.status() == 0
    fence.signal(NOW_NS)
    assert fence.status() == -EIO


@pytest.mark.requirement("K7")
def test_an_error_after_the_signal_is_our_mistake() -> None:
    fence = make()
    fence.signal(NOW_NS)
    with pytest.raises(AssertionError):
        fence.set_error(EIO)


@pytest.mark.requirement("K7")
@pytest.mark.parametrize("errno", [0, -1, 4096])
def test_an_error_out_of_range_is_our_mistake(errno: int) -> None:
    with pytest.raises(AssertionError):
        make().set_error(errno)


@pytest.mark.requirement("st-dma-fence add_callback")
def test_callbacks_run_in_the_order_they_were_added() -> None:
    fence, order = make(), []
    for name in "abc":
        fence.add_callback(lambda _, name=name: order.append(name))
    fence.signal(NOW_NS)
    assert order == ["a", "b", "c"]


def test_blocking_waiters_wake_before_callbacks_and_the_newest_first() -> None:
    fence, order = make(), []
    fence.add_callback(lambda _: order.append("callback"))
    fence.add_waiter(lambda: order.append("old waiter"))
    fence.add_waiter(lambda: order.append("new waiter"))
    fence.signal(NOW_NS)
    assert order == ["new waiter", "old waiter", "callback"]


def test_a_waiter_that_gave_up_is_not_woken() -> None:
    fence, order = make(), []
    fence.add_waiter(lambda: order.append("patient"))
    impatient = lambda: order.append("impatient")  # noqa: E731 - the same object is taken off again
    fence.add_waiter(impatient)
    fence.remove_waiter(impatient)
    fence.signal(NOW_NS)
    assert order == ["patient"]


@pytest.mark.requirement("st-dma-fence race_signal_callback")
def test_a_callback_added_while_the_fence_signals_is_as_late_as_one_added_afterwards() -> None:
    fence, late, answers = make(), Spy(), []
    fence.add_callback(lambda it: answers.append(it.add_callback(late)))
    fence.signal(NOW_NS)
    assert answers == [False]
    assert late.calls == []


@pytest.mark.requirement("st-dma-fence wait")
def test_a_wait_without_time_is_a_question_and_one_with_time_ends_with_the_signal() -> None:
    kernel, fence = Kernel(), make()
    assert waited(kernel, fence, 0).result() == (False, 0)
    patient = waited(kernel, fence, 10 * NOW_NS)
    kernel.call_at(NOW_NS, lambda: fence.signal(NOW_NS))
    kernel.advance(5 * NOW_NS)
    assert patient.result() == (True, NOW_NS)
    assert waited(kernel, fence, 0).result()[0]


@pytest.mark.requirement("st-dma-fence wait_timeout")
def test_a_wait_ends_with_its_time_and_the_fence_may_still_signal() -> None:
    kernel, fence = Kernel(), make()
    impatient = waited(kernel, fence, NOW_NS)
    kernel.advance(3 * NOW_NS)
    assert impatient.result() == (False, NOW_NS)
    fence.signal(3 * NOW_NS)
    assert waited(kernel, fence, 0).result()[0]


def waited(kernel: Kernel, fence: Fence, deadline_ns: int) -> Task[tuple[bool, int]]:
    """A wait for a fence: was it in time, and when was it over?"""

    async def wait() -> tuple[bool, int]:
        return await kernel.wait(fence, deadline_ns=deadline_ns), kernel.now_ns

    task = kernel.spawn(wait())
    kernel.settle()
    return task


@pytest.mark.requirement("st-dma-fence late_add_callback")
def test_a_late_callback_is_refused_and_not_called() -> None:
    fence, spy = make(), Spy()
    fence.signal(NOW_NS)
    assert not fence.add_callback(spy)
    assert not spy.calls


@pytest.mark.requirement("st-dma-fence rm_callback")
def test_a_removed_callback_does_not_run() -> None:
    fence, spy = make(), Spy()
    fence.add_callback(spy)
    assert fence.remove_callback(spy)
    fence.signal(NOW_NS)
    assert not spy.calls


@pytest.mark.requirement("st-dma-fence late_rm_callback")
def test_a_callback_that_ran_cannot_be_removed() -> None:
    fence, spy = make(), Spy()
    fence.add_callback(spy)
    fence.signal(NOW_NS)
    assert spy.calls == [fence]
    assert not fence.remove_callback(spy)


def test_a_callback_may_look_at_the_fence_and_sees_it_signalled() -> None:
    fence, seen = make(), []
    fence.add_callback(lambda it: seen.append((it.signalled, it.timestamp_ns)))
    fence.signal(NOW_NS)
    assert seen == [(True, NOW_NS)]


@pytest.mark.requirement("st-dma-fence stub")
def test_a_stub_is_signalled_from_the_start() -> None:
    stub = Stub(NOW_NS)
    assert stub.signalled
    assert stub.timestamp_ns == NOW_NS
    assert not stub.add_callback(Spy())


class Lazy(Fence):
    """Done as soon as `done_ns` is set, but nobody is told."""

    __slots__ = ("deadlines", "done_ns", "enabled")

    def __init__(self) -> None:
        super().__init__(7, 1, "lazy", "lazy")
        self.done_ns: int | None = None
        self.enabled = 0
        self.deadlines: list[int] = []

    def poll_ns(self) -> int | None:
        return self.done_ns

    def enable(self) -> int | None:
        self.enabled += 1
        return self.done_ns

    def on_deadline(self, deadline_ns: int) -> None:
        self.deadlines.append(deadline_ns)


def test_looking_at_a_lazy_fence_signals_it_there_and_then() -> None:
    fence, spy = Lazy(), Spy()
    fence.add_callback(spy)
    fence.done_ns = NOW_NS
    assert not spy.calls
    assert fence.status() == 1
    assert spy.calls == [fence]
    assert fence.timestamp_ns == NOW_NS


def test_signalling_is_enabled_once_for_the_first_who_waits() -> None:
    fence = Lazy()
    assert not fence.signalled
    assert fence.enabled == 0
    fence.add_callback(Spy())
    fence.add_waiter(lambda: None)
    assert fence.enabled == 1


def test_a_fence_found_done_while_enabling_signals_and_refuses_the_callback() -> None:
    fence, spy = Lazy(), Spy()
    fence.done_ns = NOW_NS
    assert not fence.add_callback(spy)
    assert fence.signalled
    assert not spy.calls


def test_a_deadline_reaches_a_pending_fence_only() -> None:
    fence = Lazy()
    fence.set_deadline(50)
    fence.signal(NOW_NS)
    fence.set_deadline(40)
    assert fence.deadlines == [50]


def test_later_in_a_32_bit_window_wraps() -> None:
    assert make(1).is_later(make(0xFFFF_FFFF))
    assert not make(0xFFFF_FFFF).is_later(make(1))
    assert not make(5).is_later(make(5))


@pytest.mark.requirement("K8")
def test_fences_of_two_contexts_have_no_order() -> None:
    with pytest.raises(AssertionError):
        make().is_later(Fence(8, 2, "mock", "mock"))
