"""The machine under one run: one kernel, and every driver of the recorded rig that a scenario opens."""

import os
from collections.abc import Mapping
from typing import Final, Literal, Protocol, TypeVar

from syncline.kms_model import uapi
from syncline.kms_model.checker import Checker, Ledger
from syncline.kms_model.checker.watch import close_books
from syncline.kms_model.device import Device
from syncline.kms_model.fences.sync_file import SyncFile
from syncline.kms_model.kernel import Kernel
from syncline.kms_model.profiles import Profile, profile
from syncline.kms_model.task import Pending
from syncline.kms_model.trace import TraceEvent, Warn

R = TypeVar("R")

Node = Literal["card", "render"]

KernelName = Literal["linux-7.2", "linux-6.12"]
KERNELS: Final[Mapping[KernelName, str]] = {"linux-7.2": "7.2", "linux-6.12": "6.12"}
"""Replay profiles, and what `profiles.profile` calls their kernels."""


class Call(Protocol):
    """Performs ioctls on one open file."""

    async def __call__(self, request: uapi.Request[R], /) -> R: ...


class OpenFile:
    """An open of a node with a real descriptor, which polls as the DRM one would."""

    def __init__(self, device: Device, node: Node) -> None:
        self.device = device
        self.file = device.open(node)
        self.readable, self._bell = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
        self.file.on_readable = self._ring

    def read_events(self) -> list[uapi.DrmEvent]:
        events = self.file.read_events()
        if events and not self.file.has_events:
            os.read(self.readable, 1)
        return [event for event in events if isinstance(event, uapi.DrmEvent)]

    @property
    def is_in_use(self) -> bool:
        """Does a call on it sleep?"""
        return bool(self.file.calls)

    def _ring(self) -> None:
        os.write(self._bell, b"\1")

    def close(self) -> None:
        """Our end; `readable` is the process's to close."""
        self.file.on_readable = None
        os.close(self._bell)


class Machine:
    """`now_ns` does not begin at 0: there, and a little later, a real kernel has not begun to count either.

    With a `ledger` it is watched, and in the end it waits for what the process has left behind.
    """

    def __init__(
        self,
        kernel_name: KernelName,
        *,
        now_ns: int,
        ledger: Ledger | None = None,
        other: Profile | None = None,
    ) -> None:
        """`other` takes the place of the driver of its name."""
        self._kernel_version = KERNELS[kernel_name]
        self._other = other
        self.warnings: list[str] = []
        self.kernel = Kernel(now_ns=now_ns, trace=self._note)
        self.kernel.descriptors.hears_of_polls = True
        self._checker = None if ledger is None else Checker(self.kernel, ledger)
        self._devices: dict[str, Device] = {}
        self._open_files: list[OpenFile] = []
        self._anywhere: OpenFile | None = None

    def open(self, name: str, node: Node) -> OpenFile | None:
        """open(2) of a driver's node. None: this machine has no such driver, or the driver no such node."""
        device = self._device(name)
        if device is None or node not in device.profile.nodes:
            return None
        file = OpenFile(device, node)
        self._open_files.append(file)
        return file

    def call(self, file: OpenFile | None, request: uapi.Request[R]) -> Pending[R]:
        """An ioctl; without a file, one on a sync_file, timeline or dma-buf that the request names."""
        file = file or self._bystander()
        return file.device.call(file.file, request, self.kernel.now_ns)

    def release(self, file: OpenFile) -> Pending[None]:
        """The last close(2) of an open file."""
        self._open_files.remove(file)
        file.close()
        return file.device.close(file.file, self.kernel.now_ns, interrupt=False)

    def polled(self, fd: int) -> None:
        """Tell the kernel of a poll(2) that it cannot see: the order of first polls is that of the wake-ups."""
        sync_file = self.kernel.descriptors.find(fd, SyncFile)
        if sync_file is not None:
            sync_file.polled()

    def settle(self) -> None:
        """Let the kernel see closed descriptors and finish what that set off."""
        self.kernel.descriptors.collect()
        self.kernel.settle()

    def next_deadline_ns(self) -> int | None:
        return self.kernel.next_deadline_ns()

    def advance(self, now_ns: int) -> None:
        self.kernel.advance(now_ns)

    def close(self) -> None:
        """Power off."""
        for file in self._open_files:
            file.close()
        if self._checker is not None:
            self._end(self._checker)
        if self._anywhere is not None:
            os.close(self._anywhere.readable)
        self.kernel.descriptors.close()

    def _end(self, checker: Checker) -> None:
        """What exit(2) does to files, and what is left then."""
        for file in self._open_files:
            file.device.close(file.file, self.kernel.now_ns)
        close_books(checker, self.kernel, self._devices.values(), alone=True)

    def _device(self, name: str) -> Device | None:
        if name not in self._devices:
            if self._other is not None and name == self._other.name:
                found = self._other
            else:
                try:
                    found = profile(name, self._kernel_version)
                except KeyError:
                    return None
            self._devices[name] = Device(found, kernel=self.kernel)
        return self._devices[name]

    def _bystander(self) -> OpenFile:
        """A file for calls that are no driver's: vgem is on every recorded machine, and has no state of its own."""
        if self._anywhere is None:
            self._anywhere = self.open("vgem", "render")
            assert self._anywhere is not None, "every recorded kernel has vgem"
        return self._anywhere

    def _note(self, event: TraceEvent) -> None:
        if isinstance(event, Warn):
            self.warnings.append(f"{event.rule}: {event.what}")
