"""User fences in drm_syncobj: a timeline whose payload is a 64-bit number in shared memory (kernel.md 6).

None of this is upstream. A user point is signalled once the number has reached it; nobody promises
that it ever does. The calls that are not here (TIMELINE_SIGNAL, WAIT, QUERY, EVENTFD, TRANSFER,
HANDLE_TO_FD, ...) are those of `uapi.syncobj`.
"""

from enum import IntEnum
from typing import Final

from syncline.kms_model.uapi.door import Fd, Record, Request
from syncline.kms_model.uapi.syncobj import HandleReply

USER_FENCE_SLOT: Final = 64
"""Bytes per slot: value (u64), status (s32), flags (u32), deadline hint (s64, ns), little endian."""
USER_FENCE_POISON: Final = (1 << 64) - 1
"""The value that a slot takes when nobody is left to write it: every point is signalled, the status says why."""


class UserFenceFlag(IntEnum):
    """PRIVILEGED slots are written by the kernel only (-EPERM from here); WC asks for write-combined memory."""

    PRIVILEGED = 1
    WC = 2


class SyncobjType(IntEnum):
    """What is behind a syncobj."""

    EMPTY = 0
    DMA = 1
    USER = 2


class UserFenceRight(IntEnum):
    """In HANDLE_TO_FD's flags, for user syncobjs: hand on the right to read, but not to signal."""

    READ_ONLY = 1 << 31


class SyncobjCreateUser(Request[HandleReply], frozen=True):
    """The caller's file is the first signaller. -EOPNOTSUPP, -EINVAL flags or value, -EPERM, -ENOSPC slots."""

    flags: int = 0
    initial_value: int = 0


class SyncobjQueryTypeReply(Record, frozen=True):
    """For USER the slot is at `byte_offset` of the page that SyncobjMapUser gives.

    Signalled iff value >= point. `status` is 0 or the negative errno of what ended it.
    """

    type: SyncobjType
    byte_offset: int = 0
    width: int = 0
    write_combined: bool = False
    privileged: bool = False
    writable: bool = False
    status: int = 0
    value: int = 0


class SyncobjQueryType(Request[SyncobjQueryTypeReply], frozen=True):
    """What is behind `point`: EMPTY, if there is no dma_fence for it yet. -ENOENT, -EINVAL pad."""

    handle: int
    pad: int = 0
    point: int = 0


class SyncobjSetSignaller(Request[None], frozen=True):
    """Names who is obliged to signal; several may be. When the last one is gone the slot is poisoned.

    `pidfd` names a process, `queue` a GPU queue; neither names the calling file.
    -ENOENT handle, -EINVAL not a user syncobj, -EACCES no right to write, -EBADF, -ESRCH gone already.
    """

    handle: int
    pidfd: Fd = Fd(-1)
    queue: int = 0


class SyncobjMapUserReply(Record, frozen=True):
    """`fd` may be mapped at offset 0 for `size` bytes. Stores to it are seen at the next repoll, or by a signal."""

    fd: Fd
    size: int
    byte_offset: int


class SyncobjMapUser(Request[SyncobjMapUserReply], frozen=True):
    """mmap of the slot's page. -ENOENT, -EINVAL not a user syncobj, -EACCES `write` without the right."""

    handle: int
    write: bool = False


class GemAttachUserFence(Request[None], frozen=True):
    """An implicit user fence on a buffer, for whoever can be told about it; `syncobj` 0 takes it off.

    Nobody waits for it. A commit that shows the buffer without IN_USER_FENCE and asks for a dma_fence is
    refused, because the kernel could only guess (UR15). -ENOENT, -EINVAL not a user syncobj.
    """

    handle: int
    syncobj: int
    point: int = 0
