"""dma_resv, as the kernel tests its own (st-dma-resv.c), and the rules of kernel.md 2.8."""

import pytest
from hypothesis import given, strategies as st

from syncline.kms_model.buffers.resv import Resv, Usage, usage_for
from syncline.kms_model.fences.array import FenceArray
from syncline.kms_model.fences.fence import Fence
from syncline.kms_model.kernel import Kernel

USAGES = list(Usage)


@pytest.fixture
def kernel() -> Kernel:
    return Kernel(now_ns=1)


def leaf(kernel: Kernel, seqno: int = 1, context: int | None = None) -> Fence:
    return Fence(kernel.new_context() if context is None else context, seqno, "mock", "mock")


@pytest.mark.requirement("st-dma-resv sanitycheck")
def test_an_empty_object_has_nothing_to_wait_for() -> None:
    assert all(Resv().signalled(usage) for usage in USAGES)


@pytest.mark.requirement("st-dma-resv for_each")
@pytest.mark.parametrize("usage", USAGES)
def test_a_fence_is_seen_by_its_class_and_the_weaker_ones(kernel: Kernel, usage: Usage) -> None:
    resv, fence = Resv(), leaf(kernel)
    resv.add(fence, usage)
    for asked in USAGES:
        assert list(resv.pending(asked)) == ([fence] if asked >= usage else [])


@pytest.mark.requirement("st-dma-resv signaling")
@pytest.mark.parametrize("usage", USAGES)
def test_a_signalled_fence_is_no_longer_seen(kernel: Kernel, usage: Usage) -> None:
    resv, fence = Resv(), leaf(kernel)
    resv.add(fence, usage)
    assert not resv.signalled(usage)
    fence.signal(1)
    assert resv.signalled(usage)


@pytest.mark.requirement("st-dma-resv for_each_unlocked")
@pytest.mark.parametrize("usage", USAGES)
def test_the_fences_come_in_the_order_they_were_added(kernel: Kernel, usage: Usage) -> None:
    resv, fences = Resv(), [leaf(kernel) for _ in range(4)]
    for fence in fences:
        resv.add(fence, usage)
    assert list(resv.pending(Usage.BOOKKEEP)) == fences


@pytest.mark.requirement("st-dma-resv get_fences")
@pytest.mark.parametrize("usage", USAGES)
def test_a_singleton_is_none_itself_or_an_array(kernel: Kernel, usage: Usage) -> None:
    resv, a, b = Resv(), leaf(kernel), leaf(kernel)
    assert resv.singleton(kernel, usage) is None
    resv.add(a, usage)
    assert resv.singleton(kernel, usage) is a
    resv.add(b, usage)
    both = resv.singleton(kernel, usage)
    assert isinstance(both, FenceArray)
    assert both.members == (a, b)


def test_a_later_fence_of_a_context_takes_the_place_of_an_earlier_one(kernel: Kernel) -> None:
    resv, first = Resv(), leaf(kernel, 1)
    second = leaf(kernel, 2, first.context)
    resv.add(first, Usage.READ)
    resv.add(second, Usage.READ)
    assert list(resv.pending(Usage.BOOKKEEP)) == [second]


def test_an_earlier_fence_of_a_context_does_not(kernel: Kernel) -> None:
    resv, first = Resv(), leaf(kernel, 1)
    second = leaf(kernel, 2, first.context)
    resv.add(second, Usage.READ)
    resv.add(first, Usage.READ)
    assert list(resv.pending(Usage.BOOKKEEP)) == [second, first]


def test_a_fence_is_promoted(kernel: Kernel) -> None:
    resv, fence = Resv(), leaf(kernel)
    resv.add(fence, Usage.BOOKKEEP)
    resv.add(fence, Usage.WRITE)
    assert resv.entries() == ((fence, Usage.WRITE),)


@pytest.mark.requirement("K12")
def test_a_fence_is_never_demoted(kernel: Kernel) -> None:
    resv, writer = Resv(), leaf(kernel, 1)
    reader = leaf(kernel, 2, writer.context)
    resv.add(writer, Usage.WRITE)
    resv.add(reader, Usage.READ)
    assert list(resv.pending(Usage.WRITE)) == [writer]
    assert list(resv.pending(Usage.READ)) == [writer, reader]


def test_the_place_of_a_signalled_fence_is_used_again(kernel: Kernel) -> None:
    resv, done, new = Resv(), leaf(kernel), leaf(kernel)
    resv.add(done, Usage.WRITE)
    done.signal(1)
    resv.add(new, Usage.READ)
    assert resv.entries() == ((new, Usage.READ),)


@pytest.mark.requirement("K9")
def test_a_container_is_refused(kernel: Kernel) -> None:
    with pytest.raises(AssertionError):
        Resv().add(FenceArray(kernel, [leaf(kernel)], kernel.new_context()), Usage.READ)


def test_a_writer_waits_for_readers_and_a_reader_for_writers() -> None:
    assert usage_for(write=True) is Usage.READ
    assert usage_for(write=False) is Usage.WRITE


@given(st.lists(st.tuples(st.integers(0, 3), st.sampled_from(USAGES), st.booleans()), max_size=40))
def test_no_pending_fence_is_lost_unless_a_later_one_of_its_context_stands_for_it(
    steps: list[tuple[int, Usage, bool]],
) -> None:
    resv, added = Resv(), list[tuple[Fence, Usage]]()
    for seqno, (context, usage, signal) in enumerate(steps, 1):
        fence = Fence(context, seqno, "mock", "mock")
        resv.add(fence, usage)
        added.append((fence, usage))
        if signal:
            done = added[seqno // 2][0]
            for earlier, _ in added:
                if earlier.context == done.context and earlier.seqno <= done.seqno:
                    earlier.signal(1)
        for old, old_usage in added:
            assert old.signalled or any(
                new.context == old.context and new.seqno >= old.seqno for new in resv.pending(old_usage)
            )
