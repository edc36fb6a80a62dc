"""Rows: what client, compositor and device wrote, joined frame by frame."""

from pathlib import Path

import pytest

from syncline.clients.toolkit import report as told
from syncline.clients.toolkit.report import ClientEvent
from syncline.compositor.core import report
from syncline.kms_model.trace import JobTrace
from syncline.lab.present.events import Events, Take
from syncline.lab.present.plan import OURS
from syncline.lab.present.rows import Row, counted, rows_of
from syncline.lab.present.standstill import Standstill, Statement

MS = 1_000_000
REFRESH_NS = 16_666_667


def take(compositor: str = OURS) -> Take:
    return Take(
        name=f"{compositor} dma", compositor=compositor, sync="dma", wire="wayland", mode="feedback", round=0, client=1, title="dma-0-1",
        words=(), events=Path(),
    )  # fmt: skip


def client(*, frames: int) -> list[ClientEvent]:
    """Draws for 1 ms from each 16 ms on, is seen 30 ms after each commit, has its image back 20 ms later."""
    events: list[ClientEvent] = []
    for frame in range(1, frames + 1):
        begun_ns = frame * 16 * MS
        commit_ns = begun_ns + MS
        presented_ns = commit_ns + 30 * MS
        events += [
            told.Committed(
                t_ns=commit_ns, client=1, surface=3, frame=frame, image=frame % 4, begun_ns=begun_ns, lateness_ns=7
            ),
            told.Presented(
                t_ns=presented_ns + MS, client=1, surface=3, frame=frame, presented_ns=presented_ns, sequence=frame,
                refresh_ns=REFRESH_NS, flags=1 | 8, f2c_ns=MS, c2p_ns=30 * MS, f2p_ns=31 * MS,
                p2p_ns=None if frame == 1 else 16 * MS, t2p_ns=REFRESH_NS,
            ),
            told.Released(t_ns=presented_ns + 20 * MS, client=1, image=frame % 4, held_ns=50 * MS),
        ]  # fmt: skip
    return events


def compositor(*, frames: int) -> list[report.ReportEvent]:
    """Another client's update lies between any two. It latches 8 ms before each flip."""
    events: list[report.ReportEvent] = []
    for frame in range(1, frames + 1):
        commit_ns = frame * 16 * MS + MS
        common = {"client": "dma-0-1", "surface": 9, "update": 10 * frame, "sync": "explicit"}
        events += [
            report.Commit(t_ns=commit_ns, client="other", surface=4, update=10 * frame - 1, sync="copied"),
            report.Commit(t_ns=commit_ns + MS // 4, **common),
            report.Latch(
                t_ns=commit_ns + 22 * MS, output="Virtual-1", frame=frame, target_ns=commit_ns + 30 * MS,
                margin_ns=8 * MS, how="direct", updates=(10 * frame,),
            ),
            report.FrameReport(
                t_ns=commit_ns + 30 * MS, **common, output="Virtual-1", committed_ns=commit_ns + MS // 4,
                ready_ns=commit_ns + 6 * MS, latched_ns=commit_ns + 22 * MS, target_ns=commit_ns + 30 * MS,
                presented_ns=commit_ns + 30 * MS, sequence=frame, zero_copy=True, waited_for="acquire-point",
                missed_by_client=0, missed_by_us=0,
            ),
        ]  # fmt: skip
    return events


def jobs(*, frames: int) -> list[JobTrace]:
    """The GPU is done 5 ms after each commit; another client's job of the same number is none of ours."""
    return [
        JobTrace(frame * 16 * MS + after_ns, "done", 1, frame, "render", label)
        for frame in range(1, frames + 1)
        for label, after_ns in ((f"dma-0-1 {frame}", 6 * MS), (f"dma-0-11 {frame}", 9 * MS))
    ]


def recorded(*, frames: int) -> list[Row]:
    events = Events({take().key: client(frames=frames)}, compositor(frames=frames), list(jobs(frames=frames)))
    return rows_of(take(), events)


def test_the_parts_of_a_frame_sum_to_the_whole() -> None:
    rows = recorded(frames=20)

    assert len(rows) == 20
    for row in rows:
        parts_ns = (row.commit_to_acquire_ns, row.acquire_to_latch_ns, row.latch_to_flip_ns)
        assert parts_ns == (5 * MS, 17 * MS, 8 * MS)
        assert sum(part for part in parts_ns if part is not None) == row.c2p_ns
        assert row.c2p_ns is not None
        assert row.f2c_ns + row.c2p_ns == row.f2p_ns


def test_every_part_has_its_say() -> None:
    row = recorded(frames=20)[-1]

    assert (row.flags, row.missed_vblanks, row.tick_lateness_ns) == ("sz", 1, 7)
    assert (row.commit_to_received_ns, row.acquire_to_ready_ns, row.latch_margin_ns) == (MS // 4, MS, 8 * MS)
    assert row.flip_to_release_ns == 20 * MS


def test_the_first_tenth_is_kept_and_does_not_count() -> None:
    rows = recorded(frames=20)

    assert [row.frame for row in rows if row.warm_up] == [1, 2]
    assert [row.frame for row in counted(rows)] == list(range(3, 21))


def test_what_another_compositor_does_not_tell_stays_empty() -> None:
    other = take("weston")
    events = Events({other.key: client(frames=5)}, compositor(frames=5), list(jobs(frames=5)))
    stood = [Standstill(core=0, from_ns=0, to_ns=999 * MS)]
    events.witness = Statement(priority=3, cpu_percent=1.0, standstills=stood)

    for row in rows_of(other, events):
        assert (row.c2p_ns, row.missed_vblanks) == (30 * MS, 1)
        empty = (
            "commit_to_acquire_ns", "acquire_to_latch_ns", "latch_to_flip_ns", "commit_to_received_ns",
            "acquire_to_ready_ns", "missed_by_client", "missed_by_compositor", "latch_margin_ns",
            "missed_by_machine", "missed_before_arrival",
        )  # fmt: skip
        assert [getattr(row, column) for column in empty] == [None] * len(empty)


def test_a_standstill_of_the_machine_is_found_in_the_frames_that_it_cost_a_vblank() -> None:
    """The vblank before the one that showed it was missed: 13.3 ms after the commit, its latch planned 8 ms before."""
    commit_ns = 17 * MS
    stood = [Standstill(core=1, from_ns=commit_ns, to_ns=commit_ns + 1)]
    events = Events(
        {take().key: client(frames=2)},
        compositor(frames=2),
        witness=Statement(priority=3, cpu_percent=1.0, standstills=stood),
    )

    rows = rows_of(take(), events)

    assert [(row.missed_before_arrival, row.missed_by_machine) for row in rows] == [(0, 1), (1, 0)]
    assert [(row.missed_by_machine, row.missed_before_arrival) for row in recorded(frames=2)] == [
        (None, 1)
    ] * 2


@pytest.mark.parametrize(
    "column", ["c2p_ns", "presented_ns", "latch_to_flip_ns", "flip_to_release_ns", "flags"]
)
def test_a_frame_that_was_never_shown_has_no_latency(column: str) -> None:
    mine = [event for event in client(frames=3) if not isinstance(event, told.Presented)]
    rows = rows_of(take(), Events({take().key: mine}, [], []))

    assert [getattr(row, column) for row in rows] == [None] * 3
    assert [row.f2c_ns for row in rows] == [MS] * 3
