"""One case, one verdict."""

import traceback
from enum import Enum

import msgspec

from syncline.conformance.case import Case
from syncline.conformance.target import Target
from syncline.conformance.trial import Trial
from syncline.conformance.verdict import Failure, Skip


class Verdict(Enum):
    """WARN: a case without a statement in the text was not held. BROKEN: the suite itself fell over."""

    PASS = "pass"
    FAIL = "fail"
    WARN = "warn"
    SKIP = "skip"
    BROKEN = "broken"


class Result(msgspec.Struct, frozen=True):
    """What became of one case. `messages` are there when it did not pass."""

    case: str
    verdict: Verdict
    reason: str
    statements: tuple[str, ...]
    run_class: str
    priority: int
    seconds: float
    practice: bool = False
    messages: tuple[str, ...] = ()

    @property
    def is_bad(self) -> bool:
        return self.verdict in {Verdict.FAIL, Verdict.BROKEN}


def judge(case: Case, target: Target, *, seed: int, practice: bool) -> Result:
    """Try it. `practice`: what has no statement in the text fails, too. `seconds` are the loop's own."""
    verdict, reason = Verdict.PASS, ""
    messages: list[str] = []
    seconds = 0.0
    try:
        with target.stand() as stand:
            trial = Trial(stand, seed=seed)
            began_ns = trial.now_ns()
            try:
                reason = _try(case, trial)
            except Failure as failure:
                verdict = Verdict.WARN if case.practice and not practice else Verdict.FAIL
                reason = str(failure)
            finally:
                seconds = (trial.now_ns() - began_ns) / 1e9
                messages = trial.transcript()
                trial.close()
    except Skip as skip:
        verdict, reason = Verdict.SKIP, f"needs {skip}"
    except Exception as fault:  # noqa: BLE001  whatever it is, the other cases go on and this one tells
        verdict, reason = Verdict.BROKEN, _where(fault)
    return Result(
        case=case.name,
        verdict=verdict,
        reason=reason,
        statements=case.statements,
        run_class=case.run_class.name,
        priority=case.priority,
        seconds=round(seconds, 3),
        practice=case.practice,
        messages=tuple(messages) if verdict not in {Verdict.PASS, Verdict.SKIP} else (),
    )


def _try(case: Case, trial: Trial) -> str:
    trial.require(case.needs, device=case.device)
    case.body(trial)
    trial.finish()
    return "; ".join(dict.fromkeys(trial.notes))


def _where(fault: Exception) -> str:
    last = traceback.extract_tb(fault.__traceback__)[-1]
    return f"{type(fault).__name__}: {fault} ({last.name}, {last.filename.rpartition('/')[2]}:{last.lineno})"
