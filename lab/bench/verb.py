"""`syncline bench`: what things cost, next to what they would cost with nothing of ours in between."""

import sys
from collections.abc import Mapping, Sequence
from typing import Annotated, Final

import msgspec
from cyclopts import Parameter
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from syncline.lab.bench.clock import Pair
from syncline.lab.bench.echo import round_trips
from syncline.lab.bench.idle import CrowdCost, crowd_costs
from syncline.lab.bench.session import session_costs
from syncline.lab.bench.uapi import (
    CallCost,
    Node,
    PointCost,
    call_costs,
    point_costs,
    wake_costs,
)
from syncline.lab.bench.wire import MessageCost, message_costs
from syncline.lab.exit import PASS, Usage

MOST: Final = 64
"""Clients on one output: `bench scale` goes as far."""

NAME_MAX: Final = 32
"""Longer names of messages are broken into two lines."""


Json = Annotated[bool, Parameter(help="The numbers as JSON on standard output, nothing else.", negative="")]


class UapiReport(msgspec.Struct, frozen=True):
    """All medians, in ns."""

    calls: Sequence[CallCost]
    wake: Mapping[str, Pair]
    points: Sequence[PointCost]


class WireReport(msgspec.Struct, frozen=True):
    """All medians, in ns and bytes."""

    messages: Sequence[MessageCost]
    present: Mapping[str, Pair]
    crowds: Sequence[CrowdCost]


def _print_json(numbers: object) -> int:
    sys.stdout.buffer.write(msgspec.json.format(msgspec.json.encode(numbers), indent=2) + b"\n")
    return PASS


def wire(
    *,
    most: Annotated[int, Parameter(help="The largest crowd of idle clients.")] = 500,
    json: Json = False,
) -> int:
    """Messages on both wires: encoding, decoding, a round trip beside a bare echo, and many idle clients."""
    report = WireReport(message_costs(), round_trips(), crowd_costs(most))
    if json:
        return _print_json(report)
    console = Console()
    console.print(_messages(report.messages))
    for cores, pair in report.present.items():
        console.print(
            f"attach to release on the message wire, {cores}: {pair.ours_ns / 1000:.1f} µs, "
            f"{pair.ratio:.2f} times a bare pyzmq and msgpack echo ({pair.bare_ns / 1000:.1f} µs)",
            highlight=False,
        )
    console.print(_crowds(report.crowds))
    return PASS


def _messages(costs: Sequence[MessageCost]) -> Table:
    table = _plain("µs; deliver: from bytes to the handler's return")
    table.add_column("message", no_wrap=True)
    wires = list(costs[0].encode_ns)
    for name in wires:
        for heading in ("encode", "decode", "deliver"):
            table.add_column(f"{name}\n{heading}", justify="right", no_wrap=True)
    for cost in costs:
        cells = [
            f"{times[name] / 1000:.2f}" if name in times else ""
            for name in wires
            for times in (cost.encode_ns, cost.decode_ns, cost.deliver_ns)
        ]
        name = cost.message if len(cost.message) < NAME_MAX else cost.message.replace(".", "\n  .")
        table.add_row(name, *cells)
    return table


def _plain(caption: str) -> Table:
    """For many columns in eighty."""
    return Table(box=SIMPLE_HEAD, show_edge=False, padding=0, caption=caption)


def _crowds(costs: Sequence[CrowdCost]) -> Table:
    table = _plain("a round trip of one client to the compositor while the others are idle")
    table.add_column("wire")
    for heading in ("clients", "round trip µs", "KiB per client"):
        table.add_column(heading, justify="right")
    for cost in costs:
        weight = "" if cost.bytes_per_client is None else f"{cost.bytes_per_client / 1024:.1f}"
        table.add_row(cost.wire, f"{cost.clients}", f"{cost.round_trip_ns / 1000:.0f}", weight)
    return table


def virtual(
    *,
    clients: Annotated[int, Parameter(help="On one output at 60 Hz.")] = 4,
    json: Json = False,
) -> int:
    """How fast virtual time goes: client, compositor and device in one process, nobody waiting for a clock."""
    if not 1 <= clients <= MOST:
        raise Usage(f"--clients {clients}: from 1 to {MOST}")
    costs = session_costs(clients)
    if json:
        return _print_json(costs)
    table = _plain("a second of session takes a second on the real loop, whatever it computes")
    table.add_column("clients")
    for heading in ("times real time", "µs per frame"):
        table.add_column(heading, justify="right")
    for cost in costs:
        table.add_row(
            f"{cost.clients} x {cost.client}", f"{cost.times_real:.1f}", f"{cost.frame_ns / 1000:.0f}"
        )
    Console().print(table)
    return PASS


def uapi(
    *,
    json: Json = False,
) -> int:
    """Calls through the device's door, signal to wake across processes, and long timelines."""
    with Node.running() as node:
        report = UapiReport(call_costs(node), wake_costs(node), point_costs())
    if json:
        return _print_json(report)
    console = Console()
    console.print(_calls(report.calls))
    for cores, wake in report.wake.items():
        console.print(
            f"signal here to eventfd wake elsewhere and back, {cores}: {wake.ours_ns / 1000:.1f} µs, "
            f"{wake.ratio:.2f} times a bare eventfd relay ({wake.bare_ns / 1000:.1f} µs)",
            highlight=False,
        )
    console.print(_points(report.points))
    return PASS


def _calls(costs: Sequence[CallCost]) -> Table:
    table = _plain("bare: a SEQPACKET ping-pong of the same payload between two processes")
    table.add_column("call", no_wrap=True)
    table.add_column("in\nprocess/s", justify="right", no_wrap=True)
    for cores in costs[0].node:
        for heading in ("node/s", "bare/s", "node :\nbare"):
            table.add_column("\n".join([*cores.split(), heading]), justify="right", no_wrap=True)
    for cost in costs:
        cells = [f"{1e9 / cost.in_process_ns:,.0f}"]
        for pair in cost.node.values():
            cells += [f"{1e9 / pair.ours_ns:,.0f}", f"{1e9 / pair.bare_ns:,.0f}", f"{pair.ratio:.2f}"]
        table.add_row(cost.call, *cells)
    return table


def _points(costs: Sequence[PointCost]) -> Table:
    first = {cost.held: cost for cost in reversed(costs)}
    table = _plain("held: the first point is pending, so that no later one can be dropped")
    table.add_column("points", justify="right")
    table.add_column("held")
    for heading in ("signal µs", ": at first", "query µs", ": at first"):
        table.add_column(heading, justify="right")
    for cost in costs:
        base = first[cost.held]
        table.add_row(
            f"{cost.points:,}",
            "yes" if cost.held else "no",
            f"{cost.signal_ns / 1000:.1f}",
            f"{cost.signal_ns / base.signal_ns:.2f}",
            f"{cost.query_ns / 1000:.1f}",
            f"{cost.query_ns / base.query_ns:.2f}",
        )
    return table
