"""linux-dmabuf: buffers out of descriptors."""

import errno
import os
from dataclasses import dataclass
from typing import Final

from syncline.compositor.core.buffer import Buffer
from syncline.compositor.wayland.buffer import DmabufBuffer
from syncline.compositor.wayland.dmabuf_feedback import FORMAT_TABLE, ZwpLinuxDmabufFeedbackV1
from syncline.compositor.wayland.session import Session
from syncline.compositor.wayland.surface import WlSurface
from syncline.kms_model.uapi import MODIFIER_LINEAR, DeviceError, Fd
from syncline.protocol.enums import ZwpLinuxBufferParamsV1 as ParamsEnums
from syncline.protocol.fd import ReceivedFd
from syncline.protocol.object import NewId, Resource

_Error = ParamsEnums.Error

MAX_PLANES: Final = 4
DEV_T_SIZE: Final = 8
_BYTES_PER_PIXEL: Final = 4


class ZwpLinuxDmabufV1(Resource):
    interface = "zwp_linux_dmabuf_v1"

    def __init__(self, new: NewId, session: Session) -> None:
        super().__init__(new)
        self._session = session
        if self.version < 4:  # D1
            self._list_formats()

    def _list_formats(self) -> None:
        for format in dict.fromkeys(format for format, _ in FORMAT_TABLE):
            self.send("format", format)
        if self.version == 3:
            for format, modifier in FORMAT_TABLE:
                self.send("modifier", format, modifier)

    def create_params(self, new: NewId) -> None:
        ZwpLinuxBufferParamsV1(new, self._session)

    def get_default_feedback(self, new: NewId) -> None:
        ZwpLinuxDmabufFeedbackV1(new, self._session)

    def get_surface_feedback(self, new: NewId, _surface: WlSurface) -> None:
        """One device and one set of formats: every surface is told the same (D4: no resends)."""
        ZwpLinuxDmabufFeedbackV1(new, self._session)

    def destroy(self) -> None:
        """Buffers, params and feedback stay."""


@dataclass(frozen=True, slots=True)
class _Plane:
    fd: int
    offset: int
    stride: int
    modifier: int


class ZwpLinuxBufferParamsV1(Resource):
    interface = "zwp_linux_buffer_params_v1"

    def __init__(self, new: NewId, session: Session) -> None:
        super().__init__(new)
        self._session = session
        self._planes: dict[int, _Plane] = {}
        self._is_used = False

    def add(self, fd: ReceivedFd, plane_idx: int, offset: int, stride: int, modifier: int) -> None:
        self._check_unused()
        if plane_idx >= MAX_PLANES:
            raise self.error(_Error.PLANE_IDX, f"plane {plane_idx} of at most {MAX_PLANES}")
        if plane_idx in self._planes:
            raise self.error(_Error.PLANE_SET, f"plane {plane_idx} is there already")
        if self.version >= 5 and any(plane.modifier != modifier for plane in self._planes.values()):
            raise self.error(_Error.INVALID_FORMAT, "all planes need the same modifier")  # D7
        self._planes[plane_idx] = _Plane(self._session.descriptors.take(fd), offset, stride, modifier)

    def set_sampling_device(self, device: bytes) -> None:
        """With one device there is nothing to choose; one that was not advertised is no error (D6)."""
        self._check_unused()
        if len(device) != DEV_T_SIZE:
            raise self.error(_Error.INVALID_DEV_T_SIZE, f"a dev_t has {DEV_T_SIZE} bytes, not {len(device)}")

    def create(self, width: int, height: int, format: int, flags: int) -> None:
        self._check(width=width, height=height, format=format)
        try:
            buffer = self._import(width=width, height=height, format=format, flags=flags)
        except DeviceError:
            self.send("failed")  # D9
            return
        self.send_new("created", lambda new: DmabufBuffer(new, self._session, buffer))

    def create_immed(self, new: NewId, width: int, height: int, format: int, flags: int) -> None:
        self._check(width=width, height=height, format=format)
        try:
            buffer = self._import(width=width, height=height, format=format, flags=flags)
        except DeviceError as refusal:
            text = f"the import failed: {os.strerror(refusal.errno)}"
            raise self.error(_Error.INVALID_WL_BUFFER, text) from refusal
        DmabufBuffer(new, self._session, buffer)

    def destroy(self) -> None:
        """Used or not."""

    def on_destroyed(self) -> None:
        for plane in self._planes.values():
            self._session.descriptors.close(plane.fd)

    def _check_unused(self) -> None:
        if self._is_used:
            raise self.error(_Error.ALREADY_USED, "params make one buffer")

    def _check(self, *, width: int, height: int, format: int) -> None:
        self._check_unused()
        if set(self._planes) != {0}:  # every format in the table has one plane
            raise self.error(_Error.INCOMPLETE, f"planes {sorted(self._planes)}, wanted: plane 0")
        plane = self._planes[0]
        # Only from version 4 on does the list bind modifiers (D7); below, implicit ones come as anything.
        is_listed = (format, plane.modifier) in FORMAT_TABLE
        if not is_listed and (self.version >= 4 or format not in dict(FORMAT_TABLE)):
            text = f"format {format:#x} with modifier {plane.modifier:#x} was not advertised"
            raise self.error(_Error.INVALID_FORMAT, text)
        if width < 1 or height < 1:
            raise self.error(_Error.INVALID_DIMENSIONS, f"{width}x{height}")
        self._check_bounds(plane, width=width, height=height)

    def _check_bounds(self, plane: _Plane, *, width: int, height: int) -> None:
        if plane.stride < width * _BYTES_PER_PIXEL:
            raise self.error(_Error.OUT_OF_BOUNDS, f"a stride of {plane.stride} for {width} pixels")
        try:
            size = os.lseek(plane.fd, 0, os.SEEK_END)
        except OSError:
            return  # not a dma-buf at all: the import says so
        if plane.offset + plane.stride * height > size:
            raise self.error(_Error.OUT_OF_BOUNDS, f"{width}x{height} does not fit into {size} bytes")

    def _import(self, *, width: int, height: int, format: int, flags: int) -> Buffer:
        self._is_used = True
        plane = self._planes.pop(0)
        if flags:
            self._session.descriptors.close(plane.fd)
            raise DeviceError(errno.EOPNOTSUPP, "no flipped or interlaced buffers")
        try:
            return self._session.core.import_dmabuf(
                self._session.client,
                Fd(plane.fd),
                width=width,
                height=height,
                format=format,
                pitch=plane.stride,
                offset=plane.offset,
                modifier=MODIFIER_LINEAR,  # what an implicit modifier means on this device
            )
        except DeviceError:
            self._session.descriptors.leave()
            raise
