"""The judgement: where the model and a real kernel did not do the same."""

from typing import Final

import msgspec

from syncline.lab.replay.result import Result, Run
from syncline.lab.replay.scenario import Scenario

STATUS: Final = -1
"""The `step` of a difference in how the run as a whole ended."""


class Difference(msgspec.Struct, frozen=True):
    """One operation that came out otherwise. `step` counts from 0; `op` is the operation as JSON."""

    step: int
    op: str
    expected: str
    model: str


def differences(scenario: Scenario, *, expected: Run, model: Run) -> list[Difference]:
    """Everything but times and the kernel's log, in the order of the operations."""
    found: list[Difference] = []
    if _status(expected) != _status(model):
        found.append(Difference(STATUS, "the whole run", expected.status, model.status))
        if not model.ops:
            return found
    reached = max(len(expected.ops), len(model.ops))
    for step, op in enumerate(scenario.ops[:reached]):
        theirs, ours = _outcome(expected, step), _outcome(model, step)
        if theirs != ours:
            found.append(Difference(step, msgspec.json.encode(op).decode(), theirs, ours))
    return found


def _status(run: Run) -> str:
    """Reasons why a scenario's own mistake stopped it are worded by whoever ran it."""
    for kind in ("runner error", "skipped: required op failed"):
        if run.status.startswith(kind):
            return kind
    return run.status


def _outcome(run: Run, step: int) -> str:
    """An operation's result, sorted so that equal means the same."""
    if step >= len(run.ops):
        return "not reached"
    return _words(run.ops[step].normal())


def _words(result: Result) -> str:
    verdict = "ok" if result.ok else result.errno or "failed"
    if not result.out:
        return verdict
    return f"{verdict} {msgspec.json.encode(result.out, order='sorted').decode()}"
