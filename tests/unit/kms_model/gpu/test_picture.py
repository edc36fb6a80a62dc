import numpy as np
import pytest

from syncline.kms_model.buffers.buffer import GemObject
from syncline.kms_model.gpu.engine import SLICE_NS
from syncline.kms_model.gpu.picture import Picture, Pixels
from syncline.kms_model.uapi import Blit, Fill

MS = 1_000_000
RED = 0xFFFF0000


def canvas(width: int = 32, height: int = 16) -> Pixels:
    return Pixels(GemObject(-(-width * height * 4 // 4096) * 4096), width, height, width * 4)


def test_rows_appear_from_the_top_in_proportion_to_the_time_spent() -> None:
    target = canvas()
    picture = Picture(target, (Fill((0, 0, 32, 16), RED),), {}, 16 * MS)

    picture.paint_until(0)
    assert not target.view().any()
    picture.paint_until(4 * MS)
    assert (target.view()[:4] == RED).all()
    assert not target.view()[4:].any()
    picture.paint_until(16 * MS)
    assert (target.view() == RED).all()


def test_a_list_that_costs_more_than_its_duration_takes_what_it_costs() -> None:
    target = canvas(1920, 1080)
    picture = Picture(target, tuple(Fill((0, 0, 1920, 1080), RED) for _ in range(10)), {}, 1)

    assert picture.duration_ns > 5 * MS


def test_the_picture_needs_the_asked_duration_exactly_when_painting_is_cheaper() -> None:
    assert Picture(canvas(), (Fill((0, 0, 32, 16), RED),), {}, 1_234_567).duration_ns == 1_234_567


def test_dear_rows_are_given_more_time_than_cheap_ones() -> None:
    target = canvas(1920, 1080)
    dear = tuple(Fill((0, 0, 1920, 540), RED) for _ in range(20))
    picture = Picture(target, dear, {}, 1)

    picture.paint_until(picture.duration_ns // 2)

    assert not target.view()[600:].any()
    assert int((target.view()[:540, 0] == RED).sum()) == pytest.approx(270, abs=2)


def test_an_undisturbed_step_never_contains_more_painting_than_allowed() -> None:
    target = canvas(1920, 1080)
    dear = tuple(Fill((0, 0, 1920, 108), RED) for _ in range(60))
    picture = Picture(target, dear, {}, 100 * MS)

    elapsed_ns = 0
    while elapsed_ns < picture.duration_ns:
        step_ns = max(SLICE_NS, picture.step_ns(elapsed_ns, paint_ns=SLICE_NS))
        before = picture._rows
        elapsed_ns += step_ns
        picture.paint_until(elapsed_ns)
        row_ns = 60 * (1920 * 300 + 100_000) // 1000
        assert picture._costs_ns[picture._rows] - picture._costs_ns[before] <= SLICE_NS + row_ns


def test_endless_durations_do_not_overflow() -> None:
    picture = Picture(canvas(8, 32_768), (), {}, (1 << 63) - 1)

    assert picture.duration_ns == 1 << 47
    assert (np.diff(picture._done_ns) > 0).all()


def test_two_blits_from_different_buffers_read_their_own_source() -> None:
    target, red, blue = canvas(), canvas(), canvas()
    red.view()[...] = RED
    blue.view()[...] = 0x0000FF
    whole = (0, 0, 16 << 8, 16 << 8)
    left = Blit(1, (32, 16), 128, whole, (0, 0, 16, 16), ((0, 0, 32, 16),))
    right = Blit(2, (32, 16), 128, whole, (16, 0, 16, 16), ((0, 0, 32, 16),))

    picture = Picture(target, (left, right), {0: red, 1: blue}, MS)
    picture.paint_until(MS)

    assert (target.view()[:, :16] == RED).all()
    assert (target.view()[:, 16:] == 0xFF0000FF).all()


@pytest.mark.parametrize(
    "pixels",
    [
        Pixels(GemObject(4096), 0, 4, 64),
        Pixels(GemObject(4096), 4, -1, 64),
        Pixels(GemObject(4096), 17, 4, 64),
        Pixels(GemObject(4096), 16, 65, 64),
        Pixels(GemObject(4096), 16, 4, 66),
        Pixels(GemObject(4096), 16, 64, 64, offset=4),
        Pixels(GemObject(4096), 16, 4, 64, offset=-4),
        Pixels(GemObject(4096), 16, 4, 64, offset=2),
    ],
)
def test_an_image_that_is_not_whole_pixels_inside_its_buffer_is_refused(pixels: Pixels) -> None:
    assert not pixels.fits()


def test_an_image_that_ends_with_its_buffer_fits() -> None:
    assert Pixels(GemObject(4096), 16, 64, 64).fits()
    assert Pixels(GemObject(4096), 8, 64, 64, offset=32).fits()
