"""The verdict: one row per client and sync mode, with one sentence on why it came out so."""

from collections.abc import Iterable, Set as AbstractSet
from typing import Final

import msgspec

from syncline.lab.demo.ledger import NS_PER_MS, Account, Ledger
from syncline.lab.spread import percentile

FORMAT: Final = 1
"""Of the report as data. It rises when a field changes its meaning or goes."""

HELD_BY: Final = {
    "acquire-point": "its GPU job (acquire point)",
    "implicit-fence": "its GPU job (fence in the buffer)",
    "user-fence": "its GPU job (user fence, in the display)",
    "fifo": "the frame before it (fifo barrier)",
    "target-time": "the time it asked for",
}


class Row(msgspec.Struct, frozen=True, kw_only=True):
    """One line of the table; times in ns. `missed_…`: refreshes lost by the compositor's or the client's lateness."""

    client: str
    sync: str
    frames: int
    discarded: int
    commit_to_presented_p50_ns: int | None
    commit_to_presented_p99_ns: int | None
    missed_by_us: int
    missed_by_client: int
    releases_owed: int
    releases_paid: int
    torn: bool
    why: str


class Tear(msgspec.Struct, frozen=True, kw_only=True):
    """An unfinished image in photograph number `photograph`: its top is of `frame`, its bottom of another or none."""

    photograph: int
    client: str
    frame: int
    bottom_frame: int | None
    x: int
    y: int


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """What `--json` prints. `notes`: what went otherwise than planned, one sentence each.

    `screenshot` and `events` are the names of files beside it, so that the same run is the same report anywhere.
    """

    format: int = FORMAT
    seed: int
    seconds: float
    virtual: bool
    rows: tuple[Row, ...]
    photographs: int
    tears: tuple[Tear, ...]
    races: tuple[str, ...]
    """K21: the report of each kind of race on a buffer, for people."""
    notes: tuple[str, ...]
    screenshot: str | None
    events: str | None


def rows(ledger: Ledger, *, torn: AbstractSet[str]) -> tuple[Row, ...]:
    """In the order the clients first committed. `torn` names those caught with an unfinished image."""
    return tuple(_row(account, is_torn=account.client in torn) for account in ledger.accounts.values())


def _row(account: Account, *, is_torn: bool) -> Row:
    return Row(
        client=account.client,
        sync=account.sync,
        frames=account.presented,
        discarded=account.discarded,
        commit_to_presented_p50_ns=percentile(account.latencies_ns, 50),
        commit_to_presented_p99_ns=percentile(account.latencies_ns, 99),
        missed_by_us=account.missed_by_us,
        missed_by_client=account.missed_by_client,
        releases_owed=account.owed,
        releases_paid=account.paid,
        torn=is_torn,
        why=why(account, is_torn=is_torn),
    )


def why(account: Account, *, is_torn: bool) -> str:
    """The sentence that matters most."""
    if is_torn:
        return "shown unfinished: its acquire point was signalled before the GPU was done"
    if not account.presented:
        return "nothing of it reached the screen"
    if account.missed_by_us:
        return _our_fault(account)
    held_by, count = _main_cause(account.waited_for.items())
    if not count:
        return _unheld(account)
    share = round(100 * count / account.presented)
    wait_ms = (percentile(account.waits_ns, 50) or 0) / NS_PER_MS
    cause = HELD_BY.get(held_by, held_by)
    if account.missed_by_client:
        return f"late by itself: {share} % of its frames wait for {cause}, {wait_ms:.1f} ms on median"
    return f"{share} % of its frames wait for {cause}, {wait_ms:.1f} ms on median, and make the vblank"


def _our_fault(account: Account) -> str:
    unlatched = account.missed_by_us - account.overran
    causes = [
        f"{count} {cause}"
        for count, cause in ((unlatched, "by latching late"), (account.overran, "by frames that overran"))
        if count
    ]
    return f"vblanks lost by the compositor, though it was ready for them: {' and '.join(causes)}"


def _main_cause(causes: Iterable[tuple[str, int]]) -> tuple[str, int]:
    return max(((name, count) for name, count in causes if name), key=lambda cause: cause[1], default=("", 0))


def _unheld(account: Account) -> str:
    if account.sync == "copied":
        return "its pixels are copied at the commit: there is nothing to wait for"
    return "every frame was ready when it was committed"


def sentence(report: Report) -> str:
    """The last line."""
    frames = sum(row.frames for row in report.rows)
    missed = sum(row.missed_by_us for row in report.rows)
    torn = f"{len(report.tears) or 'no'} unfinished image(s) in {report.photographs} photographs"
    races = f"{len(report.races)} kind(s) of race" if report.races else "no race on a buffer"
    return f"{frames} frames; {missed} vblanks missed by the compositor; {torn}; {races}; seed {report.seed}."
