"""docs/mutants.md: who is killed by whom."""

from mutants.catalogue import MUTANTS, PARTS, UNBROKEN
from mutants.mutant import Mutant

INTRODUCTION = f"""# What the suite would notice

A suite that passes proves little until it fails where it should. So `syncline conform`'s cases are run against
{len(MUTANTS)} Synclines that break one rule each; what a mutant breaks has to be noticed by cases that stand on that
very statement, with a verdict and not with a crash. `tests/mutants/` has them,
[decision 0006](decisions/0006-mutants.md) says why they are made as they are, and `tests/unit/conformance/test_mutants.py`
kills them. This page is made by `PYTHONPATH=tests python -m mutants > docs/mutants.md`, and a test sees to it that it is.
"""


def page() -> str:
    """The whole file."""
    parts = [INTRODUCTION]
    for title, mutants in PARTS.items():
        rows = "\n".join(_row(mutant) for mutant in mutants)
        parts.append(
            f"## {title}\n\n| mutant | instead of what it should | breaks | killed by |\n|---|---|---|---|\n{rows}\n"
        )
    excuses = "\n".join(f"| {statement} | {why} |" for statement, why in UNBROKEN.items())
    parts.append(f"## Statements without a mutant\n\n| | |\n|---|---|\n{excuses}\n")
    return "\n".join(parts)


def _row(mutant: Mutant) -> str:
    return f"| {mutant.name} | {mutant.sentence} | {' '.join(mutant.breaks)} | {' '.join(mutant.killed_by)} |"
