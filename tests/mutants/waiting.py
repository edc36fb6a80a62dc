"""Updates that are never applied, and those that hold up others."""

import select
from contextlib import suppress
from typing import Any

from mutants.mutant import Broken, breaks
from syncline.compositor.core.commits import Commits
from syncline.compositor.core.display import Crtc
from syncline.compositor.core.output import Cue
from syncline.compositor.core.release import export_point
from syncline.compositor.core.screen import Screen
from syncline.compositor.core.surface import ContentUpdate, Surface
from syncline.compositor.core.waits import Waits
from syncline.compositor.loop import Watches
from syncline.compositor.wayland.syncobj import (
    WpLinuxDrmSyncobjSurfaceV1 as SyncSurface,
    WpLinuxDrmSyncobjTimelineV1 as WireTimeline,
)
from syncline.kms_model.uapi import (
    DeviceError,
    ModeAtomic,
    SyncFileInfo,
    SyncobjQuery,
)

FAR_NS = 10**15
LEAK_EVERY = 64


def _forget_to_wake(self: Waits, update: ContentUpdate, constraint: Any, now_ns: int) -> None:
    """It waits, and nobody watches."""
    self._journal.wait_begins(update, constraint.why, now_ns)
    update.constraints.append(constraint)
    self._pending[constraint] = update


@breaks("S61", at=(Commits, "settle"), killed_by="ACQ-11 ACQ-12 SUB-03")
def one_waits_for_all(settle: Broken, self: Commits, root: Surface, now_ns: int) -> None:
    """While any surface waits no other is updated."""
    if not self._stage.waits._pending:
        settle(self, root, now_ns)


@breaks("S62", at=(Waits, "_release"), killed_by="ACQ-04")
def wants_the_very_value(
    release: Broken, self: Waits, update: ContentUpdate, constraint: Any, now_ns: int
) -> None:
    """A timeline that has gone past the acquire point has missed it."""
    handle, point = constraint.point.timeline.handle, constraint.point.value
    if self._device.call(SyncobjQuery(handles=(handle,))).points == (point,):
        release(self, update, constraint, now_ns)


@breaks("S63 S67", at=(Waits, "_begin"), killed_by="ACQ-01 ACQ-26")
def waits_for_changes_only(
    begin: Broken, self: Waits, update: ContentUpdate, constraint: Any, now_ns: int
) -> None:
    """A point signalled before its commit is not noticed."""
    if self._is_satisfied(constraint, now_ns):
        _forget_to_wake(self, update, constraint, now_ns)
    else:
        begin(self, update, constraint, now_ns)


@breaks("S67", at=(Waits, "_begin"), killed_by="ACQ-26")
def wants_rising_values(
    begin: Broken, self: Waits, update: ContentUpdate, constraint: Any, now_ns: int
) -> None:
    """An acquire point below one used before on its timeline is never ready."""
    highest = vars(self).setdefault("highest", {})
    timeline, value = constraint.point.timeline, constraint.point.value
    if value < highest.get(timeline.handle, 0):
        _forget_to_wake(self, update, constraint, now_ns)
    else:
        highest[timeline.handle] = value
        begin(self, update, constraint, now_ns)


def _books_none(_book: Broken, self: Watches) -> None:
    """No second look."""


@breaks("S64", at=(Waits, "tick"), killed_by="ACQ-29", also=((Watches, "_book_watchdog", _books_none),))
def never_looks_again(_tick: Broken, self: Waits, now_ns: int) -> Any:
    """A wake that gets lost is lost."""
    self.deadline_ns = self.deadline_ns and now_ns + FAR_NS
    return iter(())


def _keeps_its_fence(hold: Broken, self: Waits, update: ContentUpdate, constraint: Any, now_ns: int) -> None:
    handle, point = constraint.point.timeline.handle, constraint.point.value
    with suppress(DeviceError):  # there may be none yet
        vars(self).setdefault("fences", {})[constraint] = export_point(self._device, handle, point)
    hold(self, update, constraint, now_ns)


@breaks("S65", at=(Waits, "_release"), killed_by="ACQ-27", also=((Waits, "_hold", _keeps_its_fence),))
def waits_for_success(
    release: Broken, self: Waits, update: ContentUpdate, constraint: Any, now_ns: int
) -> None:
    """A fence that ends in error is not signalled."""
    fence, failed = vars(self)["fences"].pop(constraint, None), vars(self).setdefault("failed", set())
    if fence is not None:
        inside = self._device.call(SyncFileInfo(fd=fence, num_fences=1)).fences
        self._device.close_fd(fence)
        if any(each.status < 0 for each in inside):
            failed.add(constraint)
    if constraint not in failed:
        release(self, update, constraint, now_ns)


@breaks("S66", at=(SyncSurface, "set_acquire_point"), killed_by="ACQ-07")
def takes_zero_for_nothing(set_point: Broken, self: SyncSurface, timeline: WireTimeline, point: int) -> None:
    """An acquire point of value 0 counts as not set."""
    if point:
        set_point(self, timeline, point)


@breaks("S24", at=(Watches, "_fire"), killed_by="ACQ-23")
def keeps_an_eventfd_for_every_wait(fire: Broken, self: Watches, fd: int) -> None:
    """Of the waits one in many leaves a descriptor behind."""
    waits = vars(self).setdefault("waits", [])
    waits.append(select.epoll() if len(waits) % LEAK_EVERY == 0 else None)
    fire(self, fd)


@breaks("S97", at=(Crtc, "flip"), killed_by="ACQ-24")
def keeps_implicit_fences(flip: Broken, self: Crtc, shows: Any, **how: Any) -> ModeAtomic:
    """The display waits for implicit fences of explicit buffers."""
    request: ModeAtomic = flip(self, shows, **{**how, "in_fences": {}})
    return request


@breaks("S96 S97", at=(Commits, "_constrain"), killed_by="ACQ-24")
def waits_twice(constrain: Broken, self: Commits, update: ContentUpdate, now_ns: int) -> None:
    """An explicit buffer is waited for in both ways."""
    constrain(self, update, now_ns)
    if update.loan is not None and update.loan.explicit:
        self._stage.waits.await_writers(update, update.loan.buffer, now_ns)


@breaks("S95", at=(Commits, "settle"), killed_by="ACQ-25 REL-11")
def neglects_the_hidden(settle: Broken, self: Commits, root: Surface, now_ns: int) -> None:
    """Updates of a window that cannot be seen are kept until it can."""
    if root.content is None or root.shown_on:
        settle(self, root, now_ns)


@breaks("S61", at=(Screen, "latch"), killed_by="ACQ-11 ACQ-12 KMS-06 KMS-12")
def one_waits_for_all_on_its_screen(latch: Broken, self: Screen, now_ns: int) -> None:
    """While any surface waits nothing else on its screen is shown."""
    waiting = {update.surface.root for update in self._stage.waits._pending.values()}
    if waiting & set(self.visible):
        self.output.cue(Cue.REFUSED, now_ns)
    else:
        latch(self, now_ns)


@breaks("S94", at=(Waits, "cancel"), killed_by="ACQ-14")
def keeps_waiting_for_the_dead(cancel: Broken, self: Waits, update: ContentUpdate, now_ns: int) -> None:
    """When a surface goes what its updates wait for is still watched."""
