"""`syncline matrix`: the whole on virtual time, and single cells as real processes."""

import json
import shlex
import subprocess
import sys
from itertools import product
from pathlib import Path
from typing import Any

import pytest

from syncline.lab.matrix.plan import ACQUIRES, DISPLAYS, Client, Compositor
from syncline.lab.matrix.verdict import Cell as CellStruct

Cell = dict[str, Any]

EVERYTHING = set(
    product((each.value for each in Client), (each.value for each in Compositor), ACQUIRES, DISPLAYS)
)
ISOLATING = {"signal-wait", "user-forward"}

pytestmark = pytest.mark.timeout(300)  # the whole takes ten seconds on two cores of its own


def run(*words: str, place: Path) -> dict[str, Any]:
    told = subprocess.run(
        [sys.executable, "-m", "syncline", "matrix", *words, "--json"],
        cwd=place, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert (told.returncode, told.stderr) == (0, "")
    outcome: dict[str, Any] = json.loads(told.stdout)
    return outcome


def where(cell: Cell) -> tuple[str, str, str, str]:
    return cell["client"], cell["compositor"], cell["acquire"], cell["kms"]


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("matrix")


@pytest.fixture(scope="module")
def whole(place: Path) -> dict[str, Any]:
    """Every cell, with both pictures."""
    return run("--seconds", "0.5", "--seed", "5", "--png", "matrix.png", "--svg", "matrix.svg", place=place)


def test_the_whole_matrix_has_every_combination_once(whole: dict[str, Any]) -> None:
    assert sorted(map(where, whole["cells"])) == sorted(EVERYTHING)
    assert (whole["schema"], whole["real"], whole["machine"]) == (1, False, None)


def test_every_cell_works_or_says_why_not(whole: dict[str, Any]) -> None:
    for cell in whole["cells"]:
        assert cell["why"]
        assert cell["works"] == (cell["c2p"] is not None) == (cell["bystander"] is not None)
        assert set(cell) == set(CellStruct.__struct_fields__)


def test_no_bystander_loses_a_vblank_to_a_mode_that_claims_isolation(whole: dict[str, Any]) -> None:
    claiming = [cell for cell in whole["cells"] if cell["claims_isolation"] and cell["works"]]

    assert {cell["acquire"] for cell in claiming} == ISOLATING
    assert {cell["bystander"]["missed_vblanks"] for cell in claiming} == {0}


def test_nobody_reads_what_is_not_finished_whoever_waits_for_it(whole: dict[str, Any]) -> None:
    assert [cell["command"] for cell in whole["cells"] if cell["warnings"]] == []


def test_modes_that_do_not_claim_it_are_there_to_be_compared_with(whole: dict[str, Any]) -> None:
    harmed = {
        (cell["client"], cell["acquire"])
        for cell in whole["cells"]
        if cell["works"] and cell["bystander"]["missed_vblanks"]
    }

    assert harmed == {("implicit", "fence-forward"), ("dma", "fence-forward")}


def test_one_row_alone_gives_the_same_bytes(whole: dict[str, Any], place: Path) -> None:
    cell = next(each for each in whole["cells"] if where(each) == ("dma", "user", "fence-forward", "dma"))
    verb, name, *words = shlex.split(cell["command"])

    assert (verb, name) == ("syncline", "matrix")
    assert run(*words, place=place)["cells"] == [cell]


def test_both_pictures_are_written(whole: dict[str, Any], place: Path) -> None:
    assert whole["cells"]
    assert (place / "matrix.png").read_bytes().startswith(b"\x89PNG")
    assert "kernel commit worker" in (place / "matrix.svg").read_text()


@pytest.mark.parametrize(
    ("client", "compositor", "acquire", "site"),
    [
        ("implicit", "implicit", "fence-forward", ("kernel commit worker", "wait_for_fences")),
        ("dma", "dma", "fence-forward", ("kernel commit worker", "wait_for_fences")),
        ("last-resort", "user", "signal-wait", ("client main", "SYNCOBJ_TRANSFER")),
    ],
)
def test_real_processes_stall_at_the_same_point(
    client: str, compositor: str, acquire: str, site: tuple[str, str], place: Path
) -> None:
    filters = ("--client", client, "--compositor", compositor, "--acquire", acquire, "--kms", "dma")

    outcome = run("--real", "--seconds", "1", *filters, place=place)

    (cell,) = outcome["cells"]
    assert cell["works"], cell["why"]
    assert site in {(stall["thread"], stall["call"]) for stall in cell["stalls"]}
    assert outcome["real"]
    assert outcome["machine"]["ticks"] > 0


def test_a_real_client_that_cannot_says_the_same_as_on_virtual_time(
    whole: dict[str, Any], place: Path
) -> None:
    filters = ("--client", "dma", "--compositor", "implicit", "--acquire", "signal-wait", "--kms", "dma")

    (real,) = run("--real", "--seconds", "0.1", *filters, place=place)["cells"]

    (virtual,) = (cell for cell in whole["cells"] if where(cell) == ("dma", "implicit", "signal-wait", "dma"))
    assert (real["works"], real["why"]) == (False, virtual["why"])
