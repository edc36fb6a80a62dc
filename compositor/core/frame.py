"""One frame of one output, from its latch to its flip."""

from msgspec import Struct, field

from syncline.compositor.core.buffer import Origin
from syncline.compositor.core.composition import Image
from syncline.compositor.core.display import Plane, Show
from syncline.compositor.core.loan import Loan
from syncline.compositor.core.surface import ContentUpdate
from syncline.kms_model.uapi import Fd


class Frame(Struct, eq=False):
    """What the kernel was given. `image` is None when the primary plane shows a client's buffer."""

    number: int
    planned_ns: int
    """When it was to be latched."""
    latched_ns: int
    target_ns: int
    image: Image | None
    accepted_ns: int = 0
    """When the kernel had taken it: its commit's answer was here."""
    composed_point: int = 0
    """Of the composition job submitted for this frame; 0: none was."""
    composed_fence: Fd | None = None
    """Kept to learn from its timestamp; closed when the frame is presented."""
    read: tuple[Loan, ...] = ()
    """By that job."""
    planes: frozenset[Loan] = frozenset()
    leaving: tuple[Loan, ...] = ()
    """Were on a plane in the frame before, and no more."""
    fence_on: int = 0
    """The syncobj of ours on which point `number` is the flip's out-fence; 0: none is."""
    updates: list[ContentUpdate] = field(default_factory=list)
    """That it is the first to show, on their main output."""
    callbacks: list[object] = field(default_factory=list)
    waits_for: frozenset[Loan] = frozenset()
    """Whose unfinished fences stand between this frame and its vblank."""
    is_torn: bool = False
    """Flipped asynchronously: on screen at once, at no vblank."""
    waiting: ContentUpdate | None = None
    """Whose user fence the kernel waits for, or waited for, before it took the frame in earnest."""
    shows: dict[Plane, Show | None] = field(default_factory=dict)
    """What that changes on the planes once it is taken."""
    is_first: bool = False
    """Sets the mode: no frame to learn from."""

    def shows_directly(self, loan: Loan) -> bool:
        """The client's own buffer is on a plane (P10); an upload is our copy of it."""
        return loan in self.planes and loan.buffer.origin is Origin.DMABUF

    @property
    def how(self) -> str:
        if self.waiting is not None:
            return "parked"
        if self.image is None:
            return "direct"
        return "composed" if self.composed_point else "unchanged"
