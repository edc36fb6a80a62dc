"""What a demo is asked to be, and what it brings home."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, NamedTuple

from cyclopts import Parameter

from syncline.kms_model.command import with_outputs
from syncline.kms_model.node import NodeError
from syncline.kms_model.profiles import SYNCLINE, Profile
from syncline.lab.demo.cast import Role, cast
from syncline.lab.demo.ledger import Ledger
from syncline.lab.demo.record import Record
from syncline.lab.exit import Usage
from syncline.lab.manners import shown_default
from syncline.lab.screenshot import Pixels

PHOTOGRAPHS: Final = 8
"""Spread evenly over the run. One would do for a picture; a torn image is there only part of the time."""


@Parameter(name="*", negative="", show_default=shown_default)
@dataclass(frozen=True, kw_only=True, slots=True)
class Options:
    """The command line of the demo."""

    seconds: float = 8.0
    """How long to play, in seconds from when every client is on the screen."""

    output: Path | None = None
    """Directory for screenshot.png, events.jsonl and report.json."""

    json: bool = False
    """The report as JSON on standard output, nothing else."""

    virtual: bool = False
    """In one process, on virtual time: the same seed gives the same bytes."""

    seed: int = 0
    """Seed of everything random."""

    broken: bool = False
    """Add a client that signals its acquire points before its GPU is done."""

    zmq: bool = False
    """Add a second solid client, which speaks the message protocol over ZeroMQ."""

    clients: tuple[str, ...] = ()
    """One more client, by the name of its demo, such as userfence; repeatable."""

    output_mode: tuple[str, ...] = ("1280x720@60",)
    """A screen, WIDTHxHEIGHT@HZ; repeatable. The first one is photographed."""

    @property
    def profile(self) -> Profile:
        """The machine with these screens. Raises Usage."""
        try:
            return with_outputs(SYNCLINE, self.output_mode)
        except NodeError as error:
            raise Usage(str(error)) from None

    @property
    def cast(self) -> tuple[Role, ...]:
        """Who plays. Raises Usage if the first screen has no room for them."""
        first, *others = (crtc.output for crtc in self.profile.crtcs)
        screen = (first.width, first.height)
        return cast(
            broken=self.broken, zmq=self.zmq, seed=self.seed, screen=screen, screens=1 + len(others),
            more=self.clients,
        )  # fmt: skip

    @property
    def pause_s(self) -> float:
        """Between two photographs, in seconds."""
        return self.seconds / PHOTOGRAPHS


class Outcome(NamedTuple):
    """`notes` are what went otherwise than planned, a sentence each."""

    ledger: Ledger
    record: Record
    photographs: Sequence[Pixels]
    notes: Sequence[str]
