"""Which cells there are, what cannot be asked for, and that the page on it names every field."""

import shlex
from itertools import product
from pathlib import Path

import msgspec
import pytest

from syncline.compositor.core.policy import AcquireMode, ImplicitMode, Sync
from syncline.lab.cli import main
from syncline.lab.matrix.outcome import Matrix
from syncline.lab.matrix.plan import Client, Compositor, Kms, Options, Place
from syncline.lab.matrix.verdict import Bystander, Cell, Hold, Stall
from syncline.lab.spread import Spread

PAGE = (Path(__file__).parents[4] / "docs" / "matrix.md").read_text()


def test_without_filters_there_is_every_combination_once() -> None:
    assert sorted(Options().places, key=str) == sorted(
        (Place(*each) for each in product(Client, Compositor, AcquireMode, Kms)), key=str
    )


def test_filters_repeat_a_part_in_the_order_of_the_whole() -> None:
    options = Options(client=(Client.USER, Client.SHM), acquire=(AcquireMode.FENCE_FORWARD,), kms=(Kms.USER,))

    assert options.places == [
        Place(client, compositor, AcquireMode.FENCE_FORWARD, Kms.USER)
        for compositor in Compositor
        for client in (Client.SHM, Client.USER)
    ]
    assert options.places == [place for place in Options().places if place in set(options.places)]


def test_the_command_has_the_filters_and_the_conditions_but_no_files() -> None:
    options = Options(kms=(Kms.DMA,), real=True, seconds=1.5, seed=9, png=Path("x.png"))

    assert shlex.split(options.command()) == [
        *("syncline", "matrix", "--kms", "dma", "--real"),
        *("--seconds", "1.5", "--gpu-time", "24", "--seed", "9"),
    ]


@pytest.mark.parametrize("compositor", Compositor)
def test_forwarding_is_of_whatever_fences_the_compositor_knows(compositor: Compositor) -> None:
    policy = Place(Client.DMA, compositor, AcquireMode.FENCE_FORWARD, Kms.DMA).policy

    assert policy.sync is Sync(compositor.value)
    assert policy.implicit is ImplicitMode.FORWARD
    assert policy.objection is None


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        (["--seconds", "0"], "try 2"),
        (["--seconds", "nan"], "Must be >= 0"),
        (["--seconds", "inf"], "try 2"),
        (["--client", "hog"], "hog"),
        (["--png", "/dev/null/x.png"], "cannot write to /dev/null/x.png"),
        (["--svg", "/dev/null/x.svg"], "cannot write to /dev/null/x.svg"),
    ],
)
def test_what_cannot_be_performed_is_one_sentence(
    words: list[str], complaint: str, capsys: pytest.CaptureFixture[str]
) -> None:
    code = main(["matrix", *words])

    said = capsys.readouterr()
    assert (code, said.out, said.err.count("\n")) == (2, "", 1)
    assert complaint in said.err


@pytest.mark.parametrize("record", [Matrix, Cell, Stall, Hold, Bystander, Spread])
def test_every_field_of_the_data_is_on_the_page(record: type[msgspec.Struct]) -> None:
    missing = [name for name in record.__struct_fields__ if f"`{name}`" not in PAGE]

    assert not missing
