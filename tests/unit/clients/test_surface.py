"""Predicting the next vblank from the last presentation."""

import pytest

from syncline.clients.toolkit.surface import Vblank


@pytest.mark.parametrize(
    ("when_ns", "expected_ns"),
    [
        pytest.param(1000, 1016, id="at the vblank itself it is too late"),
        pytest.param(1001, 1016, id="just after it"),
        pytest.param(1015, 1016, id="just before the next one"),
        pytest.param(1050, 1064, id="some refreshes later"),
        pytest.param(990, 1000, id="before a presentation that lies in the future"),
    ],
)
def test_the_next_vblank_lies_on_the_grid_of_the_last_one(when_ns: int, expected_ns: int) -> None:
    assert Vblank(presented_ns=1000, refresh_ns=16).next_after(when_ns) == expected_ns


@pytest.mark.requirement("P8")
def test_without_a_constant_refresh_nothing_is_predicted() -> None:
    assert Vblank(presented_ns=1000, refresh_ns=0).next_after(1001) is None
