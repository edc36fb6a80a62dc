"""The user space of one run: symbols, descriptors, threads, and what a scenario watches."""

import errno
import os
import select
from collections.abc import Callable, Coroutine, Sequence
from typing import Final, TypeVar

from syncline.kms_model import uapi
from syncline.kms_model.task import ERESTARTSYS, Pending
from syncline.lab.replay.display import Display
from syncline.lab.replay.machine import Call, Machine, Node, OpenFile
from syncline.lab.replay.result import Result
from syncline.lab.replay.threads import Park, Thread, Threads
from syncline.lab.replay.watches import Watch, Watches

R = TypeVar("R")

POLL_BITS: Final = {
    "IN": select.POLLIN,
    "OUT": select.POLLOUT,
    "ERR": select.POLLERR,
    "HUP": select.POLLHUP,
    "NVAL": select.POLLNVAL,
}
EVENT_NAMES: Final = {uapi.FlipComplete: "FLIP_COMPLETE", uapi.VblankEvent: "VBLANK"}
LAST_EVENT: Final = "last_event"
NEVER_OPEN: Final = (1 << 31) - 1


class Skip(Exception):
    """This device cannot run this scenario."""


class Fault(Exception):
    """The scenario itself is wrong; no kernel was asked."""


class Unbound(Exception):
    """An operand was never created, because an earlier operation failed."""


class Refusal(Exception):
    """A call failed and still wrote something."""

    def __init__(self, errno: int, out: dict[str, object]) -> None:
        super().__init__(errno)
        self.errno = errno
        self.out = out


class Background:
    """An async operation: its thread, and its result once it has one."""

    def __init__(self, thread: Thread) -> None:
        self.thread = thread
        self.result: Result | None = None


class Process:
    """A fresh one per run. `device` is what "$DEV" means."""

    def __init__(self, machine: Machine, threads: Threads, device: str) -> None:
        self._machine = machine
        self.threads = threads
        self.device = device
        self.displays: dict[str, Display] = {}
        self.framebuffers: dict[int, str] = {}
        self.times: dict[str, int] = {}
        self._symbols: dict[str, int] = {}
        self._files: dict[int, OpenFile] = {}
        self._dmabufs: set[tuple[int, int]] = set()
        self._descriptors: set[int] = set()
        self._kept: list[int] = []
        self._background: dict[str, Background] = {}
        self.watches = Watches(threads, self.read_events)

    @property
    def now_ns(self) -> int:
        return self.threads.now_ns

    # -- symbols -------------------------------------------------------------------------------

    def number(self, operand: int | str) -> int:
        """The value of an operand. Raises Unbound."""
        if isinstance(operand, int):
            return operand
        if operand not in self._symbols:
            raise Unbound(operand)
        return self._symbols[operand]

    def numbers(self, operands: Sequence[int | str]) -> list[int]:
        return [self.number(operand) for operand in operands]

    def fd(self, operand: int | str) -> uapi.Fd:
        """A descriptor of the scenario's, or a number that is none: ours are not the scenario's to name."""
        number = self.number(operand)
        return uapi.Fd(number if number < 0 or number in self._descriptors else NEVER_OPEN)

    def bind(self, name: str | None, value: int) -> None:
        if name is not None:
            self._symbols[name] = value

    def bind_fd(self, name: str | None, fd: int) -> None:
        """Bind a descriptor that is this process's to close."""
        self._descriptors.add(fd)
        self.bind(name, fd)

    def keep(self, fd: int) -> None:
        """A descriptor that the scenario cannot name, open until the end."""
        self._kept.append(fd)

    def bind_dmabuf(self, name: str | None, fd: int) -> None:
        """The same for a dma-buf, whose poll(2) the model's memfd cannot answer by itself."""
        self._dmabufs.add(_inode(fd))
        self.bind_fd(name, fd)

    def display(self, dev: str) -> Display:
        if dev not in self.displays:
            raise Fault(f"{dev!r} was not opened by kms_open")
        return self.displays[dev]

    def saved_us(self, name: str) -> int:
        if name not in self.times:
            raise Fault(f"no saved time {name!r}")
        return self.times[name] // 1000

    # -- threads -------------------------------------------------------------------------------

    def background(self, name: str) -> Background:
        if name not in self._background:
            raise Fault(f"no async operation {name!r}")
        return self._background[name]

    def start_background(self, name: str, body: Callable[[], Coroutine[Park, None, Result]]) -> None:
        """A thread for an async operation; its end can be collected as done:NAME."""
        ended = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
        self.keep(ended)

        async def run() -> None:
            background.result = await body()
            os.eventfd_write(ended, 1)

        background = Background(self.threads.start(run()))
        self._background[name] = background
        self.watches.add(ended, Watch(f"done:{name}", "thread", name))

    # -- files ---------------------------------------------------------------------------------

    def open(self, device: str, node: Node, name: str | None) -> None:
        """open(2) of a device node. Raises Skip when this machine has none."""
        wanted = self.device if device == "$DEV" else device
        file = self._machine.open(wanted, node)
        if file is None:
            raise Skip(f"no {node} node of {wanted}")
        self._files[file.readable] = file
        self.bind_fd(name, file.readable)

    def dup(self, name: str | None, fd: int) -> None:
        copy = os.dup(fd)
        if fd in self._files:
            self._files[copy] = self._files[fd]
        self.bind_fd(name, copy)

    async def close(self, fd: int) -> None:
        """close(2); that of a device's last descriptor may sleep. Raises EBADF.

        While a call on it is under way, that call holds the file, and close(2) is over at once.
        """
        if fd not in self._descriptors:
            raise OSError(errno.EBADF, "not open")
        file = self._files.pop(fd, None)
        self._descriptors.remove(fd)
        os.close(fd)
        if file is not None and file not in self._files.values():
            is_held = file.is_in_use
            release = self._machine.release(file)
            if not is_held:
                await self._sleeping(release)
        self._machine.settle()

    async def ioctl(self, dev: int | str, request: uapi.Request[R]) -> R:
        """An ioctl on a device. Raises DeviceError; EINTR is ERESTARTSYS here."""
        return await self.caller(dev)(request)

    def caller(self, dev: int | str) -> Call:
        """What performs ioctls on this device's descriptor."""
        fd = self.fd(dev)
        file = self._files.get(fd)

        async def call(request: uapi.Request[R]) -> R:
            if file is None:
                os.fstat(fd)  # EBADF if closed
                raise uapi.DeviceError(errno.ENOTTY, "not a DRM device")
            return await self._restarting(lambda: self._machine.call(file, request))

        return call

    async def ioctl_fd(self, request: uapi.Request[R]) -> R:
        """An ioctl on a sync_file, timeline or dma-buf, which the request itself names."""
        return await self._restarting(lambda: self._machine.call(None, request))

    async def _restarting(self, begin: Callable[[], Pending[R]]) -> R:
        """Sleep in a call. After a signal with SA_RESTART the same call is made again."""
        while True:
            pending = begin()
            restart = await self._sleeping(pending)
            try:
                return pending.result()
            except uapi.DeviceError as refused:
                if refused.errno != ERESTARTSYS or not restart:
                    raise

    async def _sleeping(self, pending: Pending[R]) -> bool:
        """Wait until it is done. True: a signal came that wants the call restarted."""
        if pending.done:
            return False
        thread = self.threads.current
        assert thread is not None, "calls are made by threads"
        restart = False

        def interrupt(*, is_restarting: bool) -> None:
            nonlocal restart
            restart = is_restarting
            pending.interrupt()
            self._machine.settle()

        park = self.threads.park()
        pending.add_done_callback(lambda _: park.wake())
        thread.interrupt = interrupt
        await park
        thread.interrupt = None
        return restart

    # -- poll and events -----------------------------------------------------------------------

    def polled(self, fd: int) -> None:
        """Somebody begins to wait for `fd`. Fault: no number that one can wait for."""
        if fd < 0:
            raise Fault(f"{fd} cannot be polled")
        self._machine.polled(fd)

    def poll(self, fd: uapi.Fd, events: Sequence[str]) -> list[str]:
        """poll(2) without a timeout."""
        wanted = sum({POLL_BITS[event] for event in events})
        if fd >= 0 and self._is_dmabuf(fd):
            got = self._machine.call(None, uapi.DmaBufPoll(fd, wanted)).result().ready
        else:
            self.polled(fd)
            poller = select.poll()
            poller.register(fd, wanted)
            got = dict(poller.poll(0)).get(fd, 0)
        return [name for name, bit in POLL_BITS.items() if got & bit]

    def _is_dmabuf(self, fd: int) -> bool:
        try:
            return _inode(fd) in self._dmabufs
        except OSError:
            return False  # closed: poll says NVAL

    def read_events(self, dev: int | str) -> list[dict[str, object]]:
        """One read(2) of a DRM descriptor. Raises EAGAIN when there is nothing; EBADF if it is closed."""
        fd = self.fd(dev)
        file = self._files.get(fd)
        if file is None:
            os.fstat(fd)
            raise Fault(f"{dev!r} is not a DRM device")
        events = file.read_events()
        if not events:
            raise BlockingIOError(errno.EAGAIN, "no event")
        self.times[LAST_EVENT] = events[-1].time_ns
        display = self.displays.get(dev) if isinstance(dev, str) else None
        return [_described(event, display) for event in events]

    def end(self) -> None:
        """exit(2): every thread and descriptor goes."""
        for background in self._background.values():
            background.thread.abandon()
        self.watches.close()
        for fd in (*self._descriptors, *self._kept):
            os.close(fd)


def _described(event: uapi.DrmEvent, display: Display | None) -> dict[str, object]:
    out: dict[str, object] = {"type": EVENT_NAMES[type(event)], "user_data": event.user_data}
    if display is not None:
        out["crtc"] = f"crtc{display.crtcs.index(event.crtc_id)}"
    return out


def _inode(fd: int) -> tuple[int, int]:
    status = os.fstat(fd)
    return status.st_dev, status.st_ino
