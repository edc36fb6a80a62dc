"""The pictures of a run as inline SVG: every frame on the vblank grid, and where the time went."""

from collections.abc import Sequence
from statistics import mean
from typing import Final

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from syncline.lab.drawing import BLUE, GREEN, GREY, ORANGE, VERMILION, style, svg
from syncline.lab.present.outcome import Outcome, Result
from syncline.lab.present.rows import Row, by_name, counted

NS_PER_MS: Final = 1_000_000
WIDTH: Final = 10.0
PANEL: Final = 2.4
ROOM: Final = 1.05
"""How far the scale goes beyond the highest mark."""
BEYOND_P99: Final = 2
DOT_SHARE: Final = 5
"""Panels are so many times wider than the distribution at their right margin."""

PARTS: Final = (
    ("f2c_ns", "f2c: the client draws", GREY, ""),
    ("commit_to_acquire_ns", "commit to acquire: the GPU paints", ORANGE, "//"),
    ("acquire_to_latch_ns", "acquire to latch: waits for the deadline", BLUE, ".."),
    ("latch_to_flip_ns", "latch to flip: composed, and the margin", GREEN, "\\\\"),
)


def latency(outcome: Outcome) -> str:
    """One panel per result, all on the same scale: a dot per frame, a line per vblank, the median and p99."""
    rows = by_name(outcome.rows)
    shown = [result for result in outcome.results if result.counted]
    with style("latency"):
        figure = Figure(figsize=(WIDTH, 0.9 + PANEL * max(1, len(shown))), layout="constrained")
        panels = figure.subplots(
            max(1, len(shown)), 2, squeeze=False, sharey=True, gridspec_kw={"width_ratios": (DOT_SHARE, 1)}
        )
        top_ms = _top_ms(shown)
        for result, (dots, margin) in zip(shown, panels, strict=False):
            _draw_frames(dots, list(counted(rows[result.name])), top_ms)
            _draw_margin(margin, list(counted(rows[result.name])), top_ms)
            _draw_levels(dots, margin, result, top_ms)
        panels[-1][0].set_xlabel("frame")
        panels[-1][1].set_xlabel("frames")
        if shown:
            panels[0][0].set_ylim(0, ROOM * top_ms)
            _name_marks(figure)
        return svg(figure, "Commit to presented, frame by frame")


def _top_ms(shown: Sequence[Result]) -> float:
    """Where the scale ends: one frame that took a second would leave no room for all others."""
    spreads = [result.columns["c2p_ns"] for result in shown]
    longest_ns = max((spread.max for spread in spreads), default=1)
    usual_ns = max((spread.p99 for spread in spreads), default=1)
    return min(longest_ns, BEYOND_P99 * usual_ns) / NS_PER_MS


def _name_marks(figure: Figure) -> None:
    """One legend for all panels: some marks occur in some of them only."""
    marks = {
        label: handle
        for axes in figure.axes
        for handle, label in zip(*axes.get_legend_handles_labels(), strict=True)
    }
    figure.legend(
        list(marks.values()),
        list(marks),
        loc="outside upper right",
        ncols=len(marks),
        fontsize=8,
        frameon=False,
    )


def _draw_frames(dots: Axes, rows: Sequence[Row], top_ms: float) -> None:
    """A mark per frame, of four kinds."""
    marks: dict[tuple[str, str, str], list[tuple[int, float]]] = {}
    for index, row in enumerate(rows):
        value_ms = (row.c2p_ns or 0) / NS_PER_MS
        if value_ms > top_ms:
            mark = ("^", VERMILION, "beyond the scale")
        elif row.missed_by_machine:
            mark = ("P", ORANGE, "missed, as the machine stood still")
        elif row.missed_vblanks:
            mark = ("x", VERMILION, "missed vblanks")
        else:
            mark = ("o", BLUE, "made the first vblank")
        marks.setdefault(mark, []).append((index, min(value_ms, top_ms)))
    for (shape, colour, label), points in marks.items():
        frames, values = zip(*points, strict=True)
        dots.scatter(frames, values, s=9, marker=shape, color=colour, linewidths=0.8, label=label)


def _draw_margin(margin: Axes, rows: Sequence[Row], top_ms: float) -> None:
    """How often which latency occurred."""
    values_ms = [min((row.c2p_ns or 0) / NS_PER_MS, top_ms) for row in rows]
    margin.hist(values_ms, bins=30, range=(0, top_ms), orientation="horizontal", color=BLUE)


def _draw_levels(dots: Axes, margin: Axes, result: Result, top_ms: float) -> None:
    """Median, p99, and a line for every refresh."""
    spread = result.columns["c2p_ns"]
    for value_ns, line, label in ((spread.p50, "-", "median"), (spread.p99, "--", "p99")):
        dots.axhline(value_ns / NS_PER_MS, color="black", linewidth=0.9, linestyle=line, label=label)
    dots.set_title(
        f"{result.name}: median {spread.p50 / NS_PER_MS:.2f} ms, p99 {spread.p99 / NS_PER_MS:.2f} ms",
        loc="left",
    )
    dots.set_ylabel("commit to presented, ms")
    if result.refresh_ns:
        refresh_ms = result.refresh_ns / NS_PER_MS
        for vblank in range(1, int(ROOM * top_ms / refresh_ms) + 1):
            for axes in (dots, margin):
                axes.axhline(vblank * refresh_ms, color=GREY, linewidth=0.6, linestyle=":", zorder=0)


def parts(outcome: Outcome) -> str:
    """One bar per result. Means, because the means of the parts add up to the mean of the whole."""
    rows = by_name(outcome.rows)
    shown = [result for result in outcome.results if result.counted]
    with style("parts"):
        figure = Figure(figsize=(WIDTH, 1.3 + 0.45 * max(1, len(shown))), layout="constrained")
        axes = figure.subplots()
        labelled: set[str] = set()
        for result in shown:
            left = 0.0
            for value, label, colour, hatch in _bars(list(counted(rows[result.name]))):
                axes.barh(
                    result.name, value, left=left, color=colour, hatch=hatch, edgecolor="black", linewidth=0.5,
                    label=None if label in labelled else label,
                )  # fmt: skip
                labelled.add(label)
                left += value
        axes.invert_yaxis()
        axes.set_xlabel("mean, ms")
        if labelled:
            figure.legend(loc="outside upper left", ncols=2, fontsize=8, frameon=False)
        return svg(figure, "Where the time went")


def _bars(rows: Sequence[Row]) -> list[tuple[float, str, str, str]]:
    """Value in ms, label, colour and hatching; the whole latency in one where a compositor does not tell."""
    if all(row.latch_to_flip_ns is not None for row in rows):
        return [(_mean_ms(rows, column), label, colour, hatch) for column, label, colour, hatch in PARTS]
    column, label, colour, hatch = PARTS[0]
    whole = (_mean_ms(rows, "c2p_ns"), "commit to presented: not told apart", "white", "")
    return [(_mean_ms(rows, column), label, colour, hatch), whole]


def _mean_ms(rows: Sequence[Row], column: str) -> float:
    return mean(getattr(row, column) or 0 for row in rows) / NS_PER_MS
