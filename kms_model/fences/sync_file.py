"""sync_file: a fence as a descriptor that polls readable once it signalled (kernel.md 2.3)."""

from typing import Final

from syncline.kms_model.budget import Budget
from syncline.kms_model.descriptors import Descriptors, Signalbox
from syncline.kms_model.fences.fence import Fence
from syncline.kms_model.uapi import Fd

NAME_SIZE: Final = 32


class SyncFile:
    """What is behind the descriptor: one fence, for good. `user_name` is set for merged ones."""

    __slots__ = ("__weakref__", "_box", "_budget", "_was_polled", "fence", "note", "user_name")

    def __init__(self, fence: Fence, user_name: str = "") -> None:
        self.fence = fence
        self.user_name = user_name
        self.note: object | None = None
        self._box: Signalbox | None = None
        self._budget: Budget | None = None
        self._was_polled = False

    def publish(self, descriptors: Descriptors, budget: Budget | None = None) -> Fd:
        """Its descriptor, to be given away. Once. EMFILE: the budget is spent."""
        assert self._box is None, "one descriptor per sync_file; others are dups of it"
        if budget is not None:
            budget.charge()
        try:
            fd, self._box = descriptors.publish_pipe(self, self._dropped)
        except OSError:
            if budget is not None:
                budget.refund()
            raise
        self._budget = budget
        if self.fence.observer is not None:
            self.fence.observer.published("sync_file")
        if not descriptors.hears_of_polls:
            self.polled()
        return fd

    def polled(self) -> None:
        """poll(2) on it: the first one enables signalling, and sync_files wake in the order of their first polls.

        The descriptor is a pipe, so the machine sees no poll(2). Unless it is told of them
        (`Descriptors.hears_of_polls`), a sync_file counts as polled from the start.
        """
        if self._was_polled:
            return
        self._was_polled = True
        if self.fence.signalled or not self.fence.add_callback(self._signalled):
            self._signalled(self.fence)

    def _signalled(self, _fence: Fence) -> None:
        if self._box is not None:
            self._box.signal()

    def _dropped(self) -> None:
        self._box = None
        if self._budget is not None:
            self._budget.refund()
        self.fence.remove_callback(self._signalled)


def publish_fence(descriptors: Descriptors, fence: Fence, budget: Budget | None = None) -> Fd:
    """A new sync_file descriptor for `fence` (sync_file_create and fd_install), charged to `budget`."""
    return SyncFile(fence).publish(descriptors, budget)


def fence_of(descriptors: Descriptors, fd: int) -> Fence | None:
    """The fence in the sync_file `fd`; None if it is no sync_file (sync_file_get_fence)."""
    file = descriptors.find(fd, SyncFile)
    return file.fence if file is not None else None
