"""`syncline demo`: run it, judge it, write down what happened."""

import sys
from collections.abc import Mapping, Sequence
from math import inf
from pathlib import Path
from typing import Final

import msgspec
from rich.console import Console

from syncline.kms_model import tag
from syncline.lab.demo import real, virtual
from syncline.lab.demo.plan import Options, Outcome
from syncline.lab.demo.table import print_report
from syncline.lab.demo.verdict import Report, Tear, rows
from syncline.lab.exit import FAIL, PASS, Usage
from syncline.lab.png import encode_png
from syncline.lab.screenshot import Pixels

SCREENSHOT: Final = "screenshot.png"
EVENTS: Final = "events.jsonl"
REPORT: Final = "report.json"
DEFAULTS: Final = Options()


def demo(options: Options = DEFAULTS) -> int:
    """Start device, compositor and clients; see who waits for whom; end with one table."""
    if not 0 < options.seconds < inf:  # nan is outside, too
        raise Usage(f"--seconds {options.seconds:g}: a demo needs some time, try 4")
    names = {role.options.client_id: role.name for role in options.cast}
    _prepare(options.output)
    console = Console()
    if options.virtual:
        outcome = virtual.run(options)
    else:
        outcome = real.run(options, console=console if console.is_terminal and not options.json else None)
    tears = _tears(names, outcome.photographs)
    report = _report(options, outcome, tears)
    if options.output is not None:
        try:
            _write(options.output, outcome, report)
        except OSError as error:
            raise Usage(f"cannot write to {options.output}: {error.strerror}") from None
    if options.json:
        sys.stdout.buffer.write(_as_json(report))
    else:
        print_report(console, report, folder=options.output)
    as_wanted = bool(tears) == bool(report.races) == options.broken
    return PASS if as_wanted and not report.notes else FAIL


def _report(options: Options, outcome: Outcome, tears: Sequence[Tear]) -> Report:
    output = options.output
    return Report(
        seed=options.seed,
        seconds=options.seconds,
        virtual=options.virtual,
        rows=rows(outcome.ledger, torn={tear.client for tear in tears}),
        photographs=len(outcome.photographs),
        tears=tuple(tears),
        races=tuple(outcome.ledger.races),
        notes=tuple(outcome.notes),
        screenshot=SCREENSHOT if output and outcome.photographs else None,
        events=EVENTS if output else None,
    )


def _tears(names: Mapping[int, str], photographs: Sequence[Pixels]) -> list[Tear]:
    return [
        Tear(
            photograph=number,
            client=names.get(torn.client, f"client {torn.client}"),
            frame=torn.frame,
            bottom_frame=torn.bottom_frame,
            x=torn.x,
            y=torn.y,
        )
        for number, photograph in enumerate(photographs, start=1)
        for torn in tag.torn(photograph)
    ]


def _prepare(output: Path | None) -> None:
    """Complain about an impossible directory before anything runs, not after."""
    if output is None:
        return
    try:
        output.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise Usage(f"cannot write to {output}: {error.strerror}") from None


def _write(output: Path, outcome: Outcome, report: Report) -> None:
    """The screenshot is the first torn photograph, or else the last of all."""
    outcome.record.write(output / EVENTS)
    (output / REPORT).write_bytes(_as_json(report))
    if outcome.photographs:
        best = report.tears[0].photograph if report.tears else len(outcome.photographs)
        (output / SCREENSHOT).write_bytes(encode_png(outcome.photographs[best - 1]))


def _as_json(report: Report) -> bytes:
    return msgspec.json.format(msgspec.json.encode(report), indent=2) + b"\n"
