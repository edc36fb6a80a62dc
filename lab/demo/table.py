"""What people see: the live table of waits, and the comparison at the end."""

from collections.abc import Sequence
from typing import Final

from rich.console import Console
from rich.table import Table

from syncline.lab.demo.ledger import NS_PER_MS, Ledger
from syncline.lab.demo.verdict import Report, Row, sentence

WAITS_SHOWN: Final = 8


def live_table(ledger: Ledger, *, now_ns: int) -> Table:
    """Who waits for whom right now."""
    table = Table(title="who waits for whom", title_justify="left")
    for heading in ("who", "waits for", "because of"):
        table.add_column(heading, min_width=14)
    table.add_column("for ms", justify="right", min_width=7)
    for waiting in ledger.waiting[:WAITS_SHOWN]:
        waited_ms = max(0, now_ns - waiting.since_ns) / NS_PER_MS
        table.add_row(waiting.who, waiting.whom, waiting.why, f"{waited_ms:.1f}")
    frames = ", ".join(f"{account.client} {account.presented}" for account in ledger.accounts.values())
    table.caption = f"frames: {frames}" if frames else "no frame yet"
    return table


def print_report(console: Console, report: Report) -> None:
    """The one table, and what has to be said under it."""
    console.print(_comparison(report.rows))
    for note in report.notes:
        console.print(note, style="yellow", markup=False)
    for tear in report.tears:
        bottom = "no bottom" if tear.bottom_frame is None else f"the bottom of frame {tear.bottom_frame}"
        text = f"torn: {tear.client} at ({tear.x}, {tear.y}) has the top of frame {tear.frame} and {bottom}"
        console.print(text, style="red", markup=False)
    console.print(sentence(report.rows, report.tears), highlight=False)
    for what, path in (("screenshot", report.screenshot), ("events", report.events)):
        if path is not None:
            console.print(f"{what}: {path}", markup=False, highlight=False)


def _comparison(rows: Sequence[Row]) -> Table:
    table = Table(caption="commit to presented in ms; missed: vblanks lost by the compositor / by the client")
    for heading in ("client", "sync"):
        table.add_column(heading, no_wrap=True)
    for heading in ("frames", "p50", "p99", "missed", "releases"):
        table.add_column(heading, justify="right", no_wrap=True)
    table.add_column("why", overflow="fold")
    for row in rows:
        table.add_row(
            row.client,
            row.sync,
            str(row.frames),
            _ms(row.commit_to_presented_p50_ns),
            _ms(row.commit_to_presented_p99_ns),
            f"{row.missed_by_us} / {row.missed_by_client}",
            f"{row.releases_paid} of {row.releases_owed}" if row.releases_owed else "",
            row.why,
            style="red" if row.torn else None,
        )
    return table


def _ms(value_ns: int | None) -> str:
    return "" if value_ns is None else f"{value_ns / NS_PER_MS:.1f}"
