"""Mode setting (uapi/drm/drm_mode.h): resources, framebuffers, atomic commits, events."""

import struct
from collections.abc import Iterable
from enum import IntEnum
from typing import Final

import msgspec

from syncline.kms_model.uapi.door import Fd, Record, Request


class ObjectType(IntEnum):
    """DRM_MODE_OBJECT_*."""

    CRTC = 0xCCCCCCCC
    CONNECTOR = 0xC0C0C0C0
    FB = 0xFBFBFBFB
    BLOB = 0xBBBBBBBB
    PLANE = 0xEEEEEEEE


class PlaneType(IntEnum):
    """Value of a plane's immutable "type" property."""

    OVERLAY = 0
    PRIMARY = 1
    CURSOR = 2


class AtomicFlag(IntEnum):
    """DRM_MODE_PAGE_FLIP_* and DRM_MODE_ATOMIC_*."""

    PAGE_FLIP_EVENT = 0x1
    PAGE_FLIP_ASYNC = 0x2
    TEST_ONLY = 0x100
    NONBLOCK = 0x200
    ALLOW_MODESET = 0x400
    OVERRIDE = 1 << 31
    """Replace the commit that still waits for user fences on this CRTC (UR8). Ours, not upstream's."""


class ModeInfo(Record, frozen=True):
    """drm_mode_modeinfo, the part that times depend on. Any refresh is possible: clock / (htotal * vtotal)."""

    name: str
    clock_khz: int
    hdisplay: int
    htotal: int
    vdisplay: int
    vtotal: int

    @property
    def refresh_ns(self) -> int:
        """Length of one frame in ns, rounded to the nearest."""
        return (self.htotal * self.vtotal * 1_000_000 + self.clock_khz // 2) // self.clock_khz


class Resources(Record, frozen=True):
    """Object ids in the order the kernel enumerates them."""

    crtcs: tuple[int, ...]
    connectors: tuple[int, ...]
    planes: tuple[int, ...]


class ModeGetResources(Request[Resources], frozen=True):
    """GETRESOURCES and GETPLANERESOURCES in one; what is listed depends on the file's client caps."""


class Connector(Record, frozen=True):
    connected: bool
    name: str
    writeback: bool
    possible_crtcs: tuple[int, ...]
    modes: tuple[ModeInfo, ...]


class ModeGetConnector(Request[Connector], frozen=True):
    connector_id: int


class PlaneInfo(Record, frozen=True):
    possible_crtcs: tuple[int, ...]
    formats: tuple[int, ...]
    modifiers: tuple[int, ...]


class ModeGetPlane(Request[PlaneInfo], frozen=True):
    plane_id: int


class PropertyValue(Record, frozen=True):
    prop_id: int
    name: str
    value: int


class ObjectProperties(Record, frozen=True):
    properties: tuple[PropertyValue, ...]


class ModeObjGetProperties(Request[ObjectProperties], frozen=True):
    """OBJ_GETPROPERTIES with the names that GETPROPERTY would give. Takes the object's lock: may sleep."""

    obj_id: int


class BlobReply(Record, frozen=True):
    blob_id: int


class ModeCreateBlob(Request[BlobReply], frozen=True):
    """CREATEPROPBLOB. `data` is a MessagePack-encoded ModeInfo, or any bytes (which no MODE_ID takes)."""

    data: bytes


class ModeDestroyBlob(Request[None], frozen=True):
    blob_id: int


class FbReply(Record, frozen=True):
    fb_id: int


class ModeAddFb2(Request[FbReply], frozen=True):
    width: int
    height: int
    pixel_format: int
    handle: int
    pitch: int
    offset: int = 0
    modifier: int = 0
    flags: int = 0


class ModeRmFb(Request[None], frozen=True):
    fb_id: int


class AtomicReply(Record, frozen=True):
    """`out_fences`: (pointer, fd) for every OUT_FENCE_PTR written. -1 under TEST_ONLY."""

    out_fences: tuple[tuple[int, Fd], ...] = ()


class ModeAtomic(Request[AtomicReply], frozen=True):
    """MODE_ATOMIC. `props` are (object, property, value) in ioctl order, values as 64-bit ints.

    The value of a plane's IN_FENCE_FD is a descriptor of the caller (lent), the value of an
    OUT_FENCE_PTR a "user pointer": any number the caller chooses, by which the reply names the fence;
    `BAD_POINTER` faults. Blocking commits may sleep.

    `timeout_ns` ends the wait for the commit's user fences at this instant of CLOCK_MONOTONIC: -ETIME, and
    the old frame stays (UR9). 0: never. -EINVAL without IN_USER_FENCE.
    """

    flags: int
    props: tuple[tuple[int, int, int], ...]
    user_data: int = 0
    reserved: int = 0
    timeout_ns: int = 0


BAD_POINTER = 0x10


class ModePageFlip(Request[None], frozen=True):
    crtc_id: int
    fb_id: int
    flags: int = 0
    user_data: int = 0


class SetMaster(Request[None], frozen=True):
    """The first card-node open becomes master by itself, as on Linux."""


class DropMaster(Request[None], frozen=True):
    pass


class VblankReply(Record, frozen=True):
    sequence: int
    time_ns: int


class CrtcGetSequence(Request[VblankReply], frozen=True):
    """The CRTC's vblank counter and the timestamp of its last vblank. -EINVAL when off."""

    crtc_id: int


class WaitVblank(Request[VblankReply], frozen=True):
    """WAIT_VBLANK, absolute sequence; `event` queues a VblankEvent instead of sleeping."""

    crtc_id: int
    sequence: int
    event: bool = False
    user_data: int = 0


class FlipComplete(Record, frozen=True):
    """DRM_EVENT_FLIP_COMPLETE (type 2). `time_ns` is the vblank's, not the reader's."""

    user_data: int
    crtc_id: int
    sequence: int
    time_ns: int


class VblankEvent(Record, frozen=True):
    """DRM_EVENT_VBLANK (type 1)."""

    user_data: int
    crtc_id: int
    sequence: int
    time_ns: int


class FlipDropped(Record, frozen=True):
    """Instead of FlipComplete: the commit waited for user fences and will not be shown. Ours, not upstream's.

    `status` is -ECANCELED (replaced, or its screen, framebuffer or master went away), -ETIME (its timeout)
    or -EINVAL (it no longer fits). The point of its OUT_USER_FENCE has been written.
    """

    user_data: int
    crtc_id: int
    status: int
    time_ns: int


class Hotplug(Record, frozen=True):
    """The uevent HOTPLUG=1, which udev would bring: look at the connectors again. For the DRM master."""


class Wedged(Record, frozen=True):
    """The uevent WEDGED=none: the device was reset and goes on; what the GPU had begun is lost. For the DRM master."""


DrmEvent = FlipComplete | VblankEvent | FlipDropped
Event = DrmEvent | Hotplug | Wedged
"""All that comes by the descriptor; a kernel sends uevents another way."""

USER_POINT: Final = struct.Struct("<IIQ")
"""One entry of an IN_USER_FENCE or OUT_USER_FENCE blob: handle, zero, point."""


def encode_mode(mode: ModeInfo) -> bytes:
    """The blob that MODE_ID takes."""
    return msgspec.msgpack.encode(mode)


def encode_user_points(points: Iterable[tuple[int, int]]) -> bytes:
    """The blob that IN_USER_FENCE takes, of (handle, point); OUT_USER_FENCE takes one of a single entry."""
    return b"".join(USER_POINT.pack(handle, 0, point) for handle, point in points)
