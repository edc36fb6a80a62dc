"""The list of what is to be translated, against the numbers and the tables of the spec."""

from errno import EINVAL, ETIME

import pytest
from igt.flavour import BINARY, TIMELINE, Flavour
from igt.matrix import cases
from igt.program import CORE_SET, COUNTS


def test_the_core_set_has_237_subtests() -> None:
    assert {program: len(subtests) for program, subtests in CORE_SET.items()} == COUNTS
    assert sum(COUNTS.values()) == 237


@pytest.mark.parametrize(
    ("flavour", "count", "by_end"),
    [(BINARY, 39, {0: 12, ETIME: 17, EINVAL: 10}), (TIMELINE, 79, {0: 38, ETIME: 31, EINVAL: 10})],
    ids=["binary", "timeline"],
)
def test_the_axes_give_the_matrix_that_igt_documents(
    flavour: Flavour, count: int, by_end: dict[int, int]
) -> None:
    documented = {name: end for name, end in CORE_SET[flavour.program].items() if end is not None}
    generated = [(case.name, case.errno) for case in cases(flavour)]
    assert len(generated) == len(documented) == count
    assert dict(generated) == documented
    assert {end: [*documented.values()].count(end) for end in by_end} == by_end
