"""What a client saw of its own frames, as one JSON line per event.

`t_ns` is when the client did or heard it. Durations carry the names of weston-presentation-shm, in ns:
f(rame callback) 2 c(ommit) 2 p(resented), p2p to the frame before, t2p from the target: the first vblank
after the commit, as predicted at the commit from the feedback before it (None without one).
"""

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

import msgspec


class Event(msgspec.Struct, frozen=True, kw_only=True, tag_field="ev"):
    t_ns: int
    client: int


class Started(Event, frozen=True, kw_only=True, tag="client_started"):
    demo: str
    title: str


class Submitted(Event, frozen=True, kw_only=True, tag="client_submitted"):
    """The job that will signal `acquire_point` is queued on the GPU; `job` is its seqno there."""

    surface: int
    frame: int
    job: int
    gpu_ns: int
    acquire_point: int


class Committed(Event, frozen=True, kw_only=True, tag="client_committed"):
    """Points are 0 for a commit without explicit sync.

    `begun_ns`: the frame callback that began the frame, or the tick of the client's own clock; for a tick
    `lateness_ns` is by how much the client woke after it.
    """

    surface: int
    frame: int
    begun_ns: int
    lateness_ns: int | None = None
    image: int
    acquire_point: int = 0
    release_point: int = 0


class Waited(Event, frozen=True, kw_only=True, tag="client_waited"):
    """A thread of the client slept in the kernel until the image of a frame was finished. Told when it woke up.

    `thread`: main, where nothing else of the client went on meanwhile, or submit. `call` as the header names it.
    """

    frame: int
    thread: str
    call: str
    waited_ns: int


class Released(Event, frozen=True, kw_only=True, tag="client_released"):
    """The image may be painted again: its release point, or without explicit sync wl_buffer.release."""

    image: int
    release_point: int = 0
    held_ns: int
    """Since the commit that gave the image away."""


class Presented(Event, frozen=True, kw_only=True, tag="client_presented"):
    surface: int
    frame: int
    presented_ns: int
    sequence: int
    refresh_ns: int
    flags: int
    """wp_presentation_feedback.kind: vsync 1, hw_clock 2, hw_completion 4, zero_copy 8."""
    f2c_ns: int
    c2p_ns: int
    f2p_ns: int
    p2p_ns: int | None
    t2p_ns: int | None


class Discarded(Event, frozen=True, kw_only=True, tag="client_discarded"):
    surface: int
    frame: int


class Ended(Event, frozen=True, kw_only=True, tag="client_ended"):
    """The last event. `owed` releases were given to the compositor, `paid` came back in time."""

    committed: int
    presented: int
    discarded: int
    unanswered: int
    owed: int
    paid: int
    reason: str


ClientEvent = Started | Submitted | Waited | Committed | Released | Presented | Discarded | Ended
Emit = Callable[[ClientEvent], None]


def ignore(_event: ClientEvent) -> None:
    """Where events go when nobody asked for them."""


@dataclass(slots=True)
class Tally:
    """The totals of the last event."""

    committed: int = 0
    presented: int = 0
    discarded: int = 0
    asked: int = 0
    owed: int = 0
    paid: int = 0

    @property
    def unanswered(self) -> int:
        """Commits whose presentation feedback never came."""
        return self.asked - self.presented - self.discarded

    def ended(self, t_ns: int, *, client: int, reason: str) -> Ended:
        """The last event."""
        return Ended(
            t_ns=t_ns,
            client=client,
            committed=self.committed,
            presented=self.presented,
            discarded=self.discarded,
            unanswered=self.unanswered,
            owed=self.owed,
            paid=self.paid,
            reason=reason,
        )


class StreamLost(Exception):
    """A full disk, say. The run is of no use without its events; the text is one sentence."""


class EventStream:
    """Events as JSON lines in a file, or on an inherited descriptor (`fd:N`), each written as it happens.

    None is lost: a reader that falls behind holds the client up, one that has gone is written to no more.
    """

    def __init__(self, target: str) -> None:
        self._target = target
        number = target.removeprefix("fd:")
        if number != target:
            self._file = os.fdopen(int(number), "wb", buffering=0)
        else:
            self._file = Path(target).open("wb", buffering=0)  # noqa: SIM115  the file is this object's
        self._encoder = msgspec.json.Encoder()
        self._has_reader = True

    def __call__(self, event: ClientEvent) -> None:
        if not self._has_reader:
            return
        try:
            self._file.write(self._encoder.encode(event) + b"\n")
        except BrokenPipeError:
            self._has_reader = False
        except OSError as error:
            self._has_reader = False
            raise StreamLost(f"no more events can be written to {self._target}: {error.strerror}") from error

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, _kind: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        self._file.close()
