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
from syncline.clients.toolkit.options import Options as ClientOptions
from syncline.kms_model.loops import RealLoop, run_real
from syncline.lab.demo.cast import words
from syncline.lab.demo.company import COMPOSITOR, DEVICE, CannotStart, Company
from syncline.lab.demo.plan import PHOTOGRAPHS, Options, Outcome
from syncline.lab.demo.table import live_table
from syncline.lab.exit import Usage
from syncline.lab.screenshot import Pixels, photograph
from syncline.protocol.transport.unix import connect

SHOW_AGAIN_S: Final = 0.1


def run(options: Options, *, console: Console | None) -> Outcome:
    """`console` shows who waits for whom meanwhile; None: nothing is shown. Raises Usage if it cannot start."""
    with TemporaryDirectory(prefix="syncline-") as directory:
        return run_real(lambda loop: _run(loop, options, Company(Path(directory)), console))


async def _run(loop: RealLoop, options: Options, company: Company, console: Console | None) -> Outcome:
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, company.over.set)
    photographs: list[Pixels] = []
    try:
        await _raise_curtain(options, company)
        async with asyncio.TaskGroup() as group:
            show = group.create_task(_show(loop, company, console))
            await _play(loop, options, company, photographs)
            show.cancel()
    except CannotStart as error:
        raise Usage(f"the demo cannot start: {error}") from None
    finally:
        company.over.set()
        await company.stop()
    return Outcome(company.ledger, company.record, photographs, company.notes)


async def _raise_curtain(options: Options, company: Company) -> None:
    outputs = [word for output in options.output_mode for word in ("--output", output)]
    device = ["device", "--socket", str(company.node), *outputs, "--check", "collect", "--rules", "buffers"]
    compositor = ["compositor", "--device", str(company.node), "--socket", str(company.socket)]
    compositor.append("--declare-cpu-access")
    await company.start_server(DEVICE, device, company.node)
    if options.zmq:
        compositor += ["--zmq", f"ipc://{company.messages}"]
    await company.start_server(COMPOSITOR, compositor, company.messages if options.zmq else company.socket)
    place = ["--socket", str(company.socket), "--device", str(company.node)]
    place += ["--endpoint", f"ipc://{company.messages}"]
    for role in options.cast:
        company.start(role.name, ["client", *words(role), *place])


async def _play(loop: RealLoop, options: Options, company: Company, photographs: list[Pixels]) -> None:
    """A photograph now and then, until the time is over or somebody ends it. The time begins with the last debut."""
    await company.all_on_screen()
    for _ in range(PHOTOGRAPHS):
        with suppress(TimeoutError):
            await asyncio.wait_for(company.over.wait(), options.pause_s)
            return
        try:
            photographs.append(await _photograph(loop, company))
        except (OSError, ClientError) as error:
            if not company.over.is_set():  # else it went with the compositor, of which a note tells
                company.notes.append(f"A photograph failed: {error}.")
            return


async def _photograph(loop: RealLoop, company: Company) -> Pixels:
    transport = connect(loop, company.socket)
    camera = Context(loop=loop, transport=transport, device=None, options=ClientOptions(title="camera"))
    return await photograph(camera)


async def _show(loop: RealLoop, company: Company, console: Console | None) -> None:
    """Who waits for whom, until cancelled."""
    if console is None:
        return
    with Live(console=console, auto_refresh=False, transient=True) as live:
        while True:
            live.update(live_table(company.ledger, now_ns=loop.now_ns()), refresh=True)
            await asyncio.sleep(SHOW_AGAIN_S)
