"""The demo as real processes: device, compositor and clients, each with a pipe for its events."""

import asyncio
import signal
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

from rich.console import Console
from rich.live import Live

from syncline.clients.toolkit.loop import ClientError, Context
from syncline.clients.toolkit.options import Options
from syncline.kms_model.loops import RealLoop, run_real
from syncline.lab.demo.cast import words
from syncline.lab.demo.company import COMPOSITOR, DEVICE, CannotStart, Company
from syncline.lab.demo.plan import Outcome, Plan
from syncline.lab.demo.table import live_table
from syncline.lab.exit import Usage
from syncline.lab.screenshot import Pixels, photograph
from syncline.protocol.transport.unix import connect

SHOW_AGAIN_S: Final = 0.1


def run(plan: Plan, *, console: Console | None) -> Outcome:
    """`console` shows who waits for whom meanwhile; None: nothing is shown. Raises Usage if it cannot start."""
    with TemporaryDirectory(prefix="syncline-") as directory:
        return run_real(lambda loop: _run(loop, plan, Company(Path(directory)), console))


async def _run(loop: RealLoop, plan: Plan, company: Company, console: Console | None) -> Outcome:
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, company.over.set)
    shot: Pixels | None = None
    try:
        await _raise_curtain(plan, company)
        await _play(loop, plan.seconds, company, console)
        shot = await _photograph(loop, company)
    except CannotStart as error:
        raise Usage(f"the demo cannot start: {error}") from None
    finally:
        company.over.set()
        await company.stop()
    return Outcome(company.ledger, company.record, shot, tuple(company.notes))


async def _raise_curtain(plan: Plan, company: Company) -> None:
    outputs = [word for output in plan.outputs for word in ("--output", output)]
    device = ["device", "--socket", str(company.node), *outputs]
    compositor = ["compositor", "--device", str(company.node), "--socket", str(company.socket)]
    await company.start_server(DEVICE, device, company.node)
    await company.start_server(COMPOSITOR, compositor, company.socket)
    place = ["--socket", str(company.socket), "--device", str(company.node)]
    for role in plan.cast:
        company.start(role.name, ["client", *words(role), *place])


async def _play(loop: RealLoop, seconds: float, company: Company, console: Console | None) -> None:
    """Until the time is over, or the play is."""
    with suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            if console is None:
                await company.over.wait()
                return
            with Live(console=console, auto_refresh=False, transient=True) as live:
                while not company.over.is_set():
                    live.update(live_table(company.ledger, now_ns=loop.now_ns()), refresh=True)
                    with suppress(TimeoutError):
                        await asyncio.wait_for(company.over.wait(), SHOW_AGAIN_S)


async def _photograph(loop: RealLoop, company: Company) -> Pixels | None:
    """Of whatever is on the screen now. None when the compositor is no longer there."""
    try:
        context = Context(
            loop=loop, transport=connect(loop, company.socket), device=None, options=Options(title="camera")
        )
        return await photograph(context)
    except (OSError, ClientError) as error:
        if not company.notes:
            company.notes.append(f"There is no screenshot: {error}.")
        return None
