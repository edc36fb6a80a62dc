"""The table in the terminal: what is measured is not cut off."""

import io

from rich.console import Console

from syncline.lab.present.outcome import READINGS, Result
from syncline.lab.present.table import summary
from syncline.lab.spread import Spread

MS = 1_000_000


def _result(sync: str) -> Result:
    widest = Spread(count=9999, p50=-round(10.45 * MS), p99=round(99.99 * MS), max=round(99.99 * MS))
    return Result(
        name=f"syncline {sync}", compositor="syncline", version="", sync=sync, wire="wayland", note="",
        committed=9999, shown=9999, counted=9999, refresh_ns=MS, missed_vblanks=9999, missed_by_client=9999,
        missed_by_compositor=9999, missed_by_machine=9999, missed_before_arrival=9999, over_two_refreshes=9999,
        cpu_per_frame_ns=MS, columns=dict.fromkeys(READINGS, widest),
    )  # fmt: skip


def test_four_ways_to_synchronise_fit_into_eighty_columns() -> None:
    console = Console(file=io.StringIO(), width=80)
    console.print(summary([_result(sync) for sync in ("shm", "implicit", "dma", "user")]))

    assert isinstance(console.file, io.StringIO)
    text = console.file.getvalue()
    assert "…" not in text
    assert text.count("-10.45 / 99.99") == 4 * len(READINGS)
    assert "by compositor" in text
