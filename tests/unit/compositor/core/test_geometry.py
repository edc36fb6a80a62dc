"""Regions are sets of pixels; extents turn buffer pixels into surface units."""

import pytest
from hypothesis import given, strategies as st

from syncline.compositor.core.buffer import NO_FD, Buffer, Origin
from syncline.compositor.core.errors import Violation
from syncline.compositor.core.extent import FIXED, check_size, check_viewport, extent_of
from syncline.compositor.core.geometry import Rect, Region
from syncline.compositor.core.state import PendingState
from syncline.kms_model.uapi import FORMAT_XRGB8888
from syncline.protocol.enums import WlSurface, WpViewport

SMALL = st.integers(0, 8)
RECTS = st.builds(Rect, SMALL, SMALL, SMALL, SMALL)


def pixels(rects: Region | list[Rect]) -> set[tuple[int, int]]:
    return {(x, y) for rect in rects for x in range(rect.x, rect.right) for y in range(rect.y, rect.bottom)}


@given(st.lists(RECTS, max_size=6), st.lists(RECTS, max_size=6))
def test_a_region_is_the_set_of_its_pixels_each_in_one_rectangle(
    added: list[Rect], taken: list[Rect]
) -> None:
    region, hole = Region(added), Region(taken)
    assert pixels(region) == pixels(added)
    assert region.area == len(pixels(added))
    assert pixels(region.common_with(hole)) == pixels(added) & pixels(taken)

    region.subtract_all(taken)

    assert pixels(region) == pixels(added) - pixels(taken)
    assert region.area == len(pixels(region))


def buffer(width: int, height: int) -> Buffer:
    return Buffer(Origin.DMABUF, width, height, FORMAT_XRGB8888, NO_FD)


@pytest.mark.parametrize(
    ("transform", "turned"),
    [
        (0, Rect(1, 2, 3, 4)), (1, Rect(14, 1, 4, 3)), (2, Rect(6, 14, 3, 4)), (3, Rect(2, 6, 4, 3)),
        (4, Rect(6, 2, 3, 4)), (5, Rect(2, 1, 4, 3)), (6, Rect(1, 14, 3, 4)), (7, Rect(14, 6, 4, 3)),
    ],
)  # fmt: skip
def test_buffer_damage_lands_where_the_transformed_buffer_shows_it(transform: int, turned: Rect) -> None:
    extent = extent_of(PendingState(transform=transform), buffer(10, 20))
    assert (extent.width, extent.height) == ((20, 10) if transform & 1 else (10, 20))
    assert extent.surface_rect(Rect(1, 2, 3, 4)) == turned


def test_buffer_damage_under_scale_and_viewport_is_rounded_outwards() -> None:
    scaled = extent_of(PendingState(scale=2), buffer(20, 20))
    assert scaled.surface_rect(Rect(1, 1, 2, 2)) == Rect(0, 0, 2, 2)

    state = PendingState(viewport_source=(5 * FIXED, 0, 10 * FIXED, 20 * FIXED), viewport_destination=(5, 10))
    shown = extent_of(state, buffer(20, 20))
    assert (shown.width, shown.height) == (5, 10)
    assert shown.surface_rect(Rect(6, 3, 1, 1)) == Rect(0, 1, 1, 1)
    assert shown.surface_rect(Rect(0, 0, 4, 4)).is_empty, "outside of what the viewport shows"


@pytest.mark.requirement("C20")
def test_a_buffer_that_does_not_divide_by_its_scale_is_refused() -> None:
    with pytest.raises(Violation) as refusal:
        check_size(PendingState(scale=3), buffer(30, 20))
    assert refusal.value.code is WlSurface.Error.INVALID_SIZE
    check_size(PendingState(scale=2), buffer(30, 20))


@pytest.mark.requirement("V2")
@pytest.mark.parametrize(
    ("source", "destination", "code"),
    [
        ((0, 0, 10 * FIXED + 1, 10 * FIXED), None, WpViewport.Error.BAD_SIZE),
        ((0, 0, 21 * FIXED, 10 * FIXED), (5, 5), WpViewport.Error.OUT_OF_BUFFER),
        ((15 * FIXED, 0, 10 * FIXED, 10 * FIXED), None, WpViewport.Error.OUT_OF_BUFFER),
    ],
)
def test_a_viewport_that_does_not_fit_its_buffer_is_refused(
    source: tuple[int, int, int, int], destination: tuple[int, int] | None, code: WpViewport.Error
) -> None:
    with pytest.raises(Violation) as refusal:
        check_viewport(PendingState(viewport_source=source, viewport_destination=destination), buffer(20, 20))
    assert refusal.value.code is code
