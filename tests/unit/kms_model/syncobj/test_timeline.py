"""Timeline arithmetic: the worked values of kernel.md 2.6, and the index against the kernel's plain walk."""

import pytest
from hypothesis import given, strategies as st

from syncline.kms_model.fences.chain import ChainNode, nodes
from syncline.kms_model.fences.fence import Fence
from syncline.kms_model.kernel import Kernel
from syncline.kms_model.syncobj.syncobj import Syncobj

WORKED = [
    ((1, 2, 3), (), 0, {1: 1, 2: 2, 3: 3, 4: None}),
    ((1, 2, 3), (2,), 0, {1: 1, 2: 1, 3: 3}),
    ((1, 2, 3), (2, 1), 2, {1: "done", 2: "done", 3: 3}),
    ((4, 8), (), 0, {1: 4, 4: 4, 5: 8, 8: 8}),
    ((4, 8), (4,), 4, {1: "done", 4: "done", 5: 8, 8: 8}),
    ((1, 5, 3, 6, 7), (1, 5), 0, {1: 3, 3: 3, 5: 3, 6: 6, 7: 7}),
    ((1, 5, 3, 6, 7), (1, 5, 3), 5, {1: "done", 3: "done", 5: "done", 6: 6, 7: 7}),
    ((10, 0), (10,), 0, {0: 0, 5: 0, 10: 0}),
]


class Timeline:
    """Pending fences at points, by the name of the point they were added for."""

    def __init__(self) -> None:
        self.kernel = Kernel(now_ns=1)
        self.syncobj = Syncobj()
        self.fences: dict[int, Fence] = {}

    def add(self, point: int) -> None:
        fence = Fence(self.kernel.new_context(), 1, "mock", "mock")
        self.fences[point] = fence
        self.syncobj.add_point(self.kernel, fence, point)

    def signal(self, point: int) -> None:
        self.fences[point].signal(1)
        self.kernel.settle()

    def waits_on(self, point: int) -> int | str | None:
        """The point whose fence the wait ends up on, "done", or None: not materialised."""
        found = self.syncobj.find(point)
        if found is None:
            return None
        if found.signalled:
            return "done"
        inner = found.fence if isinstance(found, ChainNode) else found
        return next(name for name, fence in self.fences.items() if fence is inner)


@pytest.mark.parametrize(("added", "signalled", "query", "waits"), WORKED)
def test_the_worked_values_hold(
    added: tuple[int, ...], signalled: tuple[int, ...], query: int, waits: dict[int, int | str | None]
) -> None:
    timeline = Timeline()
    for point in added:
        timeline.add(point)
    for point in signalled:
        timeline.signal(point)
    assert timeline.syncobj.query() == query
    assert {point: timeline.waits_on(point) for point in waits} == waits


def test_equal_points_are_out_of_order() -> None:
    timeline = Timeline()
    timeline.add(5)
    first = timeline.fences[5]
    timeline.add(5)
    first.signal(1)
    assert timeline.syncobj.query() == 0
    assert timeline.waits_on(5) == 5


def test_a_point_after_a_binary_fence_waits_for_it() -> None:
    timeline = Timeline()
    binary = Fence(timeline.kernel.new_context(), 1, "mock", "mock")
    timeline.syncobj.replace(binary)
    timeline.add(4)
    timeline.signal(4)
    assert timeline.syncobj.query() == 0
    assert timeline.syncobj.find(4) is not None
    assert not timeline.syncobj.find(4).signalled
    binary.signal(1)
    assert timeline.syncobj.query() == 4


@pytest.mark.requirement("H6")
def test_query_goes_back_after_an_unordered_add() -> None:
    timeline = Timeline()
    timeline.add(1)
    timeline.signal(1)
    assert timeline.syncobj.query() == 1
    timeline.add(5)
    timeline.add(3)
    assert timeline.syncobj.query() == 0


def plain_query(syncobj: Syncobj) -> int:
    """QUERY as the kernel computes it: by walking."""
    head = syncobj.fence
    if not isinstance(head, ChainNode):
        return 0
    oldest = head
    for node in nodes(head):
        if node.context != head.context:
            break
        assert isinstance(node, ChainNode)
        oldest = node
    return oldest.seqno if oldest.signalled else oldest.prev_seqno


def plain_find(syncobj: Syncobj, point: int) -> tuple[bool, Fence | None]:
    """The kernel's search: (materialised, fence or None for signalled)."""
    head = syncobj.fence
    if point == 0:
        return head is not None, head
    if not isinstance(head, ChainNode) or head.seqno < point:
        return False, None
    for node in nodes(head):
        if node.context != head.context or not isinstance(node, ChainNode) or node.prev_seqno < point:
            return True, node
    return True, None


STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("add"), st.integers(0, 40)),
        st.tuples(st.just("next"), st.integers(1, 3)),
        st.tuples(st.just("signal"), st.integers(0, 60)),
        st.tuples(st.just("binary"), st.just(0)),
        st.tuples(st.just("ask"), st.integers(0, 45)),
    ),
    max_size=60,
)


@given(STEPS)
def test_the_index_answers_what_the_kernels_walk_answers(steps: list[tuple[str, int]]) -> None:
    kernel, syncobj, fences = Kernel(now_ns=1), Syncobj(), []
    for verb, value in steps:
        if verb in {"add", "next"}:
            point = value if verb == "add" else syncobj.last_submitted() + value
            fences.append(Fence(kernel.new_context(), 1, "mock", "mock"))
            syncobj.add_point(kernel, fences[-1], point)
        elif verb == "signal" and fences:
            fences[value % len(fences)].signal(1)
        elif verb == "binary":
            fences.append(Fence(kernel.new_context(), 1, "mock", "mock"))
            syncobj.replace(fences[-1])
        else:
            # The index is asked first: a walk would tidy up the chain under it.
            found = syncobj.find(value)
            materialised, expected = plain_find(syncobj, value)
            assert (found is not None) == materialised
            if materialised:
                assert found is expected or (expected is None and found is not None and found.signalled)
            assert syncobj.query() == plain_query(syncobj)


@given(st.lists(st.integers(1, 5), min_size=1, max_size=30), st.randoms(use_true_random=False))
def test_query_never_goes_back_while_adds_are_ordered(steps: list[int], order: object) -> None:
    timeline, point, seen = Timeline(), 0, 0
    for step in steps:
        point += step
        timeline.add(point)
    points = list(timeline.fences)
    order.shuffle(points)  # type: ignore[attr-defined]
    for point in points:
        timeline.signal(point)
        assert timeline.syncobj.query() >= seen
        seen = timeline.syncobj.query()
    assert seen == max(points)


@given(st.lists(st.integers(0, 30), min_size=1, max_size=30), st.data())
def test_a_signalled_point_stays_signalled_while_adds_are_ordered(
    steps: list[int], data: st.DataObject
) -> None:
    timeline, point, done = Timeline(), 0, set()
    for step in steps:
        point += step + 1
        timeline.add(point)
        timeline.signal(data.draw(st.sampled_from(sorted(timeline.fences))))
        done |= {at for at in range(1, point + 1) if timeline.waits_on(at) == "done"}
        assert all(timeline.waits_on(at) == "done" for at in done)
