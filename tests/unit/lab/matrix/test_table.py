"""The matrix in a terminal of eighty columns."""

from io import StringIO
from itertools import product

from rich.console import Console

from syncline.lab.matrix.outcome import Matrix
from syncline.lab.matrix.plan import ACQUIRES, DISPLAYS
from syncline.lab.matrix.table import print_matrix
from syncline.lab.matrix.verdict import Bystander, Cell, Stall
from syncline.lab.spread import Spread

TIMES = Spread(count=9, p50=124_440_000, p99=1_024_440_000, max=1_024_440_000)
STALLS = {
    "submit-thread": Stall(
        thread="client submit thread", call="SYNCOBJ_TIMELINE_WAIT", behind="", durations=TIMES, share=0.5
    ),
    "dma": Stall(
        thread="kernel commit worker", call="wait_for_fences", behind="", durations=TIMES, share=0.5
    ),
}


def cell(client: str, acquire: str, kms: str, *, late: int = 0) -> Cell:
    place = Cell(
        client=client, compositor="dma", acquire=acquire, kms=kms, works=acquire != "user-forward",
        why="only with --sync user", claims_isolation=acquire != "fence-forward", command="",
    )  # fmt: skip
    if not place.works:
        return place
    return Cell(
        client=client, compositor="dma", acquire=acquire, kms=kms, works=True, why="something happens",
        claims_isolation=place.claims_isolation, stalls=(STALLS[client],), c2p=TIMES, f2p=TIMES,
        bystander=Bystander(frames=50, late=late, missed_vblanks=late, c2p=TIMES), command="",
    )  # fmt: skip


def told(*cells: Cell) -> str:
    console = Console(file=StringIO(), width=80, color_system=None)
    print_matrix(
        console,
        Matrix(command="syncline matrix --seed 7", seed=7, seconds=2, gpu_ms=24, real=False, cells=cells),
    )
    assert isinstance(console.file, StringIO)
    return console.file.getvalue()


def test_nothing_is_cut_off_and_reasons_stand_below() -> None:
    everything = [cell(*each) for each in product(STALLS, ACQUIRES, DISPLAYS)]

    page = told(*everything)

    assert "…" not in page
    assert page.count("cannot (1)") == 2
    assert "(1) only with --sync user." in page
    assert page.count("124.4/1024.4") == 6, "for each of two rows that came to the same everywhere it works"
    assert "8 of 12 cells work; 4 of these claim isolation, and none cost the bystander a" in page
    assert page.rstrip().endswith("Repeat: syncline matrix --seed 7")


def test_rows_that_differ_stand_apart_and_say_where_they_are() -> None:
    page = told(cell("dma", "signal-wait", "dma"), cell("dma", "signal-wait", "user", late=3))

    rows = [line.split() for line in page.splitlines() if line.startswith(("dma", "  "))]
    assert ["kms", "dma"] in [row[:2] for row in rows]
    assert ["kms", "user"] in [row[:2] for row in rows]
    assert "1 cost the bystander a vblank" in " ".join(page.split())
