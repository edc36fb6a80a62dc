"""`syncline bench scale`: the same for 1, 2, 4 … clients, and what one more of them costs."""

import csv
import shlex
import sys
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Final

import msgspec
import numpy as np
from cyclopts import Parameter
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from syncline.clients.toolkit.options import Mode
from syncline.lab.exit import PASS, Usage
from syncline.lab.manners import shown_default
from syncline.lab.output import check_writable, needing
from syncline.lab.present.machine import Machine
from syncline.lab.present.plan import NOT_NEGATIVE, POSITIVE, Options as Present, Sync
from syncline.lab.present.rows import SCHEMA, counted
from syncline.lab.present.run import record
from syncline.lab.present.standstill import Statement
from syncline.lab.spread import Spread, spread, total

COUNTS: Final = (1, 2, 4, 8, 16, 32, 64)
"""Clients, up to the most that is asked for."""
NS_PER_MS: Final = 1_000_000
MIB: Final = 1 << 20
CSV_COLUMNS: Final = (
    "schema", "clients", "committed", "shown", "counted", "c2p_p50_ns", "c2p_p99_ns", "c2p_max_ns",
    "missed_vblanks", "missed_by_compositor", "compositor_cpu_ns", "device_cpu_ns", "memory_bytes",
    "missed_by_machine",
)  # fmt: skip


@Parameter(name="*", negative="", show_default=shown_default)
@dataclass(frozen=True, kw_only=True, slots=True)
class Options:
    """The command line of `syncline bench scale`."""

    most: Annotated[int, POSITIVE] = 64
    """The most clients at the same time: 1, 2, 4 … of them are measured."""

    sync: Sync = Sync.SHM
    """How the clients synchronise: shm, implicit, dma or user."""

    mode: Mode = Mode.FEEDBACK
    """When the next frame is begun."""

    random_phase: bool = False
    """Begin every frame up to one refresh later, by lot."""

    gpu_time: Annotated[float | None, NOT_NEGATIVE] = None
    """Engine time of one frame's job in ms; not with shm."""

    seconds: Annotated[float, NOT_NEGATIVE] = 4.0
    """How long each number of clients is measured."""

    output_mode: str = "1280x720@60"
    """The screen, WIDTHxHEIGHT@HZ."""

    seed: int = 0
    """Seed of everything random."""

    csv: Path | None = None
    """Write a row for each number of clients to this file."""

    json: bool = False
    """Everything as JSON on standard output, nothing else."""

    report: Path | None = None
    """Write a page with pictures to this HTML file (needs the extra `report`)."""

    def command(self) -> str:
        """What to type to repeat the run, files aside."""
        words = ["--most", str(self.most), "--sync", self.sync.value, "--mode", self.mode.value]
        if self.random_phase:
            words.append("--random-phase")
        if self.gpu_time is not None:
            words += ["--gpu-time", f"{self.gpu_time:g}"]
        words += [
            "--seconds",
            f"{self.seconds:g}",
            "--output-mode",
            self.output_mode,
            "--seed",
            str(self.seed),
        ]
        return shlex.join(["syncline", "bench", "scale", *words])


DEFAULTS: Final = Options()

READINGS: Final = (
    "p50, p99: commit to presented. Flat until the machine is full is good.",
    "missed: vblanks per frame after the first that the commit could hope for; by us: though the update was ready.",
    "halted: likewise, but the machine stood still meanwhile.",
    "CPU, node: CPU time of the compositor and of the device process per frame shown.",
    "MiB: resident memory of both at most, files aside; its slope is the memory of a client.",
    "slope: what one more client adds, by least squares over all rows.",
)
"""How to read the table."""


class Step(msgspec.Struct, frozen=True, kw_only=True):
    """One number of clients. Times in ns; CPU time is per frame shown, memory is of compositor and device together."""

    clients: int
    committed: int
    shown: int
    counted: int
    c2p_ns: Spread | None
    missed_vblanks: int | None
    missed_by_compositor: int | None
    compositor_cpu_ns: int | None
    device_cpu_ns: int | None
    memory_bytes: int
    machine: Machine
    missed_by_machine: int | None
    witness: Statement


class Outcome(msgspec.Struct, frozen=True, kw_only=True):
    """What `--json` prints. `slopes`: what one more client adds to each figure, by least squares over all steps."""

    schema: int = SCHEMA
    bench: str = "scale"
    command: str
    sync: str
    seed: int
    steps: Sequence[Step]
    slopes: dict[str, float]

    @property
    def sentences(self) -> list[str]:
        """How far the numbers can be trusted: the step where they can be least."""
        worst = max(self.steps, key=lambda step: step.machine.lateness_p99_ns)
        told = (*worst.machine.sentences, worst.witness.sentence, f"Scheduling: {worst.witness.conditions}.")
        return [f"With {worst.clients} client(s), where ticks were latest:", *told]


Writer = Callable[[Path, Outcome], None]


def scale(options: Options = DEFAULTS) -> int:
    """Latency, missed vblanks, CPU time and memory against the number of clients."""
    if not options.seconds:
        raise Usage("--seconds 0: a measurement needs some time, try 4")
    writers = _writers(options)
    for path in writers:
        check_writable(path)
    console = Console(stderr=True)
    steps = []
    for clients in sorted({*(count for count in COUNTS if count < options.most), options.most}):
        if console.is_terminal:
            console.print(f"{clients} of {options.most} clients", end="\r", highlight=False)
        steps.append(_step(options, clients))
    outcome = Outcome(
        command=options.command(),
        sync=options.sync.value,
        seed=options.seed,
        steps=steps,
        slopes=slopes(steps),
    )
    for path, write in writers.items():
        write(path, outcome)
    if options.json:
        sys.stdout.buffer.write(msgspec.json.format(msgspec.json.encode(outcome), indent=2) + b"\n")
    else:
        _print(Console(), outcome, writers)
    return PASS


def _writers(options: Options) -> dict[Path, Writer]:
    """Where to write what. Libraries that are missing are missed before anything is measured. Raises Usage."""
    writers: dict[Path, Writer] = {}
    if options.csv is not None:
        writers[options.csv] = _write_csv
    if options.report is not None:
        with needing("report", flag="--report"):
            from syncline.lab.present.scale_page import write_page  # noqa: PLC0415 - matplotlib and jinja2 are an extra
        writers[options.report] = write_page
    return writers


def _write_csv(path: Path, outcome: Outcome) -> None:
    """The columns of docs/bench.md, what is not known as nothing."""
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(CSV_COLUMNS)
        for step in outcome.steps:
            c2p_ns = step.c2p_ns
            latency = (None, None, None) if c2p_ns is None else (c2p_ns.p50, c2p_ns.p99, c2p_ns.max)
            counts = (step.clients, step.committed, step.shown, step.counted)
            missed = (step.missed_vblanks, step.missed_by_compositor)
            cost = (step.compositor_cpu_ns, step.device_cpu_ns, step.memory_bytes)
            writer.writerow((outcome.schema, *counts, *latency, *missed, *cost, step.missed_by_machine))


def _step(options: Options, clients: int) -> Step:
    """On a compositor and a device of its own: memory that was once needed is not given back."""
    recording = record(
        Present(
            sync=(options.sync,),
            mode=options.mode,
            random_phase=options.random_phase,
            gpu_time=options.gpu_time,
            clients=clients,
            seconds=options.seconds,
            output_mode=options.output_mode,
            seed=options.seed,
        ),
        with_memory=True,
    )
    kept = list(counted(recording.rows))
    shown = sum(row.presented_ns is not None for row in recording.rows)
    (turn,) = recording.turns
    compositor_ns, device_ns = turn.cpu_ns
    return Step(
        clients=clients,
        committed=len(recording.rows),
        shown=shown,
        counted=len(kept),
        c2p_ns=spread(row.c2p_ns for row in kept),
        missed_vblanks=total(row.missed_vblanks for row in kept),
        missed_by_compositor=total(row.missed_by_compositor for row in kept),
        compositor_cpu_ns=compositor_ns // shown if shown else None,
        device_cpu_ns=device_ns // shown if shown else None,
        memory_bytes=turn.memory_bytes,
        machine=recording.machine,
        missed_by_machine=total(row.missed_by_machine for row in kept),
        witness=recording.events.witness,
    )


def figures(step: Step) -> dict[str, float | None]:
    """What is shown of a step, and has a slope."""
    c2p_ns = step.c2p_ns
    return {
        "p50 ms": None if c2p_ns is None else c2p_ns.p50 / NS_PER_MS,
        "p99 ms": None if c2p_ns is None else c2p_ns.p99 / NS_PER_MS,
        "missed": _per(step.missed_vblanks, step.counted),
        "by us": _per(step.missed_by_compositor, step.counted),
        "halted": _per(step.missed_by_machine, step.counted),
        "CPU ms": _per(step.compositor_cpu_ns, NS_PER_MS),
        "node ms": _per(step.device_cpu_ns, NS_PER_MS),
        "MiB": _per(step.memory_bytes, MIB),
    }


def _per(value: int | None, unit: int) -> float | None:
    return None if value is None or not unit else value / unit


def slopes(steps: Sequence[Step]) -> dict[str, float]:
    """What one more client adds, by least squares; nothing for what is not known at two steps at least."""
    found = {}
    told = [(step.clients, figures(step)) for step in steps]
    for name in figures(steps[0]):
        points = [(clients, value) for clients, each in told if (value := each[name]) is not None]
        if len(points) >= 2:
            clients, values = zip(*points, strict=True)
            found[name] = float(np.polyfit(clients, values, 1)[0])
    return found


def _print(console: Console, outcome: Outcome, written: Iterable[Path]) -> None:
    table = Table(
        box=SIMPLE_HEAD, padding=(0, 1, 0, 0), pad_edge=False, show_edge=False
    )  # ten columns in eighty
    names = list(figures(outcome.steps[0]))
    for name in ("clients", "shown", *names):
        table.add_column(name, justify="right", no_wrap=True)
    for step in outcome.steps:
        cells = ["" if value is None else f"{value:.2f}" for value in figures(step).values()]
        table.add_row(str(step.clients), str(step.shown), *cells)
    table.add_section()
    slope = (f"{outcome.slopes[name]:+.3f}" if name in outcome.slopes else "" for name in names)
    table.add_row("slope", "", *slope)
    console.print(table)
    for sentence in READINGS:
        console.print(sentence, highlight=False, markup=False)
    for said in outcome.sentences:
        console.print(said, markup=False, highlight=False)
    console.print(f"Repeat: {outcome.command}", markup=False, highlight=False, soft_wrap=True)
    for path in written:
        console.print(f"wrote {path}", markup=False, highlight=False, soft_wrap=True)
