"""How a window goes on: what a witness is asked, and what becomes of frames that wait or cannot be seen."""

from typing import Final

from syncline.conformance.client import Client
from syncline.conformance.thing import Thing
from syncline.conformance.trial import Trial
from syncline.conformance.window import Canvas, Frame, Window

HALF_A_SECOND_NS: Final = 500_000_000
WHILE_NS: Final = 200_000_000
"""How long an update that is not ready must be held, to be believed."""


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


class Witnesses:
    """Windows that have nothing to do with what is looked at, one for every screen: so one is beside it.

    Of clients of their own, or of `client`.
    """

    def __init__(self, trial: Trial, client: Client | None = None) -> None:
        self._trial = trial
        screens = trial.client("screens").bind_all("wl_output")
        self._windows = [
            Window(trial, client or trial.client(f"witness {number}"), explicit=False)
            for number in range(max(1, len(screens)))
        ]
        self._buffers = [each.client.shm_buffer() for each in self._windows]
        self._before = self._rates()

    def _rates(self) -> list[int]:
        pairs = zip(self._windows, self._buffers, strict=True)
        return [rate(self._trial, window, buffer) for window, buffer in pairs]

    def check(self) -> None:
        """They go on as before. Raises Failure."""
        for before, after in zip(self._before, self._rates(), strict=True):
            check_rate(self._trial, before, after)


def check_after(trial: Trial, frame: Frame, signalled_ns: int | None) -> None:
    """P11: nothing is shown before it was ready."""
    assert signalled_ns is not None, "it was signalled"
    early_ms = (signalled_ns - frame.presented_ns) / 1e6
    trial.check(early_ms <= 0, f"presented {early_ms:.3f} ms before its acquire point was signalled")


def held(trial: Trial, frame: Frame, what: str) -> None:
    """It is not shown for a while."""
    trial.never(lambda: frame.is_done or frame.is_presented, what, for_ns=WHILE_NS)


def presented(trial: Trial, *frames: Frame, what: str) -> list[int]:
    """They are all shown; when."""
    trial.expect(lambda: all(each.is_presented for each in frames), f"presentation of {what}")
    return [each.presented_ns for each in frames]


def fill(trial: Trial, window: Window, output: Thing | None = None) -> tuple[int, int]:
    """Make it fullscreen, and paint it as large as it is told to be; that size."""
    before = window.xdg.count("configure")
    window.toplevel.send("set_fullscreen", output)
    trial.until(lambda: window.xdg.count("configure") > before, within_ns=WHILE_NS)
    width, height = (window.toplevel.last("configure") or (0, 0))[:2]
    size = width or 64, height or 64
    buffer = window.image(*size) if window.sync is not None else window.client.shm_buffer(*size)
    window.settle(window.show(buffer))
    return size


def cover(trial: Trial) -> list[Window]:
    """Windows of another client, plain and opaque, over every output: nothing else is to be seen."""
    client = trial.client("cover")
    covers = []
    for output in client.bind_all("wl_output"):
        window = Window(trial, client, explicit=False)
        fill(trial, window, output)
        covers.append(window)
    return covers
