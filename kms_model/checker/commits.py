"""The rules of commits: who may not sleep (K13), what a commit promised (K14), which fences do not mix (K15)."""

from collections.abc import Sequence

from syncline.kms_model.checker.actors import TaskNode
from syncline.kms_model.checker.report import Severity
from syncline.kms_model.checker.scene import Scene
from syncline.kms_model.observer import Accepted, Awaited, AwaitedLock, AwaitedPoint, Milestone, Promise
from syncline.kms_model.task import Completion

_LISTED = {"hw_done", "cleanup_done"}
"""Of the commits before: the milestones that kernel.md 3.4 lets a NONBLOCK commit sleep for. flip_done is EBUSY."""


class Commits:
    def __init__(self, scene: Scene) -> None:
        self._scene = scene
        self._bound: set[TaskNode] = set()
        self._asleep: dict[TaskNode, tuple[str, int]] = {}
        self._swapped: set[TaskNode] = set()
        self._parked: set[TaskNode] = set()
        self._told: dict[int, object] = {}
        """By CRTC: the commit that was told last."""

    def forget(self, node: TaskNode) -> None:
        for nodes in (self._bound, self._swapped, self._parked):
            nodes.discard(node)

    # -- K13 -----------------------------------------------------------------------------------

    def must_not_wait(self) -> None:
        task = self._scene.actors.task
        if task is not None:
            self._bound.add(task)

    def sleeps(self, node: TaskNode, waitable: object, awaited: Awaited) -> None:
        self._look_at_parked(node, awaited)
        if node not in self._bound:
            return
        reason = _listed_reason(waitable, awaited)
        if reason is not None:
            self._asleep[node] = reason, self._scene.clock.now_ns
            return
        names = tuple(_class_of(thing) for thing in awaited.things) or (_milestone(waitable) or "something",)
        self._judge("K13", f"{node.name} must not wait, and sleeps for {', '.join(names)}", "sleep")

    def wakes(self, node: TaskNode) -> None:
        slept = self._asleep.pop(node, None)
        if slept is not None:
            reason, since_ns = slept
            waited_ns = self._scene.clock.now_ns - since_ns
            what = f"{node.name} slept {waited_ns} ns for {reason}"
            self._judge("K13", what, f"{node.name} {reason}", Severity.INFO)

    # -- K14 -----------------------------------------------------------------------------------

    def returns(self, errno: int, written: Sequence[int], reply: Sequence[tuple[int, int]]) -> None:
        task = self._scene.actors.task
        if errno and task in self._swapped:
            self._judge("K14", f"a commit fails with {errno} after the swap", "fails after the swap")
        if errno and any(fd != -1 for _, fd in reply):
            self._judge("K14", f"a commit fails with {errno} and leaves a descriptor", "descriptor")
        stale = set(written) - {pointer for pointer, _ in reply}
        if stale:
            self._judge(
                "K14", f"pointer {min(stale):#x} was written, and is not answered for", "stale pointer"
            )

    def flip_told(
        self, crtc_id: int, commit: object, time_ns: int, fence: Promise | None, signalled_ns: int
    ) -> None:
        if self._told.get(crtc_id) is commit:
            self._judge("K14", f"CRTC {crtc_id} tells the flip of one commit twice", "two flips")
        self._told[crtc_id] = commit
        if fence is not None and signalled_ns != time_ns:
            what = f"CRTC {crtc_id}: the event says {time_ns}, the out-fence {signalled_ns}"
            self._judge("K14", what, "event and out-fence")

    # -- K15 -----------------------------------------------------------------------------------

    def accepted(self, commit: Accepted) -> None:
        task = self._scene.actors.task
        if task is not None:
            (self._parked if commit.parked else self._swapped).add(task)
        if not commit.dma_outs:
            return
        for wrong, what in (
            (commit.waits_for_user, "a commit waits for user space and owes a dma_fence (UR1)"),
            (commit.user_outs > 0, "a commit owes both kinds of out-fence (UR3)"),
            (commit.implicit_user, "a dma_fence for a buffer with an implicit user fence (UR15)"),
            (commit.parked, "a parked commit has published a dma_fence"),
        ):
            if wrong:
                self._judge("K15", what, what)

    def refused(self, why: str) -> None:
        """The machine did right; the program asked for it all the same."""
        self._judge("K15", f"refused: {why}", f"refused {why}", Severity.WARN)

    def _look_at_parked(self, node: TaskNode, awaited: Awaited) -> None:
        user = any(isinstance(thing, AwaitedPoint) and thing.is_user for thing in awaited.things)
        if node in self._parked and user and node.kernel_locks:
            held = ", ".join(node.kernel_locks)
            self._judge(
                "K15", f"a parked commit waits for user space with {held} held", f"parked under {held}"
            )

    def _judge(self, rule: str, what: str, signature: str, severity: Severity = Severity.ERROR) -> None:
        self._scene.judge(rule, what, signature=signature, severity=severity)


def _listed_reason(waitable: object, awaited: Awaited) -> str | None:
    """Why a call that must not wait may sleep all the same (kernel.md 3.4). None: it may not."""
    milestone = _milestone(waitable)
    if milestone is not None:
        return milestone if milestone in _LISTED else None
    locks = [thing.kind for thing in awaited.things if isinstance(thing, AwaitedLock)]
    return f"lock {locks[0]}" if locks and len(locks) == len(awaited.things) else None


def _milestone(waitable: object) -> str | None:
    subject = waitable.subject if isinstance(waitable, Completion) else None
    return subject.name if isinstance(subject, Milestone) else None


def _class_of(thing: object) -> str:
    match thing:
        case AwaitedPoint():
            return "a user point" if thing.is_user else "a point to be submitted"
        case AwaitedLock():
            return f"lock {thing.kind}"
        case _:
            return "a fence"
