"""The picture: what it must tell a checker that only sees pixels."""

import numpy as np

from syncline.clients.toolkit.options import Options
from syncline.clients.toolkit.painting import paint_by_cpu, picture
from syncline.kms_model import raster, tag

SIZE = (160, 120)


def blank() -> raster.Image:
    return np.zeros((SIZE[1], SIZE[0]), dtype=np.uint32)


def commands(frame: int, *, client: int = 3) -> tuple[raster.Command, ...]:
    return picture(Options(title="typist", client_id=client), SIZE, frame)


def test_a_finished_picture_names_its_client_and_frame_at_both_ends() -> None:
    image = blank()

    paint_by_cpu(image, commands(7))

    assert [(each.client, each.frame, each.end) for each in tag.find_tags(image)] == [
        (3, 7, tag.TOP),
        (3, 7, tag.BOTTOM),
    ]
    assert tag.torn(image) == []


def test_a_picture_painted_half_over_its_predecessor_is_found_torn() -> None:
    image = blank()
    paint_by_cpu(image, commands(7))

    raster.paint(image, commands(8), lambda _: image, top=0, bottom=SIZE[1] // 2)

    (fault,) = tag.torn(image)
    assert (fault.frame, fault.bottom_frame) == (8, 7)


def test_the_bar_moves_from_frame_to_frame() -> None:
    first, second = blank(), blank()
    paint_by_cpu(first, commands(1))
    paint_by_cpu(second, commands(2))

    middle = SIZE[1] // 2
    assert (first[middle] != second[middle]).any()


def test_two_clients_are_told_apart_by_their_colours() -> None:
    mine, yours = blank(), blank()
    paint_by_cpu(mine, commands(1, client=1))
    paint_by_cpu(yours, commands(1, client=2))

    assert mine[tag.HEIGHT + 1, -1] != yours[tag.HEIGHT + 1, -1]
