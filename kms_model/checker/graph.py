"""Who cannot go on before whom. Deadlock, and dependence on user space, are questions about this graph.

A node with edges goes on when all of its targets have, or with `any_of` when one has; a node without
edges goes on by itself (hardware, a timer, a program that is not known to wait). Edges go with the
sleep, the fence or the lock that they stand for, so the graph holds what is pending and nothing else.
"""

from collections import deque
from collections.abc import Iterable, Iterator

from syncline.kms_model.checker.report import Step
from syncline.kms_model.checker.site import OUTSIDE, Site


class Node:
    """A task, fence, lock, point or commit. `tainted`: it cannot go on before user space has done something."""

    __slots__ = ("any_of", "into", "out", "tainted")

    kind = "node"
    is_user = False
    """User space itself, where taint comes from."""

    def __init__(self) -> None:
        self.out: dict[Node, Edge] = {}
        self.into: dict[Node, None] = {}
        self.any_of = False
        self.tainted = self.is_user

    @property
    def label(self) -> str:
        """Which one it is."""
        raise NotImplementedError

    @property
    def class_name(self) -> str:
        """What such things are called in a signature."""
        return self.kind

    def freed(self) -> None:
        """Hook: the last thing it waited for is done."""

    def unwanted(self) -> None:
        """Hook: the last one that waited for it does no more."""


class Edge:
    """`source` waits for `target`. `expires`: it gives up at some time."""

    __slots__ = ("expires", "locks", "site", "source", "t_ns", "target", "why")

    def __init__(self, source: Node, target: Node, why: str, *, t_ns: int, site: Site = OUTSIDE) -> None:
        self.source = source
        self.target = target
        self.why = why
        self.t_ns = t_ns
        self.site = site
        self.expires = False
        self.locks: tuple[str, ...] = ()

    def step(self) -> Step:
        kind = "or" if self.source.any_of else "and"
        return Step(
            self.source.label,
            self.target.label,
            self.why,
            f"{kind}, timeout" if self.expires else kind,
            str(self.site),
            self.t_ns,
            self.locks,
        )


def connect(edge: Edge) -> list[Node]:
    """Put it in. Gives the nodes that depend on user space from now on."""
    edge.source.out[edge.target] = edge
    edge.target.into[edge.source] = None
    return _taint(edge.source) if edge.target.tainted else []


def remove(node: Node) -> None:
    """It is done: nobody waits for it, and it waits for nobody."""
    release(node)
    for source in tuple(node.into):
        disconnect(source, node)


def connect_unseen(edge: Edge) -> None:
    """Put in one of several alternatives, to be judged when the last is in (`connect`)."""
    edge.source.out[edge.target] = edge
    edge.target.into[edge.source] = None


def release(node: Node) -> None:
    """It waits for nobody."""
    for target in tuple(node.out):
        disconnect(node, target)


def disconnect(source: Node, target: Node) -> None:
    del source.out[target]
    del target.into[source]
    if source.tainted:
        _wash(source)
    if not source.out:
        source.freed()
    if not target.into:
        target.unwanted()


def stuck(start: Node, *, patiently: bool) -> set[Node]:
    """Those that `start` can reach and that can never go on. `patiently`: a timeout is a way out."""
    reached = _reachable(start)
    needs = {node: 1 if node.any_of else len(node.out) for node in reached}
    free = [node for node in reached if not node.out or (patiently and _gives_up(node))]
    going = set(free)
    while free:
        for source in free.pop().into:
            if source in reached and source not in going:
                needs[source] -= 1
                if needs[source] <= 0:
                    going.add(source)
                    free.append(source)
    return {node for node in reached if node not in going}


def cycle_through(start: Node, within: set[Node]) -> list[Edge]:
    """The shortest one, empty if there is none."""
    return path_to(start, {start}, within)


def path_to(start: Node, targets: set[Node], within: set[Node]) -> list[Edge]:
    """The shortest way along edges from `start` to one of `targets`, all between of `within`; at least one edge."""
    came: dict[Node, Edge] = {}
    queue = deque([start])
    while queue:
        node = queue.popleft()
        for target, edge in node.out.items():
            if target in targets:
                return [*_way(start, node, came), edge]
            if target in within and target not in came and target is not start:
                came[target] = edge
                queue.append(target)
    return []


def edges(roots: Iterable[Node]) -> Iterator[Edge]:
    """Everything that can be reached from `roots`, each edge once."""
    seen: dict[Node, None] = {}
    for root in roots:
        for node in _reachable(root):
            if node not in seen:
                seen[node] = None
                yield from node.out.values()


def _way(start: Node, end: Node, came: dict[Node, Edge]) -> list[Edge]:
    way: list[Edge] = []
    while end is not start:
        way.append(came[end])
        end = came[end].source
    return way[::-1]


def _reachable(start: Node) -> dict[Node, None]:
    reached: dict[Node, None] = {start: None}
    queue = [start]
    while queue:
        for target in queue.pop().out:
            if target not in reached:
                reached[target] = None
                queue.append(target)
    return reached


def _gives_up(node: Node) -> bool:
    return any(edge.expires for edge in node.out.values())


def _depends_on_user(node: Node) -> bool:
    if node.is_user:
        return True
    if node.any_of:
        return bool(node.out) and all(target.tainted for target in node.out)
    return any(target.tainted for target in node.out)


def _taint(node: Node) -> list[Node]:
    new: list[Node] = []
    queue = deque([node])
    while queue:
        node = queue.popleft()
        if not node.tainted and _depends_on_user(node):
            node.tainted = True
            new.append(node)
            queue.extend(node.into)
    return new


def _wash(node: Node) -> None:
    queue = deque([node])
    while queue:
        node = queue.popleft()
        if node.tainted and not _depends_on_user(node):
            node.tainted = False
            queue.extend(node.into)
