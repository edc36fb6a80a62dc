"""Waiting for constraints without waiting: a question to the device, else a watch at the loop edge.

About a point the device is always asked before a wake is believed, and only "yes" counts as yes: any error but
a timeout leaves the update waiting (ACQ-28, ACQ-30). A wake that got lost is found by asking again once a
second (ACQ-29). The sync_file of an implicit buffer is polled itself: that is the answer.
"""

from collections.abc import Iterator
from errno import ETIME
from typing import Final

from syncline.compositor.core.buffer import Buffer
from syncline.compositor.core.constraint import AcquirePoint, ConstraintState, Fenced, ImplicitFence
from syncline.compositor.core.journal import Journal
from syncline.compositor.core.surface import ContentUpdate
from syncline.compositor.core.syncobj import Watcher
from syncline.kms_model.uapi import (
    DeviceError,
    DeviceFile,
    DmaBufExportSyncFile,
    DmaBufSyncFlag,
    SyncobjTimelineWait,
    WaitFlag,
)

WATCHDOG_NS: Final = 1_000_000_000


class Waits:
    """Everything that any update waits for, by watch number and by update."""

    def __init__(self, device: DeviceFile, watcher: Watcher, journal: Journal) -> None:
        self._device = device
        self._watcher = watcher
        self._journal = journal
        self._by_watch: dict[int, tuple[ContentUpdate, Fenced]] = {}
        self._pending: dict[Fenced, ContentUpdate] = {}
        self.deadline_ns: int | None = None
        """When to ask about what has waited for long."""

    # -- beginning --------------------------------------------------------------------------------

    def await_point(self, update: ContentUpdate, *, available_is_enough: bool, now_ns: int) -> None:
        """The update's acquire point, unless it is satisfied already (S63)."""
        assert update.loan is not None
        assert update.loan.acquire is not None
        constraint = AcquirePoint(update.loan.acquire, available_is_enough=available_is_enough)
        update.loan.forwarded = available_is_enough
        self._begin(update, constraint, now_ns)

    def await_writers(self, update: ContentUpdate, buffer: Buffer, now_ns: int) -> None:
        """The write fences in an implicit buffer's dma_resv, if any is unsignalled."""
        fence = self._device.call(DmaBufExportSyncFile(fd=buffer.fd, flags=DmaBufSyncFlag.READ)).fd
        watch = self._watcher.watch_fence(fence)
        if watch is not None:
            constraint = ImplicitFence(watch=watch)
            self._by_watch[watch] = update, constraint
            self._hold(update, constraint, now_ns)

    def _begin(self, update: ContentUpdate, constraint: AcquirePoint, now_ns: int) -> None:
        if self._is_reached(update, constraint, now_ns):
            constraint.state = ConstraintState.RELEASED
        else:
            self._hold(update, constraint, now_ns)

    def _hold(self, update: ContentUpdate, constraint: Fenced, now_ns: int) -> None:
        """It is not satisfied, as far as we know: the watch tells at once if that has changed."""
        constraint.since_ns = now_ns
        update.constraints.append(constraint)
        self._pending[constraint] = update
        self._journal.wait_begins(update, constraint.why, now_ns)
        self.deadline_ns = self.deadline_ns or now_ns + WATCHDOG_NS

    # -- asking and watching ----------------------------------------------------------------------

    def _is_reached(self, update: ContentUpdate, constraint: AcquirePoint, now_ns: int) -> bool:
        """If not it is watched from here on."""
        handle, point = constraint.point.timeline.handle, constraint.point.value
        try:
            watch = self._watcher.ask(handle, point, available=constraint.available_is_enough)
        except DeviceError as refusal:
            self._journal.refused(refusal, "asking for a point", now_ns)
            self._watch(update, constraint, now_ns)  # which may still be possible
            return False
        if watch is None:
            return True
        constraint.watch = watch
        self._by_watch[watch] = update, constraint
        return False

    def _is_satisfied(self, constraint: AcquirePoint, now_ns: int) -> bool:
        handle, point = constraint.point.timeline.handle, constraint.point.value
        flags = WaitFlag.FOR_SUBMIT | (WaitFlag.AVAILABLE if constraint.available_is_enough else 0)
        try:
            self._device.call(SyncobjTimelineWait(handles=(handle,), points=(point,), flags=flags))
        except DeviceError as refusal:
            if refusal.errno != ETIME:
                self._journal.refused(refusal, "asking for a point", now_ns)
            return False
        return True

    def _watch(self, update: ContentUpdate, constraint: AcquirePoint, now_ns: int) -> None:
        handle, point = constraint.point.timeline.handle, constraint.point.value
        try:
            constraint.watch = self._watcher.watch(handle, point, available=constraint.available_is_enough)
        except DeviceError as refusal:  # the watchdog will ask instead
            self._journal.refused(refusal, "watching a point", now_ns)
            return
        self._by_watch[constraint.watch] = update, constraint

    def point_ready(self, watch: int, now_ns: int) -> ContentUpdate | None:
        """The update one of whose constraints was released by this wake, if it really was."""
        found = self._by_watch.pop(watch, None)
        if found is None:
            return None
        update, constraint = found
        constraint.watch = None
        if isinstance(constraint, ImplicitFence) or self._is_satisfied(constraint, now_ns):
            self._release(update, constraint, now_ns)
            return update
        self._watch(update, constraint, now_ns)
        return None

    def _release(self, update: ContentUpdate, constraint: Fenced, now_ns: int) -> None:
        constraint.state = ConstraintState.RELEASED
        update.waited_for = constraint.why
        self._end(constraint)
        self._journal.wait_ends(update, constraint.why, now_ns)

    def _end(self, constraint: Fenced) -> None:
        del self._pending[constraint]
        if constraint.watch is not None:
            del self._by_watch[constraint.watch]
            self._watcher.unwatch(constraint.watch)
            constraint.watch = None
        if not self._pending:
            self.deadline_ns = None

    def take_over(self, update: ContentUpdate, why: str, now_ns: int) -> None:
        """Somebody else waits for the update's acquire point first; our own watch stays."""
        for constraint in self._pending_points(update):
            self._journal.wait_ends(update, constraint.why, now_ns)
            constraint.why = why
            self._journal.wait_begins(update, why, now_ns)

    def believe(self, update: ContentUpdate, now_ns: int) -> None:
        """Its acquire point has been reached, as we know from elsewhere."""
        for constraint in self._pending_points(update):
            self._release(update, constraint, now_ns)

    def _pending_points(self, update: ContentUpdate) -> list[AcquirePoint]:
        points = [each for each in update.constraints if isinstance(each, AcquirePoint)]
        return [each for each in points if each.state is ConstraintState.PENDING]

    # -- other ends -------------------------------------------------------------------------------

    def cancel(self, update: ContentUpdate, now_ns: int) -> None:
        """Its surface went away: no waiter is left behind (S94)."""
        for constraint in update.constraints:
            if isinstance(constraint, Fenced) and constraint.state is ConstraintState.PENDING:
                constraint.state = ConstraintState.CANCELLED
                self._end(constraint)
                self._journal.wait_ends(update, constraint.why, now_ns)

    def judge_again(self, update: ContentUpdate, *, available_is_enough: bool, now_ns: int) -> bool:
        """The acquire mode changed; True if the update's acquire point is satisfied now."""
        for constraint in self._pending_points(update):
            assert update.loan is not None
            constraint.available_is_enough = update.loan.forwarded = available_is_enough
            if constraint.watch is not None:
                del self._by_watch[constraint.watch]
                self._watcher.unwatch(constraint.watch)
                constraint.watch = None
            if self._is_reached(update, constraint, now_ns):
                self._release(update, constraint, now_ns)
                return True
        return False

    # -- the watchdog -----------------------------------------------------------------------------

    def tick(self, now_ns: int) -> Iterator[ContentUpdate]:
        """Ask again for what has waited for long: the updates released by the answers."""
        if self.deadline_ns is None or now_ns < self.deadline_ns:
            return
        self.deadline_ns = now_ns + WATCHDOG_NS
        for constraint, update in list(self._pending.items()):
            if isinstance(constraint, ImplicitFence):
                continue
            is_old = now_ns - constraint.since_ns >= WATCHDOG_NS
            if is_old and constraint in self._pending and self._is_satisfied(constraint, now_ns):
                self._release(update, constraint, now_ns)
                yield update

    def check_invariants(self) -> None:
        for constraint, update in self._pending.items():
            assert constraint.state is ConstraintState.PENDING
            assert constraint in update.constraints
            assert not update.applied
        assert all(found[1] in self._pending for found in self._by_watch.values())
        assert bool(self._pending) == (self.deadline_ns is not None)
