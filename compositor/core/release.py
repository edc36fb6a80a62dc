"""Release: when a commit's buffer is given back, and what says so.

Each commit with a buffer is a *loan*. It is owed until nobody reads on its behalf any more:

* it is no longer current: superseded, removed, or its surface is gone (S78-S80);
* no plane shows it: the flip that takes it off has been submitted, and that flip's out-fence is among the
  loan's fences (S71, S88: one per output). A flip event alone tells of the *new* frame's begin;
* compositions and captures that read it may still be running: their points are among its fences too.

An explicit loan hands what is left of those fences to the client's release point: none, and the point is
signalled at once (S77); one, and it is transferred; several, and they are merged first. So the point
materialises early and signals when the last reader is done (S72). Fences known to have signalled are
dropped before, hence the usual case is one plain signal. If the device refuses, the fallback is to wait
for the flips ourselves and to signal then: late, never early, never not at all.

Where nobody can wait for a fence (wl_buffer.release of an upload, wl_surface.get_release) the event is sent
when the frames that read it have been presented: a frame's flip waits for its composition. An implicit
dma-buf's GPU readers are published in its dma_resv, so only flips off a plane are waited for.
"""

from collections.abc import Iterable
from errno import EACCES
from typing import Final

from syncline.compositor.core.buffer import Buffer, Memory, Origin
from syncline.compositor.core.effects import BufferReleased, CommitReleased, Effect
from syncline.compositor.core.journal import Journal
from syncline.compositor.core.loan import Loan
from syncline.compositor.core.syncobj import LOST, SyncPoint, Timeline
from syncline.kms_model.uapi import (
    DeviceError,
    DeviceFile,
    Fd,
    HandleFlag,
    SyncFileMerge,
    SyncobjDestroy,
    SyncobjFdToHandle,
    SyncobjHandleToFd,
    SyncobjSignal,
    SyncobjTimelineSignal,
    SyncobjTransfer,
)

AT_POINT: Final = HandleFlag.SYNC_FILE | HandleFlag.TIMELINE


def export_point(device: DeviceFile, handle: int, point: int) -> Fd:
    """A sync_file of a materialised point; 0 is the binary fence. The caller closes it."""
    if point == 0:
        return device.call(SyncobjHandleToFd(handle=handle, flags=HandleFlag.SYNC_FILE)).fd
    return device.call(SyncobjHandleToFd(handle=handle, flags=AT_POINT, point=point)).fd


def import_point(device: DeviceFile, fence: Fd, handle: int, point: int) -> None:
    """Put a sync_file (lent) behind a point; 0 replaces the binary fence."""
    if point == 0:
        device.call(SyncobjFdToHandle(fd=fence, handle=handle, flags=HandleFlag.SYNC_FILE))
    else:
        device.call(SyncobjFdToHandle(fd=fence, handle=handle, flags=AT_POINT, point=point))


class Releases:
    """Ends loans, and with the last of them gives storage and timelines back."""

    def __init__(
        self, device: DeviceFile, memory: Memory, journal: Journal, effects: list[Effect], *, done_fence: Fd
    ) -> None:
        self._device = device
        self._memory = memory
        self._done_fence = done_fence
        self._journal = journal
        self._effects = effects
        self.open: dict[Loan, None] = {}
        """Every loan that has not ended, oldest first."""

    # -- beginning and ending ---------------------------------------------------------------------

    def lend(self, loan: Loan) -> None:
        """A commit with a buffer was accepted."""
        loan.buffer.loans += 1
        loan.buffer.implicit_loans += not loan.explicit
        for point in (loan.acquire, loan.release):
            if point is not None:
                point.timeline.uses += 1
        self.open[loan] = None

    def retire(self, loan: Loan, now_ns: int) -> None:
        """It is not current any more, or never came to be."""
        loan.is_current = False
        self.settle(loan, now_ns)

    def settle(self, loan: Loan, now_ns: int, *, fence: Fd | None = None) -> None:
        """Give back as much as can be given back now. To be called after every change of the loan.

        `fence`: the only one of the loan's, at hand as a sync_file; it may not be behind its point of ours.
        """
        if loan.ended or loan.is_wanted:
            return
        is_idle = not loan.leaving and not loan.readers
        if loan.explicit and not loan.point_reached and (is_idle or not loan.unfenced):
            self._reach_point(loan, fence, is_idle=is_idle, now_ns=now_ns)
        is_cpu_written = loan.buffer.origin is Origin.UPLOAD
        if not loan.explicit and not loan.event_sent and (is_idle if is_cpu_written else not loan.leaving):
            self._send_release(loan, now_ns)
        if is_idle and (loan.point_reached or loan.event_sent):
            self._end(loan)

    def _end(self, loan: Loan) -> None:
        loan.ended = True
        del self.open[loan]
        for callback in loan.callbacks:
            self._effects.append(CommitReleased(callback))
        for point in (loan.acquire, loan.release):
            if point is not None:
                self.unuse_timeline(point.timeline)
        loan.buffer.loans -= 1
        self.free_if_unused(loan.buffer)

    def _send_release(self, loan: Loan, now_ns: int) -> None:
        loan.event_sent = True
        loan.buffer.implicit_loans -= 1
        if not loan.buffer.implicit_loans and not loan.buffer.destroyed:
            self._effects.append(BufferReleased(loan.buffer))
        self._journal.released(loan, "event", now_ns)

    # -- reaching an explicit point ---------------------------------------------------------------

    def _reach_point(self, loan: Loan, fence: Fd | None, *, is_idle: bool, now_ns: int) -> None:
        assert loan.release is not None
        if is_idle:
            loan.fences.clear()
        try:
            self._hand_over(loan.fences, fence, loan.release)
        except DeviceError as refusal:
            self._journal.refused(refusal, "handing a fence to a release point", now_ns)
            if not is_idle:
                return  # the readers' end will bring us here again, without fences
        loan.point_reached = True
        self._journal.released(loan, "fence" if loan.fences else "signal", now_ns)

    def _hand_over(self, fences: dict[int, int], fence: Fd | None, release: SyncPoint) -> None:
        target, value = release.timeline.handle, release.value
        if len(fences) > 1:
            merged = self._merged(fences.items())
            try:
                import_point(self._device, merged, target, value)
            finally:
                self._device.close_fd(merged)
        elif fences and fence is not None:
            import_point(self._device, fence, target, value)
        elif fences:
            ((handle, point),) = fences.items()
            self._device.call(
                SyncobjTransfer(src_handle=handle, src_point=point, dst_handle=target, dst_point=value)
            )
        elif value:
            self._signal(release)
        else:
            self._device.call(SyncobjSignal(handles=(target,)))

    def _signal(self, release: SyncPoint) -> None:
        """A user fence is its signallers' to raise, and we are none; but any fence may be put behind it."""
        timeline, value = release.timeline, release.value
        if timeline.may_signal:
            try:
                self._device.call(SyncobjTimelineSignal(handles=(timeline.handle,), points=(value,)))
            except DeviceError as refusal:
                if refusal.errno != EACCES:
                    raise
                timeline.may_signal = False
        if not timeline.may_signal:
            import_point(self._device, self._done_fence, timeline.handle, value)

    def _merged(self, points: Iterable[tuple[int, int]]) -> Fd:
        fences: list[Fd] = []
        try:
            fences.extend(export_point(self._device, handle, point) for handle, point in points)
            while len(fences) > 1:
                both = self._device.call(SyncFileMerge(fd1=fences[0], fd2=fences[1], name="readers")).fd
                fences.append(both)
                for _ in range(2):
                    self._device.close_fd(fences.pop(0))
        except DeviceError:
            for fence in fences:
                self._device.close_fd(fence)
            raise
        return fences[0]

    # -- storage and timelines --------------------------------------------------------------------

    def destroy_buffer(self, buffer: Buffer) -> None:
        """The client's object is gone; pixels stay for those who still show them (C12)."""
        buffer.destroyed = True
        self.free_if_unused(buffer)

    def free_if_unused(self, buffer: Buffer) -> None:
        """The storage goes with the object and the last who needs it."""
        if buffer.destroyed and not buffer.loans:
            self._memory.free(buffer)

    def unuse_timeline(self, timeline: Timeline) -> None:
        """The protocol object or a loan lets go; the handle goes with the last (S24)."""
        timeline.uses -= 1
        if timeline.uses == 0 and timeline.handle != LOST:
            self._device.call(SyncobjDestroy(handle=timeline.handle))

    def check_invariants(self) -> None:
        for loan in self.open:
            loan.check_invariants()
            assert not loan.ended
            assert loan.is_wanted or loan.leaving or loan.readers, "a loan nobody reads has ended"
