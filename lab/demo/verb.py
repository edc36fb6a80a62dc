"""`syncline demo`: run it, judge it, write down what happened."""

import sys
from pathlib import Path
from typing import Annotated, Final

import msgspec
from cyclopts import Parameter
from rich.console import Console

from syncline.kms_model import tag
from syncline.lab.demo import real, virtual
from syncline.lab.demo.plan import Outcome, Plan
from syncline.lab.demo.table import print_report
from syncline.lab.demo.verdict import Report, Tear, rows
from syncline.lab.exit import FAIL, PASS, Usage
from syncline.lab.png import encode_png
from syncline.lab.screenshot import Pixels

SCREENSHOT: Final = "screenshot.png"
EVENTS: Final = "events.jsonl"
REPORT: Final = "report.json"
ONE_SCREEN: Final = ("1280x720@60",)


def demo(
    *,
    seconds: Annotated[float, Parameter(help="How long to play, in seconds.")] = 8.0,
    output: Annotated[
        Path | None, Parameter(help="Directory for screenshot.png, events.jsonl, report.json.")
    ] = None,
    json: Annotated[
        bool, Parameter(help="The report as JSON on standard output, nothing else.", negative="")
    ] = False,
    virtual_time: Annotated[
        bool,
        Parameter(
            "--virtual",
            help="In one process, on virtual time: the same seed gives the same bytes.",
            negative="",
        ),
    ] = False,
    seed: Annotated[int, Parameter(help="Of everything random.")] = 0,
    broken: Annotated[
        bool, Parameter(help="Add a client that signals its acquire points too early.", negative="")
    ] = False,
    output_mode: Annotated[
        tuple[str, ...],
        Parameter(help="One screen each: WIDTHxHEIGHT@HZ. The device's own choice if not given."),
    ] = (),
) -> int:
    """Start device, compositor and clients; see who waits for whom; end with one table.

    Example: `syncline demo --seconds 4 --output out`
    """
    if seconds <= 0:
        raise Usage(f"--seconds {seconds:g}: a demo needs some time, try 4")
    _prepare(output)
    console = Console()
    plan = Plan(seconds, seed, broken, output_mode)
    if virtual_time:
        outcome = virtual.run(plan)
    else:
        outcome = real.run(plan, console=console if console.is_terminal and not json else None)
    report = _report(plan, outcome, is_virtual=virtual_time, output=output)
    if output is not None:
        _write(output, outcome, report)
    if json:
        sys.stdout.buffer.write(_as_json(report))
    else:
        print_report(console, report)
    return FAIL if report.notes or bool(report.tears) != broken else PASS


def _report(plan: Plan, outcome: Outcome, *, is_virtual: bool, output: Path | None) -> Report:
    tears = _tears(plan, outcome.photograph)
    return Report(
        seed=plan.seed,
        seconds=plan.seconds,
        virtual=is_virtual,
        rows=rows(outcome.ledger, torn={tear.client for tear in tears}),
        tears=tears,
        notes=outcome.notes,
        screenshot=str(output / SCREENSHOT) if output and outcome.photograph is not None else None,
        events=str(output / EVENTS) if output else None,
    )


def _tears(plan: Plan, photograph: Pixels | None) -> tuple[Tear, ...]:
    if photograph is None:
        return ()
    names = {role.options.client_id: role.name for role in plan.cast}
    return tuple(
        Tear(
            client=names.get(torn.client, f"client {torn.client}"),
            frame=torn.frame,
            bottom_frame=torn.bottom_frame,
            x=torn.x,
            y=torn.y,
        )
        for torn in tag.torn(photograph)
    )


def _prepare(output: Path | None) -> None:
    """Complain about an impossible directory before anything runs, not after."""
    if output is None:
        return
    try:
        output.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise Usage(f"cannot write to {output}: {error.strerror}") from None


def _write(output: Path, outcome: Outcome, report: Report) -> None:
    outcome.record.write(output / EVENTS)
    (output / REPORT).write_bytes(_as_json(report))
    if outcome.photograph is not None:
        (output / SCREENSHOT).write_bytes(encode_png(outcome.photograph))


def _as_json(report: Report) -> bytes:
    return msgspec.json.format(msgspec.json.encode(report), indent=2) + b"\n"
