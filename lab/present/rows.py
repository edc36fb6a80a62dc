"""One row per frame: what the client saw, and where our own compositor and device say the time went.

A row is made of instants, and its durations are differences of neighbours, so that the parts sum to the whole:

    begun --f2c--> commit --commit_to_acquire--> acquire --acquire_to_latch--> latch --latch_to_flip--> presented
                   commit ------------------------------ c2p -----------------------------------------> presented
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import msgspec

from syncline.clients.toolkit.report import Committed, Presented
from syncline.compositor.core import report
from syncline.kms_model.trace import JobTrace
from syncline.lab.present.events import DeviceEvent, Events, Take, overruns, releases, updates_of
from syncline.lab.present.plan import OURS
from syncline.lab.present.standstill import Course, Overrun, Statement, share

SCHEMA: Final = 2
"""Of a row. It rises when a column changes its meaning or goes; new columns come at the end."""

WARM_UP_SHARE: Final = 10
WARM_UP_MAX: Final = 30
"""The first tenth of a client's frames, and never more than so many, do not count: windows open, margins are learned."""

FLAGS: Final = (("s", 1), ("c", 2), ("e", 4), ("z", 8))
"""As weston-presentation-shm prints them: vsync, hardware clock, hardware completion, zero copy."""


class Row(msgspec.Struct, frozen=True, kw_only=True):
    """One commit. Instants and durations in ns; None: it was not shown, or nobody can know. See docs/bench.md."""

    schema: int = SCHEMA
    name: str
    compositor: str
    sync: str
    wire: str
    mode: str
    round: int
    client: int
    frame: int
    warm_up: bool
    commit_ns: int
    presented_ns: int | None = None
    refresh_ns: int | None = None
    sequence: int | None = None
    flags: str | None = None
    f2c_ns: int
    c2p_ns: int | None = None
    f2p_ns: int | None = None
    p2p_ns: int | None = None
    t2p_ns: int | None = None
    missed_vblanks: int | None = None
    tick_lateness_ns: int | None = None
    commit_to_acquire_ns: int | None = None
    acquire_to_latch_ns: int | None = None
    latch_to_flip_ns: int | None = None
    flip_to_release_ns: int | None = None
    commit_to_received_ns: int | None = None
    acquire_to_ready_ns: int | None = None
    missed_by_client: int | None = None
    missed_by_compositor: int | None = None
    latch_margin_ns: int | None = None
    missed_by_machine: int | None = None
    missed_before_arrival: int | None = None


@dataclass(frozen=True, slots=True)
class Life:
    """What our compositor says about one commit."""

    received_ns: int
    frame: report.FrameReport | None
    margin_ns: int | None
    overruns: Sequence[Overrun]
    """Of its output."""


def rows_of(take: Take, events: Events) -> list[Row]:
    """One row per commit of that client, in their order."""
    mine = events.clients[take.key]
    commits = [event for event in mine if isinstance(event, Committed)]
    shown = {event.frame: event for event in mine if isinstance(event, Presented)}
    lives = _lives(take.title, events.compositor) if take.compositor == OURS else {}
    painted = _painted(take.title, events.device)
    released = releases(mine)
    warm_up = min(WARM_UP_MAX, len(commits) // WARM_UP_SHARE)
    return [
        _row(
            take,
            commit,
            shown.get(commit.frame),
            warm_up=index < warm_up,
            life=lives.get(index),
            painted_ns=painted.get(commit.frame),
            released_ns=released.get(commit.frame),
            witness=events.witness,
        )
        for index, commit in enumerate(commits)
    ]


def _row(
    take: Take,
    commit: Committed,
    shown: Presented | None,
    *,
    warm_up: bool,
    life: Life | None,
    painted_ns: int | None,
    released_ns: int | None,
    witness: Statement,
) -> Row:
    row = Row(
        name=take.name,
        compositor=take.compositor,
        sync=take.sync,
        wire=take.wire,
        mode=take.mode,
        round=take.round,
        client=take.client,
        frame=commit.frame,
        warm_up=warm_up,
        commit_ns=commit.t_ns,
        f2c_ns=commit.t_ns - commit.begun_ns,
        tick_lateness_ns=commit.lateness_ns,
        commit_to_received_ns=None if life is None else life.received_ns - commit.t_ns,
    )
    if shown is None:
        return row
    row = msgspec.structs.replace(
        row,
        presented_ns=shown.presented_ns,
        refresh_ns=shown.refresh_ns or None,
        sequence=shown.sequence,
        flags="".join(letter for letter, bit in FLAGS if shown.flags & bit),
        c2p_ns=shown.c2p_ns,
        f2p_ns=shown.f2p_ns,
        p2p_ns=shown.p2p_ns,
        t2p_ns=shown.t2p_ns,
        missed_vblanks=missed_vblanks(shown),
        flip_to_release_ns=None if released_ns is None else released_ns - shown.presented_ns,
    )
    if life is None or life.frame is None:
        return row
    row = _with_parts(row, commit, life, life.frame, painted_ns)
    return _with_misses(row, life, life.frame, witness)


def _with_parts(
    row: Row, commit: Committed, life: Life, frame: report.FrameReport, painted_ns: int | None
) -> Row:
    if frame.latched_ns is None or frame.ready_ns is None or row.presented_ns is None:
        return row
    acquire_ns = max(commit.t_ns, painted_ns or commit.t_ns)
    return msgspec.structs.replace(
        row,
        commit_to_acquire_ns=acquire_ns - commit.t_ns,
        acquire_to_latch_ns=frame.latched_ns - acquire_ns,
        latch_to_flip_ns=row.presented_ns - frame.latched_ns,
        acquire_to_ready_ns=frame.ready_ns - acquire_ns,
        latch_margin_ns=life.margin_ns,
    )


def _with_misses(row: Row, life: Life, frame: report.FrameReport, witness: Statement) -> Row:
    """Whose they are. Nothing where their number is not known."""
    if row.missed_vblanks is None or row.presented_ns is None or row.refresh_ns is None:
        return row
    misses = share(
        Course(
            commit_ns=row.commit_ns,
            received_ns=life.received_ns,
            presented_ns=row.presented_ns,
            refresh_ns=row.refresh_ns,
            margin_ns=life.margin_ns or 0,
            missed=row.missed_vblanks,
            not_ready=frame.missed_by_client,
            unused=frame.missed_by_us,
            overruns=life.overruns,
        ),
        witness,
    )
    return msgspec.structs.replace(
        row,
        missed_by_client=misses.by_client,
        missed_by_compositor=misses.by_compositor,
        missed_by_machine=misses.by_machine,
        missed_before_arrival=misses.before_arrival,
    )


def missed_vblanks(shown: Presented) -> int | None:
    """Whole refreshes after the vblank that the client could expect at its commit."""
    if shown.t2p_ns is None or not shown.refresh_ns:
        return None
    return max(0, round(shown.t2p_ns / shown.refresh_ns))


def _lives(title: str, events: Sequence[report.ReportEvent]) -> Mapping[int, Life]:
    """By the index of the client's commit."""
    frames: dict[int, report.FrameReport] = {}
    margins: dict[int, int] = {}
    for event in events:
        match event:
            case report.FrameReport() if event.client == title:
                frames[event.update] = event
            case report.Latch():
                for update in event.updates:
                    margins.setdefault(update, event.margin_ns)
            case _:
                pass
    late = overruns(events)
    lives = {}
    for index, commit in enumerate(updates_of(title, events)):
        frame = frames.get(commit.update)
        on_output = () if frame is None else late.get(frame.output, ())
        lives[index] = Life(commit.t_ns, frame, margins.get(commit.update), on_output)
    return lives


def _painted(title: str, events: Iterable[DeviceEvent]) -> Mapping[int, int]:
    """When the GPU was done with each frame of the client with that title: its jobs are labelled `TITLE FRAME`."""
    done: dict[int, int] = {}
    for event in events:
        if isinstance(event, JobTrace) and event.stage == "done":
            name, _, frame = event.label.rpartition(" ")
            if name == title:
                done[int(frame)] = event.t_ns
    return done


def counted(rows: Iterable[Row]) -> Iterator[Row]:
    """Those that statistics are made of: shown, and not warm-up."""
    return (row for row in rows if row.presented_ns is not None and not row.warm_up)


def by_name(rows: Iterable[Row]) -> Mapping[str, list[Row]]:
    grouped: dict[str, list[Row]] = defaultdict(list)
    for row in rows:
        grouped[row.name].append(row)
    return grouped
