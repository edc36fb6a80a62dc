"""What a content update may have to wait for.

A constraint is pending, then released or cancelled, once; an update is applied only when none of the
constraints in its whole dependency graph is pending (C5). Three kinds are conjunctive (T9): the acquire
point, the fifo barrier and the target time; the write fences of an implicit buffer are ours to add as a
fourth. Each kind is one class here; what it waits with is the business of `waits.py` for what a fence
ends, and of `pacing.py` for what time does.
"""

from dataclasses import dataclass
from enum import Enum, auto

from syncline.compositor.core.output import Output
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
    """The write fences found in the buffer's dma_resv at commit, as a sync_file that is watched."""

    state: ConstraintState = ConstraintState.PENDING
    watch: int | None = None
    since_ns: int = 0
    why: str = "implicit-fence"


@dataclass(eq=False, slots=True)
class FifoBarrier:
    """The barrier that an earlier update of the surface raises; nothing to an update that is synchronized (F7)."""

    state: ConstraintState = ConstraintState.PENDING
    why: str = "fifo"


@dataclass(eq=False, slots=True)
class TargetTime:
    """Not to be presented before `time_ns`. `presumed`: where it will be seen, while nothing of its tree is."""

    time_ns: int
    presumed: Output | None = None
    state: ConstraintState = ConstraintState.PENDING
    why: str = "target-time"


Fenced = AcquirePoint | ImplicitFence
Paced = FifoBarrier | TargetTime
Constraint = Fenced | Paced
