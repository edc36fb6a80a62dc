"""sync_file, sw_sync, vgem, buffer and eventfd operations of the scenario format."""

import os
from collections.abc import Mapping
from typing import ClassVar, Final, Literal

from syncline.kms_model import uapi
from syncline.kms_model.descriptors import check_eventfd
from syncline.lab.replay.operation import U32, U64, FlaggedOp, Op, Operand, Out
from syncline.lab.replay.process import Process
from syncline.lab.replay.threads import NS_PER_MS

DMABUF_FLAGS: Final[Mapping[str, int]] = {
    "READ": uapi.DmaBufSyncFlag.READ,
    "WRITE": uapi.DmaBufSyncFlag.WRITE,
}


class EventfdCreate(Op, frozen=True, kw_only=True, tag="eventfd_create"):
    initial: int = 0

    async def run(self, process: Process) -> None:
        process.bind_fd(self.bind, os.eventfd(self.initial & U32, os.EFD_NONBLOCK | os.EFD_CLOEXEC))


class EventfdRead(Op, frozen=True, kw_only=True, tag="eventfd_read"):
    """EINVAL for the other kinds of descriptors: none of them can be read from."""

    fd: Operand

    async def run(self, process: Process) -> Out:
        fd = process.fd(self.fd)
        check_eventfd(fd)
        return {"count": os.eventfd_read(fd)}


class Poll(Op, frozen=True, kw_only=True, tag="poll"):
    """Readability (or `events`) of any descriptor; a negative timeout waits for ever."""

    fd: Operand
    events: tuple[Literal["IN", "OUT"], ...] = ("IN",)
    timeout_ms: float = 0

    async def run(self, process: Process) -> Out:
        fd = process.fd(self.fd)
        await process.threads.until(lambda: bool(process.poll(fd, self.events)), timeout_ms=self.timeout_ms)
        return {"ready": process.poll(fd, self.events)}


class Merge(FlaggedOp, frozen=True, kw_only=True, tag="sync_file_merge"):
    fd1: Operand
    fd2: Operand
    name: str = "merged"
    pad: int = 0

    async def run(self, process: Process) -> None:
        fd1, fd2 = process.fd(self.fd1), process.fd(self.fd2)
        request = uapi.SyncFileMerge(fd1, fd2, self.name, self.bits, self.pad & U32)
        process.bind_fd(self.bind, (await process.ioctl_fd(request)).fd)


class Info(FlaggedOp, frozen=True, kw_only=True, tag="sync_file_info"):
    """The order of a merged fence's members follows context numbers, so they are sorted by status."""

    fd: Operand
    num_fences: int = 32
    pad: int = 0
    user_named: bool = False
    save_time: str | None = None

    async def run(self, process: Process) -> Out:
        request = uapi.SyncFileInfo(process.fd(self.fd), self.num_fences & U32, self.bits, self.pad & U32)
        reply = await process.ioctl_fd(request)
        fences = reply.fences if self.num_fences else ()
        if self.save_time is not None and fences:
            process.times[self.save_time] = max(fence.timestamp_ns for fence in fences)
        out: Out = {
            "status": reply.status,
            "num_fences": reply.num_fences,
            "fences": [
                {"status": fence.status, "has_timestamp": fence.timestamp_ns != 0}
                for fence in sorted(fences, key=lambda fence: fence.status)
            ],
        }
        return out | {"name": reply.name} if self.user_named else out


class SetDeadline(Op, frozen=True, kw_only=True, tag="sync_file_set_deadline"):
    fd: Operand
    deadline_ns: int = 0
    deadline_rel_ms: int | None = None
    pad: int = 0

    async def run(self, process: Process) -> None:
        relative = self.deadline_rel_ms
        deadline_ns = self.deadline_ns if relative is None else process.now_ns + relative * NS_PER_MS
        request = uapi.SyncFileSetDeadline(process.fd(self.fd), deadline_ns & U64, self.pad & U64)
        await process.ioctl_fd(request)


class SwTimeline(Op, frozen=True, kw_only=True, tag="sw_timeline"):
    async def run(self, process: Process) -> None:
        process.bind_fd(self.bind, (await process.ioctl_fd(uapi.SwSyncCreateTimeline())).fd)


class SwFence(Op, frozen=True, kw_only=True, tag="sw_fence"):
    timeline: Operand
    value: int

    async def run(self, process: Process) -> None:
        request = uapi.SwSyncCreateFence(process.fd(self.timeline), self.value & U32, "f")
        process.bind_fd(self.bind, (await process.ioctl_fd(request)).fd)


class SwInc(Op, frozen=True, kw_only=True, tag="sw_inc"):
    timeline: Operand
    value: int = 1

    async def run(self, process: Process) -> None:
        await process.ioctl_fd(uapi.SwSyncInc(process.fd(self.timeline), self.value & U32))


class SwGetDeadline(Op, frozen=True, kw_only=True, tag="sw_get_deadline"):
    """A real instant is "large"; only hints that a scenario chose itself are small enough to compare."""

    timeline: Operand
    fd: Operand

    async def run(self, process: Process) -> Out:
        request = uapi.SwSyncGetDeadline(process.fd(self.timeline), process.fd(self.fd))
        deadline_ns = (await process.ioctl_fd(request)).deadline_ns
        return {"has_deadline": True, "value": deadline_ns if deadline_ns < 10**6 else "large"}


class VgemAttach(FlaggedOp, frozen=True, kw_only=True, tag="vgem_attach"):
    NAMES: ClassVar[Mapping[str, int]] = dict(uapi.VgemFlag.__members__)

    dev: Operand
    handle: Operand
    pad: int = 0

    async def run(self, process: Process) -> None:
        request = uapi.VgemFenceAttach(process.number(self.handle) & U32, self.bits, self.pad & U32)
        process.bind(self.bind, (await process.ioctl(self.dev, request)).out_fence)


class VgemSignal(FlaggedOp, frozen=True, kw_only=True, tag="vgem_signal"):
    dev: Operand
    fence: Operand

    async def run(self, process: Process) -> None:
        fence = process.number(self.fence) & U32
        await process.ioctl(self.dev, uapi.VgemFenceSignal(fence, self.bits))


class DumbCreate(Op, frozen=True, kw_only=True, tag="dumb_create"):
    dev: Operand
    width: int = 64
    height: int = 64

    async def run(self, process: Process) -> None:
        request = uapi.CreateDumb(self.width & U32, self.height & U32)
        process.bind(self.bind, (await process.ioctl(self.dev, request)).handle)


class GemExport(Op, frozen=True, kw_only=True, tag="gem_export"):
    dev: Operand
    handle: Operand

    async def run(self, process: Process) -> None:
        request = uapi.PrimeHandleToFd(process.number(self.handle) & U32, os.O_CLOEXEC | os.O_RDWR)
        process.bind_dmabuf(self.bind, (await process.ioctl(self.dev, request)).fd)


class GemImport(Op, frozen=True, kw_only=True, tag="gem_import"):
    dev: Operand
    fd: Operand

    async def run(self, process: Process) -> None:
        request = uapi.PrimeFdToHandle(process.fd(self.fd))
        process.bind(self.bind, (await process.ioctl(self.dev, request)).handle)


class DmaBufExport(FlaggedOp, frozen=True, kw_only=True, tag="dmabuf_export_sync_file"):
    NAMES: ClassVar[Mapping[str, int]] = DMABUF_FLAGS

    fd: Operand

    async def run(self, process: Process) -> None:
        request = uapi.DmaBufExportSyncFile(process.fd(self.fd), self.bits)
        process.bind_fd(self.bind, (await process.ioctl_fd(request)).fd)


class DmaBufImport(FlaggedOp, frozen=True, kw_only=True, tag="dmabuf_import_sync_file"):
    NAMES: ClassVar[Mapping[str, int]] = DMABUF_FLAGS

    fd: Operand
    sync_file: Operand

    async def run(self, process: Process) -> None:
        request = uapi.DmaBufImportSyncFile(process.fd(self.fd), self.bits, process.fd(self.sync_file))
        await process.ioctl_fd(request)
