"""The suite judged: a compositor with one rule broken is caught by the cases that stand on that rule.

The unbroken one is not: every case is a test of its own in `tests/conformance`.
"""

from collections import Counter
from pathlib import Path

import pytest
from mutants.catalogue import MUTANTS, UNBROKEN
from mutants.mutant import Mutant, breaks
from mutants.page import page

from syncline.compositor.core.state import PendingState
from syncline.conformance.case import Case
from syncline.conformance.catalogue import cases
from syncline.conformance.judge import Verdict, judge
from syncline.conformance.requirement import requirements
from syncline.lab.conform.virtual import VirtualTarget

CASES: dict[str, Case] = {case.id: case for case in cases()}
PAGE = Path(__file__).parents[3] / "docs" / "mutants.md"


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.name)
def test_a_broken_rule_is_caught(mutant: Mutant) -> None:
    used = set()
    with mutant.alive() as ran:
        for killer in mutant.killed_by:
            ran.clear()
            result = judge(CASES[killer], VirtualTarget(), seed=0, practice=True)
            assert ran, f"{killer} never came to {mutant.seams[0]}"
            assert result.verdict is Verdict.FAIL, f"{killer}: {result.verdict.value}, {result.reason}"
            used |= ran
    assert used == set(mutant.seams), "a seam that no killer needs"


def test_a_mutant_is_killed_by_cases_that_name_what_it_breaks() -> None:
    for mutant in MUTANTS:
        named = [set(CASES[each].statements) & set(mutant.breaks) for each in mutant.killed_by]
        assert all(named), f"{mutant.name}: a killer that stands on something else"
        assert set().union(*named) == set(mutant.breaks), f"{mutant.name}: nobody stands on some of it"


def test_every_statement_is_broken_by_a_mutant_or_says_why_not() -> None:
    broken = {statement for mutant in MUTANTS for statement in mutant.breaks}
    assert not broken & set(UNBROKEN)
    assert broken | set(UNBROKEN) == set(requirements())


def test_mutants_have_names_of_their_own_and_say_what_they_do() -> None:
    assert [name for name, count in Counter(each.name for each in MUTANTS).items() if count > 1] == []
    assert [each.name for each in MUTANTS if not each.sentence.endswith(".")] == []


def test_a_seam_that_is_gone_is_an_error() -> None:
    @breaks("S29", at=(PendingState, "heir"), killed_by="VAL-23")
    def points_stick(heir: object) -> None:
        """Never called."""

    with pytest.raises(AttributeError, match="heir"), points_stick.alive():
        pass


def test_a_seam_is_as_it_was_once_its_mutant_is_dead() -> None:
    for mutant in MUTANTS:
        before = [getattr(seam.owner, seam.name) for seam in mutant.seams]
        with mutant.alive():
            assert [getattr(seam.owner, seam.name) for seam in mutant.seams] != before
        assert [getattr(seam.owner, seam.name) for seam in mutant.seams] == before


def test_the_page_tells_of_the_mutants_there_are() -> None:
    assert PAGE.read_text() == page(), "PYTHONPATH=tests python -m mutants > docs/mutants.md"
