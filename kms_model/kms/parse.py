"""Step 1 of a commit: property by property, in ioctl order, into an atomic state (drm_atomic_uapi.c).

Each error is the kernel's and comes at the kernel's moment, because a pointer named before the bad
property has been written to and one named after it has not.
"""

import struct
from errno import EACCES, EFAULT, EINVAL, ENOENT
from typing import Final

import msgspec

from syncline.kms_model.fences.sync_file import SyncFile
from syncline.kms_model.file import File
from syncline.kms_model.kms.display import Display
from syncline.kms_model.kms.mode import is_valid
from syncline.kms_model.kms.objects import Blob, Connector, Crtc, Framebuffer, ModeObject, Plane, WritebackJob
from syncline.kms_model.kms.property import U64, Kind, Property, signed
from syncline.kms_model.kms.readback import read_connector, read_crtc, read_plane
from syncline.kms_model.kms.state import AtomicState
from syncline.kms_model.kms.user_points import in_points, out_point
from syncline.kms_model.uapi import BAD_POINTER, DeviceError, ModeInfo, ObjectType, PlaneType

_RECT: Final = struct.Struct("<4i")
_KINDS: Final = {ObjectType.CRTC: Crtc, ObjectType.FB: Framebuffer}


class Parser(msgspec.Struct, eq=False):
    """Parses one request. `written` are the user pointers that -1 went through so far."""

    _display: Display
    _file: File
    _state: AtomicState
    async_flip: bool
    written: list[int] = []

    async def set(self, object_id: int, prop_id: int, value: int) -> None:
        """One triple of the ioctl. ENOENT, EINVAL, EACCES, EFAULT as in kernel.md 3.1 and 3.2."""
        found = self._display.find(object_id, ModeObject)
        if found is None or not found.properties:
            raise DeviceError(ENOENT, f"no object {object_id} with properties")
        prop = found.properties.get(prop_id)
        if prop is None:
            raise DeviceError(ENOENT, f"object {object_id} has no property {prop_id}")
        value &= U64
        self._check_value(prop, value)
        match found:
            case Plane():
                await self._set_on_plane(found, prop, value)
            case Crtc():
                await self._set_on_crtc(found, prop, value)
            case Connector():
                await self._set_on_connector(found, prop, value)
            case _:
                raise AssertionError(f"{found} has properties but no setter")

    def _check_value(self, prop: Property, value: int) -> None:
        """drm_property_change_valid_get."""
        if prop.immutable:
            raise DeviceError(EINVAL, f"{prop.name} is immutable")
        if prop.kind is Kind.OBJECT:
            assert prop.target is not None, "an object property says of which kind"
            good = value == 0 or self._display.find(value, _KINDS[prop.target]) is not None
        elif prop.kind is Kind.BLOB:
            good = value == 0 or self._display.find(value, Blob) is not None
        else:
            good = prop.in_range(value)
        if not good:
            raise DeviceError(EINVAL, f"{value} is no value for {prop.name}")

    # -- planes --------------------------------------------------------------------------------

    async def _set_on_plane(self, plane: Plane, prop: Property, value: int) -> None:
        state = await self._state.plane(plane)
        names = self._display.catalogue
        if self.async_flip and value != read_plane(names, plane, state, prop) & U64:
            self._check_async(plane, prop)
        if prop is names.fb_id:
            state.fb = self._display.find(value, Framebuffer)
        elif prop is names.crtc_id:
            await self._state.set_plane_crtc(plane, self._crtc(value))
        elif prop is names.in_fence_fd:
            self._set_in_fence(plane, signed(value))
        elif prop is names.in_user_fence:
            state.user_points = in_points(self._file, self._display.find(value, Blob))
        elif prop is names.fb_damage_clips:
            state.damage_blob = self._display.find(value, Blob)
            state.damage = _clips(state.damage_blob)
        else:
            state.set_number(prop.name, signed(value) if prop.kind is Kind.SIGNED_RANGE else value)

    def _check_async(self, plane: Plane, prop: Property) -> None:
        """An async flip may change only these, and our driver flips primary planes only (kernel.md 3.7)."""
        names = self._display.catalogue
        if prop not in (names.fb_id, names.in_fence_fd, names.in_user_fence, names.fb_damage_clips):
            raise DeviceError(EINVAL, f"an async flip cannot change {prop.name}")
        if plane.kind is not PlaneType.PRIMARY:
            raise DeviceError(EINVAL, "only primary planes flip asynchronously")

    def _set_in_fence(self, plane: Plane, fd: int) -> None:
        state = self._state.planes[plane]
        if state.fence is not None:
            raise DeviceError(EINVAL, "a second IN_FENCE_FD on one plane")
        if fd == -1:
            return
        state.in_file = self._display.kernel.descriptors.find(fd, SyncFile)
        if state.in_file is None:
            raise DeviceError(EINVAL, "IN_FENCE_FD is no sync_file")
        state.fence = state.in_file.fence

    # -- CRTCs ---------------------------------------------------------------------------------

    async def _set_on_crtc(self, crtc: Crtc, prop: Property, value: int) -> None:
        state = await self._state.crtc(crtc)
        names = self._display.catalogue
        if self.async_flip:
            _check_unchanged(prop, value, read_crtc(names, crtc, state, prop))
        elif prop is names.active:
            state.active = bool(value)
        elif prop is names.mode_id:
            blob = self._display.find(value, Blob)
            state.mode = _mode(blob)
            state.mode_blob = blob
        elif prop is names.vrr_enabled:
            state.vrr_enabled = bool(value)
        elif prop is names.out_fence_ptr:
            if self._write_pointer(value):
                self._state.out_pointers[crtc] = value
        elif prop is names.out_user_fence:
            self._set_out_point(crtc, self._display.find(value, Blob))
        else:
            raise AssertionError(f"{prop.name} is no CRTC property")

    def _set_out_point(self, crtc: Crtc, blob: Blob | None) -> None:
        point = out_point(self._file, blob)
        if point is None:
            self._state.out_points.pop(crtc, None)
        else:
            self._state.out_points[crtc] = point

    # -- connectors ----------------------------------------------------------------------------

    async def _set_on_connector(self, connector: Connector, prop: Property, value: int) -> None:
        state = await self._state.connector(connector)
        names = self._display.catalogue
        if self.async_flip:
            _check_unchanged(prop, value, read_connector(names, connector, state, prop))
        elif prop is names.crtc_id:
            await self._state.set_connector_crtc(connector, self._crtc(value))
        elif prop is names.writeback_fb_id:
            if state.writeback is None:
                state.writeback = WritebackJob()
            state.writeback.fb = self._display.find(value, Framebuffer)
        elif prop is names.writeback_out_fence_ptr:
            if self._write_pointer(value):
                self._state.writeback_pointers[connector] = value
        else:
            raise AssertionError(f"{prop.name} is no connector property")

    # -- values --------------------------------------------------------------------------------

    def _write_pointer(self, pointer: int) -> bool:
        """Write -1 through an out-fence pointer, under TEST_ONLY too. EFAULT for a bad one. False: NULL."""
        if pointer == 0:
            return False
        if pointer == BAD_POINTER:
            raise DeviceError(EFAULT, "an out-fence pointer outside the address space")
        self.written.append(pointer)
        return True

    def _crtc(self, id: int) -> Crtc | None:
        crtc = self._display.find(id, Crtc)
        if id and crtc is None:
            raise DeviceError(EACCES, f"CRTC {id} is not in this lease")
        return crtc


def _check_unchanged(prop: Property, value: int, current: int) -> None:
    if value != current & U64:
        raise DeviceError(EINVAL, f"an async flip cannot change {prop.name}")


def _mode(blob: Blob | None) -> ModeInfo | None:
    """drm_atomic_set_mode_prop_for_crtc: EINVAL unless the blob is a sane mode."""
    if blob is None:
        return None
    try:
        mode = msgspec.msgpack.decode(blob.data, type=ModeInfo)
    except (msgspec.DecodeError, UnicodeDecodeError):
        raise DeviceError(EINVAL, "the MODE_ID blob is no mode") from None
    if not is_valid(mode):
        raise DeviceError(EINVAL, f"mode {mode.name} makes no picture")
    return mode


def _clips(blob: Blob | None) -> tuple[tuple[int, int, int, int], ...] | None:
    if blob is None:
        return None
    if len(blob.data) % _RECT.size:
        raise DeviceError(EINVAL, "FB_DAMAGE_CLIPS is no array of drm_mode_rect")
    return tuple(_RECT.iter_unpack(blob.data))
