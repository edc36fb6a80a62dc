"""Two compositors compared: the ratio, how sure it is, and when it must not be told."""

from collections.abc import Sequence
from typing import Final, NamedTuple

import msgspec
import numpy as np
from numpy.typing import NDArray

RESAMPLES: Final = 2_000
CONFIDENCE_PERCENT: Final = 95
LEAST_ROUNDS: Final = 2


class Sample(NamedTuple):
    """Values in ns, round by round, and the percentile of them that is compared."""

    name: str
    rounds: Sequence[Sequence[int]]
    percent: int

    @property
    def value(self) -> float:
        return _percentile(np.concatenate([np.asarray(each) for each in self.rounds]), self.percent)

    @property
    def noise(self) -> float:
        """The highest of its rounds over the lowest: what repeating it changes, though nothing else did."""
        values = [_percentile(np.asarray(each), self.percent) for each in self.rounds]
        return max(values) / min(values) if min(values) > 0 else float("inf")


class Ratio(msgspec.Struct, frozen=True, kw_only=True):
    """`ours` over `theirs` with its 95 % interval. All None when the run cannot tell, and `refused` says why."""

    what: str
    ours: str
    theirs: str
    ours_ns: float | None = None
    theirs_ns: float | None = None
    ratio: float | None = None
    low: float | None = None
    high: float | None = None
    noise: float | None = None
    refused: str = ""


def ratio(what: str, ours: Sample, theirs: Sample, *, resolution_ns: int, seed: int) -> Ratio:
    """`resolution_ns`: differences not above it are none."""
    named = Ratio(what=what, ours=ours.name, theirs=theirs.name)
    for sample in (ours, theirs):
        if not sample.rounds:
            return _refuse(named, f"{sample.name} has too few frames that were shown")
        if len(sample.rounds) < LEAST_ROUNDS:
            return _refuse(named, "one round cannot tell its own noise: take --rounds 4")
    noise = max(ours.noise, theirs.noise)
    known = msgspec.structs.replace(
        named, ours_ns=ours.value, theirs_ns=theirs.value, noise=noise if np.isfinite(noise) else None
    )
    if abs(ours.value - theirs.value) <= resolution_ns:
        return _refuse(known, f"they differ by no more than a tick is late, {resolution_ns / 1e6:.2f} ms")
    if not np.isfinite(noise) or theirs.value <= 0:
        return _refuse(known, "a value is not above zero")
    found = ours.value / theirs.value
    if max(found, 1 / found) <= noise:
        return _refuse(known, f"the same thing differed by {noise:.2f} times from round to round")
    low, high = _interval(ours, theirs, seed=seed)
    if low <= 1 <= high:
        return _refuse(known, f"the interval {low:.2f} to {high:.2f} has 1 in it")
    return msgspec.structs.replace(known, ratio=found, low=low, high=high)


def _refuse(known: Ratio, why: str) -> Ratio:
    return msgspec.structs.replace(known, refused=why)


def _interval(ours: Sample, theirs: Sample, *, seed: int) -> tuple[float, float]:
    """Bootstrap in two stages, rounds and then frames in them: frames of one round resemble each other."""
    lots = np.random.default_rng(seed)
    ratios = [_resampled(ours, lots) / _resampled(theirs, lots) for _ in range(RESAMPLES)]
    tail = (100 - CONFIDENCE_PERCENT) / 2
    low, high = np.percentile(ratios, [tail, 100 - tail])
    return float(low), float(high)


def _resampled(sample: Sample, lots: np.random.Generator) -> float:
    chosen = lots.integers(len(sample.rounds), size=len(sample.rounds))
    drawn = [lots.choice(np.asarray(sample.rounds[each]), size=len(sample.rounds[each])) for each in chosen]
    return _percentile(np.concatenate(drawn), sample.percent)


def _percentile(values: NDArray[np.int64], percent: int) -> float:
    """Nearest rank: a value that really occurred."""
    return float(np.percentile(values, percent, method="inverted_cdf"))
