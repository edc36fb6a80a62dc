"""The demo in one process on virtual time: the same plan gives the same bytes."""

from collections.abc import Sequence
from functools import partial

from syncline.clients.catalogue import DEMOS
from syncline.clients.toolkit.loop import Context
from syncline.clients.toolkit.options import Options as ClientOptions
from syncline.compositor.core.policy import Policy
from syncline.compositor.core.report import ReportEvent
from syncline.kms_model.loops import NS_PER_S, VirtualLoop, run_virtual, sleep_until
from syncline.kms_model.trace import TraceEvent, Warn
from syncline.lab.demo.ledger import Ledger
from syncline.lab.demo.plan import PHOTOGRAPHS, Options, Outcome
from syncline.lab.demo.record import Record
from syncline.lab.screenshot import Pixels, photograph
from syncline.lab.virtual import Guest, House


def run(options: Options) -> Outcome:
    """As long as it takes to compute; `options.seconds` pass for the parts."""
    return run_virtual(lambda loop: _run(loop, options))


async def _run(loop: VirtualLoop, options: Options) -> Outcome:
    ledger, record, notes = Ledger(), Record(), list[str]()

    def hear(events: Sequence[ReportEvent]) -> None:
        for event in events:
            record.add("compositor", event)
            ledger.feed(event)

    def hear_device(event: TraceEvent) -> None:
        record.add("device", event)
        if isinstance(event, Warn):
            ledger.feed_warning(event)

    house = House(
        loop,
        profile=options.profile,
        policy=Policy(declares_cpu_access=True),
        hear_device=hear_device,
        hear_compositor=hear,
    )
    await house.light()
    players = {
        role.name: Guest(house, DEMOS[role.demo], role.options, partial(record.add, role.name))
        for role in options.cast
    }
    photographs: list[Pixels] = []
    for _ in range(PHOTOGRAPHS):
        await sleep_until(loop, loop.now_ns() + round(options.pause_s * NS_PER_S))
        camera = Context(
            loop=loop, transport=house.connect(), device=None, options=ClientOptions(title="camera")
        )
        photographs.append(await photograph(camera))
    for name, player in players.items():
        if error := await player.leave("the demo is over"):
            notes.append(f"The client {name} ended: {error}; the others went on.")
    house.close()
    return Outcome(ledger, record, photographs, notes)
