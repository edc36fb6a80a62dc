"""Bins that meet at the vblanks, and lose nobody."""

from hypothesis import given, strategies as st

from syncline.lab.present.histogram import BINS_MAX, bins

REFRESH_NS = 16_666_667


@given(st.lists(st.integers(0, 10**10), min_size=1), st.sampled_from([None, 4_166_666, REFRESH_NS]))
def test_every_value_is_in_exactly_one_bin(values_ns: list[int], refresh_ns: int | None) -> None:
    found = bins(values_ns, refresh_ns=refresh_ns)

    assert sum(each.frames for each in found) == len(values_ns)
    assert len(found) <= BINS_MAX


def test_a_bin_begins_at_every_vblank() -> None:
    found = bins([REFRESH_NS - 1, REFRESH_NS, 2 * REFRESH_NS], refresh_ns=REFRESH_NS)

    assert [each.low_ns for each in found if each.is_at_vblank] == [0, REFRESH_NS, 2 * REFRESH_NS]
    assert [each.frames for each in found if each.frames] == [1, 1, 1]
