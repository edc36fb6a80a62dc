"""Checkers that overlook one rule: everything else they still report."""

from typing import Final

from mutants.mutant import Broken, Mutant, Seam
from syncline.kms_model.checker.ledger import Ledger
from syncline.kms_model.checker.report import Report

LITMUS: Final = "checker/test_litmus.py::test_a_litmus_program_gets_exactly_its_verdict"
WARNINGS: Final = "kms/test_checked.py::test_what_the_kernel_itself_warns_of_is_a_finding"
KILLERS: Final = {
    "K1": f"{LITMUS}[job_waits_for_a_user_point]",
    "K2": f"{LITMUS}[nobody_bounds_it]",
    "K3": f"{LITMUS}[locks_in_both_orders]",
    "K6": f"{LITMUS}[stall_under_a_lock]",
    "K7": f"{LITMUS}[error_after_the_signal]",
    "K8": f"{LITMUS}[seqnos_going_down]",
    "K9": f"{LITMUS}[array_in_array]",
    "K10": f"{LITMUS}[callback_sleeps]",
    "K11": f"{LITMUS}[released_with_a_waiter]",
    "K13": "kms/test_checked_commits.py",
    "K14": "kms/test_checked_commits.py",
    "K15": "kms/test_checked_commits.py",
    "K19": f"{LITMUS}[two_writers]",
    "K20": f"{LITMUS}[unordered_points]",
    "K21": "checker/test_races.py",
    "K22": "checker/test_races.py",
    "K24": f"{LITMUS}[job_left_running]",
    "H3": WARNINGS,
    "WARN": WARNINGS,
}


def _overlooking(rule: str) -> Mutant:
    def overlooks(enter: Broken, self: Ledger, report: Report) -> None:
        if report.rule != rule:
            enter(self, report)

    return Mutant(
        f"overlooks {rule}", f"Nothing is said of {rule}.", (rule,), (KILLERS[rule],),
        (Seam(Ledger, "enter", overlooks),),
    )  # fmt: skip


MUTANTS: Final = tuple(_overlooking(rule) for rule in KILLERS)
