"""The choices that change behaviour, each with its name: what a benchmark compares and an operator sets."""

from dataclasses import dataclass
from enum import Enum
from typing import Final

MS: Final = 1_000_000


class Sync(Enum):
    """What the compositor can do, each including the ones before: what it offers to clients, and asks of the machine."""

    NONE = "none"  # wl_shm only: without linux-dmabuf there is nothing to synchronise
    IMPLICIT = "implicit"  # dma-bufs and the fences inside them
    DMA = "dma"  # linux-drm-syncobj-v1; what kind of syncobj a timeline is it does not ask
    USER = "user"  # and knows a user fence when it sees one


class AcquireMode(Enum):
    """When an explicit update becomes a candidate for application. Per output, switchable at any time."""

    SIGNAL_WAIT = "signal-wait"  # when its acquire point has signalled
    FENCE_FORWARD = "fence-forward"  # when a dma_fence exists; the GPU job or IN_FENCE_FD waits for it
    USER_FORWARD = (
        "user-forward"  # as signal-wait, but a user fence goes to PENDING_USER where that harms nobody
    )


class ImplicitMode(Enum):
    """What is done about the dma_resv fences of buffers committed without points."""

    WAIT = "wait"  # the update is no candidate before its write fences have signalled: one client stalls
    FORWARD = "forward"  # GPU and KMS wait: everybody on the output stalls, as desktops classically do


@dataclass(frozen=True, slots=True)
class Policy:
    """Defaults are what the desktop should do; the rest is there to be compared with."""

    sync: Sync = Sync.USER
    acquire: AcquireMode = AcquireMode.SIGNAL_WAIT
    implicit: ImplicitMode = ImplicitMode.WAIT
    direct_scanout: bool = True
    first_margin_ns: int = 4 * MS
    """Latch this long before the vblank until enough has been measured."""
    safety_ns: int = 1_200_000
    """Added to what a frame usually costs. More than the slice that a GPU engine may take to turn from a client's
    job to ours."""
    alone_safety_ns: int = 600_000
    """The same for frames without a composition on a screen that one client has for itself: who gains is who risks."""
    composition_fixed_ns: int = MS // 10
    """Engine time of a composition job, per job and (next) per thousand pixels."""
    composition_kilopixel_ns: int = 500
    acquire_timeout_ns: int = 1000 * MS
    """How long after it was first given to the display a picture may wait there for its user fence. Whoever
    needs longer loses it (UR9)."""
    hidden_frame_ns: int = 1000 * MS
    """Frame callbacks of surfaces nobody can see come at this interval (C18)."""
    background: int = 0xFF20_2830
    declares_cpu_access: bool = False
    """DMA_BUF_IOCTL_SYNC around every copy of pixels by the CPU. This machine's memory is coherent without; it is
    what a race detector goes by, and two calls for each frame of wl_shm."""

    @property
    def objection(self) -> str | None:
        """Why these do not go together, in the words of the command line; None if they do."""
        if self.acquire not in _ACQUIRE_MODES[self.sync]:
            able = " or ".join(sync.value for sync in Sync if self.acquire in _ACQUIRE_MODES[sync])
            return f"--acquire {self.acquire.value} needs --sync {able}"
        return None


_ACQUIRE_MODES: Final = {
    Sync.NONE: (AcquireMode.SIGNAL_WAIT,),
    Sync.IMPLICIT: (AcquireMode.SIGNAL_WAIT,),
    Sync.DMA: (AcquireMode.SIGNAL_WAIT, AcquireMode.FENCE_FORWARD),
    Sync.USER: tuple(AcquireMode),
}
"""Without acquire points every mode would be the same, and that one is the default."""
