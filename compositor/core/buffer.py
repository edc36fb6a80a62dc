"""Buffers as the core sees them: a GEM handle of our device file, or one colour."""

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, field
from enum import Enum, auto
from errno import EINVAL
from typing import Final

from syncline.kms_model.uapi import (
    FORMAT_ARGB8888,
    FORMAT_XRGB8888,
    CreateDumb,
    DeviceError,
    DeviceFile,
    DmaBufSync,
    DmaBufSyncFlag,
    Fd,
    Fill,
    GemClose,
    ModeAddFb2,
    ModeRmFb,
    PrimeFdToHandle,
    PrimeHandleToFd,
    Priority,
    Submit,
)

NO_FD: Final = Fd(-1)
FORMATS: Final = (FORMAT_XRGB8888, FORMAT_ARGB8888)
_UNDECLARED: Final = nullcontext()


Look = tuple[int, int, int, int, int]
"""All of a buffer that whether a plane can show it depends on: format, modifier, width, height, pitch."""


class Origin(Enum):
    """Where the pixels come from, hence who may write them when."""

    DMABUF = auto()  # the client's; the only kind that supports explicit sync (S41, S55)
    UPLOAD = auto()  # ours; the wayland room copies wl_shm into it at commit
    COLOR = auto()  # single-pixel: no memory, unless it is translucent and must be blended
    SCREEN = auto()  # ours: an image of a composition swapchain


@dataclass(eq=False, slots=True)
class Buffer:
    """A thing with a life; compared by identity. Made and destroyed by `Compositor`.

    `fd` is the dma-buf, owned by this buffer and closed with its last use. `width` and `height` are
    pixels, `color` (COLOR only) is premultiplied 0xAARRGGBB. Destroying it while the scene or the display
    still uses it keeps the storage until they do not (C12, S81).
    """

    origin: Origin
    width: int
    height: int
    format: int
    fd: Fd
    handle: int = 0
    pitch: int = 0
    offset: int = 0
    modifier: int = 0
    color: int = 0
    framebuffer: int | None = None
    """Made when first scanned out; 0: the kernel refused to make one."""
    loans: int = 0
    """Commits that hold it."""
    implicit_loans: int = 0
    """Of these, commits that owe a wl_buffer.release: it is sent when the last of them ends (C13)."""
    destroyed: bool = False
    look: Look = field(init=False)
    is_opaque: bool = field(init=False)
    is_clear: bool = field(init=False)
    """There is nothing to see."""

    def __post_init__(self) -> None:
        self.look = self.format, self.modifier, self.width, self.height, self.pitch
        opacity = self.color >> 24
        is_color = self.origin is Origin.COLOR
        self.is_opaque = opacity == 0xFF if is_color else self.format == FORMAT_XRGB8888
        self.is_clear = is_color and opacity == 0

    @property
    def supports_explicit_sync(self) -> bool:
        return self.origin is Origin.DMABUF


class Memory:
    """The buffers of our device file. One GEM object has one handle, however often it is imported."""

    def __init__(self, device: DeviceFile, *, declares_cpu_access: bool = False) -> None:
        self._device = device
        self._declares_cpu_access = declares_cpu_access
        self._uses: dict[int, int] = {}
        self._leaves_framebuffers = False

    def import_dmabuf(
        self, fd: Fd, *, width: int, height: int, format: int, pitch: int, offset: int, modifier: int
    ) -> Buffer:
        """Takes `fd` over, also when it raises DeviceError."""
        try:
            handle = self._device.call(PrimeFdToHandle(fd=fd)).handle
        except DeviceError:
            self._device.close_fd(fd)
            raise
        self._uses[handle] = self._uses.get(handle, 0) + 1
        return Buffer(
            Origin.DMABUF, width, height, format, fd,
            handle=handle, pitch=pitch, offset=offset, modifier=modifier,
        )  # fmt: skip

    def allocate(self, origin: Origin, *, width: int, height: int, format: int, color: int = 0) -> Buffer:
        """Memory of our own, with its dma-buf where the CPU will write. Raises DeviceError."""
        made = self._device.call(CreateDumb(width=width, height=height))
        self._uses[made.handle] = 1
        buffer = Buffer(
            origin, width, height, format, NO_FD, handle=made.handle, pitch=made.pitch, color=color
        )
        if origin is Origin.UPLOAD:
            buffer.fd = self._device.call(PrimeHandleToFd(handle=made.handle)).fd
        return buffer

    def color(self, color: int) -> Buffer:
        """One pixel, premultiplied 0xAARRGGBB. Translucent ones get memory: a fill does not blend."""
        opacity = color >> 24
        if opacity in {0, 0xFF}:
            return Buffer(Origin.COLOR, 1, 1, FORMAT_ARGB8888, NO_FD, color=color)
        buffer = self.allocate(Origin.COLOR, width=1, height=1, format=FORMAT_ARGB8888, color=color)
        paint = (Fill(rect=(0, 0, 1, 1), color=color),)
        self._device.call(
            Submit(
                target=buffer.handle, target_size=(1, 1), pitch=buffer.pitch, commands=paint, duration_ns=0,
                priority=Priority.HIGH, label="single pixel",
            )
        )  # fmt: skip
        return buffer

    def cpu_access(self, buffer: Buffer, access: DmaBufSyncFlag) -> AbstractContextManager[None]:
        """Around reading or writing the pixels of a buffer that nobody else uses. Raises DeviceError."""
        return self._declared(buffer, access) if self._declares_cpu_access else _UNDECLARED

    @contextmanager
    def _declared(self, buffer: Buffer, access: DmaBufSyncFlag) -> Iterator[None]:
        self._device.call(DmaBufSync(fd=buffer.fd, flags=access))
        try:
            yield
        finally:
            self._device.call(DmaBufSync(fd=buffer.fd, flags=access | DmaBufSyncFlag.END))

    def framebuffer(self, buffer: Buffer) -> int:
        """Its framebuffer, made at the first call; 0 when the display cannot show it at all, or not now."""
        if buffer.framebuffer is None:
            buffer.framebuffer = self._add_framebuffer(buffer) if buffer.handle else 0
        return buffer.framebuffer or 0

    def _add_framebuffer(self, buffer: Buffer) -> int | None:
        """0: never. None: the machine had other trouble, so ask again."""
        request = ModeAddFb2(
            width=buffer.width, height=buffer.height, pixel_format=buffer.format, handle=buffer.handle,
            pitch=buffer.pitch, offset=buffer.offset, modifier=buffer.modifier,
        )  # fmt: skip
        try:
            return self._device.call(request).fb_id
        except DeviceError as refusal:
            return 0 if refusal.errno == EINVAL else None

    def leave_framebuffers(self) -> None:
        """From now on they go with the device file: removing one that is on a plane sleeps."""
        self._leaves_framebuffers = True

    def free(self, buffer: Buffer) -> None:
        """Nobody uses it any more. The framebuffer must not be on a plane: removing it would blank it."""
        assert buffer.loans == 0
        if buffer.framebuffer and not self._leaves_framebuffers:
            self._device.call(ModeRmFb(fb_id=buffer.framebuffer))
        if buffer.fd >= 0:
            self._device.close_fd(buffer.fd)
        if buffer.handle:
            self._uses[buffer.handle] -= 1
            if self._uses[buffer.handle] == 0:
                del self._uses[buffer.handle]
                self._device.call(GemClose(handle=buffer.handle))
        buffer.framebuffer, buffer.fd, buffer.handle = None, NO_FD, 0
