"""docs/mutants.md: who is killed by whom."""

from mutants.catalogue import MUTANTS, PARTS, UNBROKEN
from mutants.kernel.catalogue import MUTANTS as MACHINES, PARTS as MACHINE_PARTS
from mutants.mutant import Mutant

INTRODUCTION = f"""# What the suite would notice

A suite that passes proves little until it fails where it should. So `syncline conform`'s cases are run against
{len(MUTANTS)} Synclines that break one rule each; what a mutant breaks has to be noticed by cases that stand on that
very statement, with a verdict and not with a crash. `tests/mutants/` has them,
[decision 0006](decisions/0006-mutants.md) says why they are made as they are, and `tests/unit/conformance/test_mutants.py`
kills them. This page is made by `PYTHONPATH=tests python -m mutants > docs/mutants.md`, and a test sees to it that it is.
"""


MACHINE = f"""# The machine's mutants

{len(MACHINES)} machines that break one rule of the kernel each: the recordings of real kernels notice (`replay:`, see
[scenarios.md](scenarios.md)), or a test of the machine does (under `tests/unit/kms_model/`). The last of them are checkers that
overlook a rule. `tests/unit/kms_model/test_mutants.py` kills them.
"""


def page() -> str:
    """The whole file."""
    parts = [INTRODUCTION, *(_part(title, mutants) for title, mutants in PARTS.items())]
    excuses = "\n".join(f"| {statement} | {why} |" for statement, why in UNBROKEN.items())
    parts.append(f"## Statements without a mutant\n\n| | |\n|---|---|\n{excuses}\n")
    parts += [MACHINE, *(_part(title, mutants) for title, mutants in MACHINE_PARTS.items())]
    return "\n".join(parts)


def _part(title: str, mutants: tuple[Mutant, ...]) -> str:
    head = "| mutant | instead of what it should | breaks | killed by |\n|---|---|---|---|\n"
    return f"## {title}\n\n{head}" + "".join(_row(mutant) for mutant in mutants)


def _row(mutant: Mutant) -> str:
    killers = " ".join(f"`{each}`" if "::" in each or ":" in each else each for each in mutant.killed_by)
    return f"| {mutant.name} | {mutant.sentence} | {' '.join(mutant.breaks)} | {killers} |\n"
