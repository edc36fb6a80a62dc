"""Many idle clients of one compositor: what each weighs, and what they cost the one that is busy."""

import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

import msgspec

from syncline.kms_model.exchange import Exchange
from syncline.kms_model.loops import RealLoop
from syncline.kms_model.remote import RemoteFile
from syncline.lab.bench.clock import cost_ns
from syncline.lab.bench.wire import proxy
from syncline.lab.process import Process, appears
from syncline.protocol.display import Display, Registry
from syncline.protocol.transport import Transport, unix, zmq
from syncline.protocol.transport.link import Link
from syncline.protocol.wire import Wire
from syncline.protocol.wire.msgpack import MsgpackWire
from syncline.protocol.wire.wayland import WaylandWire

CROWDS: Final = (1, 10, 100, 500)
CALLS: Final = 20
PAGE: Final = os.sysconf("SC_PAGE_SIZE")


class CrowdCost(msgspec.Struct, frozen=True, kw_only=True):
    """One client's round trip to the compositor with `clients` connected in all, and what each weighs there."""

    wire: str
    clients: int
    round_trip_ns: float
    bytes_per_client: float | None


class _NobodysExchange:
    """For clients that pass no descriptors: five hundred need no five hundred opens of the node."""

    def __init__(self, exchange: Exchange) -> None:
        self.address = exchange.address
        self.deposit = exchange.deposit
        self.redeem = exchange.redeem

    def close(self) -> None: ...


class Client:
    """Bound to a compositor global, with one surface, then silent."""

    def __init__(self, loop: RealLoop, transport: Transport, wire: Wire) -> None:
        self._loop = loop
        self._display = Display.connect(wire=wire)
        self._link = Link(loop, self._display.connection, transport, lambda _: None)
        registry = self._display.get_registry(Registry)
        self.roundtrip()
        registry.bind_first(proxy("wl_compositor")).request_new("create_surface", proxy("wl_surface"))
        self.roundtrip()

    def roundtrip(self) -> None:
        self._display.sync(lambda _: self._loop.stop())
        self._link.flush()
        self._loop.run_forever()

    def close(self) -> None:
        self._link.close()


def crowd_costs(most: int) -> list[CrowdCost]:
    """Both wires, every crowd up to `most` clients."""
    crowds = [each for each in CROWDS if each <= most]
    return [cost for wire in ("wayland", "zmq") for cost in _costs_on(wire, crowds)]


def _costs_on(wire: str, crowds: Sequence[int]) -> list[CrowdCost]:
    with (
        TemporaryDirectory(prefix="syncline-") as name,
        _compositor(Path(name)) as process,
        ExitStack() as owned,
    ):
        loop = RealLoop()
        owned.callback(loop.close)
        exchange = Exchange(RemoteFile(Path(name, "syncline", "card0"), "render"))
        owned.callback(exchange.close)

        def transport() -> Transport:
            if wire == "wayland":
                return unix.connect(loop, Path(name, "wayland-b"))
            return zmq.connect(loop, f"ipc://{name}/messages", _NobodysExchange(exchange))

        make = MsgpackWire if wire == "zmq" else WaylandWire
        clients: list[Client] = []
        costs = []
        first = 0
        for crowd in crowds:
            while len(clients) < crowd:
                clients.append(Client(loop, transport(), make()))
                owned.callback(clients[-1].close)
            weight = _resident(process.pid)
            first = first or weight
            costs.append(
                CrowdCost(
                    wire=wire,
                    clients=crowd,
                    round_trip_ns=cost_ns(clients[0].roundtrip, calls=CALLS),
                    bytes_per_client=(weight - first) / (crowd - 1) if crowd > 1 else None,
                )
            )
        return costs


@contextmanager
def _compositor(folder: Path) -> Iterator[Process]:
    """Raises Usage if it does not start."""
    words = ["compositor", "--socket", str(folder / "wayland-b"), "--zmq", f"ipc://{folder}/messages"]
    environment = os.environ | {"XDG_RUNTIME_DIR": str(folder)}
    command = [sys.executable, "-m", "syncline", *words]
    log = folder / "log"
    with Process(command, environment, log) as process:
        appears("the compositor", process, lambda: log if b"ready" in log.read_bytes() else None)
        yield process


def _resident(pid: int) -> int:
    return int(Path(f"/proc/{pid}/statm").read_text(encoding="ascii").split()[1]) * PAGE
