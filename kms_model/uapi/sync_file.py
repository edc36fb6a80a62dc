"""sync_file, sw_sync and vgem fences (uapi/linux/sync_file.h, debugfs sw_sync, uapi/drm/vgem_drm.h)."""

from enum import IntEnum

from syncline.kms_model.uapi.door import Fd, Record, Request
from syncline.kms_model.uapi.syncobj import FdReply


class VgemFlag(IntEnum):
    """VGEM_FENCE_*: WRITE attaches an exclusive fence."""

    WRITE = 1


class FenceInfo(Record, frozen=True):
    """struct sync_fence_info. `status`: 0 pending, 1 signalled, negative errno."""

    driver_name: str
    obj_name: str
    status: int
    timestamp_ns: int


class SyncFileInfoReply(Record, frozen=True):
    name: str
    status: int
    num_fences: int
    fences: tuple[FenceInfo, ...]


class SyncFileMerge(Request[FdReply], frozen=True):
    fd1: Fd
    fd2: Fd
    name: str = "merged"
    flags: int = 0
    pad: int = 0


class SyncFileInfo(Request[SyncFileInfoReply], frozen=True):
    fd: Fd
    num_fences: int = 0
    flags: int = 0
    pad: int = 0


class SyncFileSetDeadline(Request[None], frozen=True):
    fd: Fd
    deadline_ns: int
    pad: int = 0


class SwSyncCreateTimeline(Request[FdReply], frozen=True):
    """open("/sys/kernel/debug/sync/sw_sync"): closing the fd ends its pending fences with -ENOENT."""


class SwSyncCreateFence(Request[FdReply], frozen=True):
    timeline: Fd
    value: int
    name: str = "sw_sync"


class SwSyncInc(Request[None], frozen=True):
    timeline: Fd
    value: int = 1


class SwSyncDeadlineReply(Record, frozen=True):
    deadline_ns: int


class SwSyncGetDeadline(Request[SwSyncDeadlineReply], frozen=True):
    """-EINVAL unless `deadline_ns`, which is what comes back, and `pad` are 0."""

    timeline: Fd
    fence: Fd
    deadline_ns: int = 0
    pad: int = 0


class VgemFenceAttachReply(Record, frozen=True):
    out_fence: int


class VgemFenceAttach(Request[VgemFenceAttachReply], frozen=True):
    handle: int
    flags: int = 0
    pad: int = 0


class VgemFenceSignal(Request[None], frozen=True):
    fence: int
    flags: int = 0
