"""Compositors that are right by one wire and wrong by the other."""

from typing import Any

from mutants.mutant import LOW, Broken, breaks
from syncline.compositor.core.compositor import Compositor
from syncline.compositor.wayland.server import Server
from syncline.compositor.wayland.surface import WlSurface
from syncline.compositor.wayland.syncobj import (
    WpLinuxDrmSyncobjManagerV1 as Manager,
    WpLinuxDrmSyncobjSurfaceV1 as SyncSurface,
    WpLinuxDrmSyncobjTimelineV1 as WireTimeline,
)
from syncline.kms_model.uapi import SyncobjCreate, SyncobjHandleToFd
from syncline.protocol.connection import Connection
from syncline.protocol.display import Callback
from syncline.protocol.errors import ProtocolError
from syncline.protocol.object import NewId, Object
from syncline.protocol.wire.msgpack import MsgpackWire

SOME = 1_000


def _by_messages(obj: Object) -> bool:
    connection = obj.connection
    return isinstance(connection, Connection) and isinstance(connection._wire, MsgpackWire)


@breaks("S25", at=(SyncSurface, "set_release_point"), killed_by="TRN-05")
def cuts_points_to_words(set_point: Broken, self: SyncSurface, timeline: WireTimeline, point: int) -> None:
    """Release points that come as messages have 32 bits."""
    set_point(self, timeline, point & LOW if _by_messages(self) else point)


@breaks("S4", at=(Manager, "check_first"), killed_by="TRN-02 TRN-01")
def blames_others_by_messages(
    check: Broken, self: Manager, surface: WlSurface, interface: str, code: int
) -> None:
    """A second surface object is an error of another object for whoever speaks in messages."""
    try:
        check(self, surface, interface, code)
    except ProtocolError as error:
        if _by_messages(self):
            raise surface.error(code, "on the wrong object") from error
        raise


@breaks("S15", at=(Manager, "import_timeline"), killed_by="TRN-04")
def takes_any_token(import_timeline: Broken, self: Manager, new: NewId, fd: Any) -> None:
    """A descriptor of anything is a timeline if it came with a message."""
    try:
        import_timeline(self, new, fd)
    except ProtocolError:
        if not _by_messages(self):
            raise
        core = self._session.core
        timeline = core.import_timeline(self._session.client, _syncobj(core))
        WireTimeline(new, self._session, timeline)


def _syncobj(core: Compositor) -> Any:
    handle = core.device.call(SyncobjCreate()).handle
    return core.device.call(SyncobjHandleToFd(handle=handle)).fd


@breaks("S80 S94", at=(Server, "_leave"), killed_by="TRN-06")
def waits_for_a_farewell(leave: Broken, self: Server, line: Any) -> None:
    """A client that spoke in messages stays when its connection goes."""
    if not isinstance(line.connection._wire, MsgpackWire):
        leave(self, line)


@breaks("S70", at=(Callback, "done"), killed_by="TRN-07")
def drops_an_answer(done: Broken, self: Callback, data: int) -> None:
    """Of many answers one is not sent."""
    count = vars(self.connection).setdefault("count", 0)
    vars(self.connection)["count"] = count + 1
    if count % SOME == SOME - 1:
        self.finish()
    else:
        done(self, data)


@breaks("S12", at=(Manager, "check_first"), killed_by="TRN-08")
def remembers_connections(
    check: Broken, self: Manager, surface: WlSurface, interface: str, code: int
) -> None:
    """The numbers of a connection are those of whoever connects next."""
    check(self, surface, interface, code)
    core, mine = self._session.core, self._session.client
    names = vars(core).setdefault("names", {})
    if names.setdefault(surface.id, mine) is not mine:
        raise self.error(code, "somebody had one")
