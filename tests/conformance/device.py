"""The tester's own end of the machine: syncobjs it signals, fences it delays, images it lends."""

import mmap
import os
from array import array
from collections.abc import Callable
from dataclasses import dataclass
from errno import ETIME
from typing import Final, Protocol

from syncline.conformance.verdict import Skip
from syncline.kms_model.linux import LinuxFile, vgem_node
from syncline.kms_model.loops import RealLoop, VirtualLoop
from syncline.kms_model.uapi import (
    ClearFaults,
    CreateDumb,
    DeviceError,
    DeviceFile,
    DmaBufExportSyncFile,
    DmaBufImportSyncFile,
    DmaBufSync,
    DmaBufSyncFlag,
    Fd,
    Fill,
    GemClose,
    HandleFlag,
    InjectFault,
    Point as JobPoint,
    PrimeFdToHandle,
    PrimeHandleToFd,
    Submit,
    SwSyncCreateFence,
    SwSyncCreateTimeline,
    SwSyncInc,
    SyncFileInfo,
    SyncobjCreate,
    SyncobjDestroy,
    SyncobjEventfd,
    SyncobjFdToHandle,
    SyncobjHandleToFd,
    SyncobjQuery,
    SyncobjReset,
    SyncobjTimelineSignal,
    SyncobjTimelineWait,
    SyncobjTransfer,
    VgemFenceAttach,
    VgemFenceSignal,
    VgemFlag,
    WaitFlag,
)

NO_FENCES: Final = "a fence that we can signal: sw_sync in debugfs, or the vgem driver"
NO_ERRORS: Final = "a fence that can end in error: sw_sync in debugfs"


class Clock(Protocol):
    """What a device needs of its trial."""

    @property
    def loop(self) -> RealLoop | VirtualLoop: ...

    def beat(self) -> None: ...


class Device:
    """An open of the node. Everything made here goes with it."""

    def __init__(self, file: DeviceFile, clock: Clock) -> None:
        self.file = file
        self.clock = clock
        self._watches: list[Watch] = []
        self._fds: list[int] = []
        self._vgem: LinuxFile | None = None

    def timeline(self) -> "Timeline":
        """A syncobj of our own."""
        return Timeline(self, self.file.call(SyncobjCreate()).handle)

    def image(self, width: int = 64, height: int = 64, colour: int = 0x00808080) -> "Image":
        """A linear XRGB8888 dma-buf of one colour."""
        dumb = self.file.call(CreateDumb(width=width, height=height))
        fd = self.file.call(PrimeHandleToFd(handle=dumb.handle)).fd
        self.file.call(GemClose(handle=dumb.handle))
        self._fds.append(fd)
        image = Image(fd, width, height, dumb.pitch)
        self.paint(image, colour)
        return image

    def paint(self, image: "Image", colour: int) -> None:
        """All of it, by CPU, whoever may be looking."""
        size = image.pitch * image.height
        self.file.call(DmaBufSync(fd=Fd(image.fd), flags=DmaBufSyncFlag.WRITE))
        with mmap.mmap(image.fd, size) as pixels:
            pixels[:] = colour.to_bytes(4, "little") * (size // 4)
        self.file.call(DmaBufSync(fd=Fd(image.fd), flags=DmaBufSyncFlag.WRITE | DmaBufSyncFlag.END))

    def draw(self, image: "Image", colour: int, done: "Timeline", *, duration_ns: int) -> None:
        """All of it, by a GPU that takes its time; `done` reaches 1 then. A modelled GPU is asked like this, a real one is not."""
        handle = self.file.call(PrimeFdToHandle(fd=Fd(image.fd))).handle
        size = image.width, image.height
        self.file.call(
            Submit(
                target=handle, target_size=size, pitch=image.pitch, duration_ns=duration_ns,
                commands=(Fill(rect=(0, 0, *size), color=colour),),
                out_points=(JobPoint(handle=done.handle, point=1),),
            )
        )  # fmt: skip
        self.file.call(GemClose(handle=handle))

    def fence(self) -> "Fence":
        """A fence that signals when we say so: what a slow GPU would give. Raises Skip."""
        call = self.file.call
        try:
            timeline = call(SwSyncCreateTimeline()).fd
        except DeviceError:
            return self._vgem_fence()
        fd = call(SwSyncCreateFence(timeline=timeline, value=1)).fd
        self._fds += [timeline, fd]
        return Fence(self, fd, lambda: call(SwSyncInc(timeline=timeline)), lambda: self.release_fd(timeline))

    def _vgem_fence(self) -> "Fence":
        """On a buffer of the vgem driver, for 10 s at most; out of its reservation it comes as a sync_file."""
        node = vgem_node()
        if node is None:
            raise Skip(NO_FENCES)
        self._vgem = self._vgem or LinuxFile(node)
        call = self._vgem.call
        handle = call(CreateDumb(width=16, height=16)).handle
        fence = call(VgemFenceAttach(handle=handle, flags=VgemFlag.WRITE)).out_fence
        buffer = call(PrimeHandleToFd(handle=handle)).fd
        fd = call(DmaBufExportSyncFile(fd=buffer, flags=DmaBufSyncFlag.READ)).fd
        self._fds += [buffer, fd]
        return Fence(self, fd, lambda: call(VgemFenceSignal(fence=fence)), _cannot_fail)

    def release_fd(self, fd: Fd) -> None:
        """Close one of our descriptors early."""
        self._fds.remove(fd)
        os.close(fd)

    def watch(self, timeline: "Timeline", point: int, *, available: bool = False) -> "Watch":
        watch = Watch(self, timeline, point, available=available)
        self._watches.append(watch)
        return watch

    def close(self) -> None:
        for watch in self._watches:
            watch.close()
        for fd in self._fds:
            os.close(fd)
        self._watches.clear()
        self._fds.clear()
        if self._vgem is not None:
            self._vgem.close()
        self.file.close()


class Faults:
    """What goes wrong on purpose in the machine, written as in docs/machine.md; it works again in the end."""

    def __init__(self, file: DeviceFile) -> None:
        self._file = file
        self._pulled: set[str] = set()

    def inject(self, *faults: str) -> None:
        for fault in faults:
            self._file.call(InjectFault(fault))

    def clear(self) -> None:
        """Whatever was still to go wrong does not. Cables stay as they are."""
        self._file.call(ClearFaults())

    def pull(self, output: str) -> None:
        """The cable of an output."""
        self.inject(f"output-removed={output}")
        self._pulled.add(output)

    def put_in(self, output: str) -> None:
        self.inject(f"output-added={output}")
        self._pulled.discard(output)

    def close(self) -> None:
        self.clear()
        for output in sorted(self._pulled):
            self.put_in(output)
        self._file.close()


@dataclass(frozen=True, slots=True)
class Image:
    """A dma-buf. The descriptor is the device's to close."""

    fd: int
    width: int
    height: int
    pitch: int

    def count(self, colour: int) -> int:
        """How many pixels have that colour, whatever their alpha."""
        with mmap.mmap(self.fd, self.pitch * self.height) as pixels:
            data = bytearray(pixels[:])
        data[3::4] = bytes(len(data) // 4)
        words, stride = array("I", data), self.pitch // 4
        rows = (words[row * stride : row * stride + self.width] for row in range(self.height))
        return sum(row.count(colour) for row in rows)


@dataclass(frozen=True, slots=True)
class Fence:
    """A dma_fence that ends when we say so."""

    device: Device
    fd: Fd
    signal: Callable[[], None]
    abandon: Callable[[], None]
    """It ends with an error. Raises Skip where none can."""

    def guard(self, image: Image) -> None:
        """Attach it to the image as a writer's implicit fence."""
        request = DmaBufImportSyncFile(fd=Fd(image.fd), flags=DmaBufSyncFlag.WRITE, sync_file=self.fd)
        self.device.file.call(request)


def _cannot_fail() -> None:
    raise Skip(NO_ERRORS)


@dataclass(frozen=True, slots=True)
class Timeline:
    """A syncobj of the tester's. Points are plain numbers."""

    device: Device
    handle: int

    def export(self) -> Fd:
        """A descriptor for import_timeline, the caller's to close."""
        return self.device.file.call(SyncobjHandleToFd(handle=self.handle)).fd

    def signal(self, point: int) -> None:
        self.device.file.call(SyncobjTimelineSignal(handles=(self.handle,), points=(point,)))

    def materialise(self, point: int, fence: Fence) -> None:
        """Put a fence behind the point, signalled or not."""
        call = self.device.file.call
        binary = call(SyncobjCreate()).handle
        call(SyncobjFdToHandle(fd=fence.fd, handle=binary, flags=HandleFlag.SYNC_FILE))
        call(SyncobjTransfer(src_handle=binary, src_point=0, dst_handle=self.handle, dst_point=point))
        call(SyncobjDestroy(handle=binary))

    def value(self) -> int:
        """The highest point reached."""
        return self.device.file.call(SyncobjQuery(handles=(self.handle,))).points[0]

    def reached_ns(self, point: int) -> int:
        """When it was, by its fence."""
        call = self.device.file.call
        binary = call(SyncobjCreate()).handle
        call(SyncobjTransfer(src_handle=self.handle, src_point=point, dst_handle=binary, dst_point=0))
        fence = call(SyncobjHandleToFd(handle=binary, flags=HandleFlag.SYNC_FILE)).fd
        call(SyncobjDestroy(handle=binary))
        count = call(SyncFileInfo(fd=fence)).num_fences
        fences = call(SyncFileInfo(fd=fence, num_fences=count)).fences
        os.close(fence)
        return max(each.timestamp_ns for each in fences)

    def reset(self) -> None:
        self.device.file.call(SyncobjReset(handles=(self.handle,)))

    def reached(self, point: int, *, available: bool = False) -> bool:
        """Whether it is signalled, or at least has a fence."""
        flags = WaitFlag.AVAILABLE if available else WaitFlag.FOR_SUBMIT
        request = SyncobjTimelineWait(handles=(self.handle,), points=(point,), flags=flags)
        try:
            self.device.file.call(request)
        except DeviceError as refusal:
            if refusal.errno == ETIME:
                return False
            raise
        return True

    def destroy(self) -> None:
        self.device.file.call(SyncobjDestroy(handle=self.handle))


class Watch:
    """An eventfd on a point. `at_ns` is when we heard of it."""

    def __init__(self, device: Device, timeline: Timeline, point: int, *, available: bool) -> None:
        self.at_ns: int | None = None
        self._loop = device.clock.loop
        self._beat: Callable[[], None] = device.clock.beat
        self._fd = os.eventfd(0, os.EFD_CLOEXEC | os.EFD_NONBLOCK)
        flags = WaitFlag.AVAILABLE if available else 0
        device.file.call(SyncobjEventfd(handle=timeline.handle, point=point, fd=Fd(self._fd), flags=flags))
        self._loop.add_reader(self._fd, self._ring)

    def _ring(self) -> None:
        os.eventfd_read(self._fd)
        self.at_ns = self._loop.now_ns()
        self._loop.remove_reader(self._fd)
        self._beat()

    def close(self) -> None:
        if self._fd >= 0:
            self._loop.remove_reader(self._fd)
            os.close(self._fd)
            self._fd = -1
