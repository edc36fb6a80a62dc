"""`syncline conform`: judge a compositor by its socket."""

import shlex
import sys
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Annotated, Final, Literal

from cyclopts import Parameter

from syncline.conformance.case import Case
from syncline.conformance.catalogue import cases
from syncline.conformance.judge import Result, judge
from syncline.conformance.target import Target
from syncline.lab.conform import places
from syncline.lab.conform.baseline import Baseline, load
from syncline.lab.conform.formats import json_line, tap, write_junit
from syncline.lab.conform.telling import Teller, greeting
from syncline.lab.conform.virtual import VirtualTarget
from syncline.lab.exit import ALL_SKIPPED, FAIL, PASS, Usage
from syncline.lab.manners import shown_default


@Parameter(name="*", negative="", show_default=shown_default)
@dataclass(frozen=True, kw_only=True, slots=True)
class Options:
    """What to judge, which cases, and where the verdicts go."""

    socket: str = ""
    """A compositor that is running: its socket's name in $XDG_RUNTIME_DIR, or a path."""

    command: str = ""
    """A compositor to start for the run, for example "weston --backend=headless"."""

    virtual: bool = False
    """Syncline in this process on virtual time; without any of the three, Syncline as processes."""

    wire: Literal["wayland", "zmq"] = "wayland"
    """How to speak to it."""

    device: Path | None = None
    """For the tester: a node of `syncline device` that the compositor runs on, or one of /dev/dri (the first)."""

    only: Annotated[str, Parameter(name=["--only", "-k"])] = ""
    """Cases whose name has this in it: an id (obj-02), a word, or a class as "class:S"."""

    practice: bool = False
    """Fail on cases that have no statement in the text, too."""

    seed: int = 0
    """For the cases that draw lots."""

    baseline: Path | None = None
    """NAME-fails.txt, what is known to fail; NAME-flakes.txt and NAME-skips.txt beside it are read as well."""

    record: Path | None = None
    """Keep the messages of cases that did not pass in this directory."""

    junit: Path | None = None
    """Write JUnit XML to this file."""

    tap: bool = False
    """Print TAP 14 instead."""

    json: bool = False
    """Print a JSON line per case instead."""


DEFAULTS: Final = Options()


def conform(options: Options = DEFAULTS) -> int:
    """Judge a compositor: one verdict per case, with its reason and the command to repeat it."""
    baseline = load(options.baseline) if options.baseline else Baseline()
    chosen = [each for each in cases() if _is_chosen(each, options.only.lower())]
    if not chosen:
        raise Usage(f"-k {options.only}: no such case; an id looks like obj-02")
    if options.record:
        options.record.mkdir(parents=True, exist_ok=True)
    with _target(options) as target:
        results = _judge_all(options, target, chosen, baseline)
    if options.junit:
        write_junit(options.junit, target.name, results)
    if options.tap:
        sys.stdout.write(tap(results))
    return _exit_code(results, baseline)


def _is_chosen(case: Case, wanted: str) -> bool:
    if wanted.startswith("class:"):
        return case.run_class.name.lower() in wanted.removeprefix("class:").split(",")
    return wanted in case.name.lower()


@contextmanager
def _target(options: Options) -> Iterator[Target]:
    if sum((bool(options.socket), bool(options.command), options.virtual)) > 1:
        raise Usage("--socket, --command and --virtual are three ways to say what to judge: choose one")
    if options.wire == "zmq" and (options.socket or options.command or options.virtual):
        raise Usage("--wire zmq is for a Syncline of our own: leave --socket, --command and --virtual out")
    place: AbstractContextManager[Target]
    if options.virtual:
        yield VirtualTarget()
        return
    if options.socket:
        place = places.running(options.socket, device=options.device)
    elif options.command:
        place = places.started(options.command, device=options.device)
    else:
        place = places.own(with_messages=options.wire == "zmq")
    with place as target:
        yield target


def _judge_all(options: Options, target: Target, chosen: Sequence[Case], baseline: Baseline) -> list[Result]:
    teller = Teller(baseline, repeat=partial(repeat, options))
    is_quiet = options.tap or options.json
    if not is_quiet:
        print(greeting(target))
    results = []
    for case in chosen:
        if baseline.leaves_out(case.name):
            continue
        result = judge(case, target, seed=options.seed, practice=options.practice)
        results.append(result)
        if options.record and result.messages:
            _record(options.record, case, result)
        if options.json:
            print(json_line(result), flush=True)
        elif not options.tap:
            teller.tell(case, result)
    if not is_quiet:
        print(teller.summary(results, junit=options.junit))
    return results


def _record(folder: Path, case: Case, result: Result) -> None:
    text = "\n".join((f"# {result.case}: {result.reason}", *result.messages))
    (folder / f"{case.id.lower()}.txt").write_text(text + "\n")


def repeat(options: Options, case: Case) -> str:
    """The command line that judges this case alone in the same way, and keeps its messages."""
    words = ["syncline", "conform"]
    for flag, value in (
        ("--socket", options.socket),
        ("--command", options.command),
        ("--device", str(options.device or "")),
        ("--wire", options.wire if options.wire != DEFAULTS.wire else ""),
    ):
        words += [flag, value] if value else []
    words += ["--virtual"] * options.virtual + ["--practice"] * options.practice
    return shlex.join([*words, "-k", case.id.lower(), "--seed", str(options.seed), "--record", "out"])


def _exit_code(results: Sequence[Result], baseline: Baseline) -> int:
    if any(baseline.surprise(each) for each in results):
        return FAIL
    return ALL_SKIPPED if results and all(each.verdict.value == "skip" for each in results) else PASS
