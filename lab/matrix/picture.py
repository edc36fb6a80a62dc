"""The matrix as a heat map: the stall point written in every cell, and its colour says what it costs.

Everything is laid out in points, so that what is written can be measured before it is drawn.
"""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cache
from itertools import groupby
from pathlib import Path
from typing import Final, Literal, NamedTuple

from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties
from matplotlib.patches import Rectangle
from matplotlib.text import Text
from matplotlib.textpath import text_to_path

from syncline.lab.drawing import style, svg
from syncline.lab.matrix.cast import BYSTANDER_RATE
from syncline.lab.matrix.outcome import Block, Matrix, blocks
from syncline.lab.matrix.table import both
from syncline.lab.matrix.verdict import Cell

INCH: Final = 72
DPI: Final = 144
SIZE: Final = 7.0
LINE: Final = 9.2
"""From one line to the next, in points as everything here."""
PAD: Final = 4.0
CELLS: Final = 624.0
LABELS: Final = 96.0
MARGIN: Final = 4.0
TOP: Final = 52.0
HEAD: Final = 34.0
BAND: Final = 18.0
FOOT: Final = 58.0
BAR: Final = 150.0
STEPS: Final = 20

TITLE: Final = "Who stalls where, and what it costs"
BLACK: Final = "#000000"
STALLED: Final = LinearSegmentedColormap.from_list("stalled", ["#E9F3FA", "#7FB8DF"])
HARMED: Final = LinearSegmentedColormap.from_list("harmed", ["#FCE9DC", "#EF8F55"])
"""Both end where black text can still be read."""

COMPOSITORS: Final = {
    "implicit": "compositor --sync implicit: the fences inside dma-bufs",
    "dma": "compositor --sync dma: acquire and release points, whatever is behind them",
    "user": "compositor --sync user: knows a user fence when it sees one",
}


CLIENTS: Final = {
    "shm": "painted by the CPU",
    "implicit": "fences in dma-bufs",
    "dma": "points, dma_fences",
    "user": "points, user fences",
    "submit-thread": "user, no protocol",
    "last-resort": "user, asks the kernel",
}
DISPLAYS: Final = {"dma": "KMS: dma_fences only", "user": "KMS: user in-fences, too"}


class Box(NamedTuple):
    """A cell as drawn, or several in one that came to the same."""

    frame: Rectangle
    texts: Sequence[Text]


class Drawing(NamedTuple):
    """The picture, and where its cells are."""

    figure: Figure
    boxes: Sequence[Box]


def write_png(path: Path, matrix: Matrix) -> None:
    """For a page that takes no SVG."""
    with style("matrix"):
        draw(matrix).figure.savefig(path, format="png", dpi=DPI, metadata={"Software": None})


def write_svg(path: Path, matrix: Matrix) -> None:
    """Its text stays text."""
    path.write_text(heat_map(matrix))


def heat_map(matrix: Matrix) -> str:
    """The SVG, to stand in a page."""
    with style("matrix"):
        return svg(draw(matrix).figure, TITLE)


def draw(matrix: Matrix) -> Drawing:
    """On white, whatever is around it."""
    sheet = _Sheet(list(dict.fromkeys((cell.acquire, cell.kms) for cell in matrix.cells)))
    for compositor, cells in groupby(matrix.cells, key=lambda cell: cell.compositor):
        rows = {client: blocks(row) for client, row in groupby(cells, key=lambda cell: cell.client)}
        sheet.add_group(COMPOSITORS[compositor], rows)
    return sheet.finish(matrix)


class _Line(NamedTuple):
    text: str
    is_bold: bool = False


class _Sheet:
    """Grows downwards; `finish` cuts it to size."""

    def __init__(self, columns: Sequence[tuple[str, str]]) -> None:
        self._columns = columns
        self._column = CELLS / len(columns)
        self._figure = Figure(facecolor="white")
        self._axes = self._figure.add_axes((0, 0, 1, 1))
        self._axes.set_axis_off()
        self._boxes: list[Box] = []
        self._y = TOP
        self._add_head(columns)

    def _add_head(self, columns: Sequence[tuple[str, str]]) -> None:
        x = LABELS
        for acquire, displays in groupby(columns, key=lambda column: column[0]):
            kinds = [kms for _, kms in displays]
            width = self._column * len(kinds)
            self._write(_Line(f"acquire {acquire}", is_bold=True), x + width / 2, self._y + LINE, "center")
            for number, kms in enumerate(kinds):
                place = x + self._column * (number + 0.5)
                self._write(_Line(DISPLAYS[kms]), place, self._y + 2.3 * LINE, "center")
            x += width
        self._y += HEAD

    def add_group(self, title: str, rows: Mapping[str, Sequence[Block]]) -> None:
        """One compositor with all its clients. What none of them can do there is said once."""
        self._axes.add_patch(Rectangle((0, self._y), LABELS + CELLS, BAND, facecolor="#E4E4E4", linewidth=0))
        self._write(_Line(title, is_bold=True), PAD, self._y + BAND / 2, "left")
        self._y += BAND
        top = self._y
        refused = _refused_to_all(list(rows.values()))
        for client, row in rows.items():
            self._add_row(client, [block for block in row if _refusal(block) not in refused])
        for block in refused.values():
            lines = _lines(block, width=self._width(block) - 2 * PAD)
            self._add_box(block, lines, y=top, height=self._y - top)

    def _add_row(self, client: str, row: Sequence[Block]) -> None:
        """As high as its longest cell."""
        texts = [_lines(block, width=self._width(block) - 2 * PAD) for block in row]
        height = max(2, *map(len, texts)) * LINE + 2 * PAD
        self._write(_Line(client, is_bold=True), PAD, self._y + height / 2 - LINE / 2, "left")
        self._write(_Line(CLIENTS[client]), PAD, self._y + height / 2 + LINE / 2, "left")
        for block, lines in zip(row, texts, strict=True):
            self._add_box(block, lines, y=self._y, height=height)
        self._y += height

    def _width(self, block: Block) -> float:
        return self._column * len(block.cells)

    def _add_box(self, block: Block, lines: Sequence[_Line], *, y: float, height: float) -> None:
        cell, width = block.first, self._width(block)
        x = LABELS + self._columns.index((cell.acquire, cell.kms)) * self._column
        frame = Rectangle(
            (x, y), width, height, facecolor=_colour(cell), edgecolor="#9A9A9A" if cell.works else "#C8C8C8",
            linewidth=0.6, hatch=None if cell.works else "////",
        )  # fmt: skip
        self._axes.add_patch(frame)
        first = y + (height - (len(lines) - 1) * LINE) / 2
        texts = [
            self._write(line, x + width / 2, first + number * LINE, "center", is_on_hatch=not cell.works)
            for number, line in enumerate(lines)
        ]
        self._boxes.append(Box(frame, texts))

    def _write(
        self, line: _Line, x: float, y: float, side: Literal["left", "center"], *, is_on_hatch: bool = False
    ) -> Text:
        return self._axes.text(
            x, y, line.text, ha=side, va="center_baseline", color=BLACK, fontproperties=_font(line),
            bbox={"facecolor": "white", "linewidth": 0, "pad": 1.0} if is_on_hatch else None,
        )  # fmt: skip

    def finish(self, matrix: Matrix) -> Drawing:
        """With a title above and the scales below."""
        width, height = LABELS + CELLS + MARGIN, self._y + FOOT
        self._write(_Line(TITLE, is_bold=True), PAD, LINE, "left")
        for number, text in enumerate(_subtitle(matrix)):
            self._write(_Line(text), PAD, (2.4 + 1.2 * number) * LINE, "left")
        self._add_scale("share of the time that a thread sleeps", STALLED, x=LABELS)
        self._add_scale("share of the bystander's frames that came late", HARMED, x=LABELS + CELLS / 3)
        for number, text in enumerate(("white: no thread sleeps", "hatched: cannot be, and why")):
            self._write(_Line(text), LABELS + CELLS * 2 / 3, self._y + (1.6 + 1.4 * number) * LINE, "left")
        self._axes.set_xlim(0, width)
        self._axes.set_ylim(height, 0)
        self._figure.set_size_inches(width / INCH, height / INCH)
        return Drawing(self._figure, self._boxes)

    def _add_scale(self, text: str, colours: LinearSegmentedColormap, *, x: float) -> None:
        """From nothing to all of it, in steps: as text an SVG can hold."""
        y = self._y + 2.6 * LINE
        for step in range(STEPS):
            place = (x + step * BAR / STEPS, y)
            colour = colours((step + 0.5) / STEPS)
            self._axes.add_patch(Rectangle(place, BAR / STEPS, LINE, facecolor=colour, linewidth=0))
        self._write(_Line(text), x, y - LINE, "left")
        self._write(_Line("above 0"), x, y + 2 * LINE, "left")
        self._write(_Line("100 %"), x + BAR, y + 2 * LINE, "center")


def _subtitle(matrix: Matrix) -> Iterator[str]:
    how = "as real processes" if matrix.real else "on virtual time"
    yield (
        f"A client whose GPU jobs take {matrix.gpu_ms:g} ms, beside a light one that plays a film of "
        f"{BYSTANDER_RATE:g} Hz on the same 60 Hz screen; {matrix.seconds:g} s a cell, {how}, seed {matrix.seed}."
    )
    yield (
        "p50/p99 in ms. c2p: commit to presented. f2p: begin of the frame to presented, where that differs. "
        "Cells that came to the same are one."
    )


def _refusal(block: Block) -> tuple[str, ...]:
    """What cannot be where; nothing for a block that works."""
    return () if block.first.works else (block.first.why, *block.acquires, *block.displays)


def _refused_to_all(rows: Sequence[Sequence[Block]]) -> dict[tuple[str, ...], Block]:
    """What is refused to every client alike, if there are several."""
    common = set.intersection(*({_refusal(block) for block in row} for row in rows)) - {()}
    if len(rows) == 1:
        return {}
    return {_refusal(block): block for block in rows[0] if _refusal(block) in common}


def _colour(cell: Cell) -> object:
    if not cell.works:
        return "#F2F2F2"
    if cell.bystander is not None and cell.bystander.missed_vblanks:
        return HARMED(cell.bystander.late / cell.bystander.frames)
    return STALLED(max(stall.share for stall in cell.stalls)) if cell.stalls else "white"


def _lines(block: Block, *, width: float) -> list[_Line]:
    lines: Iterable[_Line] = _told(block.first) if block.first.works else [_Line(block.first.why)]
    return [_Line(text, line.is_bold) for line in lines for text in _wrapped(line.text, width)]


def _told(cell: Cell) -> Iterator[_Line]:
    if not cell.stalls:
        yield _Line("nobody stalls", is_bold=True)
    for stall in cell.stalls:
        yield _Line(stall.thread, is_bold=True)
        yield _Line(f"{stall.call} {both(stall.durations)}")
    if cell.last_resort_stalls:
        yield _Line(f"{cell.last_resort_stalls} last-resort stalls")
    for hold in cell.holds:
        yield _Line(f"{hold.why} watched {both(hold.durations)}")
    yield _Line(
        f"c2p {both(cell.c2p)}" if cell.f2p == cell.c2p else f"c2p {both(cell.c2p)}, f2p {both(cell.f2p)}"
    )
    if cell.bystander is not None and cell.bystander.missed_vblanks:
        beside = cell.bystander
        yield _Line(f"bystander: {beside.late} of {beside.frames} late", is_bold=True)


def _font(line: _Line) -> FontProperties:
    return FontProperties(size=SIZE, weight="bold" if line.is_bold else "normal")


def _wrapped(text: str, width: float) -> Iterator[str]:
    """In lines no wider than that; names break at their underscores."""
    line = ""
    for word in re.findall(r"[^ _]+[ _]*", text):
        if line and _measured((line + word).rstrip()) > width:
            yield line.rstrip()
            line = ""
        line += word
    yield line.rstrip()


@cache
def _measured(text: str) -> float:
    """As wide as it is in bold, in points."""
    width, _, _ = text_to_path.get_text_width_height_descent(
        text, _font(_Line(text, is_bold=True)), ismath=False
    )
    return float(width)
