"""The machine's tests judged: a machine with one rule broken disagrees with the recordings, or fails a test."""

import pytest
from mutants.kernel.catalogue import MUTANTS
from mutants.kernel.hunt import notices
from mutants.mutant import Mutant

from syncline.kms_model.checker.rule import RULES


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.name)
def test_a_broken_rule_is_caught(mutant: Mutant) -> None:
    with mutant.alive() as ran:
        for killer in mutant.killed_by:
            ran.clear()
            assert notices(killer), f"{killer} saw nothing wrong"
            assert ran == set(mutant.seams), f"{killer} never came to {mutant.seams[0]}"


def test_killers_see_nothing_wrong_with_the_unbroken_machine() -> None:
    assert not notices(*dict.fromkeys(killer for mutant in MUTANTS for killer in mutant.killed_by))


def test_every_rule_of_user_fences_in_commits_and_of_the_checker_is_broken_once() -> None:
    broken = {rule for mutant in MUTANTS for rule in mutant.breaks}
    assert {f"UR{number}" for number in range(1, 16)} <= broken
    assert set(RULES) <= broken
