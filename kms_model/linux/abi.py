"""The structs and numbers of the ioctls made here, as in uapi/drm and uapi/linux."""

from array import array
from dataclasses import dataclass
from functools import cached_property
from struct import Struct
from typing import Final

_CODES: Final = {"u32": "I", "s32": "i", "u64": "Q", "s64": "q", "name": "32s"}
_READ: Final = 2
_WRITE: Final = 1


@dataclass(frozen=True)
class Layout:
    """A C struct whose members are aligned without padding, written as in C: `u32 handle, u32 flags`."""

    members: str

    @cached_property
    def names(self) -> tuple[str, ...]:
        return tuple(each.split()[1] for each in self.members.split(","))

    @cached_property
    def struct(self) -> Struct:
        return Struct("=" + "".join(_CODES[each.split()[0]] for each in self.members.split(",")))

    def pack(self, **values: int | bytes) -> bytearray:
        """What is not named is 0."""
        empty = self.struct.unpack(bytes(self.struct.size))
        default = dict(zip(self.names, empty, strict=True))
        assert values.keys() <= default.keys(), f"{self.members!r} has no {values.keys() - default.keys()}"
        return bytearray(self.struct.pack(*(default | values).values()))

    def read(self, data: bytes | bytearray, name: str) -> int:
        """One member that is a number."""
        return int(self.struct.unpack(data)[self.names.index(name)])

    def text(self, data: bytes | bytearray, name: str) -> str:
        """One member that is a name."""
        value: bytes = self.struct.unpack(data)[self.names.index(name)]
        return value.partition(b"\0")[0].decode(errors="replace")


@dataclass(frozen=True)
class Ioctl:
    """_IOC of asm-generic/ioctl.h: which way the argument goes, whose ioctl it is, and its number there."""

    direction: int
    kind: str
    index: int
    layout: Layout

    @cached_property
    def number(self) -> int:
        return self.direction << 30 | self.layout.struct.size << 16 | ord(self.kind) << 8 | self.index


def _both(kind: str, index: int, members: str) -> Ioctl:
    return Ioctl(_READ | _WRITE, kind, index, Layout(members))


def _in(kind: str, index: int, members: str) -> Ioctl:
    return Ioctl(_WRITE, kind, index, Layout(members))


_PRIME: Final = "u32 handle, u32 flags, s32 fd"
_HANDLE: Final = "u32 handle, u32 flags, s32 fd, u32 pad"
_POINTS: Final = "u64 handles, u64 points, u32 count_handles, u32 flags"
_SYNC_FILE: Final = "u32 flags, s32 fd"

GEM_CLOSE: Final = _in("d", 0x09, "u32 handle, u32 pad")
GET_CAP: Final = _both("d", 0x0C, "u64 capability, u64 value")
PRIME_HANDLE_TO_FD: Final = _both("d", 0x2D, _PRIME)
PRIME_FD_TO_HANDLE: Final = _both("d", 0x2E, _PRIME)
VGEM_FENCE_ATTACH: Final = _both("d", 0x41, "u32 handle, u32 flags, u32 out_fence, u32 pad")
VGEM_FENCE_SIGNAL: Final = _in("d", 0x42, "u32 fence, u32 flags")
MODE_CREATE_DUMB: Final = _both(
    "d", 0xB2, "u32 height, u32 width, u32 bpp, u32 flags, u32 handle, u32 pitch, u64 size"
)
SYNCOBJ_CREATE: Final = _both("d", 0xBF, "u32 handle, u32 flags")
SYNCOBJ_DESTROY: Final = _both("d", 0xC0, "u32 handle, u32 pad")
SYNCOBJ_HANDLE_TO_FD: Final = _both("d", 0xC1, _HANDLE)
SYNCOBJ_FD_TO_HANDLE: Final = _both("d", 0xC2, _HANDLE)
SYNCOBJ_POINT_TO_FD: Final = _both("d", 0xC1, f"{_HANDLE}, u64 point")
SYNCOBJ_FD_TO_POINT: Final = _both("d", 0xC2, f"{_HANDLE}, u64 point")
"""From 6.16 on. An older kernel looks at the first 16 bytes only."""
SYNCOBJ_RESET: Final = _both("d", 0xC4, "u64 handles, u32 count_handles, u32 pad")
SYNCOBJ_TIMELINE_WAIT: Final = _both(
    "d",
    0xCA,
    "u64 handles, u64 points, s64 timeout_nsec, u32 count_handles, u32 flags, u32 first_signaled, u32 pad, "
    "u64 deadline_nsec",
)
"""`deadline_nsec` came with 6.6. An older kernel looks at what is before it only."""
SYNCOBJ_QUERY: Final = _both("d", 0xCB, _POINTS)
SYNCOBJ_TRANSFER: Final = _both(
    "d", 0xCC, "u32 src_handle, u32 dst_handle, u64 src_point, u64 dst_point, u32 flags, u32 pad"
)
SYNCOBJ_TIMELINE_SIGNAL: Final = _both("d", 0xCD, _POINTS)
SYNCOBJ_EVENTFD: Final = _both("d", 0xCF, "u32 handle, u32 flags, u64 point, s32 fd, u32 pad")
DMA_BUF_SYNC: Final = _in("b", 0, "u64 flags")
DMA_BUF_EXPORT_SYNC_FILE: Final = _both("b", 2, _SYNC_FILE)
DMA_BUF_IMPORT_SYNC_FILE: Final = _in("b", 3, _SYNC_FILE)
SYNC_FILE_INFO: Final = _both(
    ">", 4, "name name, s32 status, u32 flags, u32 num_fences, u32 pad, u64 sync_fence_info"
)
SYNC_FENCE_INFO: Final = Layout("name obj_name, name driver_name, s32 status, u32 flags, u64 timestamp_ns")
UDMABUF_CREATE: Final = _in("u", 0x42, "u32 memfd, u32 flags, u64 offset, u64 size")
UDMABUF_FLAGS_CLOEXEC: Final = 1
SW_SYNC_CREATE_FENCE: Final = _both("W", 0, "u32 value, name name, s32 fence")
SW_SYNC_INC: Final = _in("W", 1, "u32 value")
"""sw_sync is for tests, in debugfs: no header has it."""


def numbers32(values: tuple[int, ...]) -> "array[int]":
    """As __u32 in memory; `address` tells where."""
    return array("I", values)


def numbers64(values: tuple[int, ...]) -> "array[int]":
    """As __u64 in memory."""
    return array("Q", values)


def room(layout: Layout, count: int) -> "array[int]":
    """For so many structs, which the kernel fills."""
    return array("B", bytes(layout.struct.size * count))


def address(numbers: "array[int] | None") -> int:
    """For as long as somebody holds the array. None is NULL."""
    return numbers.buffer_info()[0] if numbers is not None else 0
