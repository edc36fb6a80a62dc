"""What is combined with what: `syncline matrix`, flag by flag, and one cell of it."""

import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum
from itertools import product
from math import inf
from pathlib import Path
from typing import Annotated, Final, NamedTuple

from cyclopts import Parameter

from syncline.compositor.core.policy import AcquireMode, ImplicitMode, Policy, Sync
from syncline.kms_model.command import with_outputs
from syncline.kms_model.loops import NS_PER_S
from syncline.kms_model.profiles import DMA_KMS, SYNCLINE, Profile
from syncline.lab.exit import Usage
from syncline.lab.manners import shown_default
from syncline.lab.present.plan import NOT_NEGATIVE

OUTPUT_MODE: Final = "1280x720@60"
REFRESH_NS: Final = 16_666_667


class Client(Enum):
    """How the subject says that an image is ready."""

    SHM = "shm"
    IMPLICIT = "implicit"
    DMA = "dma"
    USER = "user"
    SUBMIT_THREAD = "submit-thread"
    LAST_RESORT = "last-resort"


class Compositor(Enum):
    """What the compositor understands."""

    IMPLICIT = "implicit"
    DMA = "dma"
    USER = "user"


class Kms(Enum):
    """Which in-fences an atomic commit takes: dma_fences, or user fences, too (IN_USER_FENCE)."""

    DMA = "dma"
    USER = "user"


ISOLATING: Final = frozenset({AcquireMode.SIGNAL_WAIT, AcquireMode.USER_FORWARD})
"""Acquire modes that claim that a late client costs nobody else a vblank."""

ACQUIRES: Final = tuple(each.value for each in AcquireMode)
DISPLAYS: Final = tuple(each.value for each in Kms)
"""In the order in which they stand side by side."""

PROFILES: Final = {Kms.DMA: DMA_KMS, Kms.USER: SYNCLINE}


class Place(NamedTuple):
    """One cell."""

    client: Client
    compositor: Compositor
    acquire: AcquireMode
    kms: Kms

    @property
    def words(self) -> tuple[str, ...]:
        """The flags that choose it."""
        values = (self.client.value, self.compositor.value, self.acquire.value, self.kms.value)
        flags = ("--client", "--compositor", "--acquire", "--kms")
        return tuple(word for pair in zip(flags, values, strict=True) for word in pair)

    @property
    def profile(self) -> Profile:
        """The machine, with one screen."""
        return with_outputs(PROFILES[self.kms], (OUTPUT_MODE,))

    @property
    def objection(self) -> str:
        """Why there is no such compositor; nothing if there is."""
        if self.policy.objection is None:
            return ""
        return "only a compositor with --sync user tells user points from others, and can forward them"

    @property
    def policy(self) -> Policy:
        """What the compositor is told. Where fences are forwarded, those inside dma-bufs are, too."""
        if self.acquire is not AcquireMode.FENCE_FORWARD:
            return Policy(sync=Sync(self.compositor.value), acquire=self.acquire)
        has_points = self.compositor is not Compositor.IMPLICIT
        return Policy(
            sync=Sync(self.compositor.value),
            acquire=self.acquire if has_points else AcquireMode.SIGNAL_WAIT,
            implicit=ImplicitMode.FORWARD,
        )


@Parameter(name="*", negative="", show_default=shown_default)
@dataclass(frozen=True, kw_only=True, slots=True)
class Options:
    """The command line of the matrix."""

    client: tuple[Client, ...] = ()
    """Only this kind of client; repeatable (default: all)."""

    compositor: tuple[Compositor, ...] = ()
    """Only this kind of compositor; repeatable (default: all)."""

    acquire: tuple[AcquireMode, ...] = ()
    """Only this acquire mode; repeatable (default: all)."""

    kms: tuple[Kms, ...] = ()
    """Only a display that takes these in-fences; repeatable (default: both)."""

    real: bool = False
    """As real processes, and not in this one on virtual time: some seconds for each cell."""

    seconds: Annotated[float, NOT_NEGATIVE] = 2.0
    """How long each cell is measured."""

    gpu_time: Annotated[float, NOT_NEGATIVE] = 24.0
    """Engine time of one frame of the client's in ms: the default is more than a refresh."""

    seed: int = 0
    """Seed of everything random."""

    json: bool = False
    """Everything as JSON on standard output, nothing else."""

    png: Path | None = None
    """Draw the matrix into this PNG file (needs the extra `report`)."""

    svg: Path | None = None
    """Draw the matrix into this SVG file (needs the extra `report`)."""

    def check(self) -> None:
        """Raises Usage for what cannot be measured."""
        if not 0 < self.seconds < inf:
            raise Usage(f"--seconds {self.seconds:g}: a cell needs some time, try 2")

    @property
    def length_ns(self) -> int:
        """How long a cell is measured, in ns."""
        return round(self.seconds * NS_PER_S)

    @property
    def places(self) -> list[Place]:
        """The cells asked for, as they stand in the picture: a row after the other."""
        clients = [each for each in Client if each in (self.client or Client)]
        compositors = [each for each in Compositor if each in (self.compositor or Compositor)]
        acquires = [each for each in AcquireMode if each in (self.acquire or AcquireMode)]
        displays = [each for each in Kms if each in (self.kms or Kms)]
        return [
            Place(client, compositor, acquire, kms)
            for compositor, client, acquire, kms in product(compositors, clients, acquires, displays)
        ]

    def command(self, place: Place | None = None) -> str:
        """What to type to repeat the run, or that one cell of it; files aside."""
        chosen = self._filters() if place is None else place.words
        return shlex.join(["syncline", "matrix", *chosen, *self._conditions()])

    def _filters(self) -> Iterator[str]:
        filters: dict[str, tuple[Enum, ...]] = {
            "--client": self.client,
            "--compositor": self.compositor,
            "--acquire": self.acquire,
            "--kms": self.kms,
        }
        for flag, values in filters.items():
            for value in values:
                yield from (flag, str(value.value))

    def _conditions(self) -> Iterator[str]:
        if self.real:
            yield "--real"
        yield from ("--seconds", f"{self.seconds:g}", "--gpu-time", f"{self.gpu_time:g}")
        yield from ("--seed", str(self.seed))
