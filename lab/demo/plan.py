"""What a demo is asked to be, and what it brings home."""

from typing import NamedTuple

from syncline.lab.demo.cast import Role, cast
from syncline.lab.demo.ledger import Ledger
from syncline.lab.demo.record import Record
from syncline.lab.screenshot import Pixels


class Plan(NamedTuple):
    """`outputs` are the device's screens, WIDTHxHEIGHT@HZ each."""

    seconds: float
    seed: int
    broken: bool
    outputs: tuple[str, ...]

    @property
    def cast(self) -> tuple[Role, ...]:
        return cast(broken=self.broken, seed=self.seed)


class Outcome(NamedTuple):
    """`photograph` is None when nobody was there to take it of; `notes` are what went otherwise, a sentence each."""

    ledger: Ledger
    record: Record
    photograph: Pixels | None
    notes: tuple[str, ...]
