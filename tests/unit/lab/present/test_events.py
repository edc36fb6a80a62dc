"""What is read out of the event streams of a run."""

from syncline.compositor.core import report
from syncline.lab.present.events import overruns
from syncline.lab.present.standstill import Overrun

MS = 1_000_000


def shown(output: str, frame: int, *, target_ns: int, flip_ns: int) -> list[report.ReportEvent]:
    return [
        report.Latch(
            t_ns=target_ns - MS, output=output, frame=frame, target_ns=target_ns, margin_ns=2 * MS, how="direct",
            updates=(),
        ),
        report.Flip(t_ns=flip_ns, output=output, frame=frame, sequence=frame, target_ns=target_ns),
    ]  # fmt: skip


def test_a_frame_that_was_shown_too_late_took_the_vblank_of_another() -> None:
    events = [
        *shown("left", 1, target_ns=100 * MS, flip_ns=100 * MS),
        *shown("right", 1, target_ns=100 * MS, flip_ns=116 * MS),
        *shown("left", 2, target_ns=116 * MS, flip_ns=116 * MS),
    ]

    assert overruns(events) == {"right": [Overrun(latch_ns=98 * MS, target_ns=100 * MS, vblank_ns=116 * MS)]}
