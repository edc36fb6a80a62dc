"""Ratios: told when they are clear, refused when the run itself makes as much of a difference."""

import pytest

from syncline.lab.present.ratio import Sample, ratio

MS = 1_000_000


def sample(name: str, *rounds: list[int], percent: int = 50) -> Sample:
    return Sample(name, [[value * MS for value in each] for each in rounds], percent)


QUICK = sample("quick", [9, 10, 11] * 20, [10, 10, 11] * 20)
SLOW = sample("slow", [19, 20, 21] * 20, [20, 20, 22] * 20)


def test_a_clear_difference_has_a_ratio_with_its_interval() -> None:
    found = ratio("c2p p50", QUICK, SLOW, resolution_ns=MS, seed=1)

    assert (found.ratio, found.refused) == (0.5, "")
    assert found.low is not None
    assert found.high is not None
    assert found.low <= 0.5 <= found.high < 1
    assert (found.ours_ns, found.theirs_ns) == (10 * MS, 20 * MS)


def test_the_same_seed_gives_the_same_interval() -> None:
    once, again = (ratio("c2p p50", QUICK, SLOW, resolution_ns=0, seed=7) for _ in range(2))

    assert once == again


REFUSALS = [
    (QUICK, sample("slow", [11] * 60, [11] * 60), 2 * MS, "no more than a tick is late, 2.00 ms"),
    (QUICK, sample("slow", [12] * 60, [24] * 60), 0, "differed by 2.00 times from round to round"),
    (QUICK, sample("slow", [20] * 60), 0, "take --rounds 4"),
    (QUICK, sample("slow"), 0, "slow has too few frames"),
]


@pytest.mark.parametrize(("ours", "theirs", "resolution_ns", "why"), REFUSALS)
def test_a_difference_that_the_noise_could_have_made_has_no_ratio(
    ours: Sample, theirs: Sample, resolution_ns: int, why: str
) -> None:
    found = ratio("c2p p50", ours, theirs, resolution_ns=resolution_ns, seed=1)

    assert (found.ratio, found.low, found.high) == (None, None, None)
    assert why in found.refused


def test_an_interval_with_one_in_it_is_no_difference() -> None:
    two_minds = [8] * 40 + [30] * 41
    others = [8] * 41 + [30] * 40
    found = ratio(
        "c2p p50", sample("a", two_minds, two_minds), sample("b", others, others), resolution_ns=0, seed=1
    )

    assert found.ratio is None
    assert "has 1 in it" in found.refused
