"""Who waits for whom: K1, K3 and K6, checked as each edge is made.

Almost every edge starts at something new, which nobody waits for yet, so that it can close no circle and
taint nothing: those cost a constant. The rest costs a walk over what is pending behind the edge.
"""

from collections.abc import Callable, Iterable

from syncline.kms_model.checker import graph
from syncline.kms_model.checker.actors import CommitNode, LockNode, PointNode, TaskNode
from syncline.kms_model.checker.graph import Edge, Node
from syncline.kms_model.checker.lock_classes import LockClasses
from syncline.kms_model.checker.promises import FenceNode, node_of
from syncline.kms_model.checker.report import Severity
from syncline.kms_model.checker.scene import Scene
from syncline.kms_model.checker.site import asleep, here
from syncline.kms_model.fences.fence import Fence
from syncline.kms_model.observer import Awaited, AwaitedLock, AwaitedPoint, Promise, Runner, Thing
from syncline.kms_model.task import Task

SIGNALLER = "the task that has to signal it"


class Waits:
    """`declare` makes a node for a fence that no exporter has told of."""

    def __init__(self, scene: Scene, declare: Callable[[Promise], None]) -> None:
        self._scene = scene
        self._declare = declare
        self._classes = LockClasses()
        self._locks: dict[object, LockNode] = {}
        self._points: dict[tuple[int, int], PointNode] = {}

    # -- making edges --------------------------------------------------------------------------

    def depend(self, fence: FenceNode, things: Iterable[Thing], why: str, *, expires: bool = False) -> None:
        """`fence` waits for all of `things`. Without any: it was published, and is looked at again."""
        for thing in things:
            target = self.node(thing)
            if target is not None:
                self.link(fence, target, why, expires=expires)
        if fence.tainted:
            self._accuse(fence)

    def commit(self, crtcs: tuple[int, ...], outs: Iterable[Promise], ins: Iterable[Promise]) -> None:
        waited = [node for node in map(self.node, ins) if node is not None]
        if not waited:
            return
        commit = CommitNode(crtcs)
        for node in waited:
            self.link(commit, node, "in-fence of a plane")
        for fence in outs:
            out = node_of(fence)
            if out is not None:
                self.link(out, commit, "out-fence of the commit")

    def owe(self, awaited: AwaitedPoint, task: Runner) -> None:
        """Only `task` will signal or submit the point."""
        self.link(self._point(awaited), self._scene.actors.node(task), SIGNALLER)

    def link(self, source: Node, target: Node, why: str, *, expires: bool = False) -> None:
        edge = Edge(source, target, why, t_ns=self._scene.clock.now_ns, site=here())
        edge.expires = expires
        self._connect(edge)

    def _connect(self, edge: Edge) -> None:
        source, target = edge.source, edge.target
        if target in source.out:
            return
        tainted = graph.connect(edge)
        if source.into:
            self._look_for_circle(source)
        if target.tainted and isinstance(target, FenceNode):
            self._accuse(target)
        for node in tainted:
            if isinstance(node, FenceNode):
                self._accuse(node)

    # -- sleeping ------------------------------------------------------------------------------

    def sleep(self, task: TaskNode, awaited: Awaited, *, expires: bool) -> None:
        """`task` sleeps for this, with its locks."""
        site = asleep(task.runner.coroutine)
        task.any_of = awaited.any_of
        if awaited.any_of and any(map(_is_over, awaited.things)):
            return  # the wake-up is on its way
        nodes = {node: thing for thing in awaited.things if (node := self.node(thing)) is not None}
        for node, thing in nodes.items():
            edge = Edge(task, node, "sleeps for it", t_ns=self._scene.clock.now_ns, site=site)
            edge.expires = expires
            edge.locks = tuple(task.locks.values())
            if isinstance(thing, AwaitedPoint):
                self._check_locks(task, edge)
            if isinstance(node, FenceNode):
                for lock in task.locks.values():
                    self._note_class(f"lock {lock}", f"fence {node.class_name}", edge)
            if task.any_of and len(task.out) + 1 < len(nodes):
                graph.connect_unseen(edge)
            else:
                self._connect(edge)

    # -- locks ---------------------------------------------------------------------------------

    def take(self, task: TaskNode, kind: str) -> None:
        """`task` is about to have a lock of this class."""
        now_ns = self._scene.clock.now_ns
        lock = LockNode(kind, None, {})
        for held in dict.fromkeys(task.locks.values()):
            self._note_class(
                f"lock {held}", f"lock {kind}", Edge(task, lock, "takes it", t_ns=now_ns, site=here())
            )
        for fence in task.into:
            if isinstance(fence, FenceNode):
                edge = Edge(fence, lock, "its signaller takes the lock first", t_ns=now_ns, site=here())
                self._note_class(f"fence {fence.class_name}", f"lock {kind}", edge)

    def leave(self, lock: object) -> None:
        """Its owner let it go."""
        node = self._locks.get(lock)
        if node is not None:
            graph.release(node)

    # -- nodes ---------------------------------------------------------------------------------

    def node(self, thing: Thing) -> Node | None:
        """None for what is over already."""
        if isinstance(thing, Fence):
            if thing.observer is None and not thing.told:
                self._declare(thing)
            return node_of(thing)
        if isinstance(thing, AwaitedPoint):
            return self._point(thing)
        if isinstance(thing, AwaitedLock):
            return self._lock(thing)
        assert isinstance(thing, Task), f"{thing} is nothing that one waits for"
        return None if thing.done else self._scene.actors.node(thing)

    def _point(self, awaited: AwaitedPoint) -> PointNode:
        key = (id(awaited.owner), awaited.point)
        if key not in self._points:
            self._points[key] = PointNode(awaited, self._scene.actors.file, self._points)
        return self._points[key]

    def _lock(self, awaited: AwaitedLock) -> LockNode:
        node = self._locks.get(awaited.lock)
        if node is None:
            node = self._locks[awaited.lock] = LockNode(awaited.kind, awaited.lock, self._locks)
        owner = self._scene.actors.owners.get(awaited.lock)
        if owner is not None:
            self.link(node, owner, "holds it")
        return node

    # -- the rules -----------------------------------------------------------------------------

    def _check_locks(self, task: TaskNode, edge: Edge) -> None:
        if not task.kernel_locks:
            return
        held = ", ".join(dict.fromkeys(task.kernel_locks))
        self._scene.judge(
            "K6",
            f"{task.name} waits for {edge.target.class_name} with {held} held",
            signature=f"{task.class_name} {edge.target.class_name} under {held}",
            objects=(edge.target.label,),
            path=(edge,),
            classes=f"user space is waited for under lock class {held}",
        )

    def _accuse(self, fence: FenceNode) -> None:
        """K1 of the fence that depends on user space first-hand, if anybody can see it; `fence` may be another behind it."""
        if not _is_exposed(fence):
            return
        tainted = _tainted(fence)
        path = graph.path_to(fence, {node for node in tainted if node.is_user}, tainted)
        if not path:
            return
        at = max(at for at, edge in enumerate(path) if isinstance(edge.source, FenceNode))
        culprit, point = path[at].source, path[-1].target
        names = [culprit.class_name, *(edge.target.class_name for edge in path[at:])]
        self._scene.judge(
            "K1",
            f"a dma_fence of {culprit.class_name} depends on user space: {point.class_name}",
            signature=" > ".join(names),
            objects=(culprit.label, point.label),
            path=path,
            classes=f"fence class {culprit.class_name} waits for {' > '.join(names[1:])}",
        )

    def _look_for_circle(self, node: Node) -> None:
        stuck = graph.stuck(node, patiently=False)
        cycle = graph.cycle_through(node, stuck) if node in stuck else []
        if not cycle:
            return
        gives_up = node not in graph.stuck(node, patiently=True)
        names = _rotated([edge.source.class_name for edge in cycle])
        waiters = ", ".join(edge.source.label for edge in cycle if isinstance(edge.source, TaskNode))
        since_ns = max(edge.t_ns for edge in cycle)
        self._scene.judge(
            "K3",
            "a circle of waits" + (", broken only by a timeout" if gives_up else ""),
            signature=" > ".join(names) + (" timeout" if gives_up else ""),
            severity=Severity.WARN if gives_up else Severity.ERROR,
            objects=tuple(edge.source.label for edge in cycle),
            cycle=cycle,
            classes=" > ".join([*names, names[0]]),
            consequence=f"hangs since {since_ns} ns: {waiters}" if waiters and not gives_up else "",
        )

    def _note_class(self, before: str, after: str, edge: Edge) -> None:
        circle = self._classes.add(before, after, edge)
        if not circle:
            return
        names = _rotated([name for name, _ in circle])
        self._scene.judge(
            "K3",
            f"a circle by class: {' > '.join([*names, names[0]])}",
            signature=f"class {' > '.join(names)}",
            objects=tuple(dict.fromkeys(one.source.label for _, one in circle)),
            path=tuple(one for _, one in circle),
            classes="; ".join(_class_sentence(name, one) for name, one in circle),
            consequence="it did not hang this time; with another timing it does",
        )


def _is_over(thing: Thing) -> bool:
    return (isinstance(thing, Fence) and thing.told) or (isinstance(thing, Task) and thing.done)


def _class_sentence(before: str, edge: Edge) -> str:
    if isinstance(edge.source, FenceNode):
        return f"{before} is signalled by who takes {edge.target.class_name} first"
    return f"{edge.target.class_name} is waited for under {before}"


def _rotated(names: list[str]) -> list[str]:
    """The same circle, always begun at the same place."""
    first = names.index(min(names))
    return names[first:] + names[:first]


def _tainted(start: Node) -> set[Node]:
    """What `start` reaches along dependencies on user space."""
    seen = {start}
    queue = [start]
    while queue:
        for target in queue.pop().out:
            if target.tainted and target not in seen:
                seen.add(target)
                queue.append(target)
    return seen


def _is_exposed(fence: FenceNode) -> bool:
    """Somebody can find it or sleeps for it, or for one that waits for it. Jobs may queue among themselves."""
    seen: set[Node] = {fence}
    queue: list[Node] = [fence]
    while queue:
        node = queue.pop()
        if isinstance(node, TaskNode) or (isinstance(node, FenceNode) and node.where):
            return True
        for source in node.into:
            if source not in seen:
                seen.add(source)
                queue.append(source)
    return False
