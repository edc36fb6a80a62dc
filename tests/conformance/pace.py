"""How fast a window goes on: what a witness is asked."""

from syncline.conformance.thing import Thing
from syncline.conformance.trial import Trial
from syncline.conformance.window import Canvas, Frame

HALF_A_SECOND_NS = 500_000_000


def rate(trial: Trial, window: Canvas, buffer: Thing) -> int:
    """Frames in half a second, each begun by the callback of the one before."""
    end_ns = trial.now_ns() + HALF_A_SECOND_NS
    frames = 0
    while trial.now_ns() < end_ns:
        window.settle(window.show(buffer))
        frames += 1
    return frames


def check_rate(trial: Trial, before: int, after: int) -> None:
    """Half as fast is a fault, a little slower is the weather."""
    trial.check(
        after * 2 >= before, f"the witness made {before} frames in half a second before, {after} after"
    )
    trial.note(f"witness: {before} frames before, {after} after")


def check_after(trial: Trial, frame: Frame, signalled_ns: int | None) -> None:
    """P11: nothing is shown before it was ready."""
    assert signalled_ns is not None, "it was signalled"
    early_ms = (signalled_ns - frame.presented_ns) / 1e6
    trial.check(early_ms <= 0, f"presented {early_ms:.3f} ms before its acquire point was signalled")
