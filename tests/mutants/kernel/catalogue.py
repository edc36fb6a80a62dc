"""Every mutant of the machine. What they break are the numbers of kernel.md: sections, H, K and UR."""

from collections.abc import Mapping
from typing import Final

from mutants.kernel import checker, commits, timelines
from mutants.mutant import Mutant

PARTS: Final[Mapping[str, tuple[Mutant, ...]]] = {
    (module.__doc__ or "").strip(): tuple(each for each in vars(module).values() if isinstance(each, Mutant))
    for module in (timelines, commits)
} | {(checker.__doc__ or "").strip(): checker.MUTANTS}
"""By the sentence of their module."""

MUTANTS: Final = tuple(mutant for part in PARTS.values() for mutant in part)
