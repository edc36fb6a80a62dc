"""What a run comes to: per compositor and sync mode the spread of every column, and ratios where they mean something."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Final

import msgspec

from syncline.lab.present.machine import Machine
from syncline.lab.present.plan import Options
from syncline.lab.present.ratio import Ratio, Sample, ratio
from syncline.lab.present.rows import SCHEMA, Row, by_name, counted
from syncline.lab.present.run import Recording, Turn
from syncline.lab.present.standstill import Statement
from syncline.lab.spread import Spread, spread, total

READINGS: Final = {
    "f2c_ns": "frame callback or tick to commit, what the client itself takes to draw",
    "c2p_ns": "commit to presented, the latency; at a random phase no median is below half a refresh",
    "f2p_ns": "frame callback to presented, f2c and c2p together; if it is over a refresh, there is buffering",
    "p2p_ns": "presented to presented; if it is over a refresh, an image was shown again",
    "t2p_ns": "first vblank after the commit to the one that showed it; 0 is ideal, else whole refreshes",
    "commit_to_acquire_ns": "the GPU was still painting; 0 if it was done before, or there is none",
    "acquire_to_latch_ns": "ready, and waiting for the compositor's deadline",
    "latch_to_flip_ns": "composition, and the margin kept before the vblank; small is good",
    "flip_to_release_ns": "how long the image stays away; negative if it was copied, and free before it was shown",
    "commit_to_received_ns": "socket and wake-up: until the compositor handles the commit",
    "acquire_to_ready_ns": "socket or eventfd, and wake-up: until the compositor notices that it is ready",
    "latch_margin_ns": "how long before the vblank the compositor has learned to latch",
    "tick_lateness_ns": "how late the client's own clock woke it, the error of whatever starts at a tick",
}
"""Every column that is summed up, with a sentence on how to read it."""

LEAST_FRAMES: Final = 20
"""Fewer have no percentiles to compare."""


class Result(msgspec.Struct, frozen=True, kw_only=True):
    """One compositor with one kind of client. `missed_by_…` are None where nobody can know."""

    name: str
    compositor: str
    version: str
    sync: str
    wire: str
    committed: int
    shown: int
    counted: int
    refresh_ns: int | None
    missed_vblanks: int | None
    missed_by_client: int | None
    missed_by_compositor: int | None
    over_two_refreshes: int | None
    cpu_per_frame_ns: int | None
    columns: dict[str, Spread]
    note: str
    missed_by_machine: int | None
    missed_before_arrival: int | None


class Outcome(msgspec.Struct, frozen=True, kw_only=True):
    """What `--json` prints. `rows` are all frames; statistics leave out warm-up and frames never shown."""

    schema: int = SCHEMA
    bench: str = "present"
    command: str
    seed: int
    mode: str
    clients: int
    turns: int
    machine: Machine
    witness: Statement
    scheduling: dict[str, str]
    results: Sequence[Result]
    ratios: Sequence[Ratio]
    rows: Sequence[Row]

    @property
    def sentences(self) -> list[str]:
        """How far the numbers can be trusted, and under which conditions they were found."""
        ran = ", ".join(f"{name} under {policy}" for name, policy in self.scheduling.items())
        return [
            *self.machine.sentences,
            self.witness.sentence,
            f"Scheduling: {ran}; {self.witness.conditions}; clients under SCHED_OTHER.",
        ]


def judge(options: Options, recording: Recording) -> Outcome:
    """Add it all up."""
    rows = by_name(recording.rows)
    turns = {name: [turn for turn in recording.turns if turn.name == name] for name in recording.names}
    return Outcome(
        command=options.command(),
        seed=options.seed,
        mode=options.mode.value,
        clients=options.clients,
        turns=options.turns,
        machine=recording.machine,
        witness=recording.events.witness,
        scheduling=recording.scheduling,
        results=[_result(name, rows[name], turns[name], recording.versions) for name in recording.names],
        ratios=list(_ratios(options, recording, rows, turns)),
        rows=recording.rows,
    )


def _result(name: str, rows: Sequence[Row], turns: Sequence[Turn], versions: Mapping[str, str]) -> Result:
    first = rows[0]
    shown = [row for row in rows if row.presented_ns is not None]
    kept = list(counted(rows))
    spreads = {column: spread(getattr(row, column) for row in kept) for column in READINGS}
    return Result(
        name=name,
        compositor=first.compositor,
        version=versions.get(first.compositor, ""),
        sync=first.sync,
        wire=first.wire,
        committed=len(rows),
        shown=len(shown),
        counted=len(kept),
        refresh_ns=next((row.refresh_ns for row in kept if row.refresh_ns), None),
        missed_vblanks=total(row.missed_vblanks for row in kept),
        missed_by_client=total(row.missed_by_client for row in kept),
        missed_by_compositor=total(row.missed_by_compositor for row in kept),
        over_two_refreshes=total(_is_over_two(row) for row in kept),
        cpu_per_frame_ns=sum(sum(turn.cpu_ns) for turn in turns) // len(shown) if shown else None,
        columns={column: each for column, each in spreads.items() if each is not None},
        note=_note(first.compositor, committed=len(rows), shown=len(shown)),
        missed_by_machine=total(row.missed_by_machine for row in kept),
        missed_before_arrival=total(row.missed_before_arrival for row in kept),
    )


def _note(compositor: str, *, committed: int, shown: int) -> str:
    if not shown:
        return f"{compositor} answered no presentation feedback: what became of its frames cannot be known"
    if shown < committed:
        return f"{committed - shown} of {committed} commits were not shown before the client left"
    return ""


def _is_over_two(row: Row) -> int | None:
    if row.c2p_ns is None or row.refresh_ns is None:
        return None
    return int(row.c2p_ns > 2 * row.refresh_ns)


def _ratios(
    options: Options,
    recording: Recording,
    rows: Mapping[str, Sequence[Row]],
    turns: Mapping[str, Sequence[Turn]],
) -> Iterable[Ratio]:
    """The first name over every other."""
    first, *others = recording.names
    machine = recording.machine
    for other in others:
        for percent, lateness_ns in ((50, machine.lateness_p50_ns), (99, machine.lateness_p99_ns)):
            yield ratio(
                f"c2p p{percent}",
                _latencies(first, rows[first], percent),
                _latencies(other, rows[other], percent),
                resolution_ns=lateness_ns,
                seed=options.seed,
            )
        yield ratio(
            "CPU per frame",
            _costs(first, rows[first], turns[first]),
            _costs(other, rows[other], turns[other]),
            resolution_ns=0,
            seed=options.seed,
        )


def _latencies(name: str, rows: Sequence[Row], percent: int) -> Sample:
    rounds: dict[int, list[int]] = {}
    for row in counted(rows):
        if row.c2p_ns is not None:
            rounds.setdefault(row.round, []).append(row.c2p_ns)
    return Sample(name, [each for each in rounds.values() if len(each) >= LEAST_FRAMES], percent)


def _costs(name: str, rows: Sequence[Row], turns: Sequence[Turn]) -> Sample:
    """One value per round."""
    shown = {turn.round: 0 for turn in turns}
    for row in rows:
        shown[row.round] += row.presented_ns is not None
    return Sample(name, [[sum(turn.cpu_ns) // shown[turn.round]] for turn in turns if shown[turn.round]], 50)
