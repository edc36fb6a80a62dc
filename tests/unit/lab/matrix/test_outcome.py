"""Cells that came to the same stand as one."""

import pytest
from msgspec.structs import replace

from syncline.lab.matrix.outcome import Matrix, blocks
from syncline.lab.matrix.verdict import Bystander, Cell
from syncline.lab.spread import Spread

SPREAD = Spread(count=9, p50=1, p99=2, max=2)
PLACES = [
    (acquire, kms) for acquire in ("signal-wait", "fence-forward", "user-forward") for kms in ("dma", "user")
]


def cell(acquire: str, kms: str, *, why: str = "same", missed: int = 0, claims: bool = True) -> Cell:
    return Cell(
        client="dma",
        compositor="user",
        acquire=acquire,
        kms=kms,
        works=True,
        why=why,
        claims_isolation=claims,
        bystander=Bystander(frames=9, late=missed, missed_vblanks=missed, c2p=SPREAD),
        command=f"{acquire} {kms}",
    )


@pytest.mark.parametrize(
    ("whys", "widths"),
    [
        ("aaaaaa", [6]),
        ("abcdef", [1, 1, 1, 1, 1, 1]),
        ("aabbcc", [2, 2, 2]),
        ("aabbaa", [2, 2, 2]),
        ("aaaabb", [4, 2]),
        ("abbabb", [1, 1, 1, 1, 2]),
        ("abbbbb", [1, 1, 4]),
        ("aaaaab", [4, 1, 1]),
    ],
)
def test_only_whole_modes_or_the_displays_of_one_are_joined(whys: str, widths: list[int]) -> None:
    row = [cell(*place, why=why) for place, why in zip(PLACES, whys, strict=True)]

    found = blocks(row)

    assert [len(block.cells) for block in found] == widths
    assert [each for block in found for each in block.cells] == row
    for block in found:
        assert len(block.acquires) * len(block.displays) == len(block.cells)


def test_other_clients_are_other_rows_whatever_they_came_to() -> None:
    first = cell("signal-wait", "dma")

    assert len(blocks([first, replace(first, client="user")])) == 2


def test_harmed_are_those_that_claimed_otherwise() -> None:
    cells = (
        cell("signal-wait", "dma", missed=1),
        cell("signal-wait", "user"),
        cell("fence-forward", "dma", missed=5, claims=False),
    )

    matrix = Matrix(command="", seed=0, seconds=1, gpu_ms=1, real=False, cells=cells)

    assert matrix.harmed == [cells[0]]
