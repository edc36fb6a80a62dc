"""The verdicts for people: a line per case, the reason, how to repeat it; a summary."""

from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

from syncline.conformance.case import Case
from syncline.conformance.judge import Result, Verdict
from syncline.conformance.target import Target
from syncline.conformance.trial import Trial
from syncline.conformance.verdict import Failure
from syncline.lab.conform.baseline import Baseline

WORDS: Final = {
    Verdict.PASS: "pass",
    Verdict.FAIL: "FAIL",
    Verdict.WARN: "warn",
    Verdict.SKIP: "skip",
    Verdict.BROKEN: "BROKEN",
}
TITLE_WIDTH: Final = 62
SHOWN_GLOBALS: Final = (
    "wl_compositor",
    "wp_linux_drm_syncobj_manager_v1",
    "zwp_linux_dmabuf_v1",
    "wp_presentation",
    "wp_fifo_manager_v1",
    "wp_commit_timing_manager_v1",
)


def greeting(target: Target) -> str:
    """`target: weston (pid 4242) · wl_compositor v6 · …`: what is judged, and what of it can be."""
    try:
        with target.stand() as stand:
            trial = Trial(stand)
            try:
                offered = dict(trial.client().registry.globals.values())
            finally:
                trial.close()
    except Failure as failure:
        return f"target: {target.name} · {failure}"
    spoken = [f"{name} v{offered[name]}" for name in SHOWN_GLOBALS if name in offered]
    return "\n  ".join((f"target: {target.name}", " · ".join(spoken) or "none of the globals looked for"))


class Teller:
    """Prints as results come. With a baseline only what was not to be expected."""

    def __init__(self, baseline: Baseline, *, repeat: Callable[[Case], str]) -> None:
        self._baseline = baseline
        self._repeat = repeat
        self._is_terse = baseline != Baseline()
        self._reasons: set[str] = set()

    def tell(self, case: Case, result: Result) -> None:
        surprise = self._baseline.surprise(result)
        if self._is_terse and not surprise:
            return
        word = WORDS[result.verdict] if not self._is_terse else surprise
        print(f"  {result.case:<{TITLE_WIDTH}}  {word}  {self._reason(result)}".rstrip(), flush=True)
        if result.verdict not in {Verdict.PASS, Verdict.SKIP}:
            print(f"       {' '.join(case.statements)}: {case.intent}")
            print(f"       repeat: {self._repeat(case)}", flush=True)

    def _reason(self, result: Result) -> str:
        """A reason to skip is told once."""
        if result.verdict is not Verdict.SKIP:
            return result.reason
        is_new = result.reason not in self._reasons
        self._reasons.add(result.reason)
        return result.reason if is_new else ""

    def summary(self, results: Sequence[Result], *, junit: Path | None) -> str:
        """`41 pass · 1 fail · 9 skip`, and what was surprising if something was known."""
        counts = Counter(each.verdict for each in results)
        words = [f"{counts[verdict]} {verdict.value}" for verdict in Verdict if counts[verdict]]
        if self._is_terse:
            words.append(f"{sum(bool(self._baseline.surprise(each)) for each in results)} unexpected")
        if junit:
            words.append(f"JUnit {junit}")
        return f"  {' · '.join(words) or 'nothing to judge'}"
