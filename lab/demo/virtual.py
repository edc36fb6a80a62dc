"""The demo in one process on virtual time: the same plan gives the same bytes."""

import asyncio
from collections.abc import Sequence
from typing import Final

from syncline.clients.catalogue import DEMOS, run_demo
from syncline.clients.toolkit.loop import ClientError, Context
from syncline.clients.toolkit.options import Options as ClientOptions, Wire
from syncline.compositor.core.policy import Policy
from syncline.compositor.core.report import ReportEvent
from syncline.compositor.loop import Driver
from syncline.kms_model.device import Device
from syncline.kms_model.kernel import Kernel
from syncline.kms_model.local import LocalNode
from syncline.kms_model.loops import NS_PER_S, VirtualLoop, run_virtual, sleep_until
from syncline.lab.demo.cast import Role
from syncline.lab.demo.ledger import Ledger
from syncline.lab.demo.plan import PHOTOGRAPHS, Options, Outcome
from syncline.lab.demo.record import Record
from syncline.lab.screenshot import Pixels, photograph
from syncline.protocol.transport import Transport
from syncline.protocol.transport.memory import pair
from syncline.protocol.wire.msgpack import MsgpackWire

LIGHTING_NS: Final = NS_PER_S // 10
"""The screens have had their first frame by then; no process starts faster."""


def run(options: Options) -> Outcome:
    """As long as it takes to compute; `options.seconds` pass for the parts."""
    return run_virtual(lambda loop: _run(loop, options))


async def _run(loop: VirtualLoop, options: Options) -> Outcome:
    ledger, record, notes = Ledger(), Record(), list[str]()

    def hear(events: Sequence[ReportEvent]) -> None:
        for event in events:
            record.add("compositor", event)
            ledger.feed(event)

    kernel = Kernel(now_ns=loop.now_ns(), trace=lambda event: record.add("device", event))
    node = LocalNode(Device(options.profile, kernel=kernel), loop)
    driver = Driver(loop, node.open(), policy=Policy(), caps={}, report=hear)
    await sleep_until(loop, loop.now_ns() + LIGHTING_NS)
    players = [Player(loop, role, node, driver, record) for role in options.cast]
    photographs: list[Pixels] = []
    for _ in range(PHOTOGRAPHS):
        await sleep_until(loop, loop.now_ns() + round(options.pause_s * NS_PER_S))
        camera = Context(
            loop=loop, transport=_connect(loop, driver), device=None, options=ClientOptions(title="camera")
        )
        photographs.append(await photograph(camera))
    for player in players:
        notes += await player.stop()
    driver.server.close()  # the screen may stay lit: taking it away would sleep, and the whole machine goes with us
    node.close()
    return Outcome(ledger, record, photographs, notes)


class Player:
    """One client of the cast, from its making to `stop`."""

    def __init__(
        self, loop: VirtualLoop, role: Role, node: LocalNode, driver: Driver, record: Record
    ) -> None:
        demo = DEMOS[role.demo]
        self._name = role.name
        self._file = node.open()
        self._context = Context(
            loop=loop,
            transport=_connect(loop, driver, role.options.wire),
            wire=MsgpackWire() if role.options.wire is Wire.ZMQ else None,
            device=self._file if demo.needs_device else None,
            options=demo.complete(role.options),
            emit=lambda event: record.add(role.name, event),
        )
        self._task = asyncio.create_task(run_demo(demo, self._context))

    async def stop(self) -> list[str]:
        """What there is to say about its end."""
        self._context.stop("the demo is over")
        try:
            await self._task
        except ClientError as error:
            return [f"The client {self._name} ended: {error}; the others went on."]
        finally:
            self._file.close()
        return []


def _connect(loop: VirtualLoop, driver: Driver, wire: Wire = Wire.WAYLAND) -> Transport:
    """In one process either wire travels in memory."""
    ours, theirs = pair(loop)
    driver.server.accept(theirs, wire=MsgpackWire() if wire is Wire.ZMQ else None)
    return ours
