"""Syncline in this process on virtual time, a fresh one for every case: same seed, same messages."""

import asyncio
import gc
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from errno import ECONNREFUSED
from typing import Final

from syncline.compositor.core.policy import Policy
from syncline.compositor.core.report import ReportEvent
from syncline.compositor.loop import Driver
from syncline.conformance.provider import OTHER_NODE
from syncline.conformance.target import Stand, count_fds
from syncline.kms_model.device import Device
from syncline.kms_model.kernel import Kernel
from syncline.kms_model.kms.scanout import compose
from syncline.kms_model.local import LocalFile, LocalNode
from syncline.kms_model.loops import NS_PER_S, VirtualLoop, sleep_until
from syncline.kms_model.profiles import SYNCLINE, VIRTIO_GPU
from syncline.kms_model.uapi import DeviceFile
from syncline.protocol.transport import Transport
from syncline.protocol.transport.memory import pair
from syncline.protocol.wire import Wire
from syncline.protocol.wire.msgpack import MsgpackWire

LIGHTING_NS: Final = NS_PER_S // 10
"""The screens have had their first frame by then."""


@dataclass(slots=True)
class VirtualStand:
    """One Syncline. Who needs more than its socket finds `driver` and `node` here."""

    loop: VirtualLoop
    node: LocalNode
    file: LocalFile
    driver: Driver
    endurance: float = 1.0
    is_ended: bool = False
    other: LocalNode | None = None
    """A second GPU, once somebody wants one."""

    def connect(self) -> Transport:
        if self.is_ended:
            raise ConnectionRefusedError(ECONNREFUSED, os.strerror(ECONNREFUSED))
        ours, theirs = pair(self.loop)
        self.driver.server.accept(theirs)
        return ours

    def new_wire(self) -> Wire | None:
        """Wayland's."""
        return None

    def other_line(self) -> "MemoryLine":
        return MemoryLine(self)

    def open_device(self, node: str) -> DeviceFile:
        if node != OTHER_NODE:
            return self.node.open(node)
        if self.other is None:
            self.other = LocalNode(Device(VIRTIO_GPU, kernel=self.node.device.kernel), self.loop)
        return self.other.open()

    def pointer(self) -> "Hand":
        return Hand(self)

    def eye(self) -> "Onlooker":
        return Onlooker(self)

    def end(self) -> None:
        self.driver.close()
        self.file.close()
        self.is_ended = True

    def fd_count(self) -> int | None:
        """Of this process, tester and machine included: they are the same before and after."""
        gc.collect()  # or what an earlier stand left is closed in between
        return count_fds(os.getpid())


@dataclass(frozen=True, slots=True)
class MemoryLine:
    """Messages instead of Wayland's bytes. In one process either travels in memory."""

    stand: VirtualStand

    def connect(self) -> Transport:
        ours, theirs = pair(self.stand.loop)
        self.stand.driver.server.accept(theirs, wire=MsgpackWire())
        return ours

    def new_wire(self) -> Wire:
        return MsgpackWire()


@dataclass(frozen=True, slots=True)
class Hand:
    """On the pointer, which no device is behind otherwise."""

    stand: VirtualStand

    def move(self, *, x: int, y: int) -> None:
        self.stand.driver.core.seat.move_pointer(x=x, y=y, now_ns=self.stand.loop.now_ns())
        self.stand.driver.server.settle()

    def press(self, button: int, *, pressed: bool) -> None:
        now_ns = self.stand.loop.now_ns()
        self.stand.driver.core.seat.press(button=button, pressed=pressed, now_ns=now_ns)
        self.stand.driver.server.settle()


@dataclass(frozen=True, slots=True)
class Onlooker:
    """In front of the screens, where no client and no compositor is."""

    stand: VirtualStand

    def count(self, colour: int) -> int:
        views = self.stand.node.device.kms.display.view()
        screens = [compose(each.showing) for each in views if each.showing is not None]
        return sum(int((screen == colour).sum()) for screen in screens)


class VirtualTarget:
    """Makes them."""

    name = "syncline (virtual)"

    @contextmanager
    def stand(self) -> Iterator[Stand]:
        loop = VirtualLoop()
        asyncio.set_event_loop(loop)
        device = Device(SYNCLINE, kernel=Kernel(now_ns=loop.now_ns()), allows_faults=True)
        node = LocalNode(device, loop)
        try:
            file = node.open()
            driver = Driver(loop, file, policy=Policy(), caps={}, report=_unheard)
            loop.run_until_complete(sleep_until(loop, loop.now_ns() + LIGHTING_NS))
            stand = VirtualStand(loop, node, file, driver)
            yield stand
            if not stand.is_ended:
                stand.end()
            loop.run_until_complete(sleep_until(loop, loop.now_ns() + LIGHTING_NS))
            if stand.other is not None:
                stand.other.close()
        finally:
            node.close()
            node.device.kernel.descriptors.close()
            asyncio.set_event_loop(None)
            loop.close()


def _unheard(_events: list[ReportEvent]) -> None:
    """Nobody listens: the suite knows what its clients know."""
