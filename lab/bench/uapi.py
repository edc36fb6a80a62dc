"""What a call through the device's door costs: in process, through the node, and with many points on a timeline."""

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from itertools import count, islice
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

import msgspec

from syncline.kms_model.device import Device
from syncline.kms_model.local import LocalNode
from syncline.kms_model.loops import RealLoop
from syncline.kms_model.packet import Call, Done, encode
from syncline.kms_model.presence import answers
from syncline.kms_model.remote import RemoteFile
from syncline.kms_model.uapi import (
    DeviceFile,
    Fd,
    HandleFlag,
    Request,
    SwSyncCreateFence,
    SwSyncCreateTimeline,
    SyncobjCreate,
    SyncobjEventfd,
    SyncobjFdToHandle,
    SyncobjHandleToFd,
    SyncobjQuery,
    SyncobjTimelineSignal,
    SyncobjTimelineWait,
    SyncobjTransfer,
)
from syncline.lab.bench.bare import Cores, answer, child, ping_pong, pinned, placements, relay
from syncline.lab.bench.clock import Pair, compare, cost_ns
from syncline.lab.process import Process, appears

CALLS: Final = 300
WAKES: Final = 50
"""Points registered at once: as in the kernel, each signal looks at all that are."""
BATCH: Final = 1_000
POINTS: Final = (10, 1_000, 100_000)

Maker = Callable[[], Request[Any]]


class CallCost(msgspec.Struct, frozen=True, kw_only=True):
    """One kind of call. Through the node, it is compared with a SEQPACKET ping-pong of the same payload."""

    call: str
    in_process_ns: float
    node: dict[str, Pair]


class PointCost(msgspec.Struct, frozen=True, kw_only=True):
    """On a timeline with `points` points, in process. `held`: the first is pending, so that none can be dropped."""

    points: int
    held: bool
    signal_ns: float
    query_ns: float


class Timelines:
    """The syncobjs of one measurement, and the requests that are timed on them."""

    def __init__(self, file: DeviceFile) -> None:
        self.file = file
        self.source = file.call(SyncobjCreate()).handle
        self.target = file.call(SyncobjCreate()).handle
        self.eventfd = os.eventfd(0, os.EFD_NONBLOCK)
        self._points = iter(range(2, 1 << 62))
        file.call(SyncobjTimelineSignal((self.source,), (1,)))
        file.call(SyncobjTimelineSignal((self.target,), (1,)))

    def requests(self) -> dict[str, Maker]:
        """By name; each call of a maker gives the next request."""
        source, target, points = self.source, self.target, self._points
        fd = Fd(self.eventfd)
        return {
            "signal": lambda: SyncobjTimelineSignal((source,), (next(points),)),
            "query": lambda: SyncobjQuery((source,)),
            "wait, signalled": lambda: SyncobjTimelineWait((source,), (1,)),
            "transfer": lambda: SyncobjTransfer(source, 1, target, next(points)),
            "eventfd": lambda: SyncobjEventfd(source, 1, fd),
        }

    def close(self) -> None:
        os.close(self.eventfd)
        self.file.close()


class Node:
    """A device node of its own, as a process."""

    def __init__(self, path: Path, process: Process) -> None:
        self.path = path
        self._process = process

    @contextmanager
    def on(self, cores: Cores) -> Iterator[None]:
        """The node on its core and this process on its own."""
        os.sched_setaffinity(self._process.pid, {cores.server})
        with pinned(cores.caller):
            yield

    @classmethod
    @contextmanager
    def running(cls) -> "Iterator[Node]":
        """Raises Usage if it does not start."""
        with TemporaryDirectory(prefix="syncline-") as directory:
            path = Path(directory, "card0")
            command = [sys.executable, "-m", "syncline", "device", "--socket", str(path)]
            with Process(command, os.environ, None) as process:
                appears("the device node", process, lambda: path if answers(path) else None)
                yield cls(path, process)


def call_costs(node: Node) -> list[CallCost]:
    """Every kind of call in process, through the node, and as a bare ping-pong."""
    loop = RealLoop()
    here = LocalNode(Device(), loop)
    with ExitStack() as owned:
        owned.callback(loop.close)
        owned.callback(here.close)
        local = Timelines(here.open("render"))
        owned.callback(local.close)
        remote = Timelines(RemoteFile(node.path, "render"))
        owned.callback(remote.close)
        there = remote.requests()
        return [
            CallCost(
                call=name,
                in_process_ns=_in_process_ns(local, make),
                node={cores.name: _through(node, cores, name, remote, there[name]) for cores in placements()},
            )
            for name, make in local.requests().items()
        ]


def _in_process_ns(local: Timelines, make: Maker) -> float:
    return cost_ns(lambda: local.file.call(make()), calls=CALLS)


def _through(node: Node, cores: Cores, name: str, remote: Timelines, make: Maker) -> Pair:
    reply = remote.file.call(make())
    lent = (remote.eventfd,) if name == "eventfd" else ()
    packets = encode(Call(1 << 15, make(), lent)), encode(Done(1 << 15, reply))
    with node.on(cores), ping_pong(*packets, with_fd=bool(lent), cores=cores) as bare:
        return compare(lambda: remote.file.call(make()), bare, calls=CALLS)


def wake_costs(node: Node) -> dict[str, Pair]:
    """A signal here to an eventfd wake in another process and back, against an eventfd that a third passes on."""
    return {cores.name: _wake_cost(node, cores) for cores in placements()}


def _wake_cost(node: Node, cores: Cores) -> Pair:
    with ExitStack() as owned:
        owned.enter_context(node.on(cores))
        file = RemoteFile(node.path, "render")
        owned.callback(file.close)
        handle = file.call(SyncobjCreate()).handle
        shared = file.call(SyncobjHandleToFd(handle)).fd
        awaited, more, back = (os.eventfd(0) for _ in range(3))
        for fd in (shared, awaited, more, back):
            owned.callback(os.close, fd)
        points = count(1)

        def wait_and_answer() -> None:
            own = RemoteFile(node.path, "render")
            mine = own.call(SyncobjFdToHandle(shared)).handle
            while os.eventfd_read(more):
                for point in islice(points, WAKES):
                    own.call(SyncobjEventfd(mine, point, Fd(awaited)))
                os.eventfd_write(back, 1)
                answer(awaited, back, times=WAKES)

        def register() -> None:
            os.eventfd_write(more, 1)
            os.eventfd_read(back)

        def ring() -> None:
            file.call(SyncobjTimelineSignal((handle,), (next(points),)))
            os.eventfd_read(back)

        owned.enter_context(child(wait_and_answer, core=cores.caller))
        bare = owned.enter_context(relay(cores))
        return compare(ring, bare, calls=WAKES, prepare=register)


def point_costs() -> list[PointCost]:
    """Signalling and asking at the end of timelines of every length."""
    return [_point_cost(points, held=held) for points in POINTS for held in (False, True)]


def _point_cost(points: int, *, held: bool) -> PointCost:
    loop = RealLoop()
    here = LocalNode(Device(), loop)
    with ExitStack() as owned:
        owned.callback(loop.close)
        owned.callback(here.close)
        file = here.open("render")
        owned.callback(file.close)
        handle = file.call(SyncobjCreate()).handle
        if held:
            _add_pending_point(file, handle, owned)
        for first in range(2, points + 1, BATCH):
            batch = tuple(range(first, min(first + BATCH, points + 1)))
            file.call(SyncobjTimelineSignal((handle,) * len(batch), batch))
        further = iter(range(points + 1, 1 << 62))
        query = SyncobjQuery((handle,))
        return PointCost(
            points=points,
            held=held,
            query_ns=cost_ns(lambda: file.call(query), calls=CALLS),
            signal_ns=cost_ns(
                lambda: file.call(SyncobjTimelineSignal((handle,), (next(further),))), calls=CALLS
            ),
        )


def _add_pending_point(file: DeviceFile, handle: int, owned: ExitStack) -> None:
    timeline = file.call(SwSyncCreateTimeline()).fd
    fence = file.call(SwSyncCreateFence(timeline, 1)).fd
    flags = HandleFlag.SYNC_FILE | HandleFlag.TIMELINE
    file.call(SyncobjFdToHandle(fence, handle, flags, point=1))
    owned.callback(os.close, timeline)
    os.close(fence)
