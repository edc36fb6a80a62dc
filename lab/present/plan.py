"""What a run is asked for: `syncline bench present` and `syncline bench scale`, flag by flag."""

import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import Annotated, Final

from cyclopts import Parameter
from cyclopts.validators import Number

from syncline.clients.catalogue import DEMOS, Demo
from syncline.clients.toolkit.options import Mode, Wire
from syncline.lab.exit import Usage
from syncline.lab.manners import shown_default

OURS: Final = "syncline"
ROUNDS_AGAINST: Final = 4
"""Turns that each compositor gets when there are several."""

POSITIVE: Final = Parameter(validator=Number(gte=1))
NOT_NEGATIVE: Final = Parameter(validator=Number(gte=0))


class Sync(Enum):
    """How a client says when its image is ready and learns when it is free."""

    SHM = "shm"
    """wl_shm: painted by the CPU before the commit."""
    IMPLICIT = "implicit"
    """Fences in the dma-buf itself."""
    DMA = "dma"
    """linux-drm-syncobj-v1 points backed by dma_fences."""
    USER = "user"
    """linux-drm-syncobj-v1 points backed by user fences."""


CLIENT_OF: Final = {Sync.SHM: "shm", Sync.IMPLICIT: "implicit", Sync.DMA: "solid", Sync.USER: "userfence"}


@Parameter(name="*", negative="", show_default=shown_default)
@dataclass(frozen=True, kw_only=True, slots=True)
class Options:
    """The command line of `syncline bench present`."""

    sync: tuple[Sync, ...] = ()
    """How the client synchronises: shm, implicit, dma or user; repeatable (default: shm)."""

    wire: tuple[Wire, ...] = ()
    """What the messages travel on: wayland, or zmq for MessagePack over ZeroMQ; repeatable (default: wayland)."""

    against: tuple[str, ...] = ()
    """Another compositor, measured in turns with Syncline: weston, sway, or NAME=COMMAND; repeatable."""

    mode: Mode = Mode.FEEDBACK
    """When the next frame is begun, in the words of weston-presentation-shm."""

    random_phase: bool = False
    """Begin every frame up to one refresh later, by lot, so that commits fall at every phase of the display."""

    rate: Annotated[float, NOT_NEGATIVE] = 0.0
    """Frames per second on a clock of the client's own; 0: as --mode says."""

    gpu_time: Annotated[float | None, NOT_NEGATIVE] = None
    """Engine time of one frame's job in ms (default: the client's own); not with shm, which has no GPU."""

    buffers: Annotated[int | None, POSITIVE] = None
    """Images in the client's swapchain (default: the client's own)."""

    clients: Annotated[int, POSITIVE] = 1
    """Clients at the same time."""

    seconds: Annotated[float, NOT_NEGATIVE] = 8.0
    """How long each compositor is measured, all its turns together."""

    frames: Annotated[int, NOT_NEGATIVE] = 0
    """End after so many frames per client instead, all turns together; 0: --seconds counts."""

    rounds: Annotated[int, NOT_NEGATIVE] = 0
    """Turns that each gets (default: 4, or 1 when there is nobody to take turns with)."""

    output_mode: str = "1280x720@60"
    """The screen, WIDTHxHEIGHT@HZ; other compositors get its size, and refresh as they like."""

    seed: int = 0
    """Seed of everything random."""

    csv: Path | None = None
    """Write every frame to this file, a row each."""

    json: bool = False
    """Everything as JSON on standard output, nothing else."""

    report: Path | None = None
    """Write a page with pictures to this HTML file (needs the extra `report`)."""

    matrix: Path | None = None
    """Show the stall matrix on that page, too: a file that `syncline matrix --json` has written."""

    trace: Path | None = None
    """Write a Perfetto trace to this .pftrace file (needs the extra `trace`)."""

    @property
    def syncs(self) -> tuple[Sync, ...]:
        return tuple(dict.fromkeys(self.sync)) or (Sync.SHM,)

    @property
    def wires(self) -> tuple[Wire, ...]:
        return tuple(dict.fromkeys(self.wire)) or (Wire.WAYLAND,)

    @property
    def turns(self) -> int:
        """Rounds in which everybody gets one turn."""
        is_alone = len(self.syncs) * len(self.wires) + len(self.against) == 1
        return self.rounds or (1 if is_alone else ROUNDS_AGAINST)

    @property
    def frames_a_turn(self) -> int:
        """0: as many as the seconds bring."""
        return -(-self.frames // self.turns)

    @property
    def seconds_a_turn(self) -> float:
        return self.seconds / self.turns

    def check(self) -> None:
        """Raises Usage for what cannot be measured."""
        for sync in self.syncs:
            client_of(sync)
        if self.against and self.syncs != (Sync.SHM,):
            raise Usage("--against: no other compositor takes buffers of the modelled GPU: use --sync shm")
        if self.against and self.wires != (Wire.WAYLAND,):
            raise Usage("--against: no other compositor speaks MessagePack: leave --wire out")
        names = [OURS, *(word.partition("=")[0] for word in self.against)]
        if len(set(names)) < len(names):
            raise Usage("--against: two compositors of one name cannot be told apart: say NAME=COMMAND")
        if self.gpu_time is not None and Sync.SHM in self.syncs:
            raise Usage("--gpu-time: a client with --sync shm has no GPU: leave it out, or try --sync dma")
        if self.matrix is not None and self.report is None:
            raise Usage("--matrix: it is shown on a page: say --report FILE, too")
        if not (self.seconds or self.frames):
            raise Usage("--seconds 0: a measurement needs some time, try 8")

    def command(self) -> str:
        """What to type to repeat the run, files aside."""
        return shlex.join(["syncline", "bench", "present", *self._words()])

    def _words(self) -> Iterator[str]:
        for sync in self.syncs:
            yield from ("--sync", sync.value)
        for wire in self.wires:
            if wire is not Wire.WAYLAND or len(self.wires) > 1:
                yield from ("--wire", wire.value)
        for other in self.against:
            yield from ("--against", other)
        yield from ("--mode", self.mode.value, "--clients", str(self.clients))
        if self.random_phase:
            yield "--random-phase"
        optional = {"--rate": self.rate, "--gpu-time": self.gpu_time, "--buffers": self.buffers}
        for flag, value in optional.items():
            if value:
                yield from (flag, f"{value:g}")
        yield from ("--frames", str(self.frames)) if self.frames else ("--seconds", f"{self.seconds:g}")
        yield from ("--rounds", str(self.turns), "--output-mode", self.output_mode, "--seed", str(self.seed))


def client_of(sync: Sync) -> Demo:
    """The demo that synchronises like that. Raises Usage."""
    name = CLIENT_OF[sync]
    if name not in DEMOS:
        able = ", ".join(each.value for each, demo in CLIENT_OF.items() if demo in DEMOS)
        raise Usage(f"--sync {sync.value}: the client {name} that it needs does not exist yet: take {able}")
    return DEMOS[name]


def client_words(options: Options, sync: Sync, *, number: int, title: str, seed: int) -> list[str]:
    """One client's part of `syncline client WORDS`: everything but the sockets and where events go."""
    words = [client_of(sync).name, "--title", title, "--client-id", str(number), "--seed", str(seed)]
    words += ["--mode", options.mode.value]
    if options.random_phase:
        words.append("--random-phase")
    if options.rate:
        words += ["--rate", str(options.rate)]
    if options.gpu_time is not None:
        words += ["--gpu-ms", str(options.gpu_time)]
    if options.buffers is not None:
        words += ["--buffers", str(options.buffers)]
    if options.frames:
        return [*words, "--frames", str(options.frames_a_turn)]
    return [*words, "--seconds", str(options.seconds_a_turn)]
