"""The frames of one output between latch and flip, and who reads what because of them."""

from collections.abc import Iterable
from operator import attrgetter
from typing import Final

from syncline.compositor.core.frame import Frame
from syncline.compositor.core.loan import Loan
from syncline.compositor.core.release import import_point
from syncline.compositor.core.stage import Stage
from syncline.kms_model.uapi import (
    AtomicReply,
    DeviceError,
    Fd,
    SyncobjCreate,
    SyncobjCreateUser,
    SyncobjDestroy,
    SyncobjQuery,
    SyncobjTimelineWait,
    WaitFlag,
)

BY_UPDATE: Final = attrgetter("update")


class Flights:
    """At most one frame is in the air: KMS has no queue. The one before it is on screen.

    Or one is *parked*: the kernel has it, waits for a user fence before it takes it, and may be given another
    instead (PENDING_USER, kernel.md 6.6). Until it is promoted it changes nothing but that its buffers are held.
    """

    def __init__(self, stage: Stage, composition_timeline: int) -> None:
        self._stage = stage
        self._compositions = composition_timeline
        self._timeline = stage.device.call(SyncobjCreate()).handle
        """Point n: frame n is on screen, what it replaced is not (kernel.md 3.6)."""
        self._user_timeline = 0
        """The same for frames that were parked, as a user fence (UR1). Made when first needed, and after each drop."""
        self.next_number = 1
        self._on_screen: Frame | None = None
        self.in_air: Frame | None = None
        """Written here only, as the next one is."""
        self.parked: Frame | None = None
        self._strays: list[tuple[int, tuple[Loan, ...]]] = []
        """Compositions whose frame the kernel refused: point, and who was read for nothing."""

    @property
    def planes(self) -> frozenset[Loan]:
        """On planes, as of the last commit that the kernel took in earnest."""
        newest = self.in_air or self._on_screen
        return newest.planes if newest is not None else frozenset()

    def is_in_air(self, number: int) -> bool:
        """Whether a flip event with that number is news."""
        return self.in_air is not None and self.in_air.number == number

    # -- reading ----------------------------------------------------------------------------------

    def reads(self, loans: Iterable[Loan], point: int) -> None:
        """A composition job was submitted that reads them."""
        for loan in loans:
            loan.readers += 1
            loan.read_until(self._compositions, point)

    def _has_read(self, loans: Iterable[Loan], point: int, now_ns: int) -> None:
        for loan in loans:
            loan.readers -= 1
            loan.reached(self._compositions, point)
            self._stage.releases.settle(loan, now_ns)

    def stray(self, point: int, loans: tuple[Loan, ...]) -> None:
        """The kernel refused the frame after its composition was submitted."""
        self._strays.append((point, loans))

    def _collect_strays(self, now_ns: int) -> None:
        strays, self._strays = self._strays, []
        for point, loans in strays:
            question = SyncobjTimelineWait(
                handles=(self._compositions,), points=(point,), flags=WaitFlag.FOR_SUBMIT
            )
            try:
                self._stage.device.call(question)
            except DeviceError:
                self._strays.append((point, loans))
            else:
                self._has_read(loans, point, now_ns)

    # -- flights ----------------------------------------------------------------------------------

    def take_off(self, frame: Frame, reply: AtomicReply, now_ns: int) -> None:
        """The kernel took the frame. What is not on a plane any more has its last reader: this flip."""
        assert self.parked is None
        assert frame.number == self.next_number
        self.next_number += 1
        self._hold(frame)
        if not reply.out_fences:
            self._rise(frame, now_ns)
            return
        ((_, fence),) = reply.out_fences
        try:
            if all(_is_last_reader(loan) for loan in self.planes - frame.planes):
                frame.fence_on = self._timeline
                self._rise(frame, now_ns, fence=fence)
            else:
                frame.fence_on = self._timeline if self._keep(fence, frame.number, now_ns) else 0
                self._rise(frame, now_ns)
        finally:
            self._stage.device.close_fd(fence)

    def _hold(self, frame: Frame) -> None:
        if frame.image is not None:
            frame.image.in_use += 1
        for loan in frame.planes - self.planes:
            loan.planes += 1

    def _let_go(self, frame: Frame, now_ns: int) -> None:
        """It will not be shown."""
        if frame.image is not None:
            frame.image.in_use -= 1
        for loan in sorted(frame.planes - self.planes, key=BY_UPDATE):
            loan.planes -= 1
            self._stage.releases.settle(loan, now_ns)

    def _rise(self, frame: Frame, now_ns: int, *, fence: Fd | None = None) -> None:
        """`fence`: to be handed on as it is."""
        assert self.in_air is None
        frame.leaving = tuple(sorted(self.planes - frame.planes, key=BY_UPDATE))
        self.in_air = frame
        for loan in frame.leaving:
            loan.planes -= 1
            loan.leaving += 1
            if self._has_fence_for(loan, frame):
                loan.read_until(frame.fence_on, frame.number)
            else:
                loan.unfenced += 1
            self._stage.releases.settle(loan, now_ns, fence=fence)

    def _has_fence_for(self, loan: Loan, frame: Frame) -> bool:
        """The flip's out-fence can stand behind the loan's release point: a user fence only behind its like."""
        if frame.waiting is not None and frame.fence_on:
            return loan.release is not None and loan.release.timeline.is_user
        return bool(frame.fence_on)

    def _keep(self, fence: Fd, number: int, now_ns: int) -> bool:
        """For those who have to wait for more than this flip, or will only later have a use for it."""
        try:
            import_point(self._stage.device, fence, self._timeline, number)
        except DeviceError as refusal:
            self._stage.journal.refused(refusal, "keeping an out-fence", now_ns)
            return False
        return True

    def land(self, now_ns: int) -> Frame:
        """The frame in the air is on screen: all its readers, and the planes it replaced, are done."""
        frame, before = self.in_air, self._on_screen
        assert frame is not None, "a flip event without a flip"
        self.in_air, self._on_screen = None, frame
        self._stage.compositions.leave(frame)
        if before is not None and before.image is not None:
            before.image.in_use -= 1
        for loan in frame.waits_for:
            loan.forwarded = False
        if frame.read:
            self._has_read(frame.read, frame.composed_point, now_ns)
        self._have_left(frame, now_ns)
        if self._strays:
            self._collect_strays(now_ns)
        return frame

    def _have_left(self, frame: Frame, now_ns: int) -> None:
        for loan in frame.leaving:
            loan.leaving -= 1
            if self._has_fence_for(loan, frame):
                loan.reached(frame.fence_on, frame.number)
            else:
                loan.unfenced -= 1
            self._stage.releases.settle(loan, now_ns)

    # -- parking ----------------------------------------------------------------------------------

    def user_timeline(self) -> int:
        """A user syncobj of ours, for OUT_USER_FENCE: frames put their number there. Raises DeviceError."""
        if not self._user_timeline:
            self._user_timeline = self._stage.device.call(SyncobjCreateUser()).handle
        return self._user_timeline

    def park(self, frame: Frame) -> None:
        """The kernel keeps the frame until a user fence signals; it was told to put `frame.number` on ours."""
        assert self.in_air is None
        assert self.parked is None
        frame.fence_on = self._user_timeline
        self.next_number, self.parked = frame.number + 1, frame
        self._hold(frame)

    def promote(self, now_ns: int) -> Frame:
        """The user fence signalled: the parked frame is in the air."""
        frame, self.parked = self.parked, None
        assert frame is not None
        (told,) = self._stage.device.call(SyncobjQuery(handles=(frame.fence_on,))).points
        if told >= frame.number:
            frame.fence_on = 0  # landed, or dropped in the same instant: its event will say which
        self._rise(frame, now_ns)
        return frame

    def unpark(self, now_ns: int) -> Frame:
        """The kernel has given the parked frame up, and said so on our user timeline."""
        frame, self.parked = self.parked, None
        assert frame is not None
        self._let_go(frame, now_ns)
        self._drop_user_timeline()
        return frame

    def recall(self, now_ns: int) -> Frame:
        """The kernel gave the frame up after all, when its user fence had signalled: what is on screen stays."""
        frame, self.in_air = self.in_air, None
        assert frame is not None
        for loan in frame.leaving:
            loan.planes += 1
            loan.leaving -= 1
            if self._has_fence_for(loan, frame):
                loan.reached(frame.fence_on, frame.number)
            else:
                loan.unfenced -= 1
        self._let_go(frame, now_ns)
        self._drop_user_timeline()
        return frame

    def _drop_user_timeline(self) -> None:
        """Its status stays what it was when a frame was dropped (0005), and would go on to whoever copies it."""
        if self._user_timeline:
            self._stage.device.call(SyncobjDestroy(handle=self._user_timeline))
            self._user_timeline = 0

    # -- the end ----------------------------------------------------------------------------------

    def close(self, now_ns: int) -> None:
        """The display is off: nobody reads anything any more, except jobs with a fence of their own."""
        if self.parked is not None:
            self.unpark(now_ns)
        if self.in_air is not None:
            self.land(now_ns)
        if self._on_screen is not None:
            for loan in sorted(self._on_screen.planes, key=BY_UPDATE):
                loan.planes -= 1
                self._stage.releases.settle(loan, now_ns)
            if self._on_screen.image is not None:
                self._on_screen.image.in_use -= 1
        for point, loans in self._strays:
            self._has_read(loans, point, now_ns)
        self._on_screen = None
        self._strays.clear()
        self._stage.device.call(SyncobjDestroy(handle=self._timeline))
        self._drop_user_timeline()

    def check_invariants(self) -> None:
        assert all(loan.planes > 0 for loan in self.planes)
        if self.in_air is not None:
            assert all(loan.leaving > 0 for loan in self.in_air.leaving)
            assert all(loan.readers > 0 for loan in self.in_air.read)
        if self.parked is not None:
            assert self.in_air is None
            assert all(loan.planes > 0 for loan in self.parked.planes)


def _is_last_reader(loan: Loan) -> bool:
    """The flip that takes it off its plane is all that its release waits for. Without a point nothing is handed on."""
    has_others = loan.is_current or loan.planes > 1 or loan.leaving or loan.fences
    return not loan.explicit or not has_others
