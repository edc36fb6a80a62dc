"""Which machine is modelled: capabilities, planes and quirks per driver and kernel (truth, capabilities)."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import Enum
from typing import Final

from syncline.kms_model.kms.mode import Output, mode_of
from syncline.kms_model.uapi import Cap, ModeInfo


@dataclass(frozen=True, kw_only=True)
class CrtcLayout:
    """One CRTC with a connector of its own, its primary plane, and what else it has."""

    output: Output = field(default_factory=Output)
    overlays: int = 0
    cursor: bool = False
    writeback: bool = False
    vblank_lead_ns: int = 0
    """Its vblanks come this much before those of a CRTC that was switched on with it: timers are not in step."""


class Poison(Enum):
    """What a slot of a user fence gets when nobody is left to write it (kernel.md 6.5, Q5)."""

    VALUE_AND_STATUS = "value-and-status"
    """The number, too: engines that look at the memory go on."""
    STATUS_ONLY = "status-only"
    """Whoever waits in the kernel is released; an engine that waits for the number hangs."""


@dataclass(frozen=True, kw_only=True)
class Profile:
    """A driver on a kernel. An empty `crtcs` is a device without KMS."""

    name: str
    driver: str
    kernel: str = "7.2"
    caps: Mapping[int, int] = field(default_factory=dict)
    """What GET_CAP answers; a capability that is not here is -EOPNOTSUPP, as without KMS."""
    crtcs: tuple[CrtcLayout, ...] = ()
    vblank: bool = True
    """False: no vblank interrupt, a flip completes at once (virtio_gpu up to 6.12)."""
    cursor_hotspot: bool = False
    """The cursor plane is hidden until the client sets CURSOR_PLANE_HOTSPOT."""
    implicit_fences: bool = True
    """Atomic commits wait for the WRITE fences of a buffer (6.12 virtio_gpu: no)."""
    deadline_hints: bool = True
    """A commit sets the next vblank as deadline on its fences (6.12 virtio_gpu: no)."""
    adds_all_planes: bool = False
    """The driver's check pulls every plane of a touched CRTC into the commit (vkms)."""
    writeback_clones: bool = True
    """A CRTC may drive a screen and a writeback connector at once (6.12 vkms: -EINVAL)."""
    modes: tuple[ModeInfo, ...] = ()
    """What every output offers after its preferred mode."""
    enables_before_planes: bool = True
    """Hardware order: the event of a modeset waits for the first vblank. Simple drivers program planes while
    the CRTC is still off, and their event is sent at once."""
    waits_for_flip: bool = True
    """The commit tail waits for flip_done rather than for one vblank (kernel.md 3.3, step 12)."""
    worker_late_ns: int = 0
    """How late the worker of a NONBLOCK commit begins: with no vblank, what else the caller gets done before the flip."""
    one_format_planes: bool = False
    """Primary planes show XRGB8888 and cursors ARGB8888, nothing else (virtio_gpu)."""
    primary_covers_crtc: bool = False
    """A primary plane smaller than the mode is -EINVAL."""
    min_size: int = 1
    """Pixels per side of the smallest framebuffer (mode_config.min_width, min_height)."""
    own_fb_create: bool = False
    """A framebuffer's format that the driver does not scan out is -ENOENT, an unknown buffer -EINVAL (virtio_gpu);
    with the helper the other way round."""
    poison: Poison = Poison.VALUE_AND_STATUS
    gpu: bool = False
    vgem: bool = False
    nodes: tuple[str, ...] = ("card", "render")

    @property
    def async_flips(self) -> bool:
        return bool(self.caps.get(Cap.ATOMIC_ASYNC_PAGE_FLIP))

    @property
    def vblank_wait_ns(self) -> int:
        """Longest wait of a commit tail for a vblank (kernel.md, appendix B)."""
        return 100_000_000 if self.kernel == "6.12" else 1_000_000_000

    @property
    def syncobj(self) -> bool:
        return bool(self.caps.get(Cap.SYNCOBJ))

    @property
    def syncobj_timeline(self) -> bool:
        return bool(self.caps.get(Cap.SYNCOBJ_TIMELINE))

    @property
    def user_fences(self) -> bool:
        return bool(self.caps.get(Cap.SYNCOBJ_USER))

    @property
    def user_commits(self) -> bool:
        """Atomic commits take user fences."""
        return bool(self.caps.get(Cap.ATOMIC_USER_FENCE))

    @property
    def point_sync_files(self) -> bool:
        """HANDLE_TO_FD and FD_TO_HANDLE know the TIMELINE flag (after 6.12)."""
        return self.kernel != "6.12"

    @property
    def color_pipelines(self) -> bool:
        """The client capability PLANE_COLOR_PIPELINE is known (after 6.12). No plane here has a pipeline."""
        return self.kernel != "6.12"

    @property
    def detached_names(self) -> bool:
        """Signalled fences are named "detached-driver" / "signaled-timeline" (7.x)."""
        return self.kernel != "6.12"


def _kms_caps(*, syncobj: int, cursor: int, modifiers: int, tearing: int = 0) -> dict[int, int]:
    return {
        Cap.DUMB_BUFFER: 1,
        Cap.VBLANK_HIGH_CRTC: 1,
        Cap.DUMB_PREFERRED_DEPTH: 0,
        Cap.DUMB_PREFER_SHADOW: 0,
        Cap.PRIME: 3,
        Cap.TIMESTAMP_MONOTONIC: 1,
        Cap.ASYNC_PAGE_FLIP: tearing,
        Cap.CURSOR_WIDTH: cursor,
        Cap.CURSOR_HEIGHT: cursor,
        Cap.ADDFB2_MODIFIERS: modifiers,
        Cap.PAGE_FLIP_TARGET: 0,
        Cap.CRTC_IN_VBLANK_EVENT: 1,
        Cap.SYNCOBJ: syncobj,
        Cap.SYNCOBJ_TIMELINE: syncobj,
        Cap.ATOMIC_ASYNC_PAGE_FLIP: tearing,
    }


_VGA: Final = mode_of(width=640, height=480, refresh_mhz=60_000)
_FIRST: Final = CrtcLayout(
    output=Output("Virtual-1", vrr_min_mhz=48_000), overlays=4, cursor=True, writeback=True
)
_SECOND: Final = replace(_FIRST, output=Output("Virtual-2", vrr_min_mhz=48_000))

SYNCLINE: Final = Profile(
    name="syncline",
    driver="syncline",
    caps=_kms_caps(syncobj=1, cursor=256, modifiers=1, tearing=1)
    | {Cap.SYNCOBJ_USER: 1, Cap.ATOMIC_USER_FENCE: 1},
    crtcs=(_FIRST, _SECOND),
    modes=(_VGA,),
    gpu=True,
    vgem=True,
)
"""Everything at once: the machine that compositor and demos run on."""
DMA_KMS: Final = replace(
    SYNCLINE,
    name="syncline-dma-kms",
    caps={cap: value for cap, value in SYNCLINE.caps.items() if cap != Cap.ATOMIC_USER_FENCE},
)
"""User fences everywhere but in commits: the display takes dma_fences only."""

VIRTIO_GPU: Final = Profile(
    name="virtio_gpu",
    driver="virtio_gpu",
    caps=_kms_caps(syncobj=1, cursor=64, modifiers=0),
    crtcs=(CrtcLayout(cursor=True),),
    cursor_hotspot=True,
    modes=(_VGA,),
    enables_before_planes=False,
    waits_for_flip=False,
    one_format_planes=True,
    primary_covers_crtc=True,
    min_size=32,
    own_fb_create=True,
    gpu=True,
)
VKMS: Final = Profile(
    name="vkms",
    driver="vkms",
    caps=_kms_caps(syncobj=0, cursor=512, modifiers=1),
    crtcs=(CrtcLayout(overlays=8, cursor=True, writeback=True),),
    adds_all_planes=True,
    min_size=10,
    modes=(_VGA,),
    enables_before_planes=False,
    nodes=("card",),
)
VKMS_RIG2: Final = replace(
    VKMS, name="vkms-rig2", crtcs=(CrtcLayout(), CrtcLayout(output=Output("Virtual-2")))
)
VGEM: Final = Profile(
    name="vgem",
    driver="vgem",
    caps={Cap.PRIME: 3, Cap.TIMESTAMP_MONOTONIC: 1, Cap.SYNCOBJ: 0, Cap.SYNCOBJ_TIMELINE: 0},
    vgem=True,
)

_ON_7_2: Final = {profile.name: profile for profile in (SYNCLINE, DMA_KMS, VIRTIO_GPU, VKMS, VKMS_RIG2, VGEM)}
_ON_6_12: Final = {
    "virtio_gpu": replace(
        VIRTIO_GPU, kernel="6.12", vblank=False, implicit_fences=False, deadline_hints=False
    ),
    "vkms": replace(VKMS, kernel="6.12", writeback_clones=False),
    "vgem": replace(VGEM, kernel="6.12"),
}


def profile(name: str, kernel: str = "7.2") -> Profile:
    """The profile of a driver on a kernel, "7.2" or "6.12". KeyError for a pair that was never recorded."""
    return {"7.2": _ON_7_2, "6.12": _ON_6_12}[kernel][name]
