"""The measurement: everybody gets one turn after the other, A B A B, on compositors that stay up in between."""

import os
import sys
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

import msgspec

from syncline.kms_model.loops import NS_PER_S, Loop, RealLoop, run_real
from syncline.lab.exit import Usage
from syncline.lab.present.machine import Machine, Probe, cpu_ns, memory_bytes
from syncline.lab.present.plan import OURS, Options, Sync, client_words
from syncline.lab.present.process import Process
from syncline.lab.present.rows import Events, Row, Take, read_events, rows_of
from syncline.lab.present.stage import Stage, contender, foreign, ours

CROWD: Final = (sys.executable, "-m", "syncline.lab.present.crowd")
PATIENCE_S: Final = 30.0
"""Over its time, before a client is said to hang."""
NO_LIMIT_S: Final = 600.0


@dataclass(frozen=True, kw_only=True, slots=True)
class Turn:
    """What one turn cost: CPU time over the turn, compositor first, then device; the most memory of both."""

    name: str
    round: int
    cpu_ns: Sequence[int]
    memory_bytes: int


@dataclass(frozen=True, kw_only=True, slots=True)
class Recording:
    """Everything that was measured. `events` are of our own parts and all clients, in the order of time."""

    names: Sequence[str]
    rows: Sequence[Row]
    turns: Sequence[Turn]
    machine: Machine
    versions: dict[str, str]
    events: Events


def record(options: Options, *, with_memory: bool = False) -> Recording:
    """Raises Usage when something cannot be started, or a client fails."""
    options.check()
    others = [contender(word, output_mode=options.output_mode) for word in options.against]
    with TemporaryDirectory(prefix="syncline-") as place:
        probe = Probe()
        with ExitStack() as owned:
            directory = Path(place)
            theirs = [owned.enter_context(foreign(each, directory / each.name)) for each in others]
            with_device_events = options.trace is not None or options.syncs != (Sync.SHM,)
            own = ours(
                directory / OURS, output_mode=options.output_mode, with_device_events=with_device_events
            )
            stages = [owned.enter_context(own), *theirs]
            takes, turns = run_real(
                lambda loop: _perform(loop, options, stages, probe, directory, with_memory=with_memory)
            )
        machine = probe.read()
        events = read_events(stages[0], takes)
        return Recording(
            names=list(dict.fromkeys(take.name for take in takes)),
            rows=[row for take in takes for row in rows_of(take, events)],
            turns=turns,
            machine=machine,
            versions={stage.name: stage.version for stage in stages[1:]},
            events=events,
        )


async def _perform(
    loop: RealLoop,
    options: Options,
    stages: Sequence[Stage],
    probe: Probe,
    directory: Path,
    *,
    with_memory: bool,
) -> tuple[list[Take], list[Turn]]:
    takes, turns = [], []
    for number in range(options.turns):
        for sync in options.syncs:
            for stage in stages:
                name = f"{stage.name} {sync.value}"
                cast = _cast(options, sync, stage, directory, name=name, number=number)
                takes += cast
                turns.append(await _turn(loop, options, stage, cast, probe, with_memory=with_memory))
    return takes, turns


def _cast(
    options: Options, sync: Sync, stage: Stage, directory: Path, *, name: str, number: int
) -> list[Take]:
    """The clients of one turn. Their titles are unlike any other's, for the compositor's reports go by them."""
    takes = []
    for client in range(1, options.clients + 1):
        title = f"{sync.value}-{number}-{client}"
        seed = options.seed + number * options.clients + client
        words = client_words(options, sync, number=client, title=title, seed=seed)
        events = directory / f"{stage.name}-{title}.jsonl"
        words += ["--socket", str(stage.socket), "--events", str(events)]
        if stage.node is not None:
            words += ["--device", str(stage.node)]
        takes.append(
            Take(
                name=name,
                compositor=stage.name,
                sync=sync.value,
                mode=options.mode.value,
                round=number,
                client=client,
                title=title,
                words=tuple(words),
                events=events,
            )
        )
    return takes


async def _turn(
    loop: Loop, options: Options, stage: Stage, takes: Sequence[Take], probe: Probe, *, with_memory: bool
) -> Turn:
    pids = [part.pid for part in stage.parts]
    before_ns = [cpu_ns(pid) for pid in pids]
    begun_ns = loop.now_ns()
    limit_s = NO_LIMIT_S if options.frames else options.seconds_a_turn + PATIENCE_S
    memory = 0
    log = takes[0].events.with_suffix(".log")
    orders = msgspec.json.encode([take.words for take in takes])
    with Process(CROWD, os.environ, log, stdin=orders) as crowd:

        def goes_on() -> bool:
            nonlocal memory
            now_ns = loop.now_ns()
            if with_memory:
                memory = max(memory, memory_bytes(pids))
            return not crowd.ended and now_ns < begun_ns + limit_s * NS_PER_S

        await probe.watch(loop, goes_on)
        for part in stage.parts:
            if part.ended:
                raise Usage(f"{stage.name} did not survive the run: it {part.obituary}")
        if not crowd.ended:
            raise Usage(f"the client of {takes[0].name} hangs: it has had {limit_s:.0f} s")
        if not crowd.is_well:
            raise Usage(f"the client of {takes[0].name} {crowd.obituary}")
    first = takes[0]
    used_ns = [cpu_ns(pid) - before for pid, before in zip(pids, before_ns, strict=True)]
    return Turn(name=first.name, round=first.round, cpu_ns=used_ns, memory_bytes=memory)
