"""dma_fence_chain, case by case as the kernel tests its own (st-dma-fence-chain.c)."""

import random
from collections.abc import Sequence
from errno import EIO

import pytest

from syncline.kms_model.fences.chain import ChainNode, nodes
from syncline.kms_model.fences.fence import Fence
from syncline.kms_model.kernel import Kernel
from syncline.kms_model.syncobj.syncobj import Syncobj

NOW_NS = 1_000


class Chain:
    """`length` points 1, 2, … on one syncobj, each with a pending fence of its own."""

    def __init__(self, length: int, *, gap: int = 1) -> None:
        self.kernel = Kernel(now_ns=NOW_NS)
        self.syncobj = Syncobj()
        self.fences: dict[int, Fence] = {}
        self.nodes: dict[int, ChainNode] = {}
        for point in range(gap, gap * length + 1, gap):
            self.fences[point] = Fence(self.kernel.new_context(), 1, "mock", "mock")
            self.nodes[point] = self.syncobj.add_point(self.kernel, self.fences[point], point)

    def signal(self, point: int) -> None:
        self.fences[point].signal(self.kernel.now_ns)
        self.kernel.settle()

    def signalled(self) -> list[int]:
        return [point for point, node in self.nodes.items() if node.signalled]


@pytest.mark.requirement("st-dma-fence-chain sanitycheck")
def test_a_chain_node_signals_when_its_fence_does() -> None:
    chain = Chain(1)
    assert not chain.nodes[1].signalled
    chain.signal(1)
    assert chain.nodes[1].signalled


@pytest.mark.requirement("st-dma-fence-chain find_seqno")
def test_every_point_finds_its_own_node() -> None:
    chain = Chain(64)
    for point, node in chain.nodes.items():
        assert chain.syncobj.find(point) is node


@pytest.mark.requirement("st-dma-fence-chain find_seqno")
def test_a_point_beyond_the_head_is_not_materialised() -> None:
    assert Chain(64).syncobj.find(65) is None


def test_point_0_is_the_head() -> None:
    chain = Chain(3)
    assert chain.syncobj.find(0) is chain.nodes[3]


@pytest.mark.requirement("st-dma-fence-chain find_signaled")
def test_a_point_whose_node_is_gone_is_signalled() -> None:
    chain = Chain(2)
    chain.signal(1)
    found = chain.syncobj.find(1)
    assert found is not None
    assert found.signalled


@pytest.mark.requirement("st-dma-fence-chain find_gap")
def test_a_point_in_a_gap_is_the_next_higher_one() -> None:
    chain = Chain(4, gap=10)
    assert chain.syncobj.find(11) is chain.nodes[20]
    assert chain.syncobj.find(20) is chain.nodes[20]
    assert chain.syncobj.find(21) is chain.nodes[30]


@pytest.mark.requirement("st-dma-fence-chain find_out_of_order")
def test_a_point_signalled_out_of_order_waits_for_the_ones_before() -> None:
    chain = Chain(3)
    chain.signal(2)
    assert chain.syncobj.find(2) is chain.nodes[1]
    assert not chain.nodes[2].signalled


@pytest.mark.requirement("st-dma-fence-chain find_race")
@pytest.mark.parametrize("seed", range(5))
def test_what_is_found_while_fences_signal_stands_for_everything_before_it(seed: int) -> None:
    chain, dice = Chain(32), random.Random(seed)
    for point in dice.sample(range(1, 33), 32):
        chain.signal(point)
        for asked in dice.sample(range(1, 33), 8):
            found = chain.syncobj.find(asked)
            assert found is not None
            assert found.signalled == all(chain.fences[each].signalled for each in range(1, asked + 1))


@pytest.mark.requirement("st-dma-fence-chain signal_forward")
@pytest.mark.parametrize("enabled", [False, True])
def test_signalling_forward_signals_point_by_point(enabled: bool) -> None:
    chain = Chain(8)
    if enabled:
        for node in chain.nodes.values():
            node.enable_signaling()
    for point in chain.nodes:
        chain.signal(point)
        assert chain.signalled() == list(range(1, point + 1))


@pytest.mark.requirement("st-dma-fence-chain signal_backward")
@pytest.mark.parametrize("enabled", [False, True])
def test_signalling_backward_signals_nothing_before_the_first(enabled: bool) -> None:
    chain = Chain(8)
    if enabled:
        for node in chain.nodes.values():
            node.enable_signaling()
    for point in reversed(chain.nodes):
        assert chain.signalled() == []
        chain.signal(point)
    assert chain.signalled() == list(chain.nodes)


@pytest.mark.requirement("st-dma-fence-chain wait_forward")
@pytest.mark.requirement("st-dma-fence-chain wait_backward")
@pytest.mark.requirement("st-dma-fence-chain wait_random")
@pytest.mark.parametrize(
    "order",
    [range(1, 17), range(16, 0, -1), *(random.Random(seed).sample(range(1, 17), 16) for seed in range(3))],
    ids=["forward", "backward", "random0", "random1", "random2"],
)
def test_a_waiter_on_the_head_wakes_after_the_last_fence_in_any_order(order: Sequence[int]) -> None:
    chain, woken = Chain(16), []
    chain.nodes[16].add_waiter(lambda: woken.append("head"))
    for point in order:
        assert not woken
        chain.signal(point)
    assert woken == ["head"]


def test_the_signal_of_a_chain_comes_from_irq_work_after_its_fences_own_callbacks() -> None:
    chain, order = Chain(1), []
    chain.nodes[1].add_callback(lambda _: order.append("chain"))
    chain.fences[1].add_callback(lambda _: order.append("fence"))
    chain.signal(1)
    assert order == ["fence", "chain"]


def test_a_chain_does_not_pass_errors_on() -> None:
    chain = Chain(1)
    chain.fences[1].set_error(EIO)
    chain.signal(1)
    assert chain.nodes[1].status() == 1


def test_a_deadline_reaches_every_pending_fence_up_to_the_point() -> None:
    class Hinted(Fence):
        __slots__ = ("deadline_ns",)

        def on_deadline(self, deadline_ns: int) -> None:
            self.deadline_ns = deadline_ns

    kernel, syncobj = Kernel(), Syncobj()
    fences = [Hinted(kernel.new_context(), 1, "mock", "mock") for _ in range(3)]
    chain = [syncobj.add_point(kernel, fence, point) for point, fence in enumerate(fences, 1)]
    chain[1].set_deadline(99)
    assert [hasattr(fence, "deadline_ns") for fence in fences] == [True, True, False]


def test_an_unordered_add_opens_a_context_at_the_larger_point() -> None:
    kernel, syncobj = Kernel(), Syncobj()
    five = syncobj.add_point(kernel, Fence(1, 1, "mock", "mock"), 5)
    three = syncobj.add_point(kernel, Fence(2, 1, "mock", "mock"), 3)
    assert three.context != five.context
    assert (three.seqno, three.prev_seqno) == (5, 0)


def test_walking_drops_what_is_done_but_never_the_node_it_starts_from() -> None:
    chain = Chain(4)
    for point in (2, 3, 4):
        chain.signal(point)
    head = chain.nodes[4]
    assert list(nodes(head)) == [head, chain.nodes[1]]
    assert head.prev is chain.nodes[1]


def test_a_long_chain_lets_go_of_its_past() -> None:
    chain = Chain(0)
    for point in range(1, 2_000):
        fence = Fence(chain.kernel.new_context(), 1, "mock", "mock")
        chain.syncobj.add_point(chain.kernel, fence, point)
        fence.signal(NOW_NS)
    head = chain.syncobj.find(0)
    assert isinstance(head, ChainNode)
    depth = 0
    while isinstance(head, ChainNode):
        head, depth = head.prev, depth + 1
    assert depth < 5
