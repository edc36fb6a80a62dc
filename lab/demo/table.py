"""What people see: the live table of waits, and the comparison at the end."""

from collections.abc import Sequence
from pathlib import Path
from typing import Final

from rich.console import Console
from rich.table import Table

from syncline.lab.demo.ledger import NS_PER_MS, Ledger
from syncline.lab.demo.verdict import Report, Row, sentence

WAITS_SHOWN: Final = 6
WIDE: Final = 120
"""Columns from which a sentence fits beside its numbers; below, the sentences follow the table."""


def live_table(ledger: Ledger, *, now_ns: int) -> Table:
    """Who waits for whom right now."""
    table = Table(title="who waits for whom", title_justify="left")
    for heading in ("who", "waits for", "because of"):
        table.add_column(heading, min_width=14)
    table.add_column("for ms", justify="right", min_width=7)
    waiting = ledger.waiting[:WAITS_SHOWN]
    for wait in waiting:
        waited_ms = max(0, now_ns - wait.since_ns) / NS_PER_MS
        table.add_row(wait.who, wait.whom, wait.why, f"{waited_ms:.1f}")
    for _ in range(WAITS_SHOWN - len(waiting)):  # a table that keeps its height does not jump
        table.add_row()
    frames = ", ".join(f"{account.client} {account.presented}" for account in ledger.accounts.values())
    table.caption = f"frames: {frames}" if frames else "no frame yet"
    return table


def print_report(console: Console, report: Report, *, folder: Path | None) -> None:
    """The one table, and what has to be said under it."""
    is_wide = console.width >= WIDE
    console.print(_comparison(report.rows, with_reasons=is_wide))
    if not is_wide:
        for row in report.rows:
            console.print(
                f"{row.client}: {row.why}", style="red" if row.torn else None, markup=False, highlight=False
            )
    for note in report.notes:
        console.print(note, style="yellow", markup=False)
    for tear in report.tears:
        bottom = "no bottom" if tear.bottom_frame is None else f"the bottom of frame {tear.bottom_frame}"
        where = f"photograph {tear.photograph}, ({tear.x}, {tear.y})"
        console.print(
            f"torn: {where}: {tear.client} has the top of frame {tear.frame} and {bottom}", style="red"
        )
    for race in report.races:
        console.print(race, style="red", markup=False, highlight=False, soft_wrap=True)
    console.print(sentence(report), highlight=False)
    for what, name in (("screenshot", report.screenshot), ("events", report.events)):
        if folder is not None and name is not None:
            console.print(f"{what}: {folder / name}", markup=False, highlight=False, soft_wrap=True)


def _comparison(rows: Sequence[Row], *, with_reasons: bool) -> Table:
    table = Table(
        caption="p50, p99: commit to presented, ms · missed: vblanks, by the compositor/by the client"
    )
    for heading in ("client", "sync"):
        table.add_column(heading, no_wrap=True)
    for heading in ("frames", "p50", "p99", "missed", "releases"):
        table.add_column(heading, justify="right", no_wrap=True)
    if with_reasons:
        table.add_column("why")
    for row in rows:
        cells = [
            row.client,
            row.sync,
            str(row.frames),
            _ms(row.commit_to_presented_p50_ns),
            _ms(row.commit_to_presented_p99_ns),
            f"{row.missed_by_us}/{row.missed_by_client}",
            f"{row.releases_paid}/{row.releases_owed}" if row.releases_owed else "",
        ]
        table.add_row(*cells, *([row.why] if with_reasons else []), style="red" if row.torn else None)
    return table


def _ms(value_ns: int | None) -> str:
    return "" if value_ns is None else f"{value_ns / NS_PER_MS:.1f}"
