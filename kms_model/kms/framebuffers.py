"""Framebuffers and blobs: made by a file, gone with it or before, and what that does to the screen."""

from collections.abc import Iterable
from errno import EINVAL, ENOENT, ENOMEM, EPERM, ERANGE
from typing import Final

from syncline.kms_model.file import File
from syncline.kms_model.kms.check import check
from syncline.kms_model.kms.commit import commit
from syncline.kms_model.kms.display import FORMATS, MAX_SIZE, Display
from syncline.kms_model.kms.lock import AcquireContext, Deadlock
from syncline.kms_model.kms.objects import Blob, Framebuffer
from syncline.kms_model.kms.pending import cancel_showing
from syncline.kms_model.kms.state import AtomicState
from syncline.kms_model.task import Completion
from syncline.kms_model.uapi import MODIFIER_LINEAR, Cap, DeviceError, ModeAddFb2

MAX_BLOB_BYTES: Final = 64 * 1024
"""Far more than a mode or a frame's damage; stops a runaway client (ENOMEM)."""
MAX_OBJECTS_PER_FILE: Final = 4096
"""Framebuffers, and blobs, of one file; stops a runaway client (ENOMEM)."""

KNOWN_FORMATS: Final = {
    *FORMATS,
    *(int.from_bytes(bgrx, "little") for bgrx in (b"XB24", b"AB24", b"RX24", b"RA24", b"BX24", b"BA24")),
    *(int.from_bytes(deep, "little") for deep in (b"XR30", b"XB30", b"AR30", b"AB30")),
}
"""Formats of four bytes that the core has heard of, whoever scans them out (drm_fourcc.c)."""
_FB_INTERLACED: Final = 1
_FB_MODIFIERS: Final = 2
_BYTES_PER_PIXEL: Final = 4
_U32: Final = (1 << 32) - 1


class Framebuffers:
    """Who made which framebuffer and blob."""

    def __init__(self, display: Display) -> None:
        self._display = display
        self._fbs: dict[File, list[Framebuffer]] = {}
        self._blobs: dict[File, list[Blob]] = {}

    def open(self, file: File) -> None:
        self._fbs[file] = []
        self._blobs[file] = []

    # -- framebuffers --------------------------------------------------------------------------

    def add(self, file: File, request: ModeAddFb2) -> Framebuffer:
        """ADDFB2. EINVAL, ERANGE, ENOENT; which one for a bad format and an unknown handle is the driver's."""
        _check_add(self._display, request)
        own = file.profile.own_fb_create
        if request.pixel_format not in FORMATS:
            raise DeviceError(ENOENT if own else EINVAL, f"no scanout of format {request.pixel_format:#x}")
        gem = file.gems.get(request.handle)
        if gem is None:
            raise DeviceError(EINVAL if own else ENOENT, f"no buffer {request.handle}")
        used = (request.height - 1) * request.pitch + request.width * _BYTES_PER_PIXEL + request.offset
        if used > gem.size:
            raise DeviceError(EINVAL, "the buffer is too small for the framebuffer")
        _limit(len(self._fbs[file]))
        fb = Framebuffer(
            self._display.new_id(),
            gem=gem,
            width=request.width,
            height=request.height,
            format=request.pixel_format,
            modifier=request.modifier,
            pitch=request.pitch,
            offset=request.offset,
        )
        self._fbs[file].append(self._display.register(fb))
        return fb

    async def remove(self, file: File, fb_id: int) -> None:
        """RMFB. ENOENT unless this file made it. Sleeps while it is shown, or a commit will show it."""
        fb = self._display.find(fb_id, Framebuffer)
        if fb is None or fb not in self._fbs[file]:
            raise DeviceError(ENOENT, f"no framebuffer {fb_id} of this file")
        self._fbs[file].remove(fb)
        cancel_showing(self._display, fb)
        if self._display.is_used(fb):
            await self.take_off_screens([fb])
        else:
            self._display.unregister(fb)

    def cancel_parked(self, file: File) -> None:
        """UR14: what waits for user fences is not waited for. His own went with the mastership."""
        for fb in self._fbs[file]:
            cancel_showing(self._display, fb)

    def used_by(self, file: File) -> list[Framebuffer]:
        return [fb for fb in self._fbs[file] if self._display.is_used(fb)]

    def drop_unused(self, file: File) -> None:
        """The part of close(2) that never sleeps."""
        for fb in self._fbs.pop(file):
            if not self._display.is_used(fb):
                self._display.unregister(fb)
        for blob in self._blobs.pop(file):
            self._display.orphan(blob)

    async def take_off_screens(self, fbs: Iterable[Framebuffer]) -> None:
        """Sleep until nobody shows `fbs`, and forget them (drm_mode_rmfb_work_fn).

        The work is a worker's, because the caller may have a signal pending.
        """
        done = Completion()
        self._display.kernel.spawn(self._remove_all(fbs)).add_done_callback(lambda _: done.complete())
        await self._display.kernel.wait(done, interruptible=False)

    async def _remove_all(self, fbs: Iterable[Framebuffer]) -> None:
        for fb in fbs:
            await self._remove(fb)
            self._display.unregister(fb)

    async def _remove(self, fb: Framebuffer) -> None:
        """atomic_remove_fb: a blocking commit, under every lock, that takes the planes off."""
        display = self._display
        context = display.acquire_context(interruptible=False)
        state = display.begin_state(context)
        try:
            while not await _try_without(fb, display, context, state):
                state.clear()
        finally:
            context.release()
            if state in display.states:
                display.states.remove(state)

    # -- blobs ---------------------------------------------------------------------------------

    def add_blob(self, file: File, data: bytes) -> Blob:
        """CREATEPROPBLOB. EINVAL when empty, ENOMEM when too large or too many."""
        if not data:
            raise DeviceError(EINVAL, "an empty blob")
        if len(data) > MAX_BLOB_BYTES:
            raise DeviceError(ENOMEM, "a blob of this size is no property")
        _limit(len(self._blobs[file]))
        blob = self._display.register(Blob(self._display.new_id(), data))
        self._blobs[file].append(blob)
        return blob

    def remove_blob(self, file: File, blob_id: int) -> None:
        """DESTROYPROPBLOB. ENOENT: none such. EPERM: not made by this file."""
        blob = self._display.find(blob_id, Blob)
        if blob is None:
            raise DeviceError(ENOENT, f"no blob {blob_id}")
        if blob not in self._blobs[file]:
            raise DeviceError(EPERM, f"blob {blob_id} is not of this file")
        self._blobs[file].remove(blob)
        self._display.orphan(blob)


async def _try_without(
    fb: Framebuffer, display: Display, context: AcquireContext, state: AtomicState
) -> bool:
    """False: backed off, try again."""
    try:
        await display.lock_all(context)
        for plane in display.planes:
            if plane.state.fb is fb:
                plane_state = await state.plane(plane)
                plane_state.fb = None
                await state.set_plane_crtc(plane, None)
        if state.planes:
            await check(display, state)
            await commit(display, state, nonblock=False)
    except Deadlock as deadlock:
        await context.back_off(deadlock.contended)
        return False
    return True


def _check_add(display: Display, request: ModeAddFb2) -> None:
    """drm_internal_framebuffer_create and framebuffer_check."""
    modifiers = bool(display.profile.caps.get(Cap.ADDFB2_MODIFIERS))
    if request.flags & ~(_FB_INTERLACED | _FB_MODIFIERS):
        raise DeviceError(EINVAL, "unknown framebuffer flags")
    low = display.profile.min_size
    if not low <= request.width <= MAX_SIZE or not low <= request.height <= MAX_SIZE:
        raise DeviceError(EINVAL, "a framebuffer of this size")
    if request.flags & _FB_MODIFIERS and not modifiers:
        raise DeviceError(EINVAL, "no modifiers on this device")
    if request.pixel_format not in KNOWN_FORMATS:
        raise DeviceError(EINVAL, f"no format {request.pixel_format:#x}")
    if request.handle == 0:
        raise DeviceError(EINVAL, "no buffer object")
    if request.height * request.pitch + request.offset > _U32:
        raise DeviceError(ERANGE, "the framebuffer is larger than memory")
    if request.pitch < request.width * _BYTES_PER_PIXEL:
        raise DeviceError(EINVAL, "the pitch is shorter than a row")
    if request.modifier != MODIFIER_LINEAR:
        raise DeviceError(EINVAL, f"no modifier {request.modifier:#x}")


def _limit(count: int) -> None:
    if count >= MAX_OBJECTS_PER_FILE:
        raise DeviceError(ENOMEM, "too many of these in one file")
