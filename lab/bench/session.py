"""How fast virtual time goes: clients, compositor and device in this process, as tests and `--virtual` have them."""

import time
from collections.abc import Sequence
from statistics import median
from typing import Final

import msgspec

from syncline.clients.catalogue import DEMOS
from syncline.clients.toolkit.options import Options
from syncline.compositor.core.policy import Policy
from syncline.compositor.core.report import FrameReport, ReportEvent
from syncline.kms_model.loops import NS_PER_S, VirtualLoop, run_virtual, sleep_until
from syncline.kms_model.profiles import SYNCLINE
from syncline.lab.bench.clock import ROUNDS
from syncline.lab.virtual import Guest, House

CLIENTS: Final = ("shm", "implicit", "solid")
"""Of each way to synchronise one: copied, by dma_resv, by timeline points."""
WARM_UP_NS: Final = NS_PER_S // 2
ROUND_NS: Final = NS_PER_S // 4


class SessionCost(msgspec.Struct, frozen=True):
    """`times_real`: seconds of session in a second of computing. `frame_ns`: computing for one frame shown."""

    client: str
    clients: int
    times_real: float
    frame_ns: float


def session_costs(clients: int) -> Sequence[SessionCost]:
    """So many of each kind on one 60 Hz output, the race detector watching as in every virtual run. Medians."""
    return [_session_cost(name, clients) for name in CLIENTS]


def _session_cost(name: str, clients: int) -> SessionCost:
    return run_virtual(lambda loop: _perform(loop, name, clients))


async def _perform(loop: VirtualLoop, name: str, clients: int) -> SessionCost:
    shown: list[FrameReport] = []

    def hear(events: Sequence[ReportEvent]) -> None:
        shown.extend(event for event in events if isinstance(event, FrameReport))

    house = House(loop, profile=SYNCLINE, policy=Policy(), hear_device=lambda _: None, hear_compositor=hear)
    await house.light()
    guests = [
        Guest(house, DEMOS[name], Options(title=f"{name} {number}")) for number in range(1, clients + 1)
    ]
    await sleep_until(loop, loop.now_ns() + WARM_UP_NS)
    rounds = [await _round(loop, shown) for _ in range(ROUNDS)]
    for guest in guests:
        complaint = await guest.leave("the benchmark is over")
        assert not complaint, complaint
    house.close()
    return SessionCost(
        name,
        clients,
        times_real=ROUND_NS / median(spent for spent, _ in rounds),
        frame_ns=median(spent / count for spent, count in rounds),
    )


async def _round(loop: VirtualLoop, shown: list[FrameReport]) -> tuple[int, int]:
    """What a stretch of session took to compute, and how many frames it showed."""
    shown.clear()
    begin_ns = time.perf_counter_ns()
    await sleep_until(loop, loop.now_ns() + ROUND_NS)
    return time.perf_counter_ns() - begin_ns, len(shown)
