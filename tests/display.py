"""A client of the display for stories: it names objects as the recorder does and moves the clock itself."""

import os
from collections.abc import Sequence
from itertools import count
from typing import Any

import pytest

from syncline.kms_model.checker import Checker, Known, Ledger, Severity
from syncline.kms_model.device import Device
from syncline.kms_model.loops import NS_PER_S
from syncline.kms_model.profiles import Profile
from syncline.kms_model.quirks import Quirks
from syncline.kms_model.task import Pending
from syncline.kms_model.trace import TraceEvent
from syncline.kms_model.uapi import (
    FORMAT_XRGB8888,
    AtomicFlag,
    AtomicReply,
    ClientCap,
    CreateDumb,
    DeviceError,
    Event,
    ModeAddFb2,
    ModeAtomic,
    ModeCreateBlob,
    ModeGetConnector,
    ModeGetPlane,
    ModeGetResources,
    ModeInfo,
    ModeObjGetProperties,
    PlaneType,
    PrimeHandleToFd,
    Request,
    SetClientCap,
    SwSyncCreateFence,
    SwSyncCreateTimeline,
    SwSyncInc,
    SyncFileInfo,
    SyncobjCreateUser,
    SyncobjFdToHandle,
    SyncobjHandleToFd,
    SyncobjQueryType,
    SyncobjTimelineSignal,
    encode_mode,
    encode_user_points,
)

MS = 1_000_000
COMMIT_RULES = ("K13", "K14", "K15")
ASK = AtomicFlag.NONBLOCK | AtomicFlag.PAGE_FLIP_EVENT
Change = tuple[str, str, int]


class World:
    """One device, its clock and what it traces."""

    def __init__(
        self, profile: Profile, quirks: Quirks, *, allows_faults: bool = False, known: Sequence[Known] = ()
    ) -> None:
        self.trace: list[TraceEvent] = []
        self.device = Device(profile, quirks=quirks, trace=self.trace.append, allows_faults=allows_faults)
        self.ledger = Ledger(known=known)
        self.may_race = False
        """The story paints what is on the screen, or shows what is not painted yet (K21)."""
        self.checker = Checker(self.device.kernel, self.ledger)
        self.device.advance(NS_PER_S)
        self.fds: list[int] = []

    @property
    def now_ns(self) -> int:
        return self.device.now_ns

    def run_ms(self, ms: float) -> None:
        self.device.advance(self.now_ns + round(ms * MS))

    def run_until_done(self, pending: Pending[Any]) -> Any:
        while not pending.done:
            next_ns = self.device.next_deadline_ns()
            assert next_ns is not None, "it would sleep for ever"
            self.device.advance(next_ns)
        return pending.result()

    def check(self) -> None:
        """The display agrees with itself, and no commit broke a promise, whatever the test did to it."""
        self.device.kms.display.check_invariants()
        broken = [each for each in self.ledger.reports.values() if each.severity is Severity.ERROR]
        assert not [each for each in broken if each.rule in COMMIT_RULES], broken
        assert self.may_race or not [each for each in broken if each.rule == "K21"], broken

    def close(self) -> None:
        """Everybody lets go of everything: fences end, screens go blank, and nothing is left."""
        while self.fds:
            os.close(self.fds.pop())
        self.device.collect(self.now_ns)
        for file in tuple(self.device.files):
            self.run_until_done(self.device.close(file, self.now_ns))
        self.run_ms(100)
        assert self.device.kms.display.states == []
        assert self.device.next_deadline_ns() is None
        self.device.kernel.descriptors.close()


class Client:
    """A file on the card node with everything enabled, and names for the objects it sees."""

    def __init__(self, world: World, *, atomic: bool = True, writeback: bool = False) -> None:
        self.world = world
        self.file = world.device.open()
        self.call(SetClientCap(ClientCap.UNIVERSAL_PLANES))
        if atomic:
            self.call(SetClientCap(ClientCap.ATOMIC))
        if writeback:
            self.call(SetClientCap(ClientCap.WRITEBACK_CONNECTORS))
        self.ids: dict[str, int] = {}
        self._props: dict[int, dict[str, int]] = {}
        self._pointers = count(0x1000)
        self._name_objects(atomic=atomic)

    def _name_objects(self, *, atomic: bool) -> None:
        resources = self.call(ModeGetResources())
        self._name("crtc", resources.crtcs)
        connectors = {id: self.call(ModeGetConnector(id)) for id in resources.connectors}
        self._name("conn", [id for id, connector in connectors.items() if not connector.writeback])
        self._name("writeback", [id for id, connector in connectors.items() if connector.writeback])
        self.modes = next(iter(connectors.values())).modes
        kinds = {id: PlaneType(self.read_id(id, "type")) for id in resources.planes}
        for kind in PlaneType:
            self._name(kind.name.lower(), [id for id, is_of in kinds.items() if is_of is kind])
        for id in (*resources.crtcs, *resources.connectors) if atomic else ():
            self.read_id(id, "CRTC_ID" if id in connectors else "ACTIVE")
        self.plane_crtcs = {id: self.call(ModeGetPlane(id)).possible_crtcs for id in resources.planes}

    def _name(self, stem: str, ids: Any) -> None:
        self.ids |= {f"{stem}{number}": id for number, id in enumerate(ids)}

    # -- calls ---------------------------------------------------------------------------------

    def start(self, request: Request[Any]) -> Pending[Any]:
        return self.world.device.call(self.file, request, self.world.now_ns)

    def call(self, request: Request[Any]) -> Any:
        pending = self.start(request)
        assert pending.done, "it sleeps"
        return pending.result()

    def errno(self, request: Request[Any]) -> int:
        with pytest.raises(DeviceError) as error:
            self.call(request)
        return error.value.errno

    def read_id(self, object_id: int, name: str) -> int:
        properties = self.call(ModeObjGetProperties(object_id)).properties
        self._props[object_id] = {prop.name: prop.prop_id for prop in properties}
        return next(prop.value for prop in properties if prop.name == name)

    def read(self, object_name: str, name: str) -> int:
        return self.read_id(self.ids[object_name], name)

    def prop(self, object_name: str, name: str) -> int:
        object_id = self.ids[object_name]
        if object_id not in self._props:
            self.read_id(object_id, name)
        return self._props[object_id][name]

    # -- commits -------------------------------------------------------------------------------

    def request(self, flags: int, *changes: Change, user_data: int = 0, timeout_ns: int = 0) -> ModeAtomic:
        props = tuple((self.ids[thing], self.prop(thing, name), value) for thing, name, value in changes)
        return ModeAtomic(int(flags), props, user_data=user_data, timeout_ns=timeout_ns)

    def start_commit(self, flags: int, *changes: Change, **options: int) -> Pending[AtomicReply]:
        return self.start(self.request(flags, *changes, **options))

    def commit(self, flags: int, *changes: Change, **options: int) -> AtomicReply:
        """Commit, and let time pass until the ioctl returns."""
        reply: AtomicReply = self.world.run_until_done(self.start_commit(flags, *changes, **options))
        self.world.fds += [fd for _, fd in reply.out_fences if fd >= 0]
        return reply

    def refused(self, flags: int, *changes: Change, **options: int) -> int:
        """The errno of a commit that fails at once."""
        return self.errno(self.request(flags, *changes, **options))

    def framebuffer(self, width: int = 0, height: int = 0, *, format: int = FORMAT_XRGB8888) -> int:
        width, height = width or self.mode.hdisplay, height or self.mode.vdisplay
        dumb = self.call(CreateDumb(width, height))
        self.handle = dumb.handle
        fb_id: int = self.call(ModeAddFb2(width, height, format, dumb.handle, dumb.pitch)).fb_id
        return fb_id

    def dma_buf(self, handle: int) -> int:
        fd: int = self.call(PrimeHandleToFd(handle)).fd
        self.world.fds.append(fd)
        return fd

    @property
    def mode(self) -> ModeInfo:
        return self.modes[0]

    def plane(
        self,
        name: str,
        fb: int,
        *,
        crtc: str = "crtc0",
        size: tuple[int, int] | None = None,
        x: int = 0,
        y: int = 0,
    ) -> list[Change]:
        """Show all of `fb`, which is of `size` (default: the mode's), at (x, y)."""
        width, height = size or (self.mode.hdisplay, self.mode.vdisplay)
        values = {"FB_ID": fb, "CRTC_ID": self.ids[crtc], "SRC_X": 0, "SRC_Y": 0, "SRC_W": width << 16}
        values |= {"SRC_H": height << 16, "CRTC_X": x, "CRTC_Y": y, "CRTC_W": width, "CRTC_H": height}
        return [(name, prop, value) for prop, value in values.items()]

    def output(self, number: int, fb: int, mode: ModeInfo | None = None) -> list[Change]:
        """Light connector and CRTC `number` with `fb` on the primary plane."""
        mode = mode or self.mode
        blob = self.call(ModeCreateBlob(encode_mode(mode))).blob_id
        return [
            (f"conn{number}", "CRTC_ID", self.ids[f"crtc{number}"]),
            (f"crtc{number}", "MODE_ID", blob),
            (f"crtc{number}", "ACTIVE", 1),
            *self.plane(f"primary{number}", fb, crtc=f"crtc{number}", size=(mode.hdisplay, mode.vdisplay)),
        ]

    def off(self, number: int) -> list[Change]:
        return [
            (f"conn{number}", "CRTC_ID", 0),
            (f"crtc{number}", "MODE_ID", 0),
            (f"crtc{number}", "ACTIVE", 0),
            (f"primary{number}", "FB_ID", 0),
            (f"primary{number}", "CRTC_ID", 0),
        ]

    def light_up(self, *numbers: int) -> int:
        """A blocking modeset of the outputs (default: the first). The framebuffer they show."""
        fb = self.framebuffer()
        changes = [change for number in numbers or (0,) for change in self.output(number, fb)]
        self.commit(AtomicFlag.ALLOW_MODESET, *changes)
        return fb

    # -- what comes back -----------------------------------------------------------------------

    def pointer(self) -> int:
        return next(self._pointers)

    def events(self) -> list[Event]:
        return self.file.read_events()

    def shown(self, crtc: str = "crtc0") -> tuple[int, ...] | None:
        """The framebuffers that the screen shows, seen from the far side."""
        view = next(view for view in self.world.device.kms.view() if view.crtc_id == self.ids[crtc])
        return None if view.showing is None else view.showing.fb_ids

    # -- user fences ---------------------------------------------------------------------------

    def user_fence(self) -> int:
        handle: int = self.call(SyncobjCreateUser()).handle
        return handle

    def take(self, giver: "Client", handle: int) -> int:
        """A handle of ours for a syncobj of another file."""
        fd = giver.call(SyncobjHandleToFd(handle)).fd
        self.world.fds.append(fd)
        taken: int = self.call(SyncobjFdToHandle(fd)).handle
        return taken

    def reach(self, handle: int, point: int = 1) -> None:
        self.call(SyncobjTimelineSignal((handle,), (point,)))

    def slot(self, handle: int) -> tuple[int, int]:
        """Its value and its status."""
        reply = self.call(SyncobjQueryType(handle))
        return reply.value, reply.status

    def blob(self, data: bytes) -> int:
        blob_id: int = self.call(ModeCreateBlob(data)).blob_id
        return blob_id

    def waits_for(self, *points: tuple[int, int], plane: str = "primary0") -> Change:
        return plane, "IN_USER_FENCE", self.blob(encode_user_points(points))

    def owes(self, handle: int, point: int, crtc: str = "crtc0") -> Change:
        return crtc, "OUT_USER_FENCE", self.blob(encode_user_points([(handle, point)]))

    def parked(self, crtc: str = "crtc0") -> bool:
        """Is a commit in PENDING_USER there?"""
        return any(parked.id == self.ids[crtc] for parked in self.world.device.kms.display.parked)

    # -- fences --------------------------------------------------------------------------------

    def timeline(self) -> int:
        fd: int = self.call(SwSyncCreateTimeline()).fd
        self.world.fds.append(fd)
        return fd

    def fence(self, timeline: int, value: int = 1) -> int:
        fd: int = self.call(SwSyncCreateFence(timeline, value)).fd
        self.world.fds.append(fd)
        return fd

    def signal(self, timeline: int) -> None:
        self.call(SwSyncInc(timeline, 1))

    def status(self, sync_file: int) -> int:
        status: int = self.call(SyncFileInfo(sync_file)).status
        return status
