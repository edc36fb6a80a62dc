"""The render engine's submit ioctl and its command lists. Ours, shaped after virtio-gpu's execbuffer.

Commands paint XRGB8888/ARGB8888 (premultiplied). Rectangles are (x, y, width, height) in pixels.
"""

from enum import IntEnum

from syncline.kms_model.uapi.door import Fd, Record, Request

Rect = tuple[int, int, int, int]


class Priority(IntEnum):
    """drm_sched_priority; HIGH needs DRM master (-EACCES), KERNEL is the device's own."""

    LOW = 0
    NORMAL = 1
    HIGH = 2


class Fill(Record, frozen=True):
    """`color` is 0xAARRGGBB, stored as it is (no blending)."""

    rect: Rect
    color: int


class Gradient(Record, frozen=True):
    """Vertical, from `top` to `bottom` (0xAARRGGBB)."""

    rect: Rect
    top: int
    bottom: int


class Text(Record, frozen=True):
    """ASCII in the model's 8x8 font, each font pixel a `scale`-sized square."""

    x: int
    y: int
    text: str
    color: int
    scale: int = 1


class Tag(Record, frozen=True):
    """The frame tag (`kms_model.tag`) with its left upper corner at (x, y); `end` 0 top strip, 1 bottom strip."""

    x: int
    y: int
    client: int
    frame: int
    end: int


class Blit(Record, frozen=True):
    """Draw `source` (a GEM handle of `source_size` pixels and `pitch` bytes) into `dst`, clipped to `clip`.

    `src` is in 24.8 fixed point source pixels (after `transform`, a wl_output.transform value);
    sampling is nearest. `blend` is premultiplied source-over; without it the pixels are stored opaque.
    """

    source: int
    source_size: tuple[int, int]
    pitch: int
    src: Rect
    dst: Rect
    clip: tuple[Rect, ...]
    blend: bool = False
    transform: int = 0
    offset: int = 0


Command = Fill | Gradient | Text | Tag | Blit


class Point(Record, frozen=True):
    """A syncobj handle of this file and a timeline point (0: the binary fence)."""

    handle: int
    point: int = 0


class SubmitReply(Record, frozen=True):
    """`seqno` of the job on its entity; `out_fence` is a sync_file, or -1 when none was asked for."""

    seqno: int
    out_fence: Fd


class Submit(Request[SubmitReply], frozen=True):
    """Queue a job that paints `target` band by band over `duration_ns` of engine time.

    Errors as virtio-gpu's execbuffer (kernel.md 2.11): unknown buffer or in-syncobj -ENOENT, unknown
    out-syncobj -EINVAL, unmaterialised in-point -EINVAL. All in-fences are waited for by the scheduler,
    never by the caller. `implicit`: also wait for and publish into each buffer's dma_resv (WRITE for the
    target, READ for sources); without it the job is published as BOOKKEEP only.
    """

    target: int
    target_size: tuple[int, int]
    pitch: int
    commands: tuple[Command, ...]
    duration_ns: int
    in_points: tuple[Point, ...] = ()
    out_points: tuple[Point, ...] = ()
    in_fence: Fd = Fd(-1)
    out_fence: bool = False
    implicit: bool = False
    priority: int = Priority.NORMAL
    label: str = ""
    """Shown in traces: who and which frame."""
    user_in_points: tuple[Point, ...] = ()
    """Points of user syncobjs that the engine waits for by itself, signalled or not (kernel.md 6.4).

    Such a job has no dma_fence to show (UR1): `implicit`, `out_fence` and out-points of other than user
    syncobjs are -EINVAL. It is queued apart from the file's other jobs, which never wait behind it.
    """
