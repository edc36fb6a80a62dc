"""Who touches buffers: processes, screens, writeback, and the work that queues and screens have accepted."""

from collections import deque
from weakref import ref

from syncline.kms_model.checker.access import Access, Buffer
from syncline.kms_model.checker.carriers import behind_file
from syncline.kms_model.checker.moment import Moment, Thread, Threads
from syncline.kms_model.checker.oversync import Hold
from syncline.kms_model.fences.sync_file import SyncFile


class Held:
    """A sync_file that a process got, and may poll for as long as it is open."""

    __slots__ = ("_file", "_was_heard", "moments")

    def __init__(self, file: SyncFile) -> None:
        self.moments = behind_file(file)
        self._was_heard = False
        fence = ref(file.fence)

        def close(_gone: object) -> None:
            now = fence()
            self._was_heard = now is None or now.told

        self._file = ref(file, close)

    @property
    def is_open(self) -> bool:
        return self._file() is not None

    @property
    def is_heard(self) -> bool:
        """It is signalled, or was before it was closed: the process may know."""
        file = self._file()
        return self._was_heard if file is None else file.fence.told


class Process(Thread):
    """The calls of one open of the device. `holds` are sync_files that it may poll."""

    __slots__ = ("holds",)

    def __init__(self, threads: Threads, name: str) -> None:
        super().__init__(threads, "process", name)
        self.holds: list[Held] = []

    def poll(self) -> None:
        """What is signalled by now is known, if it is open, or was until then."""
        held, self.holds = self.holds, []
        for each in held:
            if each.is_heard:
                self.learn(each.moments, "its sync_file is signalled")
            elif each.is_open:
                self.holds.append(each)


class Work:
    """A job, or a commit on one CRTC, between its submission and its end: the moment that is its end."""

    __slots__ = ("accesses", "before", "entered", "holds", "is_under_way", "moment", "since_ns")

    def __init__(
        self, moment: Moment, before: Moment | None, holds: list[Hold], accesses: list[tuple[Buffer, bool]]
    ) -> None:
        self.moment = moment
        self.before = before
        self.holds = holds
        self.accesses = accesses
        self.entered: list[Access] = []
        self.since_ns = moment.t_ns
        self.is_under_way = False


class Writer(Thread):
    """What one writeback connector writes. `due` are the ends of what it has been asked for."""

    __slots__ = ("due",)

    def __init__(self, threads: Threads, kind: str, name: str) -> None:
        super().__init__(threads, kind, name)
        self.due: deque[Moment] = deque()


class Screen(Thread):
    """The flips of one CRTC, and what it scans out."""

    __slots__ = ("showing",)

    def __init__(self, threads: Threads, name: str) -> None:
        super().__init__(threads, "scanout", name)
        self.showing: dict[Buffer, Access] = {}
