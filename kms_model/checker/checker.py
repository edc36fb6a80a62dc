"""The observer that judges: hands what the machine tells to the rules, and closes the books in the end."""

from collections.abc import Iterable, Iterator, Sequence
from typing import Final

from syncline.kms_model.checker.actors import Call
from syncline.kms_model.checker.commits import Commits
from syncline.kms_model.checker.graph import Edge, Node, edges, release, remove
from syncline.kms_model.checker.ledger import Ledger
from syncline.kms_model.checker.promises import FenceNode, Published
from syncline.kms_model.checker.races import Races
from syncline.kms_model.checker.report import Severity
from syncline.kms_model.checker.scene import Scene
from syncline.kms_model.checker.timelines import Timelines
from syncline.kms_model.checker.waits import SIGNALLER, Waits
from syncline.kms_model.fences.array import FenceArray
from syncline.kms_model.fences.chain import ChainNode
from syncline.kms_model.fences.fence import Fence
from syncline.kms_model.kernel import Kernel
from syncline.kms_model.observer import Accepted, Awaited, AwaitedPoint, Exporter, Promise, Runner
from syncline.kms_model.task import Bell, Completion

ARRAY: Final = Exporter(name="array", ordered=False)
CHAIN: Final = Exporter(name="chain", ordered=False)
_TOLD_OTHERWISE: Final = {"H1", "H2"}
"""Warnings of the machine that a rule reports better: a chain inside a chain is K9, a leak K24."""


class Checker:
    """Watches `kernel` from now on. Findings are in the `ledger`."""

    def __init__(self, kernel: Kernel, ledger: Ledger | None = None) -> None:
        self.ledger = Ledger() if ledger is None else ledger
        self._kernel = kernel
        self._scene = Scene(kernel, self.ledger)
        self._actors = self._scene.actors
        self._published = Published()
        self._waits = Waits(self._scene, self._declare)
        self._timelines = Timelines(self._scene)
        self._commits = Commits(self._scene)
        self._races = Races(kernel, self.ledger)
        kernel.observer = self

    # -- who is at work ------------------------------------------------------------------------

    def call_begins(self, file: object, who: str, what: str) -> None:
        self._scene.look_at_the_clock()
        self._actors.call_begins(Call(file, who, what))

    def call_ends(self) -> None:
        self._actors.rests()

    def task_runs(self, task: Runner) -> None:
        self._actors.task_runs(task).is_asleep = False

    def task_rests(self, task: Runner) -> None:
        self._actors.rests()
        if not task.done:
            return
        node = self._actors.tasks.pop(task)
        self._commits.forget(node)
        for source in tuple(node.into):
            if isinstance(source, FenceNode) and source.out[node].why == SIGNALLER:
                source.lose_signaller(node.name)
        remove(node)

    def task_sleeps(self, task: Runner, waitable: object, deadline_ns: int | None) -> None:
        node = self._actors.node(task)
        node.is_asleep = True
        node.since_ns = self._kernel.now_ns
        if self._scene.under_locks:
            what = f"{node.name} sleeps inside a fence callback"
            self._scene.judge("K10", what, signature="sleep in callback", objects=(node.label,))
        awaited = _awaited(waitable)
        self._commits.sleeps(node, waitable, awaited)
        self._waits.sleep(node, awaited, expires=deadline_ns is not None)

    def task_wakes(self, task: Runner) -> None:
        node = self._actors.node(task)
        self._commits.wakes(node)
        release(node)

    # -- locks ---------------------------------------------------------------------------------

    def lock_taken(self, lock: object, kind: str) -> None:
        task = self._actors.task
        self._actors.owners[lock] = task
        if task is not None:
            self._waits.take(task, kind)
            task.locks[lock] = kind

    def lock_released(self, lock: object) -> None:
        owner = self._actors.owners.pop(lock, None)
        if owner is not None:
            del owner.locks[lock]
        self._waits.leave(lock)

    # -- fences --------------------------------------------------------------------------------

    def exported(
        self, fence: Promise, exporter: Exporter, *, lock: object | None = None, by: Runner | None = None
    ) -> None:
        node = self._node(fence, exporter, lock)
        fence.observer = node
        if by is not None:
            self._waits.link(node, self._actors.node(by), SIGNALLER)

    def contained(self, container: Promise, kind: str, members: Sequence[Promise]) -> None:
        is_array = kind == "array"
        node = self._node(container, ARRAY if is_array else CHAIN, None, is_container=True)
        container.observer = node
        inside = members if is_array else members[-1:]
        wrong = [
            one for one in inside if isinstance(one, ChainNode if not is_array else ChainNode | FenceArray)
        ]
        if wrong or not members:
            inner = _kind(wrong[0]) if wrong else "nothing"
            what = f"{inner} inside {kind}"
            signature = f"{inner} in {kind}"
            names = (_name(one) for one in (container, *wrong))
            self._scene.judge("K9", what, signature=signature, objects=names)
        node.depends(members, f"member of the {kind}")

    def committed(self, crtc_ids: tuple[int, ...], outs: Sequence[Promise], ins: Sequence[Promise]) -> None:
        self._waits.commit(crtc_ids, outs, ins)

    def must_not_wait(self) -> None:
        self._commits.must_not_wait()

    def commit_accepted(self, commit: Accepted) -> None:
        self._commits.accepted(commit)

    def commit_refused(self, why: str) -> None:
        self._commits.refused(why)

    def commit_returns(self, errno: int, written: Sequence[int], reply: Sequence[tuple[int, int]]) -> None:
        self._commits.returns(errno, written, reply)

    def flip_told(
        self, crtc_id: int, commit: object, time_ns: int, fence: Promise | None, signalled_ns: int
    ) -> None:
        self._commits.flip_told(crtc_id, commit, time_ns, fence, signalled_ns)

    # -- timelines -----------------------------------------------------------------------------

    def point_added(self, syncobj: object, *, point: int, last: int) -> None:
        self._timelines.added(syncobj, point=point, last=last)

    def queried(self, syncobj: object, timeline: object, value: int) -> None:
        self._timelines.queried(syncobj, timeline, value)

    def job_points(self, ins: Sequence[AwaitedPoint], outs: Sequence[AwaitedPoint]) -> None:
        self._timelines.used(ins, outs)

    def slot_watched(self, slot: object, *, signallers: int, is_mapped: bool) -> None:
        self._timelines.watched(slot, signallers=signallers, is_mapped=is_mapped)

    def slot_written(self, slot: object, by: object) -> None:
        self._timelines.written(slot, by)

    def owes(self, task: Runner, point: AwaitedPoint) -> None:
        """Nobody but `task` will signal or submit the point (F49): its waiters wait for the task."""
        self._waits.owe(point, task)

    def warned(self, rule: str, what: str) -> None:
        if rule == "K19":
            self._timelines.went_back(what)
        elif rule not in _TOLD_OTHERWISE:
            is_hazard = rule == "H3"
            signature = "in-fence without a framebuffer" if is_hazard else rule
            self._scene.judge(
                "H3" if is_hazard else "WARN", what, signature=signature, severity=Severity.WARN
            )

    # -- the end -------------------------------------------------------------------------------

    def end(self, *, pinned: Sequence[str] = (), referred: Sequence[str] = ()) -> None:
        """The run is over (K24). `pinned` are buffers that a commit still holds, `referred` open descriptors."""
        self._scene.look_at_the_clock()
        for fence in tuple(self._published.pending):
            fence.forget()
            if not fence.out:
                severity = Severity.WARN if fence.exporter.test else Severity.ERROR
                what = "a published fence is pending"
                self._left(what, f"{fence.class_name} pending", fence.label, severity)
        for task in tuple(self._actors.tasks.values()):
            if task.is_asleep:
                self._left(f"{task.name} still sleeps", f"{task.class_name} sleeps", task.label)
        leaked = [type(thing).__name__ for thing in self._kernel.leaked]
        for title, names in (
            ("a buffer is pinned", pinned),
            ("something is referred to", referred),
            ("a reference is leaked", leaked),
        ):
            for name in names:
                self._left(title, title, name)

    def edges(self) -> Iterator[Edge]:
        """Everything pending, for a picture."""
        roots: Iterable[Node] = (*self._published.pending, *self._actors.tasks.values())
        return edges(roots)

    def _left(self, what: str, signature: str, name: str, severity: Severity = Severity.ERROR) -> None:
        self._scene.judge("K24", what, signature=signature, severity=severity, objects=(name,))

    def _declare(self, fence: Promise) -> None:
        """A fence that nobody exported promises nothing."""
        self.exported(fence, Exporter(name=f"undeclared {fence.driver}", bounded=False, ordered=False))

    def _node(
        self, fence: Promise, exporter: Exporter, lock: object | None, *, is_container: bool = False
    ) -> FenceNode:
        return FenceNode(
            self._scene,
            self._published,
            fence,
            exporter,
            lock=lock,
            depend=self._waits.depend,
            is_container=is_container,
        )


def _awaited(waitable: object) -> Awaited:
    if isinstance(waitable, Fence):
        return Awaited((waitable,))
    subject = waitable.subject if isinstance(waitable, Bell | Completion) else None
    return Awaited(()) if subject is None else subject.awaited()


def _kind(fence: Promise) -> str:
    return "array" if isinstance(fence, FenceArray) else "chain"


def _name(fence: Promise) -> str:
    state = "signalled" if fence.told else "pending"
    return f"{fence.context}:{fence.seqno} {fence.driver}/{fence.timeline} {state}"
