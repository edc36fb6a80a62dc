"""Step 3, second half: what the driver refuses, and which objects it pulls in (drm_atomic_helper_check)."""

from errno import EINVAL, ERANGE
from typing import Final

from syncline.kms_model.kms.display import WRITEBACK_FORMATS, Display
from syncline.kms_model.kms.objects import Connector, CrtcState, Framebuffer, Plane, PlaneState
from syncline.kms_model.kms.state import AtomicState
from syncline.kms_model.uapi import DeviceError, PlaneType

_ONE: Final = 1 << 16


async def check_modeset(display: Display, state: AtomicState) -> None:
    """Finds out which CRTCs need a modeset. EINVAL for connectors and modes that do not fit."""
    for crtc, new in state.crtcs.items():
        old = state.old_crtcs[crtc]
        new.needs_modeset = new.mode != old.mode or new.active != old.active
        if new.enable != bool(new.connectors):
            raise DeviceError(EINVAL, f"CRTC {crtc.id}: enabled and connected do not agree")
    for connector in state.connectors:
        _route(state, connector)
    for crtc in tuple(state.crtcs):
        if state.crtcs[crtc].needs_modeset:
            await state.add_affected_connectors(crtc)
            await state.add_affected_planes(crtc)
            _check_clones(display, state.crtcs[crtc])
    for connector in state.connectors:
        _check_job_size(state, connector)


def _route(state: AtomicState, connector: Connector) -> None:
    """update_connector_routing: a connector that comes or goes is a modeset of both its CRTCs."""
    old_crtc, new_crtc = state.old_connectors[connector].crtc, state.connectors[connector].crtc
    if old_crtc is not new_crtc:
        for crtc in (old_crtc, new_crtc):
            if crtc is not None:
                state.crtcs[crtc].needs_modeset = True
    if new_crtc is not None and new_crtc not in connector.crtcs:
        raise DeviceError(EINVAL, f"connector {connector.name} cannot be on CRTC {new_crtc.id}")


def _check_clones(display: Display, new: CrtcState) -> None:
    if len(new.connectors) < 2:
        return
    screens = sum(not connector.writeback for connector in new.connectors)
    if screens > 1 or not display.profile.writeback_clones:
        raise DeviceError(EINVAL, "these connectors cannot share a CRTC")


def _check_job_size(state: AtomicState, connector: Connector) -> None:
    """The writeback encoder's check: the mode's size exactly, and XRGB8888."""
    new = state.connectors[connector]
    if new.writeback is None or new.writeback.fb is None or new.crtc is None:
        return
    fb, mode = new.writeback.fb, state.crtcs[new.crtc].mode
    if mode is None or (fb.width, fb.height) != (mode.hdisplay, mode.vdisplay):
        raise DeviceError(EINVAL, "the writeback framebuffer has not the size of the mode")
    if fb.format not in WRITEBACK_FORMATS:
        raise DeviceError(EINVAL, f"writeback cannot produce format {fb.format:#x}")


async def check_planes(display: Display, state: AtomicState) -> None:
    """The driver's plane and CRTC checks."""
    for plane, new in tuple(state.planes.items()):
        if new.crtc is not None and new.fb is not None:
            check_placement(display, plane, new, state.crtcs[new.crtc])
            if state.crtcs[new.crtc].async_flip:
                _check_async(plane, state.old_planes[plane].fb, new.fb)
    if display.profile.adds_all_planes:
        for crtc in tuple(state.crtcs):
            await state.add_affected_planes(crtc)


def check_placement(display: Display, plane: Plane, new: PlaneState, crtc_state: CrtcState) -> None:
    """drm_atomic_helper_check_plane_state. ERANGE: it would have to scale. EINVAL: it must cover, and does not.

    Nothing has to be scaled to no width or height at all: such a plane is legal, and invisible.
    """
    _, _, source_width, source_height = new.source
    _, _, width, height = new.target
    if (width and source_width != width * _ONE) or (height and source_height != height * _ONE):
        raise DeviceError(ERANGE, f"plane {plane.id} cannot scale")
    if plane.kind is PlaneType.PRIMARY and display.profile.primary_covers_crtc:
        _check_cover(new, crtc_state)


def _check_cover(new: PlaneState, crtc_state: CrtcState) -> None:
    """A plane that is not visible at all need not cover."""
    x, y, width, height = new.target
    mode = crtc_state.mode
    if mode is None or not (max(x, 0) < min(x + width, mode.hdisplay)):
        return
    if not (max(y, 0) < min(y + height, mode.vdisplay)):
        return
    if x > 0 or y > 0 or x + width < mode.hdisplay or y + height < mode.vdisplay:
        raise DeviceError(EINVAL, "the primary plane must cover the CRTC")


def _check_async(plane: Plane, old: Framebuffer | None, new: Framebuffer) -> None:
    """Tearing takes a like framebuffer: same format, modifier and pitch."""
    like = old is not None and (old.format, old.modifier, old.pitch) == (new.format, new.modifier, new.pitch)
    if not like:
        raise DeviceError(EINVAL, f"plane {plane.id} cannot flip to an unlike framebuffer asynchronously")
