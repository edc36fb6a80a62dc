"""From commit to current: checking, queueing, waiting, applying, and forgetting."""

from collections.abc import Iterable
from itertools import count

from syncline.compositor.core.buffer import Buffer, Origin
from syncline.compositor.core.effects import LateViolation
from syncline.compositor.core.errors import Violation
from syncline.compositor.core.extent import Extent, check_size, check_viewport, extent_of
from syncline.compositor.core.layout import Layout
from syncline.compositor.core.loan import Loan
from syncline.compositor.core.output import Output
from syncline.compositor.core.policy import AcquireMode, ImplicitMode
from syncline.compositor.core.roles import Shell
from syncline.compositor.core.screen import Screen
from syncline.compositor.core.seat import Seat
from syncline.compositor.core.stage import Stage
from syncline.compositor.core.state import UNATTACHED, PendingState
from syncline.compositor.core.surface import ContentUpdate, Surface
from syncline.compositor.core.syncobj import SyncPair, check_points
from syncline.compositor.core.update import (
    MAX_QUEUED_UPDATES,
    enqueue,
    forget,
    holders,
    is_held_only_by,
    next_ready,
    set_free,
)
from syncline.kms_model.uapi import DeviceError
from syncline.protocol.enums import WlDisplay, WlSurface


class Commits:
    """The only place where pending becomes queued, and queued becomes current."""

    def __init__(self, stage: Stage, screens: list[Screen], layout: Layout, shell: Shell, seat: Seat) -> None:
        self._stage = stage
        self._screens = screens
        self._layout = layout
        self._shell = shell
        self._seat = seat
        self._numbers = count(1)

    # -- committing -------------------------------------------------------------------------------

    def commit(self, surface: Surface, now_ns: int) -> None:
        """wl_surface.commit. Raises Violation before anything has changed."""
        state = surface.pending
        pair = self._check(surface, state)
        surface.pending = state.successor()
        update = ContentUpdate(
            next(self._numbers), surface, state, _lend(surface, state, pair),
            synchronized=surface.is_effectively_synchronized, committed_ns=now_ns,
        )  # fmt: skip
        if update.loan is not None:
            update.loan.update = update.number
            self._stage.releases.lend(update.loan)
        self._stage.journal.committed(update)
        enqueue(update)
        self._constrain(update, now_ns)
        presumed = self._screens[0].output if self._screens else None
        self._stage.pacing.constrain(update, presumed, now_ns)
        self._shell.committed(update)
        self.settle(surface.root, now_ns)
        if surface.queue:
            for screen in self._screens:
                screen.offered(surface, now_ns)

    def _check(self, surface: Surface, state: PendingState) -> SyncPair | None:
        if len(surface.queue) >= MAX_QUEUED_UPDATES:
            raise Violation(
                WlDisplay.Error.NO_MEMORY, f"{MAX_QUEUED_UPDATES} commits of one surface wait already"
            )
        self._shell.check_commit(surface)
        buffer = _attached_buffer(state)
        if buffer is None and state.get_release:
            raise Violation(WlSurface.Error.NO_BUFFER, "get_release on a commit without a buffer")
        if buffer is not None and state.viewport_source is None and state.viewport_destination is None:
            check_size(state, buffer)
        if not surface.explicit:
            return None
        return check_points(buffer, state.acquire, state.release)

    def _constrain(self, update: ContentUpdate, now_ns: int) -> None:
        loan, waits = update.loan, self._stage.waits
        if loan is None:
            return
        if loan.explicit:
            mode = self._mode_of(update.surface)
            enough = mode is AcquireMode.FENCE_FORWARD
            waits.await_point(update, available_is_enough=enough, now_ns=now_ns)
        elif loan.buffer.origin is Origin.DMABUF and self._stage.policy.implicit is ImplicitMode.WAIT:
            try:
                waits.await_writers(update, loan.buffer, now_ns)
            except DeviceError as refusal:  # we cannot know the writers: GPU and display will
                self._stage.journal.refused(refusal, "looking for a buffer's writers", now_ns)

    def _mode_of(self, surface: Surface) -> AcquireMode:
        """As its main output wants it; a sub-surface or popup not yet shown, as its root's."""
        outputs = surface.outputs or surface.root.outputs
        if outputs:
            return outputs[0].acquire_mode
        return self._screens[0].output.acquire_mode if self._screens else self._stage.policy.acquire

    # -- applying ---------------------------------------------------------------------------------

    def settle(self, root: Surface, now_ns: int) -> None:
        """Apply every graph of this tree that nothing holds back any more."""
        for tree in (root, *holders(root)):
            self._apply_ready(tree, now_ns)
            while (overtaken := _overtaken(tree)) is not None:
                self.lose_image(overtaken, now_ns)
                self._apply_ready(tree, now_ns)
        self._layout.settle(now_ns)

    def _apply_ready(self, tree: Surface, now_ns: int) -> None:
        while (graph := next_ready(tree)) is not None:
            for update in graph:
                self._apply(update, now_ns)

    def _apply(self, update: ContentUpdate, now_ns: int) -> None:
        surface, state = update.surface, update.state
        forget(update)
        self._stage.pacing.applied(update, now_ns)
        if not update.is_parked:  # else it was ready for the latch at which the display got it
            update.ready_ns = now_ns
        update.is_parked = False
        before, surface.current = surface.current, state
        looks_different = _looks_different(before, state)
        if state.attached is not UNATTACHED:  # the buffer before all other state (C7)
            opacity_before = surface.opacity
            self._replace_content(surface, update.loan, now_ns)
            looks_different |= surface.opacity != opacity_before
        if not _has_extent_of_before(surface, before):
            extent_before, surface.extent = surface.extent, self._extent(surface)
            looks_different |= surface.extent != extent_before
        self._stage.journal.ready(update, now_ns)
        self._stage.feedback.applied(update, now_ns)
        self._shell.applied(update)
        self._seat.applied(update)
        if looks_different:
            self._layout.changed()
        for screen in self._screens:
            screen.damaged(surface, now_ns)

    def reached(self, update: ContentUpdate, now_ns: int) -> None:
        """The display shows it: its acquire point has been reached, whether we have heard of that or not."""
        self._stage.waits.believe(update, now_ns)
        self.settle(update.surface.root, now_ns)

    def lose_image(self, update: ContentUpdate, now_ns: int) -> None:
        """A parked one's picture will not be shown (UR8, UR9), and goes back. The rest of the commit counts.

        To be settled after.
        """
        loan, state = update.loan, update.state
        assert loan is not None
        self._stage.waits.cancel(update, now_ns)
        self._stage.feedback.lose_image(update)
        update.is_parked, update.loan, state.attached = False, None, UNATTACHED
        self._stage.releases.retire(loan, now_ns)

    def _replace_content(self, surface: Surface, loan: Loan | None, now_ns: int) -> None:
        old, surface.content = surface.content, loan
        if old is not None:
            self._stage.releases.retire(old, now_ns)

    def _extent(self, surface: Surface) -> Extent | None:
        if surface.content is None:
            return None
        try:
            check_viewport(surface.current, surface.content.buffer)
        except Violation as violation:
            self._stage.effects.append(LateViolation(surface.client, surface, violation))
            return extent_of(PendingState(), surface.content.buffer)
        return extent_of(surface.current, surface.content.buffer)

    # -- changes of the graph ---------------------------------------------------------------------

    def desynchronized(self, surface: Surface, tree: Surface, now_ns: int) -> None:
        """The surface, and what hangs from it, may have stopped being effectively synchronized (C6)."""
        for member in surface.tree():
            if not member.is_effectively_synchronized:
                set_free(member, tree=tree)
        self.settle(surface.root, now_ns)
        self.settle(tree, now_ns)

    def set_acquire_mode(self, output: Output, surfaces: Iterable[Surface], now_ns: int) -> None:
        """Judge again what waits on this output."""
        enough = output.acquire_mode is AcquireMode.FENCE_FORWARD
        for surface in surfaces:
            for update in list(surface.queue):
                if self._mode_of(surface) is output.acquire_mode and update.loan is not None:
                    self._stage.waits.judge_again(update, available_is_enough=enough, now_ns=now_ns)
            self.settle(surface.root, now_ns)
            for screen in self._screens:
                screen.offered(surface, now_ns)

    def discard(self, surface: Surface, now_ns: int) -> None:
        """The surface goes: its queue is never applied, every loan is given back (S80, S94)."""
        queue = list(surface.queue)
        waiting = holders(surface)
        surface.queue.clear()
        self._stage.pacing.discard(surface, queue, now_ns)
        for update in queue:
            update.applied = True  # for whoever needed it
            self._stage.waits.cancel(update, now_ns)
            self._stage.feedback.discard_update(update)
            if update.loan is not None:
                self._stage.releases.retire(update.loan, now_ns)
        self._stage.feedback.forget(surface)
        self._replace_content(surface, None, now_ns)
        surface.extent = None
        self._layout.changed()
        for tree in waiting:
            self.settle(tree, now_ns)


def _overtaken(tree: Surface) -> ContentUpdate | None:
    """A parked update, if the next one of its surface is ready: it was latched, so it may be replaced."""
    for surface in tree.tree():
        if len(surface.queue) > 1 and surface.queue[0].is_parked:
            ahead, behind = surface.queue[0], surface.queue[1]
            if is_held_only_by(behind, ahead):
                return ahead
    return None


def _attached_buffer(state: PendingState) -> Buffer | None:
    """None also for a buffer destroyed while pending: that is as NULL (C11, S48)."""
    attached = state.attached
    return attached if isinstance(attached, Buffer) and not attached.destroyed else None


def _lend(surface: Surface, state: PendingState, pair: SyncPair | None) -> Loan | None:
    buffer = _attached_buffer(state)
    if buffer is None:
        if state.attached is not UNATTACHED:
            state.attached = None
        return None
    return Loan(
        0, surface.number, surface.client.name, buffer, explicit=pair is not None,
        acquire=pair.acquire if pair is not None else None,
        release=pair.release if pair is not None else None,
        callbacks=tuple(state.get_release),
    )  # fmt: skip


def _looks_different(before: PendingState, after: PendingState) -> bool:
    """Something besides pixels and size that the scene depends on."""
    return (
        before.stack != after.stack
        or before.opaque_region != after.opaque_region
        or before.window_geometry != after.window_geometry
    )


def _has_extent_of_before(surface: Surface, before: PendingState) -> bool:
    """Nothing is different that its extent follows from."""
    extent, content, now = surface.extent, surface.content, surface.current
    if extent is None or content is None:
        return extent is None and content is None
    return (
        extent.buffer_width == content.buffer.width
        and extent.buffer_height == content.buffer.height
        and before.scale == now.scale
        and before.transform == now.transform
        and before.viewport_source == now.viewport_source
        and before.viewport_destination == now.viewport_destination
    )
