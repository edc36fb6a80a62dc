"""Objects of linux-drm-syncobj-v1 that live, die or speak as they should not."""

import select
from errno import EINVAL
from typing import Any

from mutants.mutant import Broken, breaks
from syncline.compositor.core import compositor as core
from syncline.compositor.core.compositor import Compositor
from syncline.compositor.core.errors import Violation
from syncline.compositor.core.syncobj import LOST, Error, Timeline
from syncline.compositor.wayland.blame import display_error
from syncline.compositor.wayland.session import Session
from syncline.compositor.wayland.surface import WlSurface
from syncline.compositor.wayland.syncobj import (
    WpLinuxDrmSyncobjManagerV1 as Manager,
    WpLinuxDrmSyncobjSurfaceV1 as SyncSurface,
    WpLinuxDrmSyncobjTimelineV1 as WireTimeline,
)
from syncline.kms_model.uapi import DeviceError, Fd, SyncobjCreate
from syncline.protocol.enums import WlDisplay, WpLinuxDrmSyncobjManagerV1
from syncline.protocol.errors import ProtocolError
from syncline.protocol.object import NewId

Codes = WpLinuxDrmSyncobjManagerV1.Error
LEAK_EVERY = 64


@breaks("S1", at=(Compositor, "import_timeline"), killed_by="OBJ-17")
def offers_what_it_cannot_do(_import: Broken, self: Compositor, client: Any, fd: Fd) -> Timeline:
    """The global is there, and no timeline can be imported."""
    self.device.close_fd(fd)
    raise DeviceError(EINVAL, "no timelines here")


@breaks("S2", at=(SyncSurface, "committed"), killed_by="OBJ-01")
def speaks(committed: Broken, self: SyncSurface) -> None:
    """The surface object sends an event that its interface does not have."""
    committed(self)
    self.connection.send_raw(self.id, 0, b"")  # type: ignore[attr-defined]  # every carrier here is a Connection


@breaks("S3", at=(Manager, "destroy"), killed_by="OBJ-01")
def managers_take_their_children_along(destroy: Broken, self: Manager) -> None:
    """With the manager go the surface objects: their points are forgotten."""
    destroy(self)
    for surface in self._session.surfaces:
        surface.pending.acquire = surface.pending.release = None
        surface.explicit = False


@breaks("S4", at=(Manager, "check_first"), killed_by="OBJ-02 VAL-29")
def blames_the_surface(_check: Broken, self: Manager, surface: WlSurface, interface: str, code: int) -> None:
    """A second surface object is an error of the wl_surface, where the same number means something else."""
    if self._session.object_of(surface.surface, interface):
        raise surface.error(code, "on the wrong object")


@breaks("S4 S6", at=(Manager, "import_timeline"), killed_by="OBJ-12")
def blames_the_timeline(import_timeline: Broken, self: Manager, new: NewId, fd: Any) -> None:
    """A descriptor of something else is an error of the timeline that was to be made."""
    try:
        import_timeline(self, new, fd)
    except ProtocolError as error:
        raise ProtocolError(new.id, error.code, error.text, interface=new.interface) from error


@breaks("S5", at=(Session, "violated"), killed_by="VAL-29")
def blames_the_display(violated: Broken, self: Session, violation: Violation, **where: Any) -> ProtocolError:
    """Errors about points are wl_display's implementation error."""
    if isinstance(violation.code, Error):
        return display_error(WlDisplay.Error.IMPLEMENTATION, violation.text)
    error: ProtocolError = violated(self, violation, **where)
    return error


@breaks("S7", at=(Manager, "check_first"), killed_by="OBJ-10")
def refuses_roles(check: Broken, self: Manager, surface: WlSurface, interface: str, code: int) -> None:
    """A surface that is a sub-surface or a cursor already gets no object."""
    check(self, surface, interface, code)
    if surface.surface.role is not None:
        raise self.error(code, "only for surfaces without a role")


@breaks("S7", at=(SyncSurface, "__init__"), killed_by="LIF-03")
def keeps_explicit_families(init: Broken, self: SyncSurface, new: NewId, surface: WlSurface) -> None:
    """A client with one explicit surface has to have points on all of them."""
    init(self, new, surface)
    for each in surface.session.surfaces:
        if each.role is not None and not each.explicit:
            raise self.error(Error.NO_ACQUIRE_POINT, "a plain surface beside explicit ones")


@breaks("S8", at=(Manager, "check_first"), killed_by="OBJ-02 OBJ-03")
def takes_several_objects(
    _check: Broken, self: Manager, surface: WlSurface, interface: str, code: int
) -> None:
    """A second surface object replaces the first."""
    self._session.surfaces[surface.surface].by_interface.pop(interface, None)


@breaks("S8", at=(Manager, "check_first"), killed_by="OBJ-03 LIF-04")
def looks_at_its_own_objects_only(
    check: Broken, self: Manager, surface: WlSurface, interface: str, code: int
) -> None:
    """Another binding of the manager may make a second object."""
    mine = vars(self).setdefault("mine", set())
    if surface not in mine:
        self._session.surfaces[surface.surface].by_interface.pop(interface, None)
    mine.add(surface)
    check(self, surface, interface, code)


@breaks("S9", at=(SyncSurface, "__init__"), killed_by="OBJ-05")
def judges_once(init: Broken, self: SyncSurface, new: NewId, surface: WlSurface) -> None:
    """An object made again after the first was destroyed judges nothing."""
    init(self, new, surface)
    if vars(surface).setdefault("first", self) is not self:
        surface.surface.explicit = False


@breaks("S9 S98", at=(Manager, "check_first"), killed_by="OBJ-04 LIF-01")
def makes_one_object_for_life(
    check: Broken, self: Manager, surface: WlSurface, interface: str, code: int
) -> None:
    """The slot of a destroyed surface object stays taken."""
    check(self, surface, interface, code)
    if "had_one" in vars(surface):
        raise self.error(code, "it has had one")
    vars(surface)["had_one"] = True


@breaks("S10", at=(SyncSurface, "destroy"), killed_by="OBJ-06 OBJ-19")
def lets_no_orphan_go(destroy: Broken, self: SyncSurface) -> None:
    """Destroying the object of a surface that is gone is no_surface."""
    self._check_surface()
    destroy(self)


@breaks("S11", at=(SyncSurface, "_check_surface"), killed_by="OBJ-07 OBJ-08")
def takes_points_of_orphans(_check: Broken, self: SyncSurface) -> None:
    """Points for a surface that is gone are taken and forgotten."""


@breaks("S12", at=(Manager, "check_first"), killed_by="OBJ-09")
def remembers_recycled_ids(
    check: Broken, self: Manager, surface: WlSurface, interface: str, code: int
) -> None:
    """A new surface inherits the orphan of the old one with the same id."""
    check(self, surface, interface, code)
    seen = vars(self).setdefault("seen", set())
    orphans = [each for each in self.connection.objects.values() if isinstance(each, SyncSurface)]
    if surface.id in seen and not all(each.surface.alive for each in orphans):
        raise self.error(code, "the id has one")
    seen.add(surface.id)


@breaks("S13", at=(SyncSurface, "__init__"), killed_by="OBJ-11")
def hides_what_is_shown(init: Broken, self: SyncSurface, new: NewId, surface: WlSurface) -> None:
    """Making the object takes the content from the screen."""
    init(self, new, surface)
    core, now_ns = surface.session.core, surface.session.now_ns
    core._commits._replace_content(surface.surface, None, now_ns)
    surface.surface.extent = None
    core._layout.changed()
    core._layout.settle(now_ns)


@breaks("S50", at=(SyncSurface, "__init__"), killed_by="OBJ-11")
def judges_the_past(init: Broken, self: SyncSurface, new: NewId, surface: WlSurface) -> None:
    """What was committed before the object was made should have had points."""
    init(self, new, surface)
    if surface.surface.content is not None and not surface.surface.content.explicit:
        raise self.error(Error.NO_ACQUIRE_POINT, "its content has no points")


@breaks("S14", at=(Compositor, "import_timeline"), killed_by="OBJ-13")
def makes_timelines_of_its_own(import_timeline: Broken, self: Compositor, client: Any, fd: Fd) -> Timeline:
    """An import refers to a new kernel object, not to the client's."""
    timeline: Timeline = import_timeline(self, client, fd)
    timeline.handle = self.device.call(SyncobjCreate()).handle
    return timeline


@breaks("S15", at=(Compositor, "import_timeline"), killed_by="OBJ-12")
def takes_any_descriptor(import_timeline: Broken, self: Compositor, client: Any, fd: Fd) -> Timeline:
    """What is no syncobj becomes a timeline all the same."""
    try:
        timeline: Timeline = import_timeline(self, client, fd)
    except DeviceError:
        timeline = Timeline(self.device.call(SyncobjCreate()).handle)
        self._clients[client].timelines[timeline] = None
    return timeline


@breaks("S17", at=(Compositor, "destroy_timeline"), killed_by="OBJ-14")
def ends_all_imports_with_one(destroy: Broken, self: Compositor, timeline: Timeline) -> None:
    """With one import of a client all its others lose their syncobjs."""
    destroy(self, timeline)
    for owned in self._clients.values():
        for other in owned.timelines:
            other.handle = self.device.call(SyncobjCreate()).handle


@breaks("S21", at=(WireTimeline, "on_destroyed"), killed_by="OBJ-21")
def timelines_take_pending_points_along(on_destroyed: Broken, self: WireTimeline) -> None:
    """Points that were set and not yet committed go with the timeline's object."""
    for surface in self._session.surfaces:
        pending = surface.pending
        if pending.acquire is not None and pending.acquire.timeline is self.timeline:
            pending.acquire = None
        if pending.release is not None and pending.release.timeline is self.timeline:
            pending.release = None
    on_destroyed(self)


def _updates_waiting_for(self: Compositor, timeline: Timeline) -> list[Any]:
    found = []
    for update in self._stage.waits._pending.values():
        acquire = update.loan.acquire if update.loan is not None else None
        if acquire is not None and acquire.timeline is timeline:
            found.append(update)
    return found


@breaks("S22", at=(Compositor, "destroy_timeline"), killed_by="ACQ-16")
def timelines_take_waits_along(destroy: Broken, self: Compositor, timeline: Timeline) -> None:
    """Whoever waited for a timeline that is destroyed waits no longer."""
    for update in _updates_waiting_for(self, timeline):
        self._stage.waits.cancel(update, update.committed_ns)
        self._commits.settle(update.surface.root, update.committed_ns)
    destroy(self, timeline)


@breaks("S23 S83", at=(Compositor, "destroy_timeline"), killed_by="REL-07 OBJ-19")
def timelines_take_releases_along(destroy: Broken, self: Compositor, timeline: Timeline) -> None:
    """Release points on a timeline that is destroyed are forgotten."""
    for loan in self._stage.releases.open:
        if loan.release is not None and loan.release.timeline is timeline:
            loan.point_reached = True
    destroy(self, timeline)


@breaks("S24", at=(Compositor, "import_timeline"), killed_by="OBJ-16")
def leaks_descriptors(import_timeline: Broken, self: Compositor, client: Any, fd: Fd) -> Timeline:
    """Of the descriptors of imports one in many is never closed."""
    timeline: Timeline = import_timeline(self, client, fd)
    imports = vars(self).setdefault("imports", [])  # an epoll is a descriptor that goes with the compositor
    imports.append(select.epoll() if len(imports) % LEAK_EVERY == 0 else None)
    return timeline


@breaks("S30", at=(Manager, "import_timeline"), killed_by="OBJ-18")
def knows_one_binding(import_timeline: Broken, self: Manager, new: NewId, fd: Any) -> None:
    """Timelines of a second binding are not those of the first."""
    import_timeline(self, new, fd)
    managers = [id for id, each in self.connection.objects.items() if isinstance(each, Manager)]
    if self.id != min(managers):
        timeline = self.connection.objects[new.id].timeline  # type: ignore[attr-defined]  # just made
        timeline.handle = self._session.core.device.call(SyncobjCreate()).handle


@breaks("S20 S102", at=(core, "import_timeline"), killed_by="OBJ-20")
def blames_clients_for_lost_devices(import_timeline: Broken, device: Any, fd: Fd, **how: Any) -> Timeline:
    """A good syncobj that the machine does not take is an invalid timeline."""
    timeline: Timeline = import_timeline(device, fd, **how)
    if timeline.handle == LOST:
        raise DeviceError(EINVAL, "no device, no timeline")
    return timeline
