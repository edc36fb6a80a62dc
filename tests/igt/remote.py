"""A machine behind the socket of a device node, on real time."""

import asyncio
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

from igt import child
from igt.machine import PATIENCE_MS, Machine, Sleeper, Story

from syncline.kms_model.loops import RealLoop, run_real
from syncline.kms_model.packet import Interrupt
from syncline.kms_model.remote import RemoteFile
from syncline.kms_model.uapi import Cap, DeviceError, DeviceFile, GetCap, Request

R = TypeVar("R")


class RemoteSleeper(Sleeper[R]):
    def __init__(self, file: RemoteFile, request: Request[R]) -> None:
        self._file = file
        self._call = asyncio.ensure_future(file.wait(request))
        self._serial = 0

    async def post(self) -> None:
        before = set(self._file._sleepers)
        await asyncio.sleep(0)
        (self._serial,) = set(self._file._sleepers) - before

    async def is_asleep(self) -> bool:
        """The node answers in order: what it has not answered before this round trip, sleeps."""
        self._file.call(GetCap(Cap.SYNCOBJ))
        await asyncio.sleep(0)
        return not self._call.done()

    async def reply(self) -> R:
        return await self._call

    async def interrupt(self) -> int:
        """What cancelling sends. But here the answer is heard, too."""
        self._file._send(Interrupt(self._serial), [])
        try:
            await self._call
        except DeviceError as refusal:
            return refusal.errno
        return 0


class RemoteMachine(Machine):
    """Behind a device node's socket, on real time."""

    close_ms = PATIENCE_MS

    def __init__(self, path: Path, loop: RealLoop) -> None:
        self._path = path
        self._opened = RemoteFile(path)
        super().__init__(self._opened, loop)

    async def start(self, request: Request[R]) -> Sleeper[R]:
        sleeper = RemoteSleeper(self._opened, request)
        await sleeper.post()
        return sleeper

    async def moment(self) -> None:
        self.file.call(GetCap(Cap.SYNCOBJ))
        await asyncio.sleep(0)

    def patient_ns(self, delay_ms: int) -> int:
        return self.in_ns(PATIENCE_MS)

    def is_time(self, when_ns: int) -> bool:
        return self.loop.now_ns() >= when_ns

    @contextmanager
    def forked(self, life: Callable[[DeviceFile, int], None], fd: int) -> Iterator[None]:
        words = (sys.executable, child.__file__, self._path, life.__name__, str(fd))
        with subprocess.Popen(words, pass_fds=[fd]) as process:
            try:
                yield
            except BaseException:
                process.kill()  # it may wait for what we did not get to
                raise
        assert process.returncode == 0

    async def threads(self, lives: Sequence[Story]) -> None:
        with ThreadPoolExecutor(len(lives)) as pool:
            ends = [pool.submit(run_remote, self._path, life) for life in lives]
        for end in ends:
            end.result()


async def _play(path: Path, loop: RealLoop, story: Story) -> None:
    machine = RemoteMachine(path, loop)
    try:
        async with asyncio.timeout(2 * PATIENCE_MS / 1000):
            await story(machine)
    finally:
        machine.end()


def run_remote(path: Path, story: Story) -> None:
    """Run `story` on an open of the node at `path`."""
    run_real(lambda loop: _play(path, loop, story))


def run_together(path: Path, stories: Mapping[str, Story]) -> dict[str, BaseException | None]:
    """Run all at the same time, each on an open of its own. How each ended."""

    async def main(loop: RealLoop) -> list[BaseException | None]:
        plays = (_play(path, loop, story) for story in stories.values())
        return await asyncio.gather(*plays, return_exceptions=True)

    return dict(zip(stories, run_real(main), strict=True))
