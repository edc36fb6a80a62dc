"""All findings of a run: one full report for each class, a count of the rest, and what a finding does to the run."""

from collections import Counter
from collections.abc import Callable, Sequence
from enum import StrEnum
from fnmatch import fnmatchcase
from typing import NamedTuple

from syncline.kms_model.checker.report import Report, Severity, as_text, explained


class Policy(StrEnum):
    COLLECT = "collect"
    """Write it down."""
    RAISE = "raise"
    """An error raises `Violation` out of the machine."""
    RAISE_ON_WARN = "raise-on-warn"
    """A warning does, too."""


class Violation(Exception):
    """A rule was broken. The report is the text."""

    def __init__(self, report: Report) -> None:
        super().__init__(as_text(report))
        self.report = report


class Known(NamedTuple):
    """Findings that have a `reason`: those whose signature matches. They are only counted."""

    reason: str
    signature: str


class Ledger:
    """`tell` hears of each full report once."""

    def __init__(
        self,
        policy: Policy = Policy.COLLECT,
        *,
        known: Sequence[Known] = (),
        tell: Callable[[Report], None] | None = None,
    ) -> None:
        self.reports: dict[str, Report] = {}
        """The first of each class, by signature."""
        self.counts: Counter[str] = Counter()
        self.suppressed: Counter[str] = Counter()
        """By reason."""
        self._policy = policy
        self._known = tuple(known)
        self._tell = tell

    def enter(self, report: Report) -> None:
        """Raises Violation as the policy says, each time."""
        reason = self._reason(report.signature)
        if reason is not None:
            self.suppressed[reason] += 1
            return
        self.counts[report.signature] += 1
        if report.signature not in self.reports:
            report = self.reports[report.signature] = explained(report)
            if self._tell is not None:
                self._tell(report)
        if self._is_fatal(report.severity):
            raise Violation(self.reports[report.signature])

    def verdict(self) -> set[tuple[str, Severity]]:
        """Which rules were broken, and how badly."""
        return {(report.rule, report.severity) for report in self.reports.values()}

    def summary(self) -> list[str]:
        """One line for each class, and one for each reason not to look."""
        lines = [f"{self.counts[name]} x {report.sentence()}" for name, report in self.reports.items()]
        return lines + [f"{count} x suppressed: {reason}" for reason, count in self.suppressed.items()]

    def _reason(self, signature: str) -> str | None:
        return next((known.reason for known in self._known if fnmatchcase(signature, known.signature)), None)

    def _is_fatal(self, severity: Severity) -> bool:
        match self._policy:
            case Policy.COLLECT:
                return False
            case Policy.RAISE:
                return severity is Severity.ERROR
            case Policy.RAISE_ON_WARN:
                return severity is not Severity.INFO
