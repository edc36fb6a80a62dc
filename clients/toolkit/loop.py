"""The edge of the clients: the only file here that waits, watches descriptors, has threads or draws lots."""

import asyncio
import os
import random
import signal
import time
from collections.abc import Callable, Coroutine
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

from syncline.clients.toolkit.options import Options
from syncline.clients.toolkit.report import Emit, Tally, ignore
from syncline.kms_model.loops import Loop
from syncline.kms_model.uapi import DeviceFile, Fd, Request, SyncobjFdToHandle, SyncobjHandleToFd
from syncline.protocol.trace import Observer
from syncline.protocol.transport import Transport
from syncline.protocol.wire import Wire

R = TypeVar("R")


class Finished(Exception):
    """The run is over: enough seconds, a signal, a closed window. Not an error: `run_demo` ends it."""


class ClientError(Exception):
    """The demo cannot go on; the text is one sentence for the user."""


class Doorbell:
    """An eventfd that somebody else rings; `on_ring` runs in the loop."""

    def __init__(self, loop: Loop, on_ring: Callable[[], None]) -> None:
        self._loop = loop
        self._on_ring = on_ring
        self.fd = Fd(os.eventfd(0, os.EFD_CLOEXEC | os.EFD_NONBLOCK))
        loop.add_reader(self.fd, self._ring)

    def _ring(self) -> None:
        os.eventfd_read(self.fd)
        self._on_ring()

    def close(self) -> None:
        self._loop.remove_reader(self.fd)
        os.close(self.fd)


class Threads:
    """Where a client sleeps in the kernel. Here the threads are tasks of one loop, and the kernel cannot tell."""

    def __init__(self, file: DeviceFile) -> None:
        self._file = file

    async def on_main(self, request: Request[R]) -> R:
        """Sleep in this call on the thread that draws."""
        return await self._file.wait(request)

    async def on_submit(self, request: Request[R]) -> R:
        """Sleep in this call on the submit thread. Handles are those that `share` gave."""
        return await self._file.wait(request)

    def share(self, handle: int) -> int:
        """A syncobj's handle on the submit thread."""
        return handle

    def close(self) -> None:
        """The submit thread ends, after the call that it is in."""


class RealThreads(Threads):
    """Real ones. The submit thread has an open of the device of its own, as a file belongs to one thread."""

    def __init__(self, file: DeviceFile, another: Callable[[], DeviceFile]) -> None:
        super().__init__(file)
        self._another = another
        self._own: DeviceFile | None = None
        self._pool = ThreadPoolExecutor(max_workers=1, thread_name_prefix="submit")

    async def on_main(self, request: Request[R]) -> R:
        return self._file.call(request)

    async def on_submit(self, request: Request[R]) -> R:
        assert self._own is not None, "its handles come from `share`"
        return await asyncio.get_running_loop().run_in_executor(self._pool, self._own.call, request)

    def share(self, handle: int) -> int:
        if self._own is None:
            self._own = self._another()
        fd = self._file.call(SyncobjHandleToFd(handle=handle)).fd
        try:
            return self._own.call(SyncobjFdToHandle(fd=fd)).handle
        finally:
            self._file.close_fd(fd)

    def close(self) -> None:
        self._pool.shutdown()
        if self._own is not None:
            self._own.close()


class Context:
    """What one client has of the world: a loop, a connected transport, an open device, its orders.

    Everything a client waits for is a condition over its own state, looked at again after every `beat`.
    """

    def __init__(
        self,
        *,
        loop: Loop,
        transport: Transport,
        device: DeviceFile | None,
        options: Options,
        emit: Emit = ignore,
        wire: Wire | None = None,
        observer: Observer | None = None,
        threads: Threads | None = None,
    ) -> None:
        """`wire`: how the transport's messages look, None for Wayland's own. `observer` sees each of them."""
        self.loop = loop
        self.transport = transport
        self.wire = wire
        self.observer = observer
        self.options = options
        self.emit = emit
        self.tally = Tally()
        self.random = random.Random(options.seed)  # noqa: S311  repeatable, not secret
        self.stop_reason = ""
        self._device = device
        self._threads = threads
        self._failure: Exception | None = None
        self._heartbeat = asyncio.Event()
        self._sync_files: set[Fd] = set()

    @property
    def device(self) -> DeviceFile:
        """The open device node. AssertionError in a demo that said it needs none."""
        assert self._device is not None
        return self._device

    @property
    def threads(self) -> Threads:
        """For calls that sleep."""
        if self._threads is None:
            self._threads = Threads(self.device)
        return self._threads

    def now_ns(self) -> int:
        return self.loop.now_ns()

    def doorbell(self, on_ring: Callable[[], None]) -> Doorbell:
        """An eventfd for the device to ring."""
        return Doorbell(self.loop, on_ring)

    def when_signalled(self, sync_file: Fd, action: Callable[[], None]) -> None:
        """Call `action` once the sync_file is signalled, and close it then or at the end of the run."""
        self._sync_files.add(sync_file)

        def signalled() -> None:
            self._close_sync_file(sync_file)
            action()

        self.loop.add_reader(sync_file, signalled)

    def _close_sync_file(self, sync_file: Fd) -> None:
        self._sync_files.remove(sync_file)
        self.loop.remove_reader(sync_file)
        os.close(sync_file)

    def close(self) -> None:
        """Nobody waits for a sync_file or sleeps in the kernel any more."""
        for sync_file in list(self._sync_files):
            self._close_sync_file(sync_file)
        if self._threads is not None:
            self._threads.close()

    def beat(self) -> None:
        """Something changed: whoever waits looks again."""
        self._heartbeat.set()
        self._heartbeat = asyncio.Event()

    def stop(self, reason: str) -> None:
        """End the run at its next wait, cleanly."""
        self.stop_reason = self.stop_reason or reason
        self.beat()

    def fail(self, error: Exception) -> None:
        """End the run at its next wait, with `error`."""
        self._failure = self._failure or error
        self.beat()

    @property
    def failed(self) -> bool:
        return self._failure is not None

    async def until(
        self, condition: Callable[[], bool], *, deadline_ns: int | None = None, ending: bool = False
    ) -> bool:
        """Wait for the condition; False when `deadline_ns` came first.

        Raises Finished when the run is to stop (not while `ending`), or what `fail` was told.
        """
        alarm = None if deadline_ns is None else self.loop.call_at_ns(deadline_ns, self.beat)
        try:
            while True:
                if self._failure is not None:
                    raise self._failure
                if self.stop_reason and not ending:
                    raise Finished(self.stop_reason)
                if condition():
                    return True
                if deadline_ns is not None and self.now_ns() >= deadline_ns:
                    return False
                await self._heartbeat.wait()
        finally:
            if alarm is not None:
                alarm.cancel()

    async def sleep_until(self, when_ns: int) -> None:
        await self.until(lambda: False, deadline_ns=when_ns)

    def to_monotonic_ns(self, when_ns: int, *, clock: int) -> int:
        """An instant of another clock (presentation-time P1) on CLOCK_MONOTONIC, going by both clocks now."""
        if clock == time.CLOCK_MONOTONIC:
            return when_ns
        return when_ns + self.now_ns() - time.clock_gettime_ns(clock)


async def side_by_side(*courses: Coroutine[Any, Any, None]) -> None:
    """Run them at the same time. The first that fails ends the others, and what it raised is raised here."""
    try:
        async with asyncio.TaskGroup() as group:
            for course in courses:
                group.create_task(course)
    except BaseExceptionGroup as failures:
        raise failures.exceptions[0] from None


def stop_on_signals(loop: asyncio.AbstractEventLoop, context: Context) -> None:
    """SIGINT and SIGTERM end the run cleanly."""
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, context.stop, number.name)
