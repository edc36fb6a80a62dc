"""The killers of the machine's mutants: recorded scenarios, and tests of the machine."""

from dataclasses import dataclass, field
from fnmatch import fnmatch
from functools import cache
from pathlib import Path
from typing import Final

import pytest

from syncline.lab.replay.compare import differences
from syncline.lab.replay.result import Results
from syncline.lab.replay.run import run_scenario
from syncline.lab.replay.scenario import Scenario, read_results, read_scenarios

TESTS: Final = Path(__file__).parents[2]
KERNEL: Final = "linux-7.2"
REPLAY: Final = "replay:"


@cache
def _recorded() -> tuple[tuple[Scenario, ...], Results]:
    truth = TESTS / "truth"
    return read_scenarios(truth / "scenarios.json"), read_results(truth / f"{KERNEL}.json")


def notices(*killers: str) -> bool:
    """Whether one of them says that something is wrong: `replay:SCENARIO`, a pattern too, or `kms/FILE::TEST`."""
    patterns = [each.removeprefix(REPLAY) for each in killers if each.startswith(REPLAY)]
    tests = [each for each in killers if not each.startswith(REPLAY)]
    return any(_disagrees(each) for each in patterns) or bool(tests and _fail(tests))


def _disagrees(pattern: str) -> bool:
    scenarios, results = _recorded()
    chosen = [each for each in scenarios if fnmatch(each.id, pattern)]
    assert chosen, f"no scenario {pattern}"
    return any(
        differences(
            scenario,
            expected=results.results[f"{scenario.id}@{device}"],
            model=run_scenario(scenario, device, KERNEL),
        )
        for scenario in chosen
        for device in scenario.devices
        if f"{scenario.id}@{device}" in results.results
    )


@dataclass(eq=False, slots=True)
class _Ends:
    """How the tests of a run ended."""

    outcomes: list[str] = field(default_factory=list)

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.when == "call" or report.failed:
            self.outcomes.append(report.outcome)


def _fail(tests: list[str]) -> bool:
    """A run of pytest's inside of the one that is going on, in this process, where the mutant is alive."""
    ends = _Ends()
    words = [
        "-q",
        "-p",
        "no:cacheprovider",
        "-p",
        "no:faulthandler",
        "-p",
        "no:timeout",
        "-o",
        "strict=false",
        "-W",
        "ignore::pytest.PytestConfigWarning",
    ]
    pytest.main([*words, *(str(TESTS / "unit" / "kms_model" / each) for each in tests)], plugins=[ends])
    assert len(ends.outcomes) >= len(tests), f"not all of {tests} were run"
    return "failed" in ends.outcomes
