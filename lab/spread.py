"""Many values in few: nearest-rank percentiles, of values that really occurred."""

from collections.abc import Iterable

import msgspec


class Spread(msgspec.Struct, frozen=True, kw_only=True):
    """Of one quantity, in ns. Of fewer than 100 values p99 is the greatest."""

    count: int
    p50: int
    p99: int
    max: int


def percentile(values: Iterable[int], percent: int) -> int | None:
    """Nearest rank: a value that really occurred. None of nothing."""
    ordered = sorted(values)
    if not ordered:
        return None
    return ordered[max(0, -(-percent * len(ordered) // 100) - 1)]


def total(values: Iterable[int | None]) -> int | None:
    """The sum of those that are known; None if none is."""
    known = [value for value in values if value is not None]
    return sum(known) if known else None


def spread(values: Iterable[int | None]) -> Spread | None:
    """None of nothing."""
    known = [value for value in values if value is not None]
    p50, p99 = percentile(known, 50), percentile(known, 99)
    if p50 is None or p99 is None:
        return None
    return Spread(count=len(known), p50=p50, p99=p99, max=max(known))
