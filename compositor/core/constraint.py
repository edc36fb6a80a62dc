"""What a content update may have to wait for.

A constraint is pending, then released or cancelled, once; an update is applied only when none of the
constraints in its whole dependency graph is pending (C5). Three kinds are conjunctive (T9): the acquire
point, the fifo barrier and the target time; the write fences of an implicit buffer are ours to add as a
fourth. Each kind is one class here; what it waits with is the business of `waits.py`.

A fifo barrier will be released by the latch that showed the update which set it (F4-F7), a target time by
`Compositor.tick` (T5); both then ask for the surface's tree to be judged again, as `Waits.point_ready` does.
"""

from dataclasses import dataclass
from enum import Enum, auto

from syncline.compositor.core.syncobj import SyncPoint


class ConstraintState(Enum):
    PENDING = auto()
    RELEASED = auto()
    CANCELLED = auto()  # the surface or its client went away first


@dataclass(eq=False, slots=True)
class AcquirePoint:
    """The commit's acquire point: signalled, or only available where the fence is handed on."""

    point: SyncPoint
    state: ConstraintState = ConstraintState.PENDING
    watch: int | None = None
    available_is_enough: bool = False
    since_ns: int = 0
    why: str = "acquire-point"


@dataclass(eq=False, slots=True)
class ImplicitFence:
    """The write fences found in the buffer's dma_resv at commit, as a binary syncobj of ours."""

    handle: int
    state: ConstraintState = ConstraintState.PENDING
    watch: int | None = None
    since_ns: int = 0
    why: str = "implicit-fence"


Constraint = AcquirePoint | ImplicitFence
