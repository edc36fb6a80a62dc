"""How long a thing takes: many short rounds, and the median of them."""

import time
from collections.abc import Callable
from statistics import median
from typing import Final

import msgspec

ROUNDS: Final = 15
WARM_UP: Final = 1

Action = Callable[[], object]


class Pair(msgspec.Struct, frozen=True):
    """Two costs of one call in ns, and the median of the ratios of neighbouring rounds."""

    ours_ns: float
    bare_ns: float
    ratio: float


def cost_ns(action: Action, *, calls: int) -> float:
    """Nanoseconds per call: the median of ROUNDS rounds of `calls` calls each."""
    return median([_round_ns(action, calls) for _ in range(WARM_UP + ROUNDS)][WARM_UP:])


def compare(ours: Action, bare: Action, *, calls: int, prepare: Action = lambda: None) -> Pair:
    """Rounds of both take turns, so that whatever else the machine does hits both alike.

    `prepare` is called before each round of `ours`, and not timed.
    """
    rounds = []
    for _ in range(WARM_UP + ROUNDS):
        prepare()
        rounds.append((_round_ns(ours, calls), _round_ns(bare, calls)))
    ours_ns, bare_ns = zip(*rounds[WARM_UP:], strict=True)
    return Pair(median(ours_ns), median(bare_ns), median(one / other for one, other in rounds[WARM_UP:]))


def _round_ns(action: Action, calls: int) -> float:
    begin_ns = time.perf_counter_ns()
    for _ in range(calls):
        action()
    return (time.perf_counter_ns() - begin_ns) / calls
