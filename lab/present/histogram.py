"""How often which latency occurred, in bins that meet at the vblanks."""

from collections.abc import Sequence
from itertools import pairwise
from typing import Final, NamedTuple

BINS_A_REFRESH: Final = (8, 4, 2, 1)
BINS_MAX: Final = 24
REFRESH_NS: Final = 16_666_667
"""Of a screen that does not say: only how wide the bins are hangs on it."""


class Bin(NamedTuple):
    """From `low_ns` on. `is_at_vblank`: a whole number of refreshes begins it."""

    low_ns: int
    frames: int
    is_at_vblank: bool


def bins(values_ns: Sequence[int], *, refresh_ns: int | None) -> list[Bin]:
    """As fine as fits; the last one takes whatever is longer."""
    refresh_ns = refresh_ns or REFRESH_NS
    longest_ns = max(values_ns)
    parts = next((each for each in BINS_A_REFRESH if longest_ns * each // refresh_ns < BINS_MAX), 1)
    number = min(BINS_MAX, longest_ns * parts // refresh_ns + 1)
    edges = [index * refresh_ns // parts for index in range(number)] + [longest_ns + 1]
    return [
        Bin(low_ns, sum(low_ns <= value < high_ns for value in values_ns), index % parts == 0)
        for index, (low_ns, high_ns) in enumerate(pairwise(edges))
    ]
