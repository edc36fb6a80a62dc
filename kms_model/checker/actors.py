"""Who is at work, who sleeps for what, and which locks they hold."""

from typing import NamedTuple
from weakref import ref

from syncline.kms_model.checker.graph import Node, release
from syncline.kms_model.file import File
from syncline.kms_model.observer import AwaitedPoint, Runner
from syncline.kms_model.user_fence.user_fence import UserSyncobj

USER_LOCKS = "user "
"""Lock classes that begin so are a program's own: the kernel need not care, but a circle is a circle."""


class Call(NamedTuple):
    file: object
    who: str
    what: str

    @property
    def chain(self) -> tuple[str, ...]:
        return (self.who or "a file", self.what)


class TaskNode(Node):
    """A task that sleeps, holds a lock, or has to signal a fence."""

    __slots__ = ("chain", "is_asleep", "locks", "name", "runner", "since_ns")

    kind = "task"

    def __init__(self, runner: Runner, chain: tuple[str, ...]) -> None:
        super().__init__()
        self.runner = runner
        self.name: str = getattr(runner.coroutine, "__qualname__", "task")
        self.chain = (*chain, self.name)
        self.locks: dict[object, str] = {}
        self.is_asleep = False
        self.since_ns = 0

    @property
    def label(self) -> str:
        return f"task {' > '.join(self.chain)}"

    @property
    def class_name(self) -> str:
        return self.name

    @property
    def kernel_locks(self) -> tuple[str, ...]:
        return tuple(kind for kind in self.locks.values() if not kind.startswith(USER_LOCKS))


class LockNode(Node):
    """A lock that somebody sleeps for. Nobody does: it is out of the `table`."""

    __slots__ = ("_lock", "_table", "name")

    kind = "lock"

    def __init__(self, name: str, lock: object, table: "dict[object, LockNode]") -> None:
        super().__init__()
        self.name = name
        self._lock = lock
        self._table = table

    def unwanted(self) -> None:
        self._table.pop(self._lock, None)
        release(self)

    @property
    def label(self) -> str:
        return f"lock {self.name}"

    @property
    def class_name(self) -> str:
        return f"lock {self.name}"


class PointNode(Node):
    """A point without a fence: what user space may do, or not. Nobody waits: it is out of the `table`."""

    __slots__ = ("_file", "_owner", "_table", "is_slot", "point")

    kind = "point"
    is_user = True

    def __init__(
        self, awaited: AwaitedPoint, file: object, table: "dict[tuple[int, int], PointNode]"
    ) -> None:
        super().__init__()
        self._table = table
        self.is_slot = awaited.is_user
        self.point = awaited.point
        self._owner = awaited.owner
        self._file = ref(file) if isinstance(file, File) else None

    def unwanted(self) -> None:
        self._table.pop((id(self._owner), self.point), None)
        release(self)

    @property
    def label(self) -> str:
        return f"{self.class_name} {name_of(self._owner, self._file and self._file())}@{self.point}"

    @property
    def class_name(self) -> str:
        return "user point" if self.is_slot else "unsubmitted point"


class CommitNode(Node):
    """A commit whose planes still wait."""

    __slots__ = ("_crtcs",)

    kind = "commit"

    def __init__(self, crtcs: tuple[int, ...]) -> None:
        super().__init__()
        self._crtcs = crtcs

    @property
    def label(self) -> str:
        return f"commit on CRTC {', '.join(map(str, self._crtcs))}"


class Actors:
    """The stack of calls and tasks that run now, and the tasks that matter while they do not."""

    def __init__(self) -> None:
        self.tasks: dict[Runner, TaskNode] = {}
        self.owners: dict[object, TaskNode | None] = {}
        """Locks, and who has them; None: a call that does not sleep."""
        self._running: list[Call | TaskNode] = []

    def call_begins(self, call: Call) -> None:
        self._running.append(call)

    def task_runs(self, task: Runner) -> TaskNode:
        node = self.node(task)
        self._running.append(node)
        return node

    def rests(self) -> None:
        self._running.pop()

    def node(self, task: Runner) -> TaskNode:
        if task not in self.tasks:
            above = self._running[-1] if self._running else None
            self.tasks[task] = TaskNode(task, above.chain if isinstance(above, Call) else ())
        return self.tasks[task]

    @property
    def chain(self) -> tuple[str, ...]:
        """The innermost, with whoever called it."""
        return self._running[-1].chain if self._running else ()

    @property
    def task(self) -> TaskNode | None:
        running = self._running[-1] if self._running else None
        return running if isinstance(running, TaskNode) else None

    @property
    def file(self) -> object:
        """Whose call it is, if it is one's."""
        return next((one.file for one in reversed(self._running) if isinstance(one, Call)), None)


def name_of(owner: object, file: object) -> str:
    """`syncobj#handle`, as the file knows it that was told of it."""
    if isinstance(file, File):
        for handle, syncobj in file.syncobjs.items():
            if syncobj is owner or (isinstance(syncobj, UserSyncobj) and syncobj.slot is owner):
                return f"syncobj#{handle}"
    return "syncobj#?"
