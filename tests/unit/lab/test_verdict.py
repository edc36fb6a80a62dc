"""What the demo's table says about a client, and why."""

import pytest
from msgspec.structs import replace

from syncline.compositor.core import report
from syncline.lab.demo.ledger import NS_PER_MS, Ledger, Waiting
from syncline.lab.demo.verdict import Report, Row, Tear, rows, sentence
from syncline.lab.spread import percentile

MS = NS_PER_MS


def frame(
    *,
    client: str = "solid",
    sync: str = "explicit",
    ready_ms: int = 0,
    presented_ms: int | None = 10,
    waited_for: str = "",
    by_us: int = 0,
    by_client: int = 0,
    target_ms: int | None = None,
) -> report.FrameReport:
    presented_ns = None if presented_ms is None else presented_ms * MS
    return report.FrameReport(
        t_ns=100 * MS,
        client=client,
        surface=1,
        update=1,
        sync=sync,
        output="Virtual-1",
        committed_ns=0,
        ready_ns=ready_ms * MS,
        latched_ns=presented_ns,
        target_ns=presented_ns if target_ms is None else target_ms * MS,
        presented_ns=presented_ns,
        sequence=1,
        zero_copy=False,
        waited_for=waited_for,
        missed_by_client=by_client,
        missed_by_us=by_us,
    )


def only_row(*events: report.ReportEvent, torn: bool = False) -> Row:
    ledger = Ledger()
    for event in events:
        ledger.feed(event)
    (row,) = rows(ledger, torn={"solid"} if torn else set())
    return row


def test_latency_is_counted_from_the_commit_to_the_screen() -> None:
    row = only_row(*(frame(presented_ms=ms) for ms in (20, 10, 12, 11)), frame(presented_ms=None))

    assert (row.frames, row.discarded) == (4, 1)
    assert row.commit_to_presented_p50_ns == 11 * MS
    assert row.commit_to_presented_p99_ns == 20 * MS


def test_a_client_whose_gpu_is_slow_is_late_by_itself() -> None:
    row = only_row(frame(ready_ms=30, waited_for="acquire-point", by_client=2), frame())

    assert (row.missed_by_us, row.missed_by_client) == (0, 2)
    assert (
        row.why == "late by itself: 50 % of its frames wait for its GPU job (acquire point), 0.0 ms on median"
    )


WHY = [
    (frame(), False, "every frame was ready when it was committed"),
    (frame(sync="copied"), False, "copied at the commit"),
    (
        frame(waited_for="implicit-fence", ready_ms=3),
        False,
        "(fence in the buffer), 3.0 ms on median, and make",
    ),
    (
        frame(by_us=1, waited_for="acquire-point"),
        False,
        "lost by the compositor, though it was ready for them: 1 by latching late",
    ),
    (frame(by_us=2, presented_ms=40, target_ms=24), False, "2 by frames that overran"),
    (frame(presented_ms=None), False, "nothing of it reached the screen"),
    (frame(by_us=1), True, "shown unfinished"),
]


@pytest.mark.parametrize(("event", "torn", "expected"), WHY)
def test_the_sentence_says_what_matters_most(event: report.FrameReport, torn: bool, expected: str) -> None:
    assert expected in only_row(event, torn=torn).why


def test_a_debt_is_a_release_point_and_paid_when_it_is_reached() -> None:
    commit = report.Commit(t_ns=0, client="solid", surface=1, update=1, sync="explicit", acquire=1, release=1)
    second = report.Commit(t_ns=1, client="solid", surface=1, update=2, sync="explicit", acquire=2, release=2)
    paid = report.Release(t_ns=2, client="solid", surface=1, update=1, how="fence")

    row = only_row(commit, second, paid)

    assert (row.releases_owed, row.releases_paid) == (2, 1)


def test_one_client_in_two_modes_has_two_rows_and_none_without_a_buffer() -> None:
    ledger = Ledger()
    for sync in ("explicit", "copied", "none"):
        ledger.feed(frame(sync=sync))

    assert [row.sync for row in rows(ledger, torn=set())] == ["explicit", "copied"]


def test_waits_are_shown_from_their_beginning_to_their_end_longest_first() -> None:
    ledger = Ledger()
    for t_ns, who in ((5, "late"), (3, "early")):
        ledger.feed(
            report.Wait(t_ns=t_ns, edge="begin", who=who, whom="GPU", why="acquire-point", update=t_ns)
        )

    assert [waiting.who for waiting in ledger.waiting] == ["early", "late"]

    ledger.feed(report.Wait(t_ns=9, edge="end", who="early", whom="GPU", why="acquire-point", update=3))

    assert list(ledger.waiting) == [Waiting(5, "late", "GPU", "acquire-point")]


def test_a_percentile_is_a_value_that_occurred() -> None:
    assert [percentile(range(1, 101), percent) for percent in (1, 50, 99, 100)] == [1, 50, 99, 100]
    assert percentile([7], 50) == 7
    assert percentile([], 50) is None


def test_the_last_line_counts_frames_misses_and_torn_images() -> None:
    report = Report(
        seed=0,
        seconds=1.0,
        virtual=True,
        rows=(only_row(frame(by_us=2)),),
        photographs=8,
        tears=(),
        races=(),
        notes=(),
        screenshot=None,
        events=None,
    )
    tear = Tear(photograph=3, client="liar", frame=7, bottom_frame=6, x=0, y=0)

    assert sentence(report) == (
        "1 frames; 2 vblanks missed by the compositor; no unfinished image(s) in 8 photographs; "
        "no race on a buffer; seed 0."
    )
    assert "; 1 unfinished" in sentence(replace(report, tears=(tear,)))
    assert "; 1 kind(s) of race;" in sentence(replace(report, races=("K21 ...",)))
