"""The matrix as data, and the neighbours in it that came to the same."""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Final, NamedTuple

import msgspec

from syncline.lab.exit import Usage
from syncline.lab.matrix.plan import REFRESH_NS
from syncline.lab.matrix.verdict import Cell
from syncline.lab.present.machine import Machine

SCHEMA: Final = 1
"""It rises when a field changes its meaning or goes. See docs/matrix.md."""


class Matrix(msgspec.Struct, frozen=True, kw_only=True):
    """What `--json` prints. Times in ns. `machine`: how far to trust them, of real processes only."""

    schema: int = SCHEMA
    bench: str = "matrix"
    command: str
    seed: int
    seconds: float
    gpu_ms: float
    refresh_ns: int = REFRESH_NS
    real: bool
    machine: Machine | None = None
    cells: tuple[Cell, ...]

    @property
    def harmed(self) -> list[Cell]:
        """Cells that claim isolation, and cost the bystander vblanks all the same."""
        return [
            cell
            for cell in self.cells
            if cell.claims_isolation and cell.bystander is not None and cell.bystander.missed_vblanks
        ]


def read_matrix(path: Path) -> Matrix:
    """What `--json` has written. Raises Usage."""
    try:
        return msgspec.json.decode(path.read_bytes(), type=Matrix)
    except OSError as error:
        raise Usage(f"cannot read {path}: {error.strerror}") from None
    except msgspec.MsgspecError as error:
        raise Usage(f"{path} is not what `syncline matrix --json` writes: {error}") from None


class Block(NamedTuple):
    """Cells side by side that came to the same: one client on one compositor, whole acquire modes or one of them."""

    cells: Sequence[Cell]

    @property
    def first(self) -> Cell:
        return self.cells[0]

    @property
    def acquires(self) -> list[str]:
        return list(dict.fromkeys(cell.acquire for cell in self.cells))

    @property
    def displays(self) -> list[str]:
        return list(dict.fromkeys(cell.kms for cell in self.cells))


def blocks(cells: Iterable[Cell]) -> list[Block]:
    """Cells in their order, with those in one that nothing but the acquire mode or the display tells apart."""
    found: list[Block] = []
    for cell in cells:
        found.append(Block([cell]))
        while len(found) > 1 and (joined := _joined(found[-2], found[-1])) is not None:
            found[-2:] = [joined]
    return found


def _joined(left: Block, right: Block) -> Block | None:
    """None if they are not the same, or if the block would be no rectangle of acquire modes and displays."""
    if _substance(left.first) != _substance(right.first):
        return None
    one_mode = left.acquires == right.acquires and len(left.acquires) == 1
    if not one_mode and left.displays != right.displays:
        return None
    return Block([*left.cells, *right.cells])


def _substance(cell: Cell) -> Cell:
    return msgspec.structs.replace(cell, acquire="", kms="", claims_isolation=False, command="")
