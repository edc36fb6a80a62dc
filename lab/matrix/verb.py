"""`syncline matrix`: perform every cell, print, and draw."""

import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

import msgspec
from rich.console import Console

from syncline.lab.exit import FAIL, PASS
from syncline.lab.matrix.outcome import Matrix
from syncline.lab.matrix.plan import Options
from syncline.lab.matrix.run import record
from syncline.lab.matrix.table import print_matrix
from syncline.lab.output import check_writable, needing

DEFAULTS: Final = Options()
Writer = Callable[[Path, Matrix], None]


def matrix(options: Options = DEFAULTS) -> int:
    """Every kind of client on every kind of compositor and display: who stalls where, and what it costs.

    Fails if a cell that claims isolation cost the bystander a vblank; not with --real, where time is not ours alone.
    """
    options.check()
    writers = dict(_writers(options))
    for path in writers:
        check_writable(path)
    outcome = _record(options)
    for path, write in writers.items():
        write(path, outcome)
    if options.json:
        sys.stdout.buffer.write(msgspec.json.format(msgspec.json.encode(outcome), indent=2) + b"\n")
    else:
        console = Console()
        print_matrix(console, outcome)
        for path in writers:
            console.print(f"wrote {path}", markup=False, highlight=False, soft_wrap=True)
    return FAIL if outcome.harmed and not options.real else PASS


def _writers(options: Options) -> Iterator[tuple[Path, Writer]]:
    """Libraries that are missing are missed before anything runs. Raises Usage."""
    for flag, path in (("--png", options.png), ("--svg", options.svg)):
        if path is not None:
            with needing("report", flag=flag):
                from syncline.lab.matrix import picture  # noqa: PLC0415 - matplotlib is an extra
            yield path, picture.write_png if flag == "--png" else picture.write_svg


def _record(options: Options) -> Matrix:
    """With what is done so far, on a terminal."""
    console = Console(stderr=True)
    if options.json or not console.is_terminal:
        return record(options)
    with console.status("") as status:
        return record(options, on_cell=status.update)
