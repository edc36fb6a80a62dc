"""A loan: one commit's hold on its buffer. When it ends, and how that is said, is in `release.py`."""

from msgspec import Struct, field

from syncline.compositor.core.buffer import Buffer, Origin
from syncline.compositor.core.syncobj import SyncPoint


class Loan(Struct, eq=False):
    """Changed by those who read the buffer; compared by identity."""

    update: int
    surface: int
    client: str
    buffer: Buffer
    explicit: bool
    acquire: SyncPoint | None = None
    release: SyncPoint | None = None
    callbacks: tuple[object, ...] = ()
    is_current: bool = True
    """Queued, or its surface's content."""
    forwarded: bool = False
    """Accepted before its fence signalled: every reader must still wait for that fence."""
    planes: int = 0
    """Outputs on whose planes it is, or will be with a flip already submitted."""
    leaving: int = 0
    """Outputs whose submitted flip takes it off a plane and has not landed."""
    readers: int = 0
    """GPU jobs that read it and are not known to have finished."""
    unfenced: int = 0
    """Of all these ends, those that no fence will tell of."""
    fences: dict[int, int] = field(default_factory=dict)
    """Syncobj handle of ours to its highest point that a reader will signal."""
    point_reached: bool = False
    event_sent: bool = False
    ended: bool = False

    @property
    def sync(self) -> str:
        """As reports say it. Pixels that we copied, or that are one colour, have no fence of either kind."""
        if self.buffer.origin is not Origin.DMABUF:
            return "copied"
        return "explicit" if self.explicit else "implicit"

    @property
    def is_wanted(self) -> bool:
        """Somebody may still begin to read it."""
        return self.is_current or self.planes > 0

    def read_until(self, handle: int, point: int) -> None:
        """A reader was submitted; it is done at this point."""
        self.fences[handle] = max(point, self.fences.get(handle, 0))

    def reached(self, handle: int, point: int) -> None:
        """That point is known to have signalled: no need to hand it on."""
        if self.fences.get(handle, point + 1) <= point:
            del self.fences[handle]

    def check_invariants(self) -> None:
        assert min(self.planes, self.leaving, self.readers, self.unfenced) >= 0
        assert self.unfenced <= self.leaving
        if self.ended:
            assert not self.is_wanted
            assert not self.leaving
            assert not self.readers
            assert self.point_reached or not self.explicit
