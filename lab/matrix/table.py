"""The matrix in the terminal: who sleeps where, and what it costs."""

from collections.abc import Iterator, Sequence
from itertools import groupby
from typing import Final

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from syncline.lab.matrix.outcome import Block, Matrix, blocks
from syncline.lab.matrix.plan import ACQUIRES, DISPLAYS
from syncline.lab.matrix.verdict import Cell
from syncline.lab.spread import Spread

NS_PER_MS: Final = 1_000_000
READINGS: Final = (
    "stalls: a thread sleeps in that call until somebody's work is done; p50/p99 in ms.",
    "c2p, f2p: from the commit, and from the beginning of the frame, to the vblank that showed it; p50/p99 in ms.",
    "lost: vblanks by which the frames of a light client beside it came later than they were ready.",
)


def print_matrix(console: Console, matrix: Matrix) -> None:
    """A table for each compositor, the reasons why not, how to read it, and how to repeat it."""
    reasons = list(dict.fromkeys(cell.why for cell in matrix.cells if not cell.works))
    for compositor, cells in groupby(matrix.cells, key=lambda cell: cell.compositor):
        console.print(_table(compositor, blocks(cells), reasons))
    for number, reason in enumerate(reasons, start=1):
        console.print(f"({number}) {reason}.", style="dim", markup=False, highlight=False)
    for said in READINGS:
        console.print(said, markup=False, highlight=False)
    if matrix.machine is not None:
        for said in matrix.machine.sentences:
            console.print(said, markup=False, highlight=False)
    for cell in matrix.cells:
        if cell.warnings:
            console.print(
                f"{cell.warnings} broken by {cell.command}", style="red", markup=False, highlight=False
            )
    console.print(sentence(matrix), markup=False, highlight=False)
    console.print(f"Repeat: {matrix.command}", markup=False, highlight=False, soft_wrap=True)


def sentence(matrix: Matrix) -> str:
    """What it comes to."""
    working = [cell for cell in matrix.cells if cell.works]
    claiming = sum(cell.claims_isolation for cell in working)
    harmed = len(matrix.harmed) or "none"
    claim = f"{claiming} of these claim isolation, and {harmed} cost the bystander a vblank"
    return f"{len(working)} of {len(matrix.cells)} cells work; {claim}; seed {matrix.seed}."


def _table(compositor: str, rows: Sequence[Block], reasons: Sequence[str]) -> Table:
    table = Table(
        title=f"compositor: {compositor}", title_justify="left", box=SIMPLE_HEAD, show_edge=False,
        padding=(0, 1, 0, 0),
    )  # fmt: skip
    for heading in ("client", "acquire"):
        table.add_column(heading, no_wrap=True)
    table.add_column("who stalls, in which call", overflow="fold")
    for heading, width in (("c2p", 9), ("f2p", 9), ("lost", 4)):
        table.add_column(heading, justify="right", no_wrap=True, min_width=width)
    for block in rows:
        table.add_row(*_cells(block, reasons), style=_style(block))
    return table


def _cells(block: Block, reasons: Sequence[str]) -> list[str]:
    cell = block.first
    place = [cell.client, _where(block)]
    if not cell.works:
        return [*place, f"cannot ({reasons.index(cell.why) + 1})"]
    missed = "" if cell.bystander is None else str(cell.bystander.missed_vblanks)
    return [*place, "\n".join(_who(cell)), both(cell.c2p), both(cell.f2p), missed]


def _where(block: Block) -> str:
    acquires = ["any"] if block.acquires == list(ACQUIRES) else block.acquires
    displays = [] if block.displays == list(DISPLAYS) else [f"  kms {kms}" for kms in block.displays]
    return "\n".join([*acquires, *displays])


def _who(cell: Cell) -> Iterator[str]:
    if not cell.stalls:
        yield "nobody"
    for stall in cell.stalls:
        yield stall.thread
        yield f"{stall.call} {both(stall.durations)}"
    if cell.last_resort_stalls:
        yield f"{cell.last_resort_stalls} last-resort stalls"


def both(durations: Spread | None) -> str:
    """p50/p99 in ms, as every view shows them."""
    return "" if durations is None else f"{durations.p50 / NS_PER_MS:.1f}/{durations.p99 / NS_PER_MS:.1f}"


def _style(block: Block) -> str | None:
    cell = block.first
    if not cell.works:
        return "dim"
    harms = cell.bystander is not None and cell.bystander.missed_vblanks
    return "red" if harms else None
