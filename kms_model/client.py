"""What a file may ask of any DRM device: capabilities and mastership (drm_ioctl.c, drm_auth.c)."""

from collections.abc import Callable, Mapping
from errno import EACCES, EBUSY, EINVAL, EOPNOTSUPP
from typing import Any, Final

from syncline.kms_model.file import File
from syncline.kms_model.uapi import (
    ClientCap,
    DeviceError,
    DropMaster,
    GetCap,
    GetCapReply,
    Request,
    SetClientCap,
    SetMaster,
)

_LIMITS: Final[Mapping[int, int]] = {
    ClientCap.STEREO_3D: 1,
    ClientCap.UNIVERSAL_PLANES: 1,
    ClientCap.ATOMIC: 2,
    ClientCap.ASPECT_RATIO: 1,
    ClientCap.WRITEBACK_CONNECTORS: 1,
    ClientCap.CURSOR_PLANE_HOTSPOT: 1,
    ClientCap.PLANE_COLOR_PIPELINE: 1,
}
_AFTER_ATOMIC: Final = frozenset(
    {ClientCap.WRITEBACK_CONNECTORS, ClientCap.CURSOR_PLANE_HOTSPOT, ClientCap.PLANE_COLOR_PIPELINE}
)


def get_cap(file: File, request: GetCap) -> GetCapReply:
    """EINVAL: no such capability. EOPNOTSUPP: none that a driver without mode setting could have."""
    value = file.profile.caps.get(request.capability)
    if value is None:
        raise DeviceError(EINVAL if file.profile.crtcs else EOPNOTSUPP, "no such capability")
    return GetCapReply(value)


def set_client_cap(file: File, request: SetClientCap) -> None:
    """EOPNOTSUPP: no mode setting, or no hotspot cursor. EINVAL: unknown, or a value out of range."""
    cap, value = request.capability, request.value
    if not file.profile.crtcs:
        raise DeviceError(EOPNOTSUPP, "no mode setting")
    if cap == ClientCap.CURSOR_PLANE_HOTSPOT and not file.profile.cursor_hotspot:
        raise DeviceError(EOPNOTSUPP, "no hotspot")
    if cap == ClientCap.PLANE_COLOR_PIPELINE and not file.profile.color_pipelines:
        raise DeviceError(EINVAL, "not in this kernel")
    if cap not in _LIMITS or not 0 <= value <= _LIMITS[cap]:
        raise DeviceError(EINVAL, "no such capability or value")
    if cap in _AFTER_ATOMIC and not file.has_cap(ClientCap.ATOMIC):
        raise DeviceError(EINVAL, "needs ATOMIC first")
    file.client_caps[cap] = value
    if cap == ClientCap.ATOMIC:
        file.client_caps[ClientCap.UNIVERSAL_PLANES] = value
        file.client_caps[ClientCap.ASPECT_RATIO] = value


class Masters:
    """Who may set modes. One file at a time; the first card open is master by itself."""

    def __init__(self, dropped: Callable[[File], None]) -> None:
        """`dropped` is told who is master no longer."""
        self.master: File | None = None
        self._dropped = dropped

    def ioctls(self) -> Mapping[type[Request[Any]], Callable[[File, Any], Any]]:
        return {SetMaster: self.set_master, DropMaster: self.drop_master}

    def file_opened(self, file: File) -> None:
        if file.node == "card" and self.master is None:
            self._appoint(file)

    def file_closed(self, file: File) -> None:
        if self.master is file:
            self._dismiss(file)

    def set_master(self, file: File, _request: SetMaster) -> None:
        """EBUSY: there is another. EACCES: was never master, and is not privileged."""
        if file.is_master:
            return
        if not file.was_master:
            raise DeviceError(EACCES, "was never master")
        if self.master is not None:
            raise DeviceError(EBUSY, "there is another master")
        self._appoint(file)

    def drop_master(self, file: File, _request: DropMaster) -> None:
        """EINVAL: is not master. EACCES: was never."""
        if not file.was_master:
            raise DeviceError(EACCES, "was never master")
        if not file.is_master:
            raise DeviceError(EINVAL, "not master")
        self._dismiss(file)

    def _appoint(self, file: File) -> None:
        self.master = file
        file.is_master = file.was_master = True

    def _dismiss(self, file: File) -> None:
        self.master = None
        file.is_master = False
        self._dropped(file)


IOCTLS: Final[Mapping[type[Request[Any]], Callable[[File, Any], Any]]] = {
    GetCap: get_cap,
    SetClientCap: set_client_cap,
}
