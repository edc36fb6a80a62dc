"""Files, threads, signals and wake order: the operations that are not about fences."""

import errno
import os
from typing import Final, Literal

import msgspec

from syncline.lab.replay.operation import Op, Operand, Out
from syncline.lab.replay.process import Process
from syncline.lab.replay.watches import Watch

DEFAULT_JOIN_MS: Final = 3000
DEFAULT_COLLECT_MS: Final = 1000
SIGNAL_SETTLES_MS: Final = 50
NO_LIMIT: Final = 10**6


class Open(Op, frozen=True, kw_only=True, tag="open"):
    device: str = "$DEV"
    node: Literal["card", "render"] = "card"

    async def run(self, process: Process) -> None:
        process.open(self.device, self.node, self.bind)


class Close(Op, frozen=True, kw_only=True, tag="close"):
    fd: Operand

    async def run(self, process: Process) -> None:
        await process.close(process.fd(self.fd))


class Dup(Op, frozen=True, kw_only=True, tag="dup"):
    fd: Operand

    async def run(self, process: Process) -> None:
        process.dup(self.bind, process.fd(self.fd))


class OpenDevnull(Op, frozen=True, kw_only=True, tag="open_devnull"):
    async def run(self, process: Process) -> None:
        process.bind_fd(self.bind, os.open(os.devnull, os.O_RDWR | os.O_CLOEXEC))


class Sleep(Op, frozen=True, kw_only=True, tag="sleep"):
    ms: float

    async def run(self, process: Process) -> None:
        await process.threads.sleep(self.ms)


class AsyncState(Op, frozen=True, kw_only=True, tag="async_state"):
    name: str
    after_ms: float = 0

    async def run(self, process: Process) -> Out:
        await process.threads.sleep(self.after_ms)
        return {"state": "done" if process.background(self.name).result else "blocked"}


class AsyncJoin(Op, frozen=True, kw_only=True, tag="async_join"):
    name: str
    timeout_ms: float = DEFAULT_JOIN_MS

    async def run(self, process: Process) -> Out:
        background = process.background(self.name)
        await process.threads.until(lambda: background.result is not None, timeout_ms=self.timeout_ms)
        if background.result is None:
            return {"state": "blocked"}
        return {"state": "done", "result": msgspec.to_builtins(background.result)}


class Interrupt(Op, frozen=True, kw_only=True, tag="interrupt"):
    """A signal for the thread of an async operation; its call is made again if `restart`."""

    name: str
    restart: bool = False

    async def run(self, process: Process) -> None:
        background = process.background(self.name)
        if background.thread.done:
            raise ProcessLookupError(errno.ESRCH, "the thread has ended")
        if background.thread.interrupt is not None:
            background.thread.interrupt(is_restarting=self.restart)
        await process.threads.sleep(SIGNAL_SETTLES_MS)


class WatchFd(Op, frozen=True, kw_only=True, tag="watch"):
    """`label` stands for the descriptor when `collect` tells what woke."""

    fd: str
    kind: Literal["sync_file", "eventfd", "drm"]
    label: str | None = None

    async def run(self, process: Process) -> None:
        fd: int = process.fd(self.fd)
        if self.kind == "sync_file":  # the same fence, and another entry in epoll's eyes
            fd = os.dup(fd)
            process.keep(fd)
        process.polled(fd)
        process.watches.add(fd, Watch(self.label or self.fd, self.kind, self.fd))


class Collect(Op, frozen=True, kw_only=True, tag="collect"):
    """Labels in the order they woke, until `expect` were seen or the time is over."""

    expect: int = NO_LIMIT
    timeout_ms: float = DEFAULT_COLLECT_MS

    async def run(self, process: Process) -> Out:
        return {"order": await process.watches.collect(expect=self.expect, timeout_ms=self.timeout_ms)}
