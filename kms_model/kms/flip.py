"""The legacy PAGE_FLIP ioctl: a NONBLOCK commit of the primary plane's framebuffer (drm_plane.c)."""

from errno import EBUSY, EINVAL, ENOENT
from typing import Final

from syncline.kms_model.file import File
from syncline.kms_model.kms.atomic import check_permission
from syncline.kms_model.kms.check import check, check_source
from syncline.kms_model.kms.commit import commit
from syncline.kms_model.kms.display import Display
from syncline.kms_model.kms.event import FlipEvent
from syncline.kms_model.kms.lock import AcquireContext, Deadlock
from syncline.kms_model.kms.objects import Crtc, Framebuffer
from syncline.kms_model.kms.pending import give_way
from syncline.kms_model.kms.state import AtomicState
from syncline.kms_model.task import Interrupted
from syncline.kms_model.uapi import AtomicFlag, DeviceError, ModePageFlip

_KNOWN_FLAGS: Final = AtomicFlag.PAGE_FLIP_EVENT | AtomicFlag.PAGE_FLIP_ASYNC


async def page_flip(display: Display, file: File, request: ModePageFlip) -> None:
    """EBUSY as any NONBLOCK commit, and when the CRTC has no framebuffer; EINVAL for another format."""
    check_permission(file, master=True)
    if request.flags & ~int(_KNOWN_FLAGS):
        raise DeviceError(EINVAL, "unknown flags")
    if request.flags & AtomicFlag.PAGE_FLIP_ASYNC and not file.profile.async_flips:
        raise DeviceError(EINVAL, "no asynchronous flips")
    crtc = display.find(request.crtc_id, Crtc)
    if crtc is None:
        raise DeviceError(ENOENT, f"no CRTC {request.crtc_id}")
    if display.kernel.observer is not None:
        display.kernel.observer.must_not_wait()
    context = display.acquire_context(interruptible=True)
    state = display.begin_state(context, file=file)
    event = FlipEvent(request.user_data)
    try:
        while not await _attempt(display, file, request, crtc, state, event):
            state.clear()
    except (DeviceError, Interrupted):
        event.cancel()
        if state in display.states:
            display.states.remove(state)
        raise
    finally:
        context.release()


async def _attempt(
    display: Display, file: File, request: ModePageFlip, crtc: Crtc, state: AtomicState, event: FlipEvent
) -> bool:
    """False: backed off, try again."""
    try:
        await _lock_and_flip(display, file, request, crtc, state, event)
    except Deadlock as deadlock:
        event.cancel()
        await state.context.back_off(deadlock.contended)
        return False
    return True


async def _lock_and_flip(
    display: Display, file: File, request: ModePageFlip, crtc: Crtc, state: AtomicState, event: FlipEvent
) -> None:
    plane = display.primaries[crtc]
    await _lock(state.context, crtc, display)
    old = plane.state.fb
    if old is None:
        raise DeviceError(EBUSY, "the CRTC shows nothing")
    fb = display.find(request.fb_id, Framebuffer)
    if fb is None:
        raise DeviceError(ENOENT, f"no framebuffer {request.fb_id}")
    check_source(fb, plane.state.source)
    if fb.format != old.format:
        raise DeviceError(EINVAL, "a page flip cannot change the format")
    if request.flags & AtomicFlag.PAGE_FLIP_EVENT:
        event.reserve(file)
    crtc_state = await state.crtc(crtc)
    crtc_state.event = event
    crtc_state.async_flip = bool(request.flags & AtomicFlag.PAGE_FLIP_ASYNC)
    plane_state = await state.plane(plane)
    plane_state.fb = fb
    await state.set_plane_crtc(plane, crtc)
    if not crtc_state.active:
        raise DeviceError(EINVAL, f"CRTC {crtc.id} is off")
    await check(display, state)
    if display.parked:
        give_way(display, state, nonblock=True)
    await commit(display, state, nonblock=True)


async def _lock(context: AcquireContext, crtc: Crtc, display: Display) -> None:
    await context.lock(crtc.lock)
    await context.lock(display.primaries[crtc].lock)
