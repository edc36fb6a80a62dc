"""drm_syncobj (uapi/drm/drm.h): one record per ioctl, names and flags as in the header.

`count` overrides the length of `handles`, as a C caller could; None means "as many as there are".
A `points` of None is the NULL pointer.
"""

from enum import IntEnum

from syncline.kms_model.uapi.door import Fd, Record, Request


class Cap(IntEnum):
    """DRM_CAP_*, for GetCap."""

    DUMB_BUFFER = 0x1
    VBLANK_HIGH_CRTC = 0x2
    DUMB_PREFERRED_DEPTH = 0x3
    DUMB_PREFER_SHADOW = 0x4
    PRIME = 0x5
    TIMESTAMP_MONOTONIC = 0x6
    ASYNC_PAGE_FLIP = 0x7
    CURSOR_WIDTH = 0x8
    CURSOR_HEIGHT = 0x9
    ADDFB2_MODIFIERS = 0x10
    PAGE_FLIP_TARGET = 0x11
    CRTC_IN_VBLANK_EVENT = 0x12
    SYNCOBJ = 0x13
    SYNCOBJ_TIMELINE = 0x14
    ATOMIC_ASYNC_PAGE_FLIP = 0x15
    SYNCOBJ_USER = 0x1000
    """User fences (`uapi.user_fence`). Ours, not upstream's."""
    ATOMIC_USER_FENCE = 0x1001
    """Atomic commits take user fences: IN_USER_FENCE, OUT_USER_FENCE, OVERRIDE, a timeout. Ours, too."""


class ClientCap(IntEnum):
    """DRM_CLIENT_CAP_*, for SetClientCap."""

    STEREO_3D = 1
    UNIVERSAL_PLANES = 2
    ATOMIC = 3
    ASPECT_RATIO = 4
    WRITEBACK_CONNECTORS = 5
    CURSOR_PLANE_HOTSPOT = 6
    PLANE_COLOR_PIPELINE = 7


class CreateFlag(IntEnum):
    """DRM_SYNCOBJ_CREATE_*."""

    SIGNALED = 1


class HandleFlag(IntEnum):
    """DRM_SYNCOBJ_HANDLE_TO_FD_FLAGS_* and FD_TO_HANDLE: bit 0 is sync_file in either direction."""

    SYNC_FILE = 1
    TIMELINE = 2


class WaitFlag(IntEnum):
    """DRM_SYNCOBJ_WAIT_FLAGS_*."""

    ALL = 1
    FOR_SUBMIT = 2
    AVAILABLE = 4
    DEADLINE = 8


class QueryFlag(IntEnum):
    """DRM_SYNCOBJ_QUERY_FLAGS_*."""

    LAST_SUBMITTED = 1


class GetCapReply(Record, frozen=True):
    value: int


class GetCap(Request[GetCapReply], frozen=True):
    capability: int


class SetClientCap(Request[None], frozen=True):
    capability: int
    value: int = 1


class HandleReply(Record, frozen=True):
    handle: int


class FdReply(Record, frozen=True):
    fd: Fd


class SyncobjCreate(Request[HandleReply], frozen=True):
    flags: int = 0


class SyncobjDestroy(Request[None], frozen=True):
    handle: int
    pad: int = 0


class SyncobjHandleToFd(Request[FdReply], frozen=True):
    handle: int
    flags: int = 0
    pad: int = 0
    point: int | None = None
    """None: the 16-byte struct from before 6.16."""


class SyncobjFdToHandle(Request[HandleReply], frozen=True):
    """With HandleFlag.SYNC_FILE the fence goes into `handle`, which is also what comes back."""

    fd: Fd
    handle: int = 0
    flags: int = 0
    pad: int = 0
    point: int | None = None


class SyncobjTransfer(Request[None], frozen=True):
    src_handle: int
    src_point: int
    dst_handle: int
    dst_point: int
    flags: int = 0
    pad: int = 0


class SyncobjWaitReply(Record, frozen=True):
    first_signaled: int | None
    """None when the kernel did not write it; 0xFFFFFFFF after sleeping with ALL."""


class SyncobjWait(Request[SyncobjWaitReply], frozen=True):
    """`timeout_ns` is absolute CLOCK_MONOTONIC, signed; 0 and the past poll once."""

    handles: tuple[int, ...]
    timeout_ns: int = 0
    flags: int = 0
    deadline_ns: int = 0
    count: int | None = None
    pad: int = 0


class SyncobjTimelineWait(Request[SyncobjWaitReply], frozen=True):
    handles: tuple[int, ...]
    points: tuple[int, ...] | None
    timeout_ns: int = 0
    flags: int = 0
    deadline_ns: int = 0
    count: int | None = None
    pad: int = 0


class SyncobjEventfd(Request[None], frozen=True):
    handle: int
    point: int
    fd: Fd
    flags: int = 0
    pad: int = 0


class SyncobjReset(Request[None], frozen=True):
    handles: tuple[int, ...]
    count: int | None = None
    pad: int = 0


class SyncobjSignal(Request[None], frozen=True):
    handles: tuple[int, ...]
    count: int | None = None
    pad: int = 0


class SyncobjTimelineSignal(Request[None], frozen=True):
    handles: tuple[int, ...]
    points: tuple[int, ...] | None
    flags: int = 0
    count: int | None = None


class SyncobjQueryReply(Record, frozen=True):
    points: tuple[int, ...]


class SyncobjQuery(Request[SyncobjQueryReply], frozen=True):
    handles: tuple[int, ...]
    flags: int = 0
    count: int | None = None
    null_points: bool = False
