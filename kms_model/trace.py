"""What the machine tells about itself: one stream of typed events, times in ns of CLOCK_MONOTONIC."""

import msgspec


class TraceEvent(msgspec.Struct, frozen=True, tag_field="ev"):
    t_ns: int


class FenceSignalled(TraceEvent, frozen=True, tag="fence"):
    """A dma_fence ended. `error` is 0 or a negative errno."""

    context: int
    seqno: int
    driver: str
    timeline: str
    error: int = 0


class JobTrace(TraceEvent, frozen=True, tag="job"):
    """A GPU job reached a `stage`: queued, run, done."""

    stage: str
    context: int
    seqno: int
    engine: str
    label: str
    error: int = 0


class CommitTrace(TraceEvent, frozen=True, tag="atomic"):
    """An atomic commit passed the point of no return; `fences` of its planes are still unsignalled."""

    crtc_ids: tuple[int, ...]
    fb_ids: tuple[int, ...]
    fences: int
    nonblock: bool
    modeset: bool


class FlipTrace(TraceEvent, frozen=True, tag="flip"):
    """A CRTC latched a commit at vblank number `sequence`; `t_ns` is the vblank's."""

    crtc_id: int
    sequence: int
    fb_ids: tuple[int, ...]
    user_data: int = 0


class OutPointTrace(TraceEvent, frozen=True, tag="out-point"):
    """A CRTC wrote the point of an OUT_USER_FENCE: at a flip, with its time, or when the commit was dropped."""

    crtc_id: int
    point: int
    status: int = 0


class DropTrace(TraceEvent, frozen=True, tag="drop"):
    """A commit that waited for user fences was given up; `status` is a negative errno."""

    crtc_id: int
    fb_ids: tuple[int, ...]
    status: int
    user_data: int = 0


class WaitTrace(TraceEvent, frozen=True, tag="wait"):
    """Somebody sleeps (`end` False) or woke up, and why: "syncobj", "commit", "stall", ..."""

    who: str
    reason: str
    end: bool
    waited_ns: int = 0


class Warn(TraceEvent, frozen=True, tag="warn"):
    """Where the real kernel prints a warning, or the fence checker has one. `rule` as in kernel.md 3.8 or 7."""

    rule: str
    what: str
    report: str = ""
    """All that the checker has to say, for people."""
