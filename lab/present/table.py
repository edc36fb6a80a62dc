"""The end of a run in the terminal: a histogram, a table, one sentence per number, and how far to trust it."""

from collections.abc import Sequence
from typing import Final

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from syncline.lab.present.histogram import bins
from syncline.lab.present.outcome import READINGS, Outcome, Result
from syncline.lab.present.ratio import Ratio
from syncline.lab.present.rows import Row, by_name, counted

BAR: Final = 40
BLOCKS: Final = " ▏▎▍▌▋▊▉█"
NS_PER_MS: Final = 1_000_000


def print_outcome(console: Console, outcome: Outcome) -> None:
    """Everything a person wants to know; the rest is in the files."""
    rows = by_name(outcome.rows)
    for result in outcome.results:
        _print_histogram(console, result, rows[result.name])
    console.print(summary(outcome.results))
    console.print("p50 / p99 in ms. How to read it:", highlight=False)
    told = {column for result in outcome.results for column in result.columns}
    for column, sentence in READINGS.items():
        if column in told:
            console.print(f"  {short(column)}: {sentence}.", highlight=False, markup=False)
    for result in outcome.results:
        if result.note:
            console.print(f"{result.name}: {result.note}.", style="yellow", markup=False, highlight=False)
    for each in outcome.ratios:
        console.print(
            sentence_of(each), style="yellow" if each.refused else None, markup=False, highlight=False
        )
    for said in outcome.sentences:
        console.print(said, markup=False, highlight=False)
    console.print(f"Repeat: {outcome.command}", markup=False, highlight=False, soft_wrap=True)


def short(column: str) -> str:
    """A column as people say it."""
    return column.removesuffix("_ns").replace("_", " ")


def sentence_of(ratio: Ratio) -> str:
    """A ratio, or why there is none."""
    what = f"{ratio.what}, {ratio.ours} over {ratio.theirs}"
    if ratio.ratio is None:
        return f"{what}: no ratio, for {ratio.refused}."
    assert ratio.ours_ns is not None
    assert ratio.theirs_ns is not None
    values = f"{ratio.ours_ns / NS_PER_MS:.2f} ms over {ratio.theirs_ns / NS_PER_MS:.2f} ms"
    noise = f"rounds differ by {ratio.noise:.2f} times"
    return f"{what}: {ratio.ratio:.2f} ({ratio.low:.2f} to {ratio.high:.2f} at 95 %); {values}; {noise}."


def _print_histogram(console: Console, result: Result, rows: Sequence[Row]) -> None:
    values = [row.c2p_ns for row in counted(rows) if row.c2p_ns is not None]
    if not values:
        return
    console.print(f"{result.name}: commit to presented, {len(values)} frames", highlight=False)
    found = bins(values, refresh_ns=result.refresh_ns)
    most = max(each.frames for each in found)
    for each in found:
        mark = "│" if each.is_at_vblank else " "
        console.print(
            f"{each.low_ns / NS_PER_MS:7.2f} ms {mark}{_bar(each.frames / most)} {each.frames}",
            highlight=False,
        )


def _bar(share: float) -> str:
    whole, part = divmod(round(share * BAR * 8), 8)
    return "█" * whole + (BLOCKS[part] if part else "")


def summary(results: Sequence[Result]) -> Table:
    """Four names fit into eighty columns."""
    table = Table(box=SIMPLE_HEAD, show_edge=False, padding=0)
    table.add_column("", no_wrap=True)
    for result in results:
        table.add_column(result.name.replace(" ", "\n"), justify="right", no_wrap=True)
    counts = {
        "frames shown": [f"{result.shown} of {result.committed}" for result in results],
        "missed vblanks": [_known(result.missed_vblanks) for result in results],
        "  by client": [_known(result.missed_by_client) for result in results],
        "  by compositor": [_known(result.missed_by_compositor) for result in results],
        "  by machine": [_known(result.missed_by_machine) for result in results],
        "  before arrival": [_known(result.missed_before_arrival) for result in results],
        "over two refreshes": [_known(result.over_two_refreshes) for result in results],
        "CPU per frame": [_ms(result.cpu_per_frame_ns) for result in results],
    }
    for column in READINGS:
        cells = [_cell(result, column) for result in results]
        if any(cells):
            table.add_row(short(column), *cells)
    table.add_section()
    for what, told in counts.items():
        table.add_row(what, *told)
    return table


def _cell(result: Result, column: str) -> str:
    each = result.columns.get(column)
    return f"{each.p50 / NS_PER_MS:.2f} / {each.p99 / NS_PER_MS:.2f}" if each else ""


def _known(value: int | None) -> str:
    return "" if value is None else str(value)


def _ms(value_ns: int | None) -> str:
    return "" if value_ns is None else f"{value_ns / NS_PER_MS:.2f}"
