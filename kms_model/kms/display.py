"""The display of one device: its mode objects, their ids, and who may look them up."""

import struct
from errno import EINVAL
from heapq import heappop, heappush
from typing import Final, TypeVar

from syncline.kms_model.file import File
from syncline.kms_model.kernel import Kernel
from syncline.kms_model.kms.lock import AcquireContext, ModesetLock, Tickets
from syncline.kms_model.kms.objects import Blob, Connector, Crtc, Framebuffer, ModeObject, Plane
from syncline.kms_model.kms.property import Catalogue
from syncline.kms_model.kms.state import AtomicState, Parked
from syncline.kms_model.kms.vblank import Vblank
from syncline.kms_model.kms.view import CrtcView
from syncline.kms_model.profiles import CrtcLayout, Profile
from syncline.kms_model.quirks import Quirks
from syncline.kms_model.trace import Warn
from syncline.kms_model.uapi import (
    FORMAT_ARGB8888,
    FORMAT_XRGB8888,
    MODIFIER_LINEAR,
    DeviceError,
    ModeInfo,
    PlaneType,
)

FORMATS: Final = (FORMAT_XRGB8888, FORMAT_ARGB8888)
WRITEBACK_FORMATS: Final = (FORMAT_XRGB8888,)
MAX_SIZE: Final = 8192
"""Pixels per side of a framebuffer (mode_config.max_width, max_height)."""

_BLOB_HEADER: Final = struct.Struct("<6I")
_BLOB_MODIFIER: Final = struct.Struct("<QIIQ")

Object = TypeVar("Object", bound=ModeObject)


class Display:
    """What drm_mode_config holds. Ids are shared by all kinds of objects; the lowest free one is taken."""

    def __init__(self, kernel: Kernel, profile: Profile, quirks: Quirks) -> None:
        self.kernel = kernel
        self.profile = profile
        self.quirks = quirks
        self.catalogue = Catalogue(first_id=1, user_fences=profile.user_commits)
        self.connection_lock = ModesetLock()
        self.crtcs: list[Crtc] = []
        self.planes: list[Plane] = []
        self.connectors: list[Connector] = []
        self.primaries: dict[Crtc, Plane] = {}
        self.states: list[AtomicState] = []
        """Commits on their way, from parsing to cleanup: they keep framebuffers alive."""
        self.parked: dict[Crtc, Parked] = {}
        """Commits in PENDING_USER: at most one per CRTC, and it is in `states`, too."""
        self.acquire_context = Tickets(kernel).acquire_context
        self._objects: dict[int, ModeObject] = {}
        self._orphans: list[Blob] = []
        """Destroyed blobs that a state still has: they keep their ids until then."""
        self._next_id = self.catalogue.next_id
        self._free_ids: list[int] = []
        for layout in profile.crtcs:
            self._add_crtc(layout)
        for layout, crtc in zip(profile.crtcs, tuple(self.crtcs), strict=True):
            self._add_planes_above(layout, crtc)
            self._add_connectors(layout, crtc)

    # -- ids -----------------------------------------------------------------------------------

    def new_id(self) -> int:
        self._bury_orphans()
        if self._free_ids:
            return heappop(self._free_ids)
        self._next_id += 1
        return self._next_id - 1

    def register(self, made: Object) -> Object:
        self._objects[made.id] = made
        return made

    def unregister(self, gone: ModeObject) -> None:
        """Its id is free for the next object."""
        del self._objects[gone.id]
        heappush(self._free_ids, gone.id)

    def orphan(self, blob: Blob) -> None:
        """Its maker has let go of it."""
        self._orphans.append(blob)

    def _bury_orphans(self) -> None:
        for blob in tuple(self._orphans):
            if not self._is_held(blob):
                self._orphans.remove(blob)
                self.unregister(blob)

    def _is_held(self, blob: Blob) -> bool:
        """Does what is committed, or on its way, have the blob?"""
        crtcs = [crtc.state for crtc in self.crtcs]
        planes = [plane.state for plane in self.planes]
        for state in self.states:
            crtcs += [*state.crtcs.values(), *state.old_crtcs.values()]
            planes += [*state.planes.values(), *state.old_planes.values()]
        return any(crtc.mode_blob is blob for crtc in crtcs) or any(
            plane.damage_blob is blob for plane in planes
        )

    def find(self, id: int, kind: type[Object]) -> Object | None:
        found = self._objects.get(id)
        if isinstance(found, Blob) and found in self._orphans:
            self._bury_orphans()
            found = self._objects.get(id)
        return found if isinstance(found, kind) else None

    def connector(self, name: str) -> Connector:
        """A screen's, by its name; "" is the last one's. EINVAL: there is none."""
        screens = [each for each in self.connectors if not each.writeback]
        for connector in reversed(screens):
            if name in {"", connector.name}:
                return connector
        names = ", ".join(each.name for each in screens) or "none"
        raise DeviceError(EINVAL, f"there is no output {name}, of {names}")

    # -- commits -------------------------------------------------------------------------------

    def begin_state(
        self, context: AcquireContext, *, allow_modeset: bool = False, file: File | None = None
    ) -> AtomicState:
        state = AtomicState(context, self.connection_lock, allow_modeset=allow_modeset, file=file)
        self.states.append(state)
        return state

    async def lock_all(self, context: AcquireContext) -> None:
        """drm_modeset_lock_all_ctx. May raise Deadlock."""
        await context.lock(self.connection_lock)
        for crtc in self.crtcs:
            await context.lock(crtc.lock)
        for plane in self.planes:
            await context.lock(plane.lock)

    def is_used(self, fb: Framebuffer) -> bool:
        """Does anything but its owner hold the framebuffer: a plane, or a commit on its way?"""
        return (
            any(plane.state.fb is fb for plane in self.planes)
            or any(
                plane.fb is fb
                for state in self.states
                for table in (state.planes, state.old_planes)
                for plane in table.values()
            )
            or any(
                job is not None and job.fb is fb
                for state in self.states
                for job in (connector.writeback for connector in state.connectors.values())
            )
        )

    def view(self) -> tuple[CrtcView, ...]:
        """What every CRTC shows now, and what is on its way to the screen."""
        return tuple(_view(crtc, self.parked.get(crtc)) for crtc in self.crtcs)

    def warn(self, rule: str, what: str) -> None:
        """The real kernel prints a warning here."""
        self.kernel.report(Warn(self.kernel.now_ns, rule, what))

    def check_invariants(self) -> None:
        for crtc in self.crtcs:
            assert crtc.state.enable or not crtc.state.active, "active without a mode"
            for plane in crtc.state.planes:
                assert plane.state.crtc is crtc, "plane mask and plane disagree"
            for connector in crtc.state.connectors:
                assert connector.state.crtc is crtc, "connector mask and connector disagree"
            assert len(crtc.commits) <= 3, "the throttle lets no more commits through"
        for plane in self.planes:
            assert (plane.state.crtc is None) == (plane.state.fb is None), "both or neither"
        for parked in self.parked.values():
            assert parked.state in self.states, "a parked commit keeps its buffers"
            assert parked.state.context.holds_nothing, "a parked commit holds no lock (K15)"

    # -- building ------------------------------------------------------------------------------

    def _add_crtc(self, layout: CrtcLayout) -> None:
        vblank = Vblank(self.kernel, lead_ns=layout.vblank_lead_ns)
        context = self.kernel.new_context()
        crtc = self.register(Crtc(self.new_id(), self.catalogue.of_crtc, vblank, len(self.crtcs), context))
        self.crtcs.append(crtc)
        self.primaries[crtc] = self._add_plane(PlaneType.PRIMARY, crtc)

    def _add_planes_above(self, layout: CrtcLayout, crtc: Crtc) -> None:
        for _ in range(layout.overlays):
            self._add_plane(PlaneType.OVERLAY, crtc)
        if layout.cursor:
            self._add_plane(PlaneType.CURSOR, crtc)

    def _add_plane(self, kind: PlaneType, crtc: Crtc) -> Plane:
        plane = Plane(
            self.new_id(),
            self.catalogue.of_plane,
            index=len(self.planes),
            kind=kind,
            crtcs=(crtc,),
            formats=_formats(self.profile, kind),
        )
        plane.in_formats = self.register(Blob(self.new_id(), _in_formats(plane.formats)))
        self.planes.append(self.register(plane))
        return plane

    def _add_connectors(self, layout: CrtcLayout, crtc: Crtc) -> None:
        output = layout.output
        modes = (output.mode, *(mode for mode in self.profile.modes if mode != output.mode))
        self._add_connector(output.name, crtc, modes, layout)
        if layout.writeback:
            self._add_connector(f"Writeback-{crtc.index + 1}", crtc, (), None)

    def _add_connector(
        self, name: str, crtc: Crtc, modes: tuple[ModeInfo, ...], layout: CrtcLayout | None
    ) -> None:
        connector = Connector(
            self.new_id(),
            self.catalogue.of_writeback if layout is None else self.catalogue.of_connector,
            index=len(self.connectors),
            name=name,
            crtcs=(crtc,) if layout is None else tuple(self.crtcs),
            modes=modes,
            output=None if layout is None else layout.output,
            fence_context=self.kernel.new_context(),
        )
        if connector.writeback:
            formats = Blob(self.new_id(), struct.pack(f"<{len(WRITEBACK_FORMATS)}I", *WRITEBACK_FORMATS))
            connector.pixel_formats = self.register(formats)
        self.connectors.append(self.register(connector))


def _formats(profile: Profile, kind: PlaneType) -> tuple[int, ...]:
    if not profile.one_format_planes:
        return FORMATS
    return (FORMAT_ARGB8888,) if kind is PlaneType.CURSOR else (FORMAT_XRGB8888,)


def _view(crtc: Crtc, parked: Parked | None) -> CrtcView:
    held = bool(crtc.commits) and not crtc.commits[0].hw_done.done and crtc.state.active
    return CrtcView(
        crtc_id=crtc.id,
        showing=crtc.showing,
        pending=crtc.arming,
        waiting=crtc.image() if held else None,
        parked=None if parked is None else crtc.image(parked.state.crtcs[crtc], parked.state.planes),
    )


def _in_formats(formats: tuple[int, ...]) -> bytes:
    """struct drm_format_modifier_blob: every format with the linear modifier."""
    at_formats = _BLOB_HEADER.size
    at_modifiers = (at_formats + 4 * len(formats) + 7) & ~7
    data = bytearray(at_modifiers + _BLOB_MODIFIER.size)
    _BLOB_HEADER.pack_into(data, 0, 1, 0, len(formats), at_formats, 1, at_modifiers)
    struct.pack_into(f"<{len(formats)}I", data, at_formats, *formats)
    _BLOB_MODIFIER.pack_into(data, at_modifiers, (1 << len(formats)) - 1, 0, 0, MODIFIER_LINEAR)
    return bytes(data)
