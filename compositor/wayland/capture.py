"""ext-image-copy-capture of outputs: screenshots."""

import mmap
from collections.abc import Iterable
from struct import pack
from typing import Final

from syncline.compositor.core.buffer import Buffer
from syncline.compositor.core.effects import CaptureFailed, CaptureReady
from syncline.compositor.core.geometry import Rect
from syncline.compositor.core.output import Output
from syncline.compositor.wayland.buffer import CoreBuffer, ShmBuffer, WlBuffer
from syncline.compositor.wayland.dmabuf_feedback import DEVICE
from syncline.compositor.wayland.output import WlOutput
from syncline.compositor.wayland.pool import PoolShrunk
from syncline.compositor.wayland.seat import WlPointer
from syncline.compositor.wayland.session import Session
from syncline.compositor.wayland.shm import FORMATS
from syncline.kms_model.uapi import MODIFIER_LINEAR, DeviceError, DmaBufSyncFlag
from syncline.protocol.enums import (
    ExtImageCopyCaptureCursorSessionV1 as CursorSessionEnums,
    ExtImageCopyCaptureFrameV1 as FrameEnums,
    ExtImageCopyCaptureManagerV1 as ManagerEnums,
    ExtImageCopyCaptureSessionV1 as SessionEnums,
)
from syncline.protocol.object import NewId, Resource

NS_PER_S: Final = 1_000_000_000

_Reason = FrameEnums.FailureReason


class ExtOutputImageCaptureSourceManagerV1(Resource):
    interface = "ext_output_image_capture_source_manager_v1"

    def __init__(self, new: NewId, _session: Session) -> None:
        super().__init__(new)

    def create_source(self, new: NewId, output: Resource) -> None:
        ExtImageCaptureSourceV1(new, output.output if isinstance(output, WlOutput) else None)

    def destroy(self) -> None:
        """Sources stay."""


class ExtImageCaptureSourceV1(Resource):
    """An output, or None for one that had gone before the source was made."""

    interface = "ext_image_capture_source_v1"

    def __init__(self, new: NewId, output: Output | None) -> None:
        super().__init__(new)
        self.output = output

    def destroy(self) -> None:
        """Sessions stay."""


class ExtImageCopyCaptureManagerV1(Resource):
    interface = "ext_image_copy_capture_manager_v1"

    def __init__(self, new: NewId, session: Session) -> None:
        super().__init__(new)
        self._session = session

    def create_session(self, new: NewId, source: ExtImageCaptureSourceV1, options: int) -> None:
        if options & ~int(ManagerEnums.Options.PAINT_CURSORS):
            raise self.error(ManagerEnums.Error.INVALID_OPTION, f"options {options:#x}")
        capture = CaptureSession(new, self._session, source.output, with_cursor=bool(options))
        capture.describe()

    def create_pointer_cursor_session(
        self, new: NewId, _source: ExtImageCaptureSourceV1, _pointer: WlPointer
    ) -> None:
        CursorSession(new, self._session)

    def destroy(self) -> None:
        """Sessions stay."""


class CursorSession(Resource):
    """The cursor is never offered on its own: its capture session stops before it starts."""

    interface = "ext_image_copy_capture_cursor_session_v1"

    def __init__(self, new: NewId, session: Session) -> None:
        super().__init__(new)
        self._session = session
        self._has_session = False

    def get_capture_session(self, new: NewId) -> None:
        if self._has_session:
            raise self.error(CursorSessionEnums.Error.DUPLICATE_SESSION, "it has a capture session already")
        self._has_session = True
        CaptureSession(new, self._session, None, with_cursor=False).describe()

    def destroy(self) -> None:
        """Its capture session stays."""


class CaptureSession(Resource):
    interface = "ext_image_copy_capture_session_v1"

    def __init__(self, new: NewId, session: Session, output: Output | None, *, with_cursor: bool) -> None:
        super().__init__(new)
        self.session = session
        self.output = output
        self.with_cursor = with_cursor
        self._frame: Frame | None = None

    def describe(self) -> None:
        """Say which buffers it takes, or that there is nothing to capture."""
        if self.output is None:
            self.send("stopped")
            return
        self.send("buffer_size", self.output.mode.hdisplay, self.output.mode.vdisplay)
        for shm_format, format in FORMATS.items():
            self.send("shm_format", shm_format)
            self.send("dmabuf_format", format, pack("=Q", MODIFIER_LINEAR))
        self.send("dmabuf_device", pack("=Q", DEVICE))
        self.send("done")

    def create_frame(self, new: NewId) -> None:
        if self._frame is not None and self._frame.alive:
            raise self.error(SessionEnums.Error.DUPLICATE_FRAME, "it has a frame already")
        self._frame = Frame(new, self)

    def destroy(self) -> None:
        """Its frame stays."""


class Frame(Resource):
    """One screenshot. Into wl_shm it goes by way of a buffer of ours, for only the device can read the screen."""

    interface = "ext_image_copy_capture_frame_v1"

    def __init__(self, new: NewId, capture: CaptureSession) -> None:
        super().__init__(new)
        self._session = capture.session
        self._output = capture.output
        self._with_cursor = capture.with_cursor
        self._target: WlBuffer | None = None
        self._is_captured = False
        self._is_pending = False
        self._between: Buffer | None = None

    def attach_buffer(self, buffer: WlBuffer) -> None:
        self._check_not_captured()
        self._target = buffer

    def damage_buffer(self, x: int, y: int, width: int, height: int) -> None:
        """Everything is copied each time, so this only has to be right."""
        self._check_not_captured()
        if x < 0 or y < 0 or width <= 0 or height <= 0:
            raise self.error(FrameEnums.Error.INVALID_BUFFER_DAMAGE, f"{width}x{height} at {x}, {y}")

    def capture(self) -> None:
        self._check_not_captured()
        if self._target is None:
            raise self.error(FrameEnums.Error.NO_BUFFER, "capture needs a buffer")
        self._is_captured = True
        if self._output is None or self._output not in self._session.core.outputs:
            self._fail(_Reason.STOPPED)
            return
        try:
            target = self._writable(self._target)
        except DeviceError:
            self._fail(_Reason.UNKNOWN)
            return
        if target is None:
            self._fail(_Reason.BUFFER_CONSTRAINTS)
            return
        self._is_pending = True
        self._session.core.capture(
            self._output, target, token=self, with_cursor=self._with_cursor, now_ns=self._session.now_ns
        )

    def answer(self, effect: CaptureReady | CaptureFailed) -> None:
        """The copy has finished, or never will; only now does anything reach the client (B40)."""
        self._is_pending = False
        if isinstance(effect, CaptureFailed):
            self._fail(effect.reason)
            return
        try:
            self._copy_out()
        except (PoolShrunk, OSError):  # its file, or what it sealed: no reason to end the client
            self._fail(_Reason.UNKNOWN)
            return
        self._describe(effect.damage, transform=effect.transform, time_ns=effect.time_ns)
        self.send("ready")

    def _fail(self, why: _Reason) -> None:
        self.send("failed", why)

    def destroy(self) -> None:
        """Nothing more will come."""

    def on_destroyed(self) -> None:
        if self._is_pending:
            self._session.core.cancel_capture(self, self._session.now_ns)
        if self._between is not None:
            self._session.core.destroy_buffer(self._between, self._session.now_ns)

    def _check_not_captured(self) -> None:
        if self._is_captured:
            raise self.error(FrameEnums.Error.ALREADY_CAPTURED, "one frame is one capture")

    def _writable(self, target: WlBuffer) -> Buffer | None:
        """What the core is to copy into; None when the client's buffer is not what was asked for."""
        assert self._output is not None
        mode = self._output.mode
        if not target.alive or (target.width, target.height) != (mode.hdisplay, mode.vdisplay):
            return None
        if isinstance(target, CoreBuffer):
            return target.buffer
        self._between = self._session.core.create_upload(
            self._session.client, width=target.width, height=target.height, format=target.format
        )
        return self._between

    def _copy_out(self) -> None:
        target, source = self._target, self._between
        if not isinstance(target, ShmBuffer) or source is None or not target.alive:
            return
        with (
            self._session.core.cpu_access(source, DmaBufSyncFlag.READ),
            mmap.mmap(source.fd, source.pitch * source.height) as memory,
            memoryview(memory) as image,
        ):
            target.pool.write(
                image,
                offset=target.offset,
                stride=target.stride,
                pitch=source.pitch,
                rect=(0, 0, target.width, target.height),
            )

    def _describe(self, damage: Iterable[Rect], *, transform: int, time_ns: int) -> None:
        self.send("transform", transform)
        for rect in damage:
            self.send("damage", *rect)
        self.send("presentation_time", *divmod(time_ns, NS_PER_S))
