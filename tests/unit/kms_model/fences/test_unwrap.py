"""Unwrapping and merging, case by case as the kernel tests its own (st-dma-fence-unwrap.c)."""

from errno import EIO

import pytest

from syncline.kms_model.fences.array import FenceArray
from syncline.kms_model.fences.chain import ChainNode
from syncline.kms_model.fences.fence import Fence
from syncline.kms_model.fences.merge import merge, unwrap
from syncline.kms_model.kernel import Kernel

NOW_NS = 1_000


@pytest.fixture
def kernel() -> Kernel:
    return Kernel(now_ns=NOW_NS)


def leaf(kernel: Kernel, seqno: int = 1, context: int | None = None) -> Fence:
    return Fence(kernel.new_context() if context is None else context, seqno, "mock", "mock")


def array(kernel: Kernel, *members: Fence) -> FenceArray:
    return FenceArray(kernel, members, kernel.new_context())


@pytest.mark.requirement("st-dma-fence-unwrap sanitycheck")
def test_a_leaf_unwraps_to_itself(kernel: Kernel) -> None:
    fence = leaf(kernel)
    assert list(unwrap(fence)) == [fence]


@pytest.mark.requirement("st-dma-fence-unwrap unwrap_array")
def test_an_array_unwraps_to_its_members(kernel: Kernel) -> None:
    a, b = leaf(kernel), leaf(kernel)
    assert list(unwrap(array(kernel, a, b))) == [a, b]


@pytest.mark.requirement("st-dma-fence-unwrap unwrap_chain")
def test_a_chain_unwraps_newest_first(kernel: Kernel) -> None:
    a, b = leaf(kernel), leaf(kernel)
    head = ChainNode(kernel, ChainNode(kernel, None, a, 1), b, 2)
    assert list(unwrap(head)) == [b, a]


@pytest.mark.requirement("st-dma-fence-unwrap unwrap_chain_array")
def test_a_chain_of_arrays_unwraps_to_all_members(kernel: Kernel) -> None:
    a, b, c = leaf(kernel), leaf(kernel), leaf(kernel)
    head = ChainNode(kernel, ChainNode(kernel, None, array(kernel, a, b), 1), c, 2)
    assert list(unwrap(head)) == [c, a, b]


@pytest.mark.requirement("st-dma-fence-unwrap unwrap_merge")
def test_merging_two_contexts_gives_an_array_in_a_context_of_its_own(kernel: Kernel) -> None:
    a, b = leaf(kernel), leaf(kernel)
    both = merge(kernel, (b, a))
    assert isinstance(both, FenceArray)
    assert both.members == (a, b)
    assert both.context not in {a.context, b.context}


@pytest.mark.requirement("st-dma-fence-unwrap unwrap_merge_duplicate")
def test_merging_a_fence_with_itself_gives_that_fence(kernel: Kernel) -> None:
    fence = leaf(kernel)
    assert merge(kernel, (fence, fence)) is fence


@pytest.mark.requirement("st-dma-fence-unwrap unwrap_merge_seqno")
def test_merging_keeps_the_latest_of_a_context(kernel: Kernel) -> None:
    first = leaf(kernel, 1)
    second = leaf(kernel, 2, first.context)
    assert merge(kernel, (first, second)) is second
    assert merge(kernel, (second, first)) is second


@pytest.mark.requirement("st-dma-fence-unwrap unwrap_merge_order")
def test_merging_sorts_members_by_context(kernel: Kernel) -> None:
    fences = [leaf(kernel) for _ in range(4)]
    merged = merge(kernel, [fences[2], fences[0], fences[3], fences[1]])
    assert isinstance(merged, FenceArray)
    assert merged.members == tuple(fences)


@pytest.mark.requirement("st-dma-fence-unwrap unwrap_merge_complex")
def test_merging_containers_merges_their_leaves(kernel: Kernel) -> None:
    a, b, c = leaf(kernel), leaf(kernel), leaf(kernel)
    merged = merge(kernel, (array(kernel, a, b), ChainNode(kernel, None, c, 1), a))
    assert isinstance(merged, FenceArray)
    assert merged.members == (a, b, c)


@pytest.mark.requirement("st-dma-fence-unwrap unwrap_merge_complex_seqno")
def test_merging_many_of_two_contexts_keeps_two(kernel: Kernel) -> None:
    one = [leaf(kernel, seqno, context=101) for seqno in (3, 1, 2)]
    two = [leaf(kernel, seqno, context=102) for seqno in (5, 9, 7)]
    merged = merge(kernel, [fence for pair in zip(one, two, strict=True) for fence in pair])
    assert isinstance(merged, FenceArray)
    assert merged.members == (one[0], two[1])


def test_signalled_members_vanish_and_their_errors_with_them(kernel: Kernel) -> None:
    failed, pending = leaf(kernel), leaf(kernel)
    failed.set_error(EIO)
    failed.signal(NOW_NS)
    assert merge(kernel, (failed, pending)) is pending


def test_nothing_pending_gives_a_stub_with_the_newest_timestamp(kernel: Kernel) -> None:
    a, b = leaf(kernel), leaf(kernel)
    a.signal(300)
    b.signal(200)
    merged = merge(kernel, (a, b))
    assert merged.status() == 1
    assert merged.timestamp_ns == 300


def test_an_array_signals_after_its_last_member_from_irq_work(kernel: Kernel) -> None:
    a, b = leaf(kernel), leaf(kernel)
    both, order = array(kernel, a, b), []
    both.add_callback(lambda _: order.append("array"))
    b.add_callback(lambda _: order.append("b"))
    a.signal(NOW_NS)
    kernel.settle()
    assert not both.signalled
    b.signal(NOW_NS)
    kernel.settle()
    assert order == ["b", "array"]


def test_a_member_that_is_there_twice_counts_once(kernel: Kernel) -> None:
    a, b = leaf(kernel), leaf(kernel)
    both = array(kernel, a, b, a)
    both.add_callback(lambda _: None)
    a.signal(NOW_NS)
    kernel.settle()
    assert not both.signalled
    b.signal(NOW_NS)
    kernel.settle()
    assert both.signalled


def test_the_error_of_an_array_is_the_first_that_came_while_somebody_waited(kernel: Kernel) -> None:
    a, b = leaf(kernel), leaf(kernel)
    both = array(kernel, a, b)
    both.add_callback(lambda _: None)
    b.set_error(EIO)
    b.signal(NOW_NS)
    kernel.settle()
    assert both.status() == 0
    a.signal(NOW_NS)
    kernel.settle()
    assert both.status() == -EIO


def test_an_array_that_was_only_looked_at_loses_the_error(kernel: Kernel) -> None:
    a, b = leaf(kernel), leaf(kernel)
    both = array(kernel, a, b)
    b.set_error(EIO)
    b.signal(NOW_NS)
    a.signal(NOW_NS)
    assert both.status() == 1
