"""The measurement: everybody gets one turn after the other, A B A B, on compositors that stay up in between."""

import os
import signal
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

import msgspec

from syncline.clients.toolkit.options import Wire
from syncline.kms_model.loops import NS_PER_S, Loop, RealLoop, run_real
from syncline.lab.exit import Usage
from syncline.lab.present.events import Events, Take, read_events
from syncline.lab.present.machine import Machine, Probe, cpu_ns, memory_bytes
from syncline.lab.present.plan import OURS, Options, Sync, client_words
from syncline.lab.present.rows import Row, rows_of
from syncline.lab.present.stage import Stage, contender, foreign, level, ours, scheduling
from syncline.lab.process import Process, appears

CROWD: Final = (sys.executable, "-m", "syncline.lab.present.crowd")
WITNESS: Final = (sys.executable, "-m", "syncline.lab.present.witness")
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
    scheduling: dict[str, str]
    versions: dict[str, str]
    events: Events


def record(
    options: Options, *, with_memory: bool = False, on_turn: Callable[[str], None] | None = None
) -> Recording:
    """`on_turn` hears of every turn as it begins. Raises Usage when something cannot be started, or a client fails."""
    options.check()
    others = [contender(word, output_mode=options.output_mode) for word in options.against]
    with TemporaryDirectory(prefix="syncline-") as place, terminable():
        probe = Probe()
        with ExitStack() as owned:
            directory = Path(place)
            log = directory / "witness.log"
            theirs = [owned.enter_context(foreign(each, directory / each.name)) for each in others]
            own = ours(
                directory / OURS,
                output_mode=options.output_mode,
                with_device_events=options.trace is not None or options.syncs != (Sync.SHM,),
                with_messages=Wire.ZMQ in options.wires,
            )
            stages = [owned.enter_context(own), *theirs]
            level(stages[0], theirs)
            owned.enter_context(witnessed(log))
            bill = Bill(options, stages, directory, probe, with_memory=with_memory)
            takes, turns = run_real(lambda loop: bill.perform(loop, on_turn))
            under = {stage.name: scheduling(stage) for stage in stages}
        machine = probe.read()
        events = read_events(stages[0], takes, log)
        return Recording(
            names=list(dict.fromkeys(take.name for take in takes)),
            rows=[row for take in takes for row in rows_of(take, events)],
            turns=turns,
            machine=machine,
            scheduling=under,
            versions={stage.name: stage.version for stage in stages[1:]},
            events=events,
        )


@contextmanager
def witnessed(log: Path) -> Iterator[None]:
    """It makes its statement at the end of `log`, when it is left."""
    with Process(WITNESS, os.environ, log) as process:
        appears("the witness", process, lambda: log if log.stat().st_size else None)
        yield
        if process.ended:
            raise Usage(f"the witness of standstills did not survive the run: it {process.obituary}")


@contextmanager
def terminable() -> Iterator[None]:
    """SIGTERM ends the run as Ctrl-C does: every part is stopped, and the directory goes."""
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


class Bill:
    """Who performs where, and how it went."""

    def __init__(
        self, options: Options, stages: Sequence[Stage], directory: Path, probe: Probe, *, with_memory: bool
    ) -> None:
        self._options = options
        self._stages = stages
        self._directory = directory
        self._probe = probe
        self._with_memory = with_memory

    async def perform(
        self, loop: RealLoop, on_turn: Callable[[str], None] | None
    ) -> tuple[list[Take], list[Turn]]:
        """All turns, everybody's first one, then everybody's second."""
        options = self._options
        takes, turns = [], []
        for number in range(options.turns):
            for sync, wire, stage in product(options.syncs, options.wires, self._stages):
                cast = _cast(options, sync, wire, stage, self._directory, number=number)
                if on_turn is not None:
                    on_turn(f"turn {number + 1} of {options.turns}: {cast[0].name}")
                takes += cast
                turns.append(await self._turn(loop, stage, cast))
        return takes, turns

    async def _turn(self, loop: Loop, stage: Stage, cast: Sequence[Take]) -> Turn:
        options, name = self._options, cast[0].name
        pids = [part.pid for part in stage.parts]
        before_ns = [cpu_ns(pid) for pid in pids]
        limit_s = NO_LIMIT_S if options.frames else options.seconds_a_turn + PATIENCE_S
        limit_ns = loop.now_ns() + round(limit_s * NS_PER_S)
        memory = 0
        orders = msgspec.json.encode([take.words for take in cast])
        with Process(CROWD, os.environ, cast[0].events.with_suffix(".log"), stdin=orders) as crowd:

            def goes_on() -> bool:
                nonlocal memory
                if self._with_memory:
                    memory = max(memory, memory_bytes(pids))
                return not crowd.ended and loop.now_ns() < limit_ns

            await self._probe.watch(loop, goes_on)
            for part in stage.parts:
                if part.ended:
                    raise Usage(f"{stage.name} did not survive the run: it {part.obituary}")
            if not crowd.ended:
                raise Usage(f"the client of {name} hangs: it has had {limit_s:.0f} s")
            if not crowd.is_well:
                raise Usage(f"the client of {name} {crowd.obituary}")
        used_ns = [cpu_ns(pid) - before for pid, before in zip(pids, before_ns, strict=True)]
        return Turn(name=name, round=cast[0].round, cpu_ns=used_ns, memory_bytes=memory)


def _cast(
    options: Options, sync: Sync, wire: Wire, stage: Stage, directory: Path, *, number: int
) -> list[Take]:
    """The clients of one turn. Their titles are unlike any other's, for the compositor's reports go by them."""
    kind = sync.value if wire is Wire.WAYLAND else f"{sync.value}-{wire.value}"
    takes = []
    for client in range(1, options.clients + 1):
        title = f"{kind}-{number}-{client}"
        seed = options.seed + number * options.clients + client
        words = client_words(options, sync, number=client, title=title, seed=seed)
        events = directory / f"{stage.name}-{title}.jsonl"
        words += ["--socket", str(stage.socket), "--events", str(events)]
        if stage.node is not None:
            words += ["--device", str(stage.node)]
        if wire is Wire.ZMQ:
            words += ["--wire", wire.value, "--endpoint", stage.endpoint]
        takes.append(
            Take(
                name=f"{stage.name} {kind}",
                compositor=stage.name,
                sync=sync.value,
                wire=wire.value,
                mode=options.mode.value,
                round=number,
                client=client,
                title=title,
                words=tuple(words),
                events=events,
            )
        )
    return takes
