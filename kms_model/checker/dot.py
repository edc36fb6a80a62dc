"""The graph of what is pending, or the edges of one report, for graphviz."""

import json
from collections.abc import Iterable

from syncline.kms_model.checker.report import Report, Step


def as_dot(steps: Iterable[Step], *, title: str = "waits") -> str:
    """A digraph: who waits, an arrow, for whom. A timeout is dashed, an alternative dotted, a missing edge red."""
    lines = [f"digraph {_quoted(title)} {{", "  rankdir=LR;"]
    for step in steps:
        label = f"{step.why}\n{step.site}"
        lines.append(
            f"  {_quoted(step.source)} -> {_quoted(step.target)} [label={_quoted(label)}, style={_style(step)}];"
        )
    return "\n".join([*lines, "}", ""])


def report_as_dot(report: Report) -> str:
    """Its shortest cycle, or else its path."""
    return as_dot(report.cycle or report.path, title=report.signature)


def _style(step: Step) -> str:
    if step.kind == "missing":
        return "bold, color=red"
    return "dashed" if "timeout" in step.kind else "dotted" if step.kind == "or" else "solid"


def _quoted(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)
