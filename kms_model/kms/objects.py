"""Mode objects and their software state: what was last committed, not what is on the screen.

A state is copied for every commit and swapped in whole. What the display shows is `Crtc.showing`.
"""

from collections.abc import Mapping
from operator import attrgetter
from types import MappingProxyType
from typing import Final

import msgspec

from syncline.kms_model.buffers.buffer import GemObject
from syncline.kms_model.fences.fence import Fence
from syncline.kms_model.fences.sync_file import SyncFile
from syncline.kms_model.kms.event import FlipEvent
from syncline.kms_model.kms.lock import ModesetLock
from syncline.kms_model.kms.mode import Output
from syncline.kms_model.kms.point import UserPoint
from syncline.kms_model.kms.property import Property
from syncline.kms_model.kms.vblank import Vblank
from syncline.kms_model.kms.view import Layer, Rectangle, Scanout
from syncline.kms_model.observer import Milestone
from syncline.kms_model.task import Completion
from syncline.kms_model.uapi import ModeInfo, ObjectType, PlaneType

Clip = tuple[int, int, int, int]
"""A damage clip: x1, y1, x2, y2 in framebuffer pixels, the last ones outside."""

NUMBERS: Final = ("SRC_X", "SRC_Y", "SRC_W", "SRC_H", "CRTC_X", "CRTC_Y", "CRTC_W", "CRTC_H")
"""Properties of a plane that are plain numbers."""
_ZPOS: Final = attrgetter("zpos")


class ModeObject:
    """Anything with an id. `properties` by id: an empty table means it has none (-ENOENT in a commit)."""

    type: ObjectType

    def __init__(self, id: int, properties: tuple[Property, ...] = ()) -> None:
        self.id = id
        self.properties: Mapping[int, Property] = {each.id: each for each in properties}


class Framebuffer(ModeObject):
    """A GEM object seen as pixels. Lives on after RMFB for as long as a commit uses it."""

    type = ObjectType.FB

    def __init__(
        self,
        id: int,
        *,
        gem: GemObject,
        width: int,
        height: int,
        format: int,
        modifier: int,
        pitch: int,
        offset: int,
    ) -> None:
        super().__init__(id)
        self.gem = gem
        self.width = width
        self.height = height
        self.format = format
        self.modifier = modifier
        self.pitch = pitch
        self.offset = offset


class Blob(ModeObject):
    type = ObjectType.BLOB

    def __init__(self, id: int, data: bytes) -> None:
        super().__init__(id)
        self.data = data


_HW_DONE: Final = Milestone("hw_done")
_FLIP_DONE: Final = Milestone("flip_done")
_CLEANUP_DONE: Final = Milestone("cleanup_done")


class CrtcCommit:
    """drm_crtc_commit: the three completions of one commit on one CRTC (kernel.md 3.3, steps 11, I and 13).

    Planes and connectors that belong to no CRTC share one with `crtc` None.
    """

    __slots__ = ("cleanup_done", "flip_done", "hw_done", "note")

    def __init__(self) -> None:
        self.note: object | None = None
        self.hw_done = Completion(_HW_DONE)
        self.flip_done = Completion(_FLIP_DONE)
        self.cleanup_done = Completion(_CLEANUP_DONE)

    @property
    def is_on_screen(self) -> bool:
        return self.hw_done.done and self.flip_done.done


class CrtcState(msgspec.Struct, eq=False):
    active: bool = False
    mode: ModeInfo | None = None
    mode_blob: Blob | None = None
    vrr_enabled: bool = False
    planes: "frozenset[Plane]" = frozenset()
    connectors: "frozenset[Connector]" = frozenset()
    commit: CrtcCommit | None = None
    event: FlipEvent | None = None
    needs_modeset: bool = False
    """The check found that mode, activity or connectors change."""
    async_flip: bool = False

    @property
    def enable(self) -> bool:
        return self.mode is not None

    def successor(self) -> "CrtcState":
        """What a commit starts from: one-shot fields are not carried over."""
        return CrtcState(
            self.active, self.mode, self.mode_blob, self.vrr_enabled, self.planes, self.connectors
        )


class PlaneState(msgspec.Struct, eq=False):
    crtc: "Crtc | None" = None
    fb: Framebuffer | None = None
    source: Rectangle = (0, 0, 0, 0)
    """SRC_*, in 16.16."""
    target: Rectangle = (0, 0, 0, 0)
    """CRTC_*, in pixels."""
    fence: Fence | None = None
    in_file: SyncFile | None = None
    """The sync_file of IN_FENCE_FD, for observers."""
    user_points: tuple[UserPoint, ...] = ()
    damage: tuple[Clip, ...] | None = None
    damage_blob: Blob | None = None
    commit: CrtcCommit | None = None

    def number(self, name: str) -> int:
        """One of NUMBERS."""
        return (*self.source, *self.target)[NUMBERS.index(name)]

    def set_number(self, name: str, value: int) -> None:
        numbers = [*self.source, *self.target]
        numbers[NUMBERS.index(name)] = value
        source_x, source_y, source_width, source_height, x, y, width, height = numbers
        self.source = source_x, source_y, source_width, source_height
        self.target = x, y, width, height

    @property
    def is_explicit(self) -> bool:
        """Its fences were named, so those of the buffer do not count."""
        return self.fence is not None or bool(self.user_points)

    def successor(self) -> "PlaneState":
        """Fences, user fences and FB_DAMAGE_CLIPS are one-shot."""
        return PlaneState(self.crtc, self.fb, self.source, self.target)


class WritebackJob(msgspec.Struct, eq=False):
    """`fb` None: only the out pointer or an explicit WRITEBACK_FB_ID of 0 was given."""

    fb: Framebuffer | None = None
    out_fence: Fence | None = None


class ConnectorState(msgspec.Struct, eq=False):
    crtc: "Crtc | None" = None
    writeback: WritebackJob | None = None
    commit: CrtcCommit | None = None

    def successor(self) -> "ConnectorState":
        """WRITEBACK_FB_ID is one-shot."""
        return ConnectorState(self.crtc)


class Crtc(ModeObject):
    type = ObjectType.CRTC

    def __init__(
        self, id: int, properties: tuple[Property, ...], vblank: Vblank, index: int, fence_context: int
    ) -> None:
        super().__init__(id, properties)
        self.index = index
        self.lock = ModesetLock()
        self.vblank = vblank
        self.fence_context = fence_context
        self.fence_seqno = 0
        self.note: object | None = None
        self.state = CrtcState()
        self.commits: list[CrtcCommit] = []
        """Newest first; a commit is here from the swap to the end of its cleanup."""
        self.showing: Scanout | None = None
        """What the screen is scanning out. None while it is off."""
        self.arming: Scanout | None = None
        """Programmed, and latched at the coming vblank."""

    @property
    def timeline(self) -> str:
        """The name of its out-fences' timeline."""
        return f"CRTC:{self.id}-crtc-{self.index}"

    def image(
        self, state: CrtcState | None = None, planes: "Mapping[Plane, PlaneState]" = MappingProxyType({})
    ) -> Scanout:
        """What its planes shall show, by the software state, or by one still to come. It has a mode."""
        state = state or self.state
        assert state.mode is not None, "no image without a mode"
        shown = sorted(state.planes, key=_ZPOS)
        layers = [plane.layer(planes.get(plane, plane.state)) for plane in shown]
        return Scanout(size=(state.mode.hdisplay, state.mode.vdisplay), layers=tuple(layers))


class Plane(ModeObject):
    type = ObjectType.PLANE

    def __init__(
        self,
        id: int,
        properties: tuple[Property, ...],
        *,
        index: int,
        kind: PlaneType,
        crtcs: "tuple[Crtc, ...]",
        formats: tuple[int, ...],
    ) -> None:
        super().__init__(id, properties)
        self.index = index
        self.kind = kind
        self.crtcs = crtcs
        self.formats = formats
        self.zpos = {PlaneType.PRIMARY: 0, PlaneType.OVERLAY: 1 + index, PlaneType.CURSOR: 1 << 16}[kind]
        self.in_formats: Blob | None = None
        self.lock = ModesetLock()
        self.state = PlaneState()

    def layer(self, state: PlaneState) -> Layer:
        fb = state.fb
        assert fb is not None, "a plane on a CRTC has a framebuffer"
        return Layer(
            plane_id=self.id,
            kind=self.kind,
            fb_id=fb.id,
            gem=fb.gem,
            size=(fb.width, fb.height),
            format=fb.format,
            pitch=fb.pitch,
            offset=fb.offset,
            source=state.source,
            target=state.target,
        )


class Connector(ModeObject):
    """A screen, or with `writeback` a way to get the image of a CRTC back into memory."""

    type = ObjectType.CONNECTOR

    def __init__(
        self,
        id: int,
        properties: tuple[Property, ...],
        *,
        index: int,
        name: str,
        crtcs: tuple[Crtc, ...],
        modes: tuple[ModeInfo, ...],
        output: Output | None,
        fence_context: int,
    ) -> None:
        super().__init__(id, properties)
        self.index = index
        self.name = name
        self.crtcs = crtcs
        self.modes = modes
        self.output = output
        self.fence_context = fence_context
        self.fence_seqno = 0
        self.connected = True
        self.note: object | None = None
        self.pixel_formats: Blob | None = None
        """What a writeback connector can produce."""
        self.state = ConnectorState()

    @property
    def writeback(self) -> bool:
        return self.output is None

    @property
    def timeline(self) -> str:
        """The name of its out-fences' timeline."""
        return f"CONNECTOR:{self.id}-{self.name}"
