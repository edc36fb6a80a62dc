"""`syncline bench present`: measure, print, and write what was asked for."""

import csv
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Final

import msgspec
from rich.console import Console

from syncline.lab.exit import PASS
from syncline.lab.matrix.outcome import read_matrix
from syncline.lab.output import check_writable, needing
from syncline.lab.present.outcome import Outcome, judge
from syncline.lab.present.plan import Options
from syncline.lab.present.rows import Row
from syncline.lab.present.run import Recording, record
from syncline.lab.present.table import print_outcome

DEFAULTS: Final = Options()

Writer = Callable[[Path, Outcome, Recording], None]


def present(options: Options = DEFAULTS) -> int:
    """From a client's commit to light, frame by frame, and where the time went."""
    writers = _writers(options)
    for path in writers:
        check_writable(path)
    recording = _record(options)
    outcome = judge(options, recording)
    for path, write in writers.items():
        write(path, outcome, recording)
    if options.json:
        sys.stdout.buffer.write(msgspec.json.format(msgspec.json.encode(outcome), indent=2) + b"\n")
        return PASS
    console = Console()
    print_outcome(console, outcome)
    for path in writers:
        console.print(f"wrote {path}", markup=False, highlight=False, soft_wrap=True)
    return PASS


def _record(options: Options) -> Recording:
    """With the turn it is at, on a terminal. A line and no animation: that would run beside what is measured."""
    console = Console(stderr=True)
    if options.json or not console.is_terminal:
        return record(options)
    return record(options, on_turn=lambda turn: console.print(turn, markup=False, highlight=False))


def _writers(options: Options) -> dict[Path, Writer]:
    """Where to write what. Libraries that are missing are missed before anything is measured. Raises Usage."""
    writers: dict[Path, Writer] = {}
    if options.csv is not None:
        writers[options.csv] = _write_csv
    if options.report is not None:
        writers[options.report] = _page_writer(options.matrix)
    if options.trace is not None:
        writers[options.trace] = _trace_writer()
    return writers


def _page_writer(matrix_file: Path | None) -> Writer:
    with needing("report", flag="--report"):
        from syncline.lab.present.page import write_page  # noqa: PLC0415 - matplotlib and jinja2 are an extra
    matrix = None if matrix_file is None else read_matrix(matrix_file)
    return lambda path, outcome, _: write_page(path, outcome, matrix)


def _trace_writer() -> Writer:
    with needing("trace", flag="--trace"):
        from syncline.lab.present.track import write_trace  # noqa: PLC0415 - perfetto is an extra
    return lambda path, _, recording: write_trace(path, recording.events)


def _write_csv(path: Path, outcome: Outcome, _recording: Recording) -> None:
    """Booleans as 0 and 1, what is not known as nothing."""
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(Row.__struct_fields__)
        for row in outcome.rows:
            cells = msgspec.structs.astuple(row)
            writer.writerow(int(cell) if isinstance(cell, bool) else cell for cell in cells)
