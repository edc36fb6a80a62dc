"""What is known to fail, to flake and to be left out, in the files that Mesa and DRM CI use.

`NAME-fails.txt` has a line `CASE,Fail` for each; beside it `NAME-flakes.txt` and `NAME-skips.txt` have
a regular expression a line. A `#` begins a comment.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from syncline.conformance.judge import Result, Verdict
from syncline.lab.exit import Usage

FAILS: Final = "-fails.txt"


@dataclass(frozen=True, slots=True)
class Baseline:
    """`surprise` says what was not to be expected."""

    fails: frozenset[str] = frozenset()
    flakes: tuple[re.Pattern[str], ...] = ()
    skips: tuple[re.Pattern[str], ...] = ()

    def leaves_out(self, case: str) -> bool:
        return any(each.search(case) for each in self.skips)

    def surprise(self, result: Result) -> str:
        """`UnexpectedFail`, `UnexpectedPass`, or nothing."""
        if any(each.search(result.case) for each in self.flakes):
            return ""
        is_known = result.case in self.fails
        if result.is_bad and not is_known:
            return "UnexpectedFail"
        if is_known and result.verdict in {Verdict.PASS, Verdict.WARN}:
            return "UnexpectedPass"
        return ""


def load(path: Path) -> Baseline:
    """From the file of fails and those beside it. Raises Usage."""
    try:
        fails = frozenset(line.partition(",")[0] for line in _lines(path))
    except OSError as error:
        raise Usage(f"no baseline at {path}: {error.strerror}") from None
    stem = str(path).removesuffix(FAILS)
    return Baseline(
        fails=fails,
        flakes=_patterns(Path(f"{stem}-flakes.txt")),
        skips=_patterns(Path(f"{stem}-skips.txt")),
    )


def _lines(path: Path) -> Iterable[str]:
    for line in path.read_text().splitlines():
        if text := line.partition("#")[0].strip():
            yield text


def _patterns(path: Path) -> tuple[re.Pattern[str], ...]:
    if not path.exists():
        return ()
    try:
        return tuple(re.compile(each) for each in _lines(path))
    except re.error as error:
        raise Usage(f"{path}: {error}") from None
