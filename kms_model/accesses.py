"""What the machine tells whoever follows its buffers: who reads and writes them, and after what.

The kernel has one `AccessObserver`, or None. It may leave a note on anything that is `Noted`: a fence, a
sync_file, a syncobj, a reservation object, a queue. Nobody here may change what the machine does.
"""

from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple, Protocol

from syncline.kms_model.observer import AwaitedPoint, Promise


class Noted(Protocol):
    """Something an observer keeps a note on."""

    note: object | None


class NotedFence(Promise, Noted, Protocol):
    timestamp_ns: int


class NotedResv(Noted, Protocol):
    """A reservation object: what stands for its buffer, also when the buffer is imported again."""


class FenceFile(Noted, Protocol):
    """A sync_file."""

    @property
    def fence(self) -> NotedFence: ...


class Reservation(NamedTuple):
    """The fences of a buffer up to a usage class. Who asks for them relies on messages for the rest."""

    resv: NotedResv
    usage: int


Carrier = AwaitedPoint | Reservation | FenceFile
"""What one can wait for: whoever has, comes after all that is behind it."""


class Access(NamedTuple):
    resv: NotedResv
    writes: bool


class Wait(NamedTuple):
    """A carrier, and the fence that was found behind it, if it is one and is waited for as it is."""

    carrier: Carrier
    fence: NotedFence | None


class Submission(NamedTuple):
    """A GPU job as it is submitted. `outs` are the points it will signal."""

    queue: Noted
    job: Noted
    finished: NotedFence
    label: str
    accesses: Sequence[Access]
    waits: Sequence[Wait]
    outs: Sequence[AwaitedPoint]
    implicit: bool


class Flip(NamedTuple):
    """A commit on one CRTC, at the point of no return. `shows`: what will be scanned out, whoever put it there."""

    crtc: Noted
    crtc_id: int
    commit: Noted
    waits: Sequence[Wait]
    shows: Sequence[NotedResv]
    outs: Sequence[NotedFence]
    user_outs: Sequence[AwaitedPoint]


class AccessObserver(Protocol):
    """`file` is an open of the device, as the thread that its calls come from; None: the kernel itself."""

    # -- what a file does, and learns -----------------------------------------------------------

    def signalled(self, file: Noted, points: Iterable[AwaitedPoint], call: str) -> None:
        """By the CPU, in this call."""
        ...

    def fence_made(self, fence: NotedFence, to: "Reservation | None") -> None:
        """One that the CPU will signal: a test exporter's."""
        ...

    def fence_signalled(self, file: Noted, fences: Iterable[NotedFence], call: str) -> None:
        """By the CPU, in this call. Before their callbacks run."""
        ...

    def learned(self, file: Noted, carriers: Iterable[Carrier], call: str) -> None:
        """A call told the file that these are signalled."""
        ...

    def listener(self, file: Noted, point: AwaitedPoint) -> Callable[[], None]:
        """To be called when the eventfd rings that the file registered for the point."""
        ...

    def given(self, file: Noted, fd: int, sources: Sequence[Carrier]) -> None:
        """The file got a sync_file, and may poll it. Without `sources`: of the fence itself."""
        ...

    def handed_on(
        self, file: Noted | None, to: AwaitedPoint | Reservation, sources: Sequence[Carrier]
    ) -> None:
        """Whoever waits for `to` will have waited for `sources`. `file` asked for it; None: the kernel does as it was told."""
        ...

    def written_outside(self, slot: object, value: int, signallers: Iterable[object]) -> None:
        """Somebody wrote the memory of a user fence without a call."""
        ...

    # -- who reads and writes -------------------------------------------------------------------

    def cpu_begins(self, file: Noted, access: Access) -> None:
        """DMA_BUF_IOCTL_SYNC START has returned."""
        ...

    def cpu_ends(self, file: Noted, access: Access) -> None: ...

    def submitted(self, file: Noted, job: Submission) -> None: ...

    def job_begins(self, job: Noted) -> None: ...

    def job_ends(self, job: Noted) -> None: ...

    def committed(self, file: Noted | None, flip: Flip) -> None: ...

    def shown(self, commit: Noted, resvs: Sequence[NotedResv]) -> None:
        """The display scans out these from now on, and what it did before no more."""
        ...

    def flip_told(self, file: Noted | None, commit: Noted) -> None:
        """An event, or the end of a blocking commit."""
        ...

    def will_write_back(self, connector: Noted, resv: NotedResv, fence: NotedFence | None) -> None:
        """The commit that was told of just now also wants its image back; `fence` will say that it is there."""
        ...

    def written_back(self, connector: Noted, commit: Noted, resv: NotedResv) -> None:
        """It is there. One after the other, in the order of the commits."""
        ...
