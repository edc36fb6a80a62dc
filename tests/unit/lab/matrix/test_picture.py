"""The heat map: what is written in a cell is inside it, and it has every cell."""

from itertools import product
from pathlib import Path

import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.transforms import Bbox

from syncline.compositor.core.policy import AcquireMode
from syncline.lab.drawing import style
from syncline.lab.matrix.outcome import Matrix
from syncline.lab.matrix.picture import Box, draw, heat_map, write_png
from syncline.lab.matrix.plan import ACQUIRES, DISPLAYS, Client, Compositor, Kms, Place
from syncline.lab.matrix.verdict import Bystander, Cell, Hold, Stall
from syncline.lab.spread import Spread

LONG = Spread(count=100, p50=1_234_567_890, p99=4_999_999_999, max=5_000_000_000)
REASON = "the compositor does not offer wp_linux_drm_syncobj_manager_v1, which this demo needs"


def cell(place: Place, number: int) -> Cell:
    """Each unlike its neighbours, with as much to say as any."""
    stalls = tuple(
        Stall(thread=thread, call=call, behind="", durations=LONG, share=share)
        for thread, call, share in (
            ("client submit thread", "SYNCOBJ_TIMELINE_WAIT", 0.9),
            ("kernel commit worker", "PENDING_USER", 0.1),
        )
    )
    return Cell(
        client=place.client.value,
        compositor=place.compositor.value,
        acquire=place.acquire.value,
        kms=place.kms.value,
        works=number % 4 != 0,
        why=f"{number}: {REASON}",
        claims_isolation=True,
        stalls=stalls[: number % 3],
        holds=(Hold(why="acquire-point", durations=LONG),),
        c2p=LONG,
        f2p=LONG,
        bystander=Bystander(frames=200, late=100 * (number % 5 > 0), missed_vblanks=number % 5, c2p=LONG),
        last_resort_stalls=number % 2 * 1000,
        command="",
    )


def matrix_of(*places: Place) -> Matrix:
    cells = tuple(cell(place, number) for number, place in enumerate(places))
    return Matrix(command="", seed=0, seconds=4, gpu_ms=24, real=False, cells=cells)


EVERY_PLACE = tuple(
    Place(client, compositor, acquire, kms)
    for compositor, client, acquire, kms in product(Compositor, Client, AcquireMode, Kms)
)
ONE_COLUMN = tuple(place for place in EVERY_PLACE if place[2:] == (AcquireMode.SIGNAL_WAIT, Kms.DMA))


def boxes_of(matrix: Matrix) -> list[tuple[Box, Bbox, list[Bbox]]]:
    """With the pixels that the frame and the texts cover."""
    with style("matrix"):
        drawing = draw(matrix)
        FigureCanvasAgg(drawing.figure).draw()  # places everything
        return [
            (box, box.frame.get_window_extent(), [text.get_window_extent() for text in box.texts])
            for box in drawing.boxes
        ]


@pytest.mark.parametrize("places", [EVERY_PLACE, ONE_COLUMN, EVERY_PLACE[:1]], ids=["all", "column", "one"])
def test_every_text_is_inside_its_cell_and_no_two_overlap(places: tuple[Place, ...]) -> None:
    for _, frame, texts in boxes_of(matrix_of(*places)):
        for number, text in enumerate(texts):
            assert frame.x0 <= text.x0
            assert text.x1 <= frame.x1
            assert frame.y0 <= text.y0
            assert text.y1 <= frame.y1
            for other in texts[number + 1 :]:
                assert Bbox.intersection(text, other) is None or not text.overlaps(other)


def test_cells_cover_the_sheet_without_overlapping() -> None:
    frames = [frame for _, frame, _ in boxes_of(matrix_of(*EVERY_PLACE))]

    assert len(frames) == len(EVERY_PLACE)
    for number, frame in enumerate(frames):
        shrunk = frame.padded(-1)
        assert not any(shrunk.overlaps(other) for other in frames[number + 1 :])


def test_a_cell_says_where_it_stalls_and_what_cannot_be_is_hatched() -> None:
    boxes = boxes_of(matrix_of(*EVERY_PLACE[:6]))

    said = [" ".join(text.get_text() for text in box.texts).replace("_ ", "_") for box, _, _ in boxes]
    assert REASON.split(",", maxsplit=1)[0] in said[0]
    assert "client submit thread SYNCOBJ_TIMELINE_WAIT" in said[1]
    assert "1000 last-resort stalls" in said[1]
    assert "bystander: 100 of 200 late" in said[1]
    assert "kernel commit worker PENDING_USER" in said[2]
    assert "nobody stalls" in said[3]
    assert [bool(box.frame.get_hatch()) for box, _, _ in boxes] == [True, False, False, False, True, False]


def test_what_is_refused_to_every_client_is_said_once() -> None:
    refused = [
        Cell(
            client=client.value,
            compositor="dma",
            acquire=acquire,
            kms=kms,
            works=acquire != "user-forward",
            why="only with user fences" if acquire == "user-forward" else "",
            claims_isolation=True,
            command="",
        )
        for client in Client
        for acquire in ACQUIRES
        for kms in DISPLAYS
    ]

    boxes = boxes_of(Matrix(command="", seed=0, seconds=4, gpu_ms=24, real=False, cells=tuple(refused)))

    hatched = [frame for box, frame, _ in boxes if box.frame.get_hatch()]
    assert len(hatched) == 1
    assert hatched[0].height > 5 * boxes[0][1].height


def test_the_same_matrix_is_the_same_picture(tmp_path: Path) -> None:
    matrix = matrix_of(*EVERY_PLACE[:12])

    for name in ("a.png", "b.png"):
        write_png(tmp_path / name, matrix)

    assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()
    assert heat_map(matrix) == heat_map(matrix)


def test_the_svg_can_be_read_and_stands_in_a_page() -> None:
    drawn = heat_map(matrix_of(*EVERY_PLACE[:6]))

    assert drawn.startswith("<svg")
    assert ">kernel commit worker</text>" in drawn
