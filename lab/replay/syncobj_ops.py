"""drm_syncobj operations of the scenario format."""

from collections.abc import Mapping, Sequence
from typing import ClassVar, Final

from syncline.kms_model import uapi
from syncline.lab.replay.operation import U32, U64, FlaggedOp, Op, Operand, Out, unsigned32, unsigned64
from syncline.lab.replay.process import Process
from syncline.lab.replay.threads import NS_PER_MS

HANDLE_FLAGS: Final[Mapping[str, int]] = {
    "EXPORT_SYNC_FILE": uapi.HandleFlag.SYNC_FILE,
    "IMPORT_SYNC_FILE": uapi.HandleFlag.SYNC_FILE,
    "TIMELINE": uapi.HandleFlag.TIMELINE,
}
CLIENT_CAPS: Final[Mapping[str, int]] = dict(uapi.ClientCap.__members__)
PAGE_HANDLES: Final = 1024
WAIT_FLAGS: Final[Mapping[str, int]] = dict(uapi.WaitFlag.__members__)


def _count(count: int | None) -> int | None:
    return None if count is None else count & U32


def _handles(process: Process, operands: Sequence[Operand], count: int | None) -> tuple[int, ...]:
    """The array in memory. A kernel that is told of more reads on, where there are zeros, up to the end of the page."""
    handles = unsigned32(process.numbers(operands))
    missing = 0 if count is None else count - len(handles)
    return handles + (0,) * missing if 0 < missing < PAGE_HANDLES else handles


class GetCap(Op, frozen=True, kw_only=True, tag="get_cap"):
    dev: Operand
    cap: int | str

    async def run(self, process: Process) -> Out:
        capability = uapi.Cap[self.cap] if isinstance(self.cap, str) else self.cap
        reply = await process.ioctl(self.dev, uapi.GetCap(capability))
        return {"value": reply.value}

    def __post_init__(self) -> None:
        if isinstance(self.cap, str) and self.cap not in uapi.Cap.__members__:
            raise ValueError(f"unknown capability {self.cap!r}")


class SetClientCap(Op, frozen=True, kw_only=True, tag="set_client_cap"):
    dev: Operand
    cap: int | str
    value: int = 1

    async def run(self, process: Process) -> None:
        capability = CLIENT_CAPS[self.cap] if isinstance(self.cap, str) else self.cap
        await process.ioctl(self.dev, uapi.SetClientCap(capability, self.value & U64))

    def __post_init__(self) -> None:
        if isinstance(self.cap, str) and self.cap not in CLIENT_CAPS:
            raise ValueError(f"unknown client capability {self.cap!r}")


class Create(FlaggedOp, frozen=True, kw_only=True, tag="syncobj_create"):
    NAMES: ClassVar[Mapping[str, int]] = dict(uapi.CreateFlag.__members__)

    dev: Operand

    async def run(self, process: Process) -> Out:
        reply = await process.ioctl(self.dev, uapi.SyncobjCreate(self.bits))
        process.bind(self.bind, reply.handle)
        return {"handle": reply.handle}


class Destroy(Op, frozen=True, kw_only=True, tag="syncobj_destroy"):
    dev: Operand
    handle: Operand
    pad: int = 0

    async def run(self, process: Process) -> None:
        handle = process.number(self.handle) & U32
        await process.ioctl(self.dev, uapi.SyncobjDestroy(handle, self.pad & U32))


class HandleToFd(FlaggedOp, frozen=True, kw_only=True, tag="syncobj_handle_to_fd"):
    """Without `point`: the 16-byte struct from before 6.16."""

    NAMES: ClassVar[Mapping[str, int]] = HANDLE_FLAGS

    dev: Operand
    handle: Operand
    pad: int = 0
    point: int | None = None

    async def run(self, process: Process) -> None:
        point = None if self.point is None else self.point & U64
        handle = process.number(self.handle) & U32
        request = uapi.SyncobjHandleToFd(handle, self.bits, self.pad & U32, point)
        process.bind_fd(self.bind, (await process.ioctl(self.dev, request)).fd)


class FdToHandle(FlaggedOp, frozen=True, kw_only=True, tag="syncobj_fd_to_handle"):
    NAMES: ClassVar[Mapping[str, int]] = HANDLE_FLAGS

    dev: Operand
    fd: Operand
    handle: Operand = 0
    pad: int = 0
    point: int | None = None

    async def run(self, process: Process) -> Out:
        point = None if self.point is None else self.point & U64
        handle = process.number(self.handle) & U32
        request = uapi.SyncobjFdToHandle(process.fd(self.fd), handle, self.bits, self.pad & U32, point)
        reply = await process.ioctl(self.dev, request)
        process.bind(self.bind, reply.handle)
        return {"handle": reply.handle}


class Reset(Op, frozen=True, kw_only=True, tag="syncobj_reset"):
    dev: Operand
    handles: tuple[Operand, ...]
    pad: int = 0
    count: int | None = None

    async def run(self, process: Process) -> None:
        handles = _handles(process, self.handles, self.count)
        await process.ioctl(self.dev, uapi.SyncobjReset(handles, _count(self.count), self.pad & U32))


class Signal(Op, frozen=True, kw_only=True, tag="syncobj_signal"):
    dev: Operand
    handles: tuple[Operand, ...]
    pad: int = 0
    count: int | None = None

    async def run(self, process: Process) -> None:
        handles = _handles(process, self.handles, self.count)
        await process.ioctl(self.dev, uapi.SyncobjSignal(handles, _count(self.count), self.pad & U32))


class TimelineSignal(FlaggedOp, frozen=True, kw_only=True, tag="syncobj_timeline_signal"):
    dev: Operand
    handles: tuple[Operand, ...]
    points: tuple[int, ...] | None
    count: int | None = None

    async def run(self, process: Process) -> None:
        handles = _handles(process, self.handles, self.count)
        points = None if self.points is None else unsigned64(self.points)
        request = uapi.SyncobjTimelineSignal(handles, points, self.bits, _count(self.count))
        await process.ioctl(self.dev, request)


class Query(FlaggedOp, frozen=True, kw_only=True, tag="syncobj_query"):
    NAMES: ClassVar[Mapping[str, int]] = dict(uapi.QueryFlag.__members__)

    dev: Operand
    handles: tuple[Operand, ...]
    count: int | None = None
    null_points: bool = False

    async def run(self, process: Process) -> Out:
        handles = _handles(process, self.handles, self.count)
        request = uapi.SyncobjQuery(handles, self.bits, _count(self.count), self.null_points)
        reply = await process.ioctl(self.dev, request)
        unwritten = (U64,) * (len(handles) - len(reply.points))
        return {"points": [*reply.points, *unwritten]}


class _AnyWait(FlaggedOp, frozen=True, kw_only=True):
    """`timeout` is absolute; `…_rel_ms` count from the call."""

    NAMES: ClassVar[Mapping[str, int]] = WAIT_FLAGS

    dev: Operand
    handles: tuple[Operand, ...]
    timeout: int = 0
    timeout_rel_ms: int | None = None
    deadline_ns: int = 0
    deadline_rel_ms: int | None = None
    count: int | None = None
    pad: int = 0

    def timeout_ns(self, process: Process) -> int:
        relative = self.timeout_rel_ms
        return self.timeout if relative is None else process.now_ns + relative * NS_PER_MS

    def hint_ns(self, process: Process) -> int:
        relative = self.deadline_rel_ms
        hint_ns = self.deadline_ns if relative is None else process.now_ns + relative * NS_PER_MS
        return hint_ns & U64


def _first_signaled(reply: uapi.SyncobjWaitReply) -> Out:
    first: int | str | None = reply.first_signaled
    if first is None:
        first = "untouched"
    elif first == U32:
        first = "all_ones"
    return {"first_signaled": first}


class Wait(_AnyWait, frozen=True, kw_only=True, tag="syncobj_wait"):
    async def run(self, process: Process) -> Out:
        request = uapi.SyncobjWait(
            handles=_handles(process, self.handles, self.count),
            timeout_ns=self.timeout_ns(process),
            flags=self.bits,
            deadline_ns=self.hint_ns(process),
            count=_count(self.count),
            pad=self.pad & U32,
        )
        return _first_signaled(await process.ioctl(self.dev, request))


class TimelineWait(_AnyWait, frozen=True, kw_only=True, tag="syncobj_timeline_wait"):
    points: tuple[int, ...] | None

    async def run(self, process: Process) -> Out:
        request = uapi.SyncobjTimelineWait(
            handles=_handles(process, self.handles, self.count),
            points=None if self.points is None else unsigned64(self.points),
            timeout_ns=self.timeout_ns(process),
            flags=self.bits,
            deadline_ns=self.hint_ns(process),
            count=_count(self.count),
            pad=self.pad & U32,
        )
        return _first_signaled(await process.ioctl(self.dev, request))


class Transfer(FlaggedOp, frozen=True, kw_only=True, tag="syncobj_transfer"):
    NAMES: ClassVar[Mapping[str, int]] = WAIT_FLAGS

    dev: Operand
    src: Operand
    dst: Operand
    src_point: int = 0
    dst_point: int = 0
    pad: int = 0

    async def run(self, process: Process) -> None:
        request = uapi.SyncobjTransfer(
            src_handle=process.number(self.src) & U32,
            src_point=self.src_point & U64,
            dst_handle=process.number(self.dst) & U32,
            dst_point=self.dst_point & U64,
            flags=self.bits,
            pad=self.pad & U32,
        )
        await process.ioctl(self.dev, request)


class Eventfd(FlaggedOp, frozen=True, kw_only=True, tag="syncobj_eventfd"):
    NAMES: ClassVar[Mapping[str, int]] = WAIT_FLAGS

    dev: Operand
    handle: Operand
    fd: Operand
    point: int = 0
    pad: int = 0

    async def run(self, process: Process) -> None:
        request = uapi.SyncobjEventfd(
            handle=process.number(self.handle) & U32,
            point=self.point & U64,
            fd=process.fd(self.fd),
            flags=self.bits,
            pad=self.pad & U32,
        )
        await process.ioctl(self.dev, request)
