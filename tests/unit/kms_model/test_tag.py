import numpy as np
import pytest
from hypothesis import given, strategies as st

from syncline.kms_model import tag
from syncline.kms_model.tag import BOTTOM, TOP, Found, Image, Torn, find_tags, torn

DESKTOP = 0xFF336699


def desktop(width: int = 400, height: int = 300) -> Image:
    return np.full((height, width), DESKTOP, dtype=np.uint32)


def put(image: Image, *, x: int, y: int, client: int, frame: int, end: int) -> None:
    image[y : y + tag.HEIGHT, x : x + tag.WIDTH] = tag.strip(client=client, frame=frame, end=end)


def window(image: Image, *, x: int, y: int, client: int, frame: int, bottom: int | None) -> None:
    """A window 200 rows high whose bottom strip says frame `bottom`, or was never painted."""
    put(image, x=x, y=y, client=client, frame=frame, end=TOP)
    if bottom is not None:
        put(image, x=x, y=y + 196, client=client, frame=bottom, end=BOTTOM)


@given(
    client=st.integers(0, 255),
    frame=st.integers(0, 65535),
    end=st.integers(0, 1),
    x=st.integers(0, 400 - tag.WIDTH),
    y=st.integers(0, 300 - tag.HEIGHT),
    background=st.integers(0, 0xFFFFFFFF),
)
def test_a_strip_is_found_wherever_it_is_and_whatever_it_says(
    client: int, frame: int, end: int, x: int, y: int, background: int
) -> None:
    image = np.full((300, 400), background, dtype=np.uint32)
    put(image, x=x, y=y, client=client, frame=frame, end=end)

    assert find_tags(image) == [Found(client, frame, end, x, y)]


def test_the_unused_byte_of_xrgb_does_not_matter() -> None:
    image = desktop()
    put(image, x=3, y=5, client=9, frame=300, end=BOTTOM)

    assert find_tags(image & 0x00FFFFFF) == find_tags(image) == [Found(9, 300, BOTTOM, 3, 5)]


def test_many_windows_are_listed_from_top_to_bottom() -> None:
    image = desktop()
    put(image, x=200, y=10, client=2, frame=7, end=TOP)
    put(image, x=20, y=50, client=1, frame=8, end=TOP)
    put(image, x=100, y=50, client=3, frame=9, end=TOP)

    assert [found.client for found in find_tags(image)] == [2, 1, 3]


def test_a_strip_that_another_window_covers_in_part_is_not_a_strip() -> None:
    image = desktop()
    put(image, x=20, y=50, client=1, frame=8, end=TOP)
    image[53, 60] = DESKTOP

    assert find_tags(image) == []


@pytest.mark.parametrize("row", range(tag.HEIGHT))
def test_a_strip_that_the_engine_has_painted_in_part_is_not_a_strip(row: int) -> None:
    image = desktop()
    put(image, x=20, y=50, client=1, frame=8, end=TOP)
    image[50 + row] = tag.strip(client=1, frame=7, end=TOP)[row, 0]

    assert find_tags(image) == []


def test_one_wrong_bit_is_noticed() -> None:
    word = tag._word(77, 4711, 1)
    for place in range(tag.BITS):
        image = desktop(tag.WIDTH, tag.HEIGHT)
        bits = [(word ^ 1 << place) >> (tag.BITS - 1 - n) & 1 for n in range(tag.BITS)]
        image[...] = np.repeat(tag._COLORS[np.array(bits)], tag.WIDTH // tag.BITS)

        assert find_tags(image) == []


def test_an_image_smaller_than_a_strip_holds_none() -> None:
    assert find_tags(desktop(tag.WIDTH - 1, 10)) == []
    assert find_tags(desktop(200, tag.HEIGHT - 1)) == []


def test_a_wall_in_a_strip_colour_is_not_a_strip() -> None:
    image = desktop()
    image[...] = tag._COLORS[1]

    assert find_tags(image) == []


def test_a_whole_frame_is_not_torn() -> None:
    image = desktop()
    window(image, x=10, y=20, client=4, frame=100, bottom=100)

    assert torn(image) == []


def test_a_frame_over_the_rest_of_its_predecessor_is_torn() -> None:
    image = desktop()
    window(image, x=10, y=20, client=4, frame=100, bottom=98)

    assert torn(image) == [Torn(4, 100, 98, 10, 20)]


def test_a_frame_without_a_bottom_is_torn() -> None:
    image = desktop()
    window(image, x=10, y=20, client=4, frame=100, bottom=None)

    assert torn(image) == [Torn(4, 100, None, 10, 20)]


def test_a_neighbour_does_not_lend_its_bottom() -> None:
    image = desktop()
    window(image, x=10, y=20, client=4, frame=100, bottom=None)
    window(image, x=200, y=30, client=5, frame=100, bottom=100)

    assert [fault.client for fault in torn(image)] == [4]


def test_two_windows_of_one_client_above_each_other_are_told_apart() -> None:
    image = desktop(400, 500)
    window(image, x=10, y=20, client=4, frame=100, bottom=None)
    window(image, x=10, y=250, client=4, frame=101, bottom=101)

    assert torn(image) == [Torn(4, 100, None, 10, 20)]
