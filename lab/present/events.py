"""What everybody of a run wrote to its file: the clients, our own compositor, and its device."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

import msgspec

from syncline.clients.toolkit.report import ClientEvent, Committed, Released
from syncline.compositor.core import report
from syncline.kms_model.trace import (
    CommitTrace,
    DropTrace,
    FenceSignalled,
    FlipTrace,
    JobTrace,
    OutPointTrace,
    WaitTrace,
    Warn,
)
from syncline.lab.demo.ledger import NO_BUFFER
from syncline.lab.present.stage import Stage
from syncline.lab.present.standstill import NOBODY, Overrun, Statement

DeviceEvent = (
    FenceSignalled | JobTrace | CommitTrace | FlipTrace | OutPointTrace | DropTrace | WaitTrace | Warn
)

E = TypeVar("E")


@dataclass(frozen=True, kw_only=True, slots=True)
class Take:
    """One client in one turn: who it was to be, and where it wrote what it saw."""

    name: str
    compositor: str
    sync: str
    wire: str
    mode: str
    round: int
    client: int
    title: str
    words: tuple[str, ...]
    events: Path

    @property
    def key(self) -> tuple[str, str]:
        return self.compositor, self.title


@dataclass(slots=True)
class Events:
    """Everything that was written, told apart by who did."""

    clients: dict[tuple[str, str], list[ClientEvent]] = field(default_factory=dict)
    """By `Take.key`: on which compositor, and the title of the client there."""
    compositor: list[report.ReportEvent] = field(default_factory=list)
    device: list[DeviceEvent] = field(default_factory=list)
    witness: Statement = NOBODY


def read_events(stage: Stage, takes: Iterable[Take], witness: Path) -> Events:
    """What everybody wrote to its file, and the witness to its last line. Our own compositor's are those of `stage`."""
    statement = msgspec.json.decode(witness.read_bytes().splitlines()[-1], type=Statement)
    events = Events(witness=statement)
    for take in takes:
        events.clients[take.key] = decoded(take.events, msgspec.json.Decoder(ClientEvent))
    if stage.events is not None:
        events.compositor = decoded(stage.events, msgspec.json.Decoder(report.ReportEvent))
    if stage.device_events is not None:
        events.device = decoded(stage.device_events, msgspec.json.Decoder(DeviceEvent))
    return events


def decoded(path: Path, decoder: msgspec.json.Decoder[E]) -> list[E]:
    """A file of JSON lines."""
    return decoder.decode_lines(path.read_bytes())


def updates_of(title: str, events: Iterable[report.ReportEvent]) -> list[report.Commit]:
    """The commits with an image of the client with that title, in their order: that of its own commits."""
    return [
        event
        for event in events
        if isinstance(event, report.Commit) and event.client == title and event.sync != NO_BUFFER
    ]


def overruns(events: Iterable[report.ReportEvent]) -> Mapping[str, Sequence[Overrun]]:
    """By output: every frame that was shown later than it was meant to be."""
    margins_ns: dict[tuple[str, int], int] = {}
    found: dict[str, list[Overrun]] = defaultdict(list)
    for event in events:
        match event:
            case report.Latch():
                margins_ns[event.output, event.frame] = event.margin_ns
            case report.Flip(output=output, target_ns=target_ns) if event.t_ns > target_ns:
                latch_ns = target_ns - margins_ns.get((output, event.frame), 0)  # what lit it was not latched
                found[output].append(Overrun(latch_ns=latch_ns, target_ns=target_ns, vblank_ns=event.t_ns))
            case _:
                pass
    return found


def releases(events: Iterable[ClientEvent]) -> Mapping[int, int]:
    """When each frame's image was seen to be free again: the next release of that image after the commit."""
    out: dict[int, int] = {}
    released: dict[int, int] = {}
    for event in events:
        if isinstance(event, Committed):
            out[event.image] = event.frame
        elif isinstance(event, Released) and event.image in out:
            released[out.pop(event.image)] = event.t_ns
    return released
