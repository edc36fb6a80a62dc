"""What is watched of one fence: K2, K7, K8, K9, K10, K11."""

from collections.abc import Iterable
from typing import Final, Protocol
from weakref import ref

from syncline.kms_model.checker.graph import Node, remove
from syncline.kms_model.checker.report import Severity
from syncline.kms_model.checker.scene import Scene
from syncline.kms_model.observer import Exporter, Promise, Thing

_WORST_ERRNO: Final = 4095


class Context:
    """A fence context: the newest seqno that was published, and what is pending of it, in that order."""

    __slots__ = ("newest", "pending")

    def __init__(self) -> None:
        self.newest = -1
        self.pending: dict[FenceNode, None] = {}


class Depend(Protocol):
    """Makes a fence wait for things (`Waits.depend`)."""

    def __call__(
        self, fence: "FenceNode", things: Iterable[Thing], why: str, /, *, expires: bool = False
    ) -> None: ...


class Published:
    """All published fences that are pending, and their contexts."""

    def __init__(self) -> None:
        self.pending: dict[FenceNode, None] = {}
        self.contexts: dict[int, Context] = {}


class FenceNode(Node):
    """One fence, without keeping it alive. Lives on the fence as its observer."""

    __slots__ = (
        "_depend", "_fence", "_free_ns", "_lock", "_made_ns", "_published", "_scene", "_waiters", "context",
        "driver", "error", "exporter", "is_container", "is_told", "seqno", "timeline", "where",
    )  # fmt: skip

    kind = "fence"

    def __init__(
        self,
        scene: Scene,
        published: Published,
        fence: Promise,
        exporter: Exporter,
        *,
        lock: object | None,
        depend: "Depend",
        is_container: bool = False,
    ) -> None:
        super().__init__()
        self._scene = scene
        self._published = published
        self._fence: ref[Promise] | None = ref(fence, self._released)
        self._lock = self if lock is None else lock
        self._depend = depend
        self._made_ns = self._free_ns = scene.clock.now_ns
        self._waiters = 0
        self.exporter = exporter
        self.context, self.seqno = fence.context, fence.seqno
        self.driver, self.timeline = fence.driver, fence.timeline
        self.error = 0
        self.is_container = is_container
        self.is_told = False
        self.where = ""

    @property
    def label(self) -> str:
        state = (f"error {self.error}" if self.error else "signalled") if self.is_told else "pending"
        return f"{self.context}:{self.seqno} {self.driver}/{self.timeline} {state}"

    @property
    def class_name(self) -> str:
        return self.exporter.name

    def freed(self) -> None:
        self._free_ns = self._scene.clock.now_ns

    # -- what the fence tells ------------------------------------------------------------------

    def published(self, where: str) -> None:
        if self.is_told or self.where:
            return
        self.where = where
        if not self.is_container:
            self._published.pending[self] = None
            self._check_exporter()
            self._check_seqno()
        self._depend(self, (), where)

    def depends(self, things: Iterable[Thing], why: str, *, expires: bool = False) -> None:
        self._depend(self, things, why, expires=expires)

    def misplaced(self, where: str) -> None:
        self._judge("K9", f"{self.exporter.name} inside {where}", f"{self.exporter.name} in {where}")

    def refuse_error(self, errno: int, *, late: bool) -> bool:
        if late:
            self._judge("K7", f"error {-errno} is set after the signal", f"{self.class_name} late error")
        elif not 1 <= errno <= _WORST_ERRNO:
            self._judge("K7", f"error {-errno} is no errno", f"{self.class_name} absurd error")
        else:
            self.error = -errno
            return False
        return True

    def signals(self, timestamp_ns: int) -> None:
        scene = self._scene
        if timestamp_ns > scene.clock.now_ns:
            self._judge("K7", "it is stamped with an instant to come", f"{self.class_name} future stamp")
        elif timestamp_ns < self._made_ns:
            early_ns = self._made_ns - timestamp_ns
            what = f"it is stamped {early_ns} ns before it was made"
            self._judge("K7", what, f"{self.class_name} early stamp")
        if scene.under_locks and self._lock in scene.under_locks:
            what = "it is signalled by a callback that runs under its own lock"
            self._judge("K10", what, f"{self.class_name} signal under lock")
        self._check_order()
        self._check_age()
        self._end()
        scene.under_locks.append(self._lock)

    def signalled(self) -> None:
        self._scene.under_locks.pop()

    def awaited(self) -> None:
        self._waiters += 1
        if self._scene.under_locks and self._lock in self._scene.under_locks:
            what = "a callback that runs under its lock takes the lock again, to wait for it"
            self._judge("K10", what, f"{self.class_name} lock re-entered")

    def forsaken(self) -> None:
        self._waiters -= 1

    def compared(self, other: Promise) -> None:
        name = f"{other.context}:{other.seqno} {other.driver}/{other.timeline}"
        what = "two fences of different contexts are compared by seqno"
        self._scene.judge(
            "K8",
            what,
            signature=f"{self.class_name} compared with {other.driver}",
            objects=(self.label, name),
        )

    # -- the rules -----------------------------------------------------------------------------

    def _check_exporter(self) -> None:
        exporter = self.exporter
        if not exporter.bounded:
            severity = Severity.WARN if exporter.test else Severity.ERROR
            what = f"a fence of {exporter.name} was published, and nothing promises that it signals"
            self._judge("K2", what, f"{exporter.name} unbounded", severity)
        elif exporter.bound_ns is not None:
            self._scene.expect(self._free_ns + exporter.bound_ns, self)

    def _check_seqno(self) -> None:
        if not self.exporter.ordered:
            return
        context = self._published.contexts.setdefault(self.context, Context())
        if self.seqno <= context.newest:
            what = f"seqno {self.seqno} is published after {context.newest}"
            self._judge("K8", what, f"{self.class_name} published out of order")
        context.newest = max(context.newest, self.seqno)
        context.pending[self] = None

    def _check_order(self) -> None:
        context = self._published.contexts.get(self.context)
        if context is not None and self in context.pending:
            first = next(iter(context.pending))
            if first is not self:
                what = f"it signals before {first.label}"
                self._judge("K8", what, f"{self.class_name} signalled out of order")

    def overdue(self) -> int | None:
        if self.is_told or self not in self._published.pending:
            return None
        self._check_age()
        bound_ns = self.exporter.bound_ns
        assert bound_ns is not None, "only what has a bound is looked at"
        return max(self._free_ns, self._scene.clock.now_ns) + bound_ns

    def _check_age(self) -> None:
        bound_ns = self.exporter.bound_ns
        if bound_ns is None or self.out or not self.where:
            return
        age_ns = self._scene.clock.now_ns - self._free_ns
        if age_ns > bound_ns:
            what = f"it has been due for {age_ns} ns, {self.exporter.name} promises {bound_ns}"
            self._judge("K2", what, f"{self.class_name} overdue")

    def _released(self, _gone: object) -> None:
        if self.is_told:
            return
        if self._waiters > 0:
            what = f"it was released with {self._waiters} still waiting for it"
            signature = f"{self.class_name} released with waiters"
            self._scene.judge_later("K11", what, signature=signature, objects=(self.label,))
        self._end()

    def forget(self) -> None:
        """The run is over: what is let go from now on is no finding."""
        self._fence = None

    def lose_signaller(self, name: str) -> None:
        """Whoever had to signal it has ended."""
        if self.where and not self.is_told:
            self._judge("K2", f"{name} had to signal it, and has ended", f"{self.class_name} abandoned")

    def _end(self) -> None:
        self.is_told = True
        self._fence = None
        self._published.pending.pop(self, None)
        context = self._published.contexts.get(self.context)
        if context is not None:
            context.pending.pop(self, None)
        remove(self)

    def _judge(self, rule: str, what: str, signature: str, severity: Severity = Severity.ERROR) -> None:
        self._scene.judge(rule, what, signature=signature, severity=severity, objects=(self.label,))


def node_of(fence: Promise) -> FenceNode | None:
    """What watches it; None if it is signalled, or nobody does."""
    node = fence.observer
    return node if isinstance(node, FenceNode) and not fence.told else None
