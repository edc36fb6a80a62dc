"""wl_compositor, wl_surface, wl_region: pending state is collected here and judged by the core."""

from typing import Final

from syncline.compositor.core.errors import Violation
from syncline.compositor.core.geometry import MAX_REGION_RECTS, Rect, Region
from syncline.compositor.core.state import UNATTACHED, Attach, Attached
from syncline.compositor.core.surface import Surface
from syncline.compositor.wayland.blame import no_memory
from syncline.compositor.wayland.buffer import CoreBuffer, ShmBuffer, WlBuffer
from syncline.compositor.wayland.pool import PoolShrunk
from syncline.compositor.wayland.session import Session, SurfaceObjects
from syncline.compositor.wayland.upload import Uploads, damage_in_buffer
from syncline.kms_model.uapi import DeviceError
from syncline.protocol.display import Callback
from syncline.protocol.enums import (
    WlOutput as WlOutputEnums,
    WlShm as WlShmEnums,
    WlSurface as WlSurfaceEnums,
)
from syncline.protocol.object import NewId, Resource

_Error = WlSurfaceEnums.Error
_TRANSFORMS: Final = frozenset(WlOutputEnums.Transform)

MAX_DAMAGE_RECTS: Final = 64
"""More in one cycle become one bounding box: damage may always be more than was said."""


class WlCompositor(Resource):
    interface = "wl_compositor"

    def __init__(self, new: NewId, session: Session) -> None:
        super().__init__(new)
        self._session = session

    def create_surface(self, new: NewId) -> None:
        with self._session.blaming(self):
            surface = self._session.core.create_surface(self._session.client)
        WlSurface(new, self._session, surface)

    def create_region(self, new: NewId) -> None:
        WlRegion(new)

    def release(self) -> None:
        """Surfaces and regions stay."""


class WlRegion(Resource):
    """Used by value. One of too many pieces is known only by its bounding box: each piece would cost everybody."""

    interface = "wl_region"

    def __init__(self, new: NewId) -> None:
        super().__init__(new)
        self._region = Region()
        self._is_rough = False

    def add(self, x: int, y: int, width: int, height: int) -> None:
        self._region.add(Rect(x, y, width, height))
        self._is_rough = self._is_rough or len(self._region) > MAX_REGION_RECTS
        if self._is_rough:
            self._region = Region((self._region.bounds,))

    def subtract(self, x: int, y: int, width: int, height: int) -> None:
        if not self._is_rough:
            self._region.subtract(Rect(x, y, width, height))
            self._is_rough = len(self._region) > MAX_REGION_RECTS

    def opaque(self) -> tuple[Rect, ...]:
        """Nothing for certain, if it is rough: this is a hint that may be empty but never wrong."""
        return () if self._is_rough else tuple(self._region)

    def sensitive(self) -> tuple[Rect, ...]:
        """Where input goes: rather too much than too little."""
        return tuple(self._region)

    def destroy(self) -> None:
        """Whoever used it has a copy."""


class WlSurface(Resource):
    interface = "wl_surface"

    def __init__(self, new: NewId, session: Session, surface: Surface) -> None:
        super().__init__(new)
        self.session = session
        self.surface = surface
        self._attached: WlBuffer | Attach | None = UNATTACHED
        self._uploads = Uploads(session)
        session.surfaces[surface] = SurfaceObjects({self.interface: self})

    def attach(self, buffer: WlBuffer | None, x: int, y: int) -> None:
        if self.version >= 5:
            if x or y:
                raise self.error(
                    _Error.INVALID_OFFSET, "from version 5 on, wl_surface.offset moves a surface"
                )
        else:
            self.surface.pending.offset = (x, y)
        self._attached = buffer

    def damage(self, x: int, y: int, width: int, height: int) -> None:
        _add_damage(self.surface.pending.surface_damage, Rect(x, y, width, height))

    def damage_buffer(self, x: int, y: int, width: int, height: int) -> None:
        _add_damage(self.surface.pending.buffer_damage, Rect(x, y, width, height))

    def frame(self, callback: NewId) -> None:
        self.surface.pending.frame_callbacks.append(Callback(callback))

    def get_release(self, callback: NewId) -> None:
        self.surface.pending.get_release.append(Callback(callback))

    def set_opaque_region(self, region: WlRegion | None) -> None:
        self.surface.pending.opaque_region = region.opaque() if region else ()

    def set_input_region(self, region: WlRegion | None) -> None:
        self.surface.pending.input_region = region.sensitive() if region else None

    def set_buffer_transform(self, transform: int) -> None:
        if transform not in _TRANSFORMS:
            raise self.error(_Error.INVALID_TRANSFORM, f"{transform} is not a transform")
        self.surface.pending.transform = transform

    def set_buffer_scale(self, scale: int) -> None:
        if scale < 1:
            raise self.error(_Error.INVALID_SCALE, f"a scale of {scale}")
        self.surface.pending.scale = scale

    def offset(self, x: int, y: int) -> None:
        self.surface.pending.offset = (x, y)

    def commit(self) -> None:
        session, pending = self.session, self.surface.pending
        attached, self._attached = self._attached, UNATTACHED
        pending.attached = self._content(attached)
        copied = list(pending.get_release) if isinstance(attached, ShmBuffer) and pending.attached else []
        if copied:
            pending.get_release = []
        try:
            session.core.commit(self.surface, session.now_ns)
        except Violation as violation:  # each commit comes by here: no context is made for it
            session.is_journalled = True
            raise session.violated(violation, surface=self.surface, by=self) from violation
        if self.surface.explicit:
            sync = session.object_of(self.surface, "wp_linux_drm_syncobj_surface_v1")
            assert isinstance(sync, SurfaceObject)
            sync.committed()
        if isinstance(attached, ShmBuffer) and attached.alive:
            attached.send("release")
        for callback in copied:
            assert isinstance(callback, Callback)
            callback.done(0)

    def destroy(self) -> None:
        surface = self.surface
        states = [surface.pending, *(update.state for update in surface.queue)]
        callbacks = [*surface.frame_callbacks, *surface.pending.get_release]
        callbacks += [callback for state in states for callback in state.frame_callbacks]
        unanswered = surface.pending.feedbacks
        with self.session.blaming(self, surface):
            self.session.core.destroy_surface(surface, self.session.now_ns)
        for callback in callbacks:  # that will never be called: their ids are the client's again
            assert isinstance(callback, Callback)
            callback.finish()
        for feedback in unanswered:
            assert isinstance(feedback, Resource)
            feedback.send("discarded")
            feedback.finish()

    def on_destroyed(self) -> None:
        self._uploads.close()
        del self.session.surfaces[self.surface]

    def _content(self, attached: WlBuffer | Attach | None) -> Attached:
        """What the core gets to see of the last attach. A wl_buffer destroyed since is NULL (C11)."""
        if isinstance(attached, Attach):
            return attached
        if attached is None or not attached.alive:
            return None
        if isinstance(attached, ShmBuffer):
            return self._uploaded(attached)
        assert isinstance(attached, CoreBuffer)
        return attached.buffer

    def _uploaded(self, source: ShmBuffer) -> Attached:
        damage = damage_in_buffer(self.surface.pending, source.width, source.height)
        try:
            return self._uploads.upload(source, damage)
        except PoolShrunk as fault:
            text = "the file is shorter than its pool was said to be"
            raise source.error(WlShmEnums.Error.INVALID_FD, text) from fault
        except DeviceError as refusal:
            text = f"no memory for a copy of {source.width}x{source.height} pixels"
            raise no_memory(text) from refusal


class SurfaceFactory(Resource):
    """A global that makes one object per surface."""

    def __init__(self, new: NewId, session: Session) -> None:
        super().__init__(new)
        self._session = session

    def check_first(self, surface: WlSurface, interface: str, code: int) -> None:
        """Raise `code` on this object when the surface has a living object of that interface."""
        if self._session.object_of(surface.surface, interface):
            raise self.error(code, f"{surface!r} has a {interface} already")

    def destroy(self) -> None:
        """What it made stays."""


class SurfaceObject(Resource):
    """What stands for a surface next to its wl_surface: at most one per interface. An orphan once that is gone."""

    def __init__(self, new: NewId, surface: WlSurface) -> None:
        super().__init__(new)
        self.session = surface.session
        self.surface = surface.surface
        siblings = self.session.surfaces[self.surface].by_interface
        assert self.interface not in siblings, "whoever makes it has looked"
        siblings[self.interface] = self

    def committed(self) -> None:
        """The surface was committed: what this object had set is pending no longer."""

    def on_destroyed(self) -> None:
        if objects := self.session.surfaces.get(self.surface):
            del objects.by_interface[self.interface]


def _add_damage(damage: list[Rect], rect: Rect) -> None:
    damage.append(rect)
    if len(damage) > MAX_DAMAGE_RECTS:
        damage[:] = [_around([each for each in damage if not each.is_empty])]


def _around(rects: list[Rect]) -> Rect:
    """Their bounding box."""
    if not rects:
        return Rect(0, 0, 0, 0)
    x, y = min(each.x for each in rects), min(each.y for each in rects)
    right, bottom = max(each.right for each in rects), max(each.bottom for each in rects)
    return Rect(x, y, right - x, bottom - y)
