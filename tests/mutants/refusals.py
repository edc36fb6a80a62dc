"""Commits that are refused though they are right."""

from typing import Any

from mutants.mutant import Broken, breaks
from mutants.validation import MaybeBuffer, MaybePair, MaybePoint
from syncline.compositor.core import commits
from syncline.compositor.core.buffer import Buffer
from syncline.compositor.core.commits import Commits
from syncline.compositor.core.errors import Violation
from syncline.compositor.core.state import UNATTACHED, PendingState
from syncline.compositor.core.surface import Surface
from syncline.compositor.core.syncobj import Error, SyncPair
from syncline.compositor.wayland.dmabuf import ZwpLinuxBufferParamsV1
from syncline.compositor.wayland.session import Session
from syncline.compositor.wayland.syncobj import (
    WpLinuxDrmSyncobjSurfaceV1 as SyncSurface,
    WpLinuxDrmSyncobjTimelineV1 as WireTimeline,
)
from syncline.protocol.enums import WlSurface as WlSurfaceEnums


@breaks("S31 S55", at=(Buffer, "supports_explicit_sync"), killed_by="VAL-01 VAL-28")
def supports_no_buffer(_supports: Broken, self: Buffer) -> bool:
    """Dma-bufs are unsupported buffers."""
    return False


@breaks("S55", at=(ZwpLinuxBufferParamsV1, "_import"), killed_by="VAL-28")
def supports_new_dmabufs_only(importing: Broken, self: ZwpLinuxBufferParamsV1, **how: Any) -> Buffer:
    """Dma-bufs made by version 3 have no explicit sync."""
    buffer: Buffer = importing(self, **how)
    if self.version < 4:
        return self._session.core.create_color(self._session.client, 0xFF00_0000)
    return buffer


@breaks("S32", at=(Commits, "_check"), killed_by="VAL-12 OBJ-11")
def wants_points_with_every_commit(
    check: Broken, self: Commits, surface: Surface, state: PendingState
) -> Any:
    """A commit that attaches nothing needs points for the buffer that is shown."""
    if (
        surface.explicit
        and surface.content is not None
        and state.attached is UNATTACHED
        and not state.acquire
    ):
        raise Violation(Error.NO_ACQUIRE_POINT, "what is shown needs points")
    return check(self, surface, state)


@breaks("S33", at=(Commits, "_check"), killed_by="VAL-11")
def wants_points_with_null(check: Broken, self: Commits, surface: Surface, state: PendingState) -> Any:
    """A commit that attaches NULL needs points."""
    if surface.explicit and state.attached is None and not state.acquire:
        raise Violation(Error.NO_ACQUIRE_POINT, "NULL needs points")
    return check(self, surface, state)


@breaks("S53", at=(Commits, "_check"), killed_by="VAL-33")
def wants_a_buffer_at_once(check: Broken, self: Commits, surface: Surface, state: PendingState) -> Any:
    """The first commit of a surface with an object has to bring a buffer."""
    if surface.explicit and surface.content is None and state.attached is UNATTACHED:
        raise Violation(Error.NO_BUFFER, "nothing to show")
    return check(self, surface, state)


@breaks("S43", at=(commits, "check_points"), killed_by="VAL-18")
def compares_the_wrong_way_round(
    check: Broken, buffer: MaybeBuffer, acquire: MaybePoint, release: MaybePoint
) -> MaybePair:
    """Acquire below release on one timeline conflicts."""
    if buffer and acquire and release and acquire.timeline is release.timeline:
        check(buffer, release, acquire)
        return SyncPair(acquire, release)
    pair: MaybePair = check(buffer, acquire, release)
    return pair


@breaks("S44", at=(commits, "check_points"), killed_by="VAL-19")
def compares_different_timelines(
    check: Broken, buffer: MaybeBuffer, acquire: MaybePoint, release: MaybePoint
) -> MaybePair:
    """The values of two timelines conflict as those of one."""
    if buffer and acquire and release and acquire.value > release.value:
        raise Violation(Error.CONFLICTING_POINTS, "acquire above release")
    pair: MaybePair = check(buffer, acquire, release)
    return pair


@breaks("S45 S49", at=(SyncSurface, "set_release_point"), killed_by="VAL-20")
def judges_points_when_they_are_set(
    set_release_point: Broken, self: SyncSurface, timeline: WireTimeline, point: int
) -> None:
    """A release point that conflicts with the acquire point set before is an error at once."""
    set_release_point(self, timeline, point)
    acquire, release = self.surface.pending.acquire, self.surface.pending.release
    if acquire and release and acquire.timeline is release.timeline and acquire.value >= release.value:
        raise self.error(Error.CONFLICTING_POINTS, "set to conflict")


def _stays_explicit(_destroy: Broken, self: SyncSurface) -> None:
    """Its points and its rules outlive it."""


def _says_it_on_the_surface(violated: Broken, self: Session, violation: Violation, **where: Any) -> Any:
    surface = where["surface"]
    if isinstance(violation.code, Error) and self.object_of(surface, SyncSurface.interface) is None:
        violation = Violation(WlSurfaceEnums.Error.NO_BUFFER, violation.text)
    return violated(self, violation, **where)


@breaks(
    "S51 S52",
    at=(SyncSurface, "destroy"),
    killed_by="VAL-31 LIF-01",
    also=((Session, "violated", _says_it_on_the_surface),),
)
def judges_after_its_end(_destroy: Broken, self: SyncSurface) -> None:
    """Once a surface has had an object its commits need points for ever."""


@breaks("S7", at=(Commits, "_check"), killed_by="LIF-02")
def judges_whole_trees(check: Broken, self: Commits, surface: Surface, state: PendingState) -> Any:
    """A plain sub-surface of an explicit window needs points, too."""
    if surface.root.explicit and not surface.explicit and state.attached is not UNATTACHED:
        raise Violation(WlSurfaceEnums.Error.NO_BUFFER, "its parent is explicit")
    return check(self, surface, state)
