"""A machine in this process, on virtual time."""

import asyncio
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import TypeVar

from igt.machine import SHORT_MS, Machine, Sleeper, Story

from syncline.kms_model.checker import Checker, Ledger
from syncline.kms_model.checker.watch import close_books
from syncline.kms_model.device import Device
from syncline.kms_model.local import LocalNode
from syncline.kms_model.loops import VirtualLoop, run_virtual, sleep_until
from syncline.kms_model.task import Pending
from syncline.kms_model.uapi import DeviceError, DeviceFile, Request

R = TypeVar("R")


class LocalSleeper(Sleeper[R]):
    def __init__(self, node: LocalNode, pending: Pending[R]) -> None:
        self._node = node
        self._pending = pending

    async def is_asleep(self) -> bool:
        return not self._pending.done

    async def reply(self) -> R:
        done = asyncio.Event()
        self._pending.add_done_callback(lambda _: done.set())
        await done.wait()
        return self._pending.result()

    async def interrupt(self) -> int:
        self._pending.interrupt()
        self._node.arm()
        try:
            self._pending.result()
        except DeviceError as refusal:
            return refusal.errno
        return 0


class LocalMachine(Machine):
    """In this process, on virtual time."""

    def __init__(self, node: LocalNode, loop: VirtualLoop) -> None:
        self._node = node
        self._opened = node.open()
        self._virtual_loop = loop
        super().__init__(self._opened, loop)

    async def start(self, request: Request[R]) -> Sleeper[R]:
        return LocalSleeper(self._node, self._opened.start(request))

    async def moment(self) -> None:
        await sleep_until(self.loop, self.in_ns(SHORT_MS // 5))

    def patient_ns(self, delay_ms: int) -> int:
        return self.in_ns(delay_ms)

    def is_time(self, when_ns: int) -> bool:
        return self.loop.now_ns() == when_ns

    def close(self, fd: int) -> None:
        super().close(fd)
        self._collect()

    def end(self) -> None:
        super().end()
        self._collect()

    def _collect(self) -> None:
        """close(2) is over when the object is gone, not when the loop hears of it."""
        self._node.device.collect(self.loop.now_ns())
        self._node.arm()

    @contextmanager
    def forked(self, life: Callable[[DeviceFile, int], None], fd: int) -> Iterator[None]:
        """Another open of the device, after a second, as IGT's child."""
        other, inherited = self._node.open(), os.dup(fd)
        self.loop.call_at_ns(self.in_ns(10 * SHORT_MS), partial(life, other, inherited))
        yield
        os.close(inherited)
        other.close()

    async def threads(self, lives: Sequence[Story]) -> None:
        others = [LocalMachine(self._node, self._virtual_loop) for _ in lives]
        await asyncio.gather(*(life(other) for life, other in zip(lives, others, strict=True)))
        for other in others:
            other.end()


def run_local(story: Story, ledger: Ledger | None = None) -> None:
    """Run `story` on a machine of its own, and see the machine forget everything afterwards.

    With a `ledger`, under the fence checker.
    """

    async def main(loop: VirtualLoop) -> None:
        node = LocalNode(Device(), loop)
        checker = None if ledger is None else Checker(node.device.kernel, ledger)
        machine = LocalMachine(node, loop)
        try:
            await story(machine)
        finally:
            machine.end()
            if checker is not None:
                close_books(checker, node.device.kernel, (node.device,), alone=True)
            node.close()
        assert not node.device.kernel.descriptors.known(), "nothing outside refers to these any more"

    run_virtual(main)
