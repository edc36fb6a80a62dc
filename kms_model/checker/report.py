"""One finding: everything that somebody needs to understand it without running anything again."""

from enum import StrEnum
from typing import Final

import msgspec

from syncline.kms_model.checker.rule import RULES

NS_PER_S: Final = 1_000_000_000


class Severity(StrEnum):
    INFO = "info"
    WARN = "warn"
    ERROR = "error"


class Step(msgspec.Struct, frozen=True):
    """One edge: `source` cannot go on before `target`. `kind`: and, or; with ", timeout" if it gives up.

    Of a race: `source` came after `target`, or should have ("missing")."""

    source: str
    target: str
    why: str
    kind: str
    site: str
    t_ns: int
    locks: tuple[str, ...] = ()


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """`signature` names the class of the finding: there is one full report of each."""

    rule: str
    severity: Severity
    t_ns: int
    signature: str
    what: str
    actors: tuple[str, ...] = ()
    """Process, call and task, the outermost first."""
    site: str = ""
    """Where in the machine it was noticed."""
    objects: tuple[str, ...] = ()
    path: tuple[Step, ...] = ()
    cycle: tuple[Step, ...] = ()
    classes: str = ""
    text: str = ""
    consequence: str = ""
    repair: str = ""
    document: str = ""

    def sentence(self) -> str:
        """Rule, severity and what happened, on one line."""
        return f"{self.rule} {self.severity}: {self.what}"


def explained(report: Report) -> Report:
    """With what the rule's entry says."""
    rule = RULES[report.rule]
    return msgspec.structs.replace(
        report,
        text=rule.text,
        consequence=report.consequence or rule.consequence,
        repair=rule.repair,
        document=rule.document,
    )


def as_text(report: Report) -> str:
    """For people: a paragraph of labelled lines."""
    lines = [f"{report.rule} {report.severity} at {report.t_ns / NS_PER_S:.9f} s: {report.what}"]
    lines.append(f"  rule: {report.text}")
    if report.actors:
        lines.append(f"  by: {' > '.join(report.actors)}")
    if report.site:
        lines.append(f"  at: {report.site}")
    lines += [f"  object: {name}" for name in report.objects]
    for title, steps in (("path", report.path), ("shortest cycle", report.cycle)):
        if steps:
            lines.append(f"  {title}:")
            lines += [f"    {_step(step)}" for step in steps]
    for title, text in (
        ("by class", report.classes),
        ("consequence", report.consequence),
        ("repair", report.repair),
        ("read", report.document),
    ):
        if text:
            lines.append(f"  {title}: {text}")
    return "\n".join(lines)


def _step(step: Step) -> str:
    locks = f", holding {', '.join(step.locks)}" if step.locks else ""
    at = f"{step.t_ns / NS_PER_S:.9f} s"
    return f"{step.source} -> {step.target} [{step.kind}] {step.why}; {step.site} at {at}{locks}"


def as_json(report: Report) -> bytes:
    """For machines: one object."""
    return msgspec.json.encode(report)
