"""Step 3 of a commit: what the core refuses (drm_atomic_check_only), in its order."""

from errno import EINVAL, ENOSPC, ERANGE
from typing import Final

from syncline.kms_model.kms.check_helper import check_modeset, check_planes
from syncline.kms_model.kms.display import Display
from syncline.kms_model.kms.objects import (
    Connector,
    ConnectorState,
    Crtc,
    CrtcState,
    Framebuffer,
    Plane,
    PlaneState,
)
from syncline.kms_model.kms.state import AtomicState
from syncline.kms_model.kms.user_points import check_user_points
from syncline.kms_model.uapi import DeviceError

_INT_MAX: Final = (1 << 31) - 1


async def check(display: Display, state: AtomicState) -> None:
    """Raises what the commit would fail with. Changes nothing but `state`; may take locks."""
    for plane, plane_state in state.planes.items():
        _check_plane(plane, state.old_planes[plane], plane_state)
    for crtc, crtc_state in state.crtcs.items():
        _check_crtc(crtc, state.old_crtcs[crtc], crtc_state)
    for connector, connector_state in state.connectors.items():
        _check_writeback(state, connector, connector_state)
    await check_modeset(display, state)
    await check_planes(display, state)
    for crtc_state in state.crtcs.values():
        if crtc_state.needs_modeset and not state.allow_modeset:
            raise DeviceError(EINVAL, "a full modeset without ALLOW_MODESET")
    check_user_points(state)


def _check_plane(plane: Plane, old: PlaneState, new: PlaneState) -> None:
    if (new.crtc is None) != (new.fb is None):
        raise DeviceError(EINVAL, "a plane needs FB_ID and CRTC_ID, or neither")
    if new.crtc is None or new.fb is None:
        return
    if new.crtc not in plane.crtcs:
        raise DeviceError(EINVAL, f"plane {plane.id} cannot be on CRTC {new.crtc.id}")
    if new.fb.format not in plane.formats:
        raise DeviceError(EINVAL, f"plane {plane.id} cannot show format {new.fb.format:#x}")
    x, y, width, height = new.target
    if x > _INT_MAX - width or y > _INT_MAX - height:
        raise DeviceError(ERANGE, "the CRTC rectangle overflows")
    check_source(new.fb, new.source)
    for clip in new.damage or ():
        if not _is_inside(clip, new.fb):
            raise DeviceError(EINVAL, "a damage clip is empty or outside the framebuffer")
    if old.crtc is not None and old.crtc is not new.crtc:
        raise DeviceError(EINVAL, "a plane cannot move from CRTC to CRTC in one commit")


def check_source(fb: Framebuffer, source: tuple[int, int, int, int]) -> None:
    """ENOSPC for a source rectangle (16.16) that leaves the framebuffer."""
    x, y, width, height = source
    if x + width > fb.width << 16 or y + height > fb.height << 16:
        raise DeviceError(ENOSPC, "the source rectangle leaves the framebuffer")


def _is_inside(clip: tuple[int, int, int, int], fb: Framebuffer) -> bool:
    x1, y1, x2, y2 = clip
    return 0 <= x1 < x2 <= fb.width and 0 <= y1 < y2 <= fb.height


def _check_crtc(crtc: Crtc, old: CrtcState, new: CrtcState) -> None:
    if new.active and not new.enable:
        raise DeviceError(EINVAL, f"CRTC {crtc.id} cannot be active without a mode")
    if new.event is not None and not new.active and not old.active:
        raise DeviceError(EINVAL, f"CRTC {crtc.id} is off and stays off: it has no event to send")


def _check_writeback(state: AtomicState, connector: Connector, new: ConnectorState) -> None:
    """drm_atomic_connector_check. A job without a framebuffer is dropped, unless a fence was asked of it."""
    job = new.writeback
    if job is None:
        return
    if job.fb is None:
        if job.out_fence is not None:
            raise DeviceError(EINVAL, "a writeback out-fence without a framebuffer")
        new.writeback = None
        return
    if new.crtc is None:
        raise DeviceError(EINVAL, f"writeback {connector.name} has no CRTC")
    if not state.crtcs[new.crtc].active:
        raise DeviceError(EINVAL, f"writeback {connector.name} is on an inactive CRTC")
