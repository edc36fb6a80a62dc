"""`syncline replay`: run scenario files on the model and, given recorded results, say where they differ."""

import sys
import traceback
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Annotated, Final

import msgspec
from cyclopts import Parameter

from syncline.kms_model.checker import Ledger, Severity, as_text
from syncline.kms_model.checker.known import UPSTREAM
from syncline.lab.exit import ALL_SKIPPED, FAIL, PASS, Usage
from syncline.lab.manners import shown_default
from syncline.lab.replay.compare import STATUS, Difference, differences
from syncline.lab.replay.explained import alternatives
from syncline.lab.replay.machine import KERNELS, KernelName
from syncline.lab.replay.result import Results, Run
from syncline.lab.replay.run import run_scenario
from syncline.lab.replay.scenario import Scenario, read_results, read_scenarios

DEFAULT_KERNEL: Final = "linux-7.2"
SHOWN_CHARS: Final = 400


class Verdict(msgspec.Struct):
    """What one run came to. `differences` is None when there is no recording to compare with."""

    run: Run
    differences: list[Difference] | None = None
    explanation: str | None = None
    """Why a difference of this run is none of the model's."""

    @property
    def word(self) -> str:
        if self.differences:
            return "explained" if self.explanation else "differ"
        if self.run.status.startswith("model fault"):
            return "fault"
        if self.run.status.startswith("skipped"):
            return "skipped"
        return "unrecorded" if self.differences is None else "agree"


@Parameter(name="*", negative="", show_default=shown_default)
@dataclass(frozen=True, kw_only=True, slots=True)
class Options:
    """The command line of a replay."""

    expect: Path | None = None
    """Recorded results to compare with."""

    profile: KernelName | None = None
    """The kernel to be; that of --expect if not given, else linux-7.2."""

    device: str = ""
    """Only the runs on this device."""

    only: str = "*"
    """Only these scenarios: ids separated by commas; * matches anything."""

    check: bool = False
    """Under the fence checker: what it found that is not known, and how often."""

    json: bool = False
    """A results file on standard output, nothing else."""


DEFAULTS: Final = Options()


def replay(
    scenarios: Annotated[list[Path], Parameter(help="Scenario files.", negative="")],
    /,
    *,
    options: Options = DEFAULTS,
) -> int:
    """Run recorded ioctl scenarios on the model and compare with what a real kernel did."""
    expected = read_results(options.expect) if options.expect else None
    recorded = expected.results if expected else {}
    kernel = options.profile or _kernel_of(expected)
    verdicts: dict[str, Verdict] = {}
    ledger = Ledger(known=UPSTREAM) if options.check else None
    for name, scenario, device in _chosen(scenarios, options):
        verdicts[name] = _verdict(scenario, device, kernel, recorded.get(name), ledger)
        if not options.json:
            _tell(name, scenario, verdicts[name])
    if not verdicts:
        raise Usage("no scenario was chosen: look at --only and --device, and at the ids in the file")
    counts = Counter(verdict.word for verdict in verdicts.values())
    if options.json:
        _write_json(kernel, verdicts, ledger)
    else:
        print(_sentence(kernel, counts, is_comparing=expected is not None))
        _tell_findings(ledger)
    broken = ledger is not None and any(severity is Severity.ERROR for _, severity in ledger.verdict())
    if counts["differ"] or counts["fault"] or broken:
        return FAIL
    return ALL_SKIPPED if counts["skipped"] == len(verdicts) else PASS


def _kernel_of(expected: Results | None) -> KernelName:
    release = expected.environment.kernel if expected else ""
    found = (kernel for kernel, version in KERNELS.items() if release.startswith(f"{version}."))
    return next(found, DEFAULT_KERNEL)


def _chosen(paths: Iterable[Path], options: Options) -> Iterator[tuple[str, Scenario, str]]:
    patterns = options.only.split(",")
    for scenario in (scenario for path in paths for scenario in read_scenarios(path)):
        if any(fnmatchcase(scenario.id, pattern) for pattern in patterns):
            for device in scenario.devices:
                if options.device in {"", device}:
                    yield f"{scenario.id}@{device}", scenario, device


def _verdict(
    scenario: Scenario, device: str, kernel: KernelName, recorded: Run | None, ledger: Ledger | None
) -> Verdict:
    try:
        verdict = Verdict(run_scenario(scenario, device, kernel, ledger=ledger))
    except Exception as fault:  # noqa: BLE001 - reported, and fails the replay; the other runs are still wanted
        traceback.print_exception(fault, file=sys.stderr)
        verdict = Verdict(Run(f"model fault: {type(fault).__name__}: {fault}"))
    if recorded is not None:
        verdict.differences = differences(scenario, expected=recorded, model=verdict.run)
        if verdict.differences:
            verdict.explanation = _explanation(scenario, device, kernel, recorded)
    return verdict


def _explanation(scenario: Scenario, device: str, kernel: KernelName, recorded: Run) -> str | None:
    """Why the kernel did otherwise, if it is known to do so now and then and this is how."""
    for alternative in alternatives(kernel, f"{scenario.id}@{device}"):
        run = run_scenario(scenario, device, kernel, other=alternative.machine)
        if not differences(scenario, expected=recorded, model=run):
            return alternative.why
    return None


def _tell(name: str, scenario: Scenario, verdict: Verdict) -> None:
    if verdict.word == "fault":
        print(f"{name}: {verdict.run.status}")
    if not verdict.differences:
        return
    print(f"{name}: {scenario.title}")
    for difference in verdict.differences:
        where = "" if difference.step == STATUS else f"op {difference.step} "
        print(f"  {where}{_short(difference.op)}")
        print(f"    kernel {_short(difference.expected)}")
        print(f"    model  {_short(difference.model)}")
    if verdict.explanation:
        print(f"  explained: {verdict.explanation}")


def _tell_findings(ledger: Ledger | None) -> None:
    if ledger is None:
        return
    for report in ledger.reports.values():
        print(as_text(report))
    for line in ledger.summary() or ["nothing"]:
        print(f"checker: {line}")


def _short(text: str) -> str:
    return text if len(text) <= SHOWN_CHARS else f"{text[:SHOWN_CHARS]}…"


def _sentence(kernel: KernelName, counts: Mapping[str, int], *, is_comparing: bool) -> str:
    total = sum(counts.values())
    parts = [
        f"{counts[word]} {word}"
        for word in ("agree", "differ", "explained", "fault", "skipped")
        if counts[word]
    ]
    if counts["unrecorded"]:
        parts.append(f"{counts['unrecorded']} {'without a recording' if is_comparing else 'ran'}")
    return f"{kernel}: {total} runs: {', '.join(parts)}"


def _write_json(kernel: KernelName, verdicts: Mapping[str, Verdict], ledger: Ledger | None) -> None:
    """A results file of the format, with the verdict of every run beside it."""
    report: dict[str, object] = {
        "environment": {"kernel": f"{KERNELS[kernel]}.model"},
        "counts": Counter(verdict.word for verdict in verdicts.values()),
        "differences": {
            name: verdict.differences for name, verdict in verdicts.items() if verdict.differences
        },
        "results": {name: verdict.run for name, verdict in verdicts.items()},
    }
    if ledger is not None:
        report["checker"] = {
            "reports": list(ledger.reports.values()),
            "counts": ledger.counts,
            "suppressed": ledger.suppressed,
        }
    sys.stdout.buffer.write(msgspec.json.format(msgspec.json.encode(report), indent=1) + b"\n")
