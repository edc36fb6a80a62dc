"""What a CRTC owes at its next flip or vblank: a completion, a fence or a user point, an event, in this order."""

import msgspec

from syncline.kms_model.fences.fence import Fence
from syncline.kms_model.file import File
from syncline.kms_model.kms.point import OutPoint
from syncline.kms_model.task import Completion
from syncline.kms_model.uapi import FlipComplete, FlipDropped


class FlipEvent(msgspec.Struct, eq=False):
    """drm_pending_vblank_event of a commit. All debts are optional, `send` pays them once.

    flip_done first, then the out-fence (or the user point) with the time of the vblank, then the event with
    the same time: user space may watch the order (kernel.md 3.3, step I).
    """

    user_data: int = 0
    flip_done: Completion | None = None
    fence: Fence | None = None
    point: OutPoint | None = None
    _file: File | None = None

    def reserve(self, file: File) -> None:
        """Take event space in `file`, which will be told. ENOMEM when it is full."""
        file.reserve_event()
        self._file = file

    @property
    def file(self) -> File | None:
        """Who will be told, and was not yet."""
        return self._file

    def cancel(self) -> None:
        """The commit failed: nobody is told and the space is free again."""
        file, self._file = self._file, None
        if file is not None:
            file.cancel_event()

    def owe(self) -> None:
        """The commit is accepted: its point will be paid, whatever happens."""
        if self.point is not None:
            self.point.owe()

    def send(self, *, crtc_id: int, sequence: int, time_ns: int) -> None:
        if self.flip_done is not None:
            self.flip_done.complete()
        if self.fence is not None:
            self.fence.signal(time_ns)
        if self.point is not None:
            self.point.pay(crtc_id=crtc_id, time_ns=time_ns)
        file, self._file = self._file, None
        if file is None:
            return
        faults = file.kernel.faults
        if faults.armed and faults.strikes("lost-flip", file):
            file.cancel_event()
        else:
            file.send_event(
                FlipComplete(user_data=self.user_data, crtc_id=crtc_id, sequence=sequence, time_ns=time_ns)
            )

    def drop(self, *, crtc_id: int, status: int, time_ns: int) -> None:
        """Instead of `send`, for a commit that was accepted and will not be shown: the point gets `status`."""
        if self.point is not None:
            self.point.pay(crtc_id=crtc_id, time_ns=time_ns, status=status)
        if self._file is not None:
            self._file.send_event(
                FlipDropped(user_data=self.user_data, crtc_id=crtc_id, status=status, time_ns=time_ns)
            )
            self._file = None
