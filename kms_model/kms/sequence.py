"""Asking for vblanks: CRTC_GET_SEQUENCE and WAIT_VBLANK (drm_vblank.c)."""

from errno import EBUSY, EINTR, EINVAL, EOPNOTSUPP
from typing import Final

from syncline.kms_model.file import File
from syncline.kms_model.kms.atomic import check_permission
from syncline.kms_model.kms.display import Display
from syncline.kms_model.kms.inventory import find, look
from syncline.kms_model.kms.objects import Crtc
from syncline.kms_model.task import Interrupted
from syncline.kms_model.uapi import CrtcGetSequence, DeviceError, VblankEvent, VblankReply, WaitVblank

WAIT_NS: Final = 3_000_000_000
"""WAIT_VBLANK gives up after this: EBUSY."""

_PASSED_WINDOW: Final = 1 << 23
_U32: Final = (1 << 32) - 1


async def get_sequence(display: Display, file: File, request: CrtcGetSequence) -> VblankReply:
    """EOPNOTSUPP without vblanks, ENOENT, EINVAL while the CRTC is off."""
    crtc = _running(display, file, request.crtc_id)
    await look(display, crtc.lock)
    return VblankReply(*crtc.vblank.last())


async def wait_vblank(display: Display, file: File, request: WaitVblank) -> VblankReply:
    """The vblank it was, or for an event the newest one. ENOMEM without event space, EINTR, EBUSY after 3 s."""
    crtc = _running(display, file, request.crtc_id)
    sequence, time_ns = crtc.vblank.last()
    ahead = (request.sequence - sequence) & _U32
    passed = ahead == 0 or ahead > _U32 - _PASSED_WINDOW
    if request.event:
        _queue_event(file, crtc, request, None if passed else sequence + ahead)
    elif not passed:
        deadline_ns = display.kernel.now_ns + WAIT_NS
        try:
            came = await crtc.vblank.wait(
                sequence=sequence + ahead, deadline_ns=deadline_ns, interruptible=True
            )
        except Interrupted:
            raise DeviceError(EINTR, "interrupted by a signal") from None
        if not came:
            raise DeviceError(EBUSY, "the vblank did not come")
        sequence, time_ns = crtc.vblank.last()
    return VblankReply(sequence, time_ns)


def _running(display: Display, file: File, crtc_id: int) -> Crtc:
    check_permission(file, master=False)
    if not file.profile.vblank:
        raise DeviceError(EOPNOTSUPP, "no vblanks on this device")
    crtc = find(display, crtc_id, Crtc)
    if not crtc.vblank.running:
        raise DeviceError(EINVAL, f"CRTC {crtc_id} is off")
    return crtc


def _queue_event(file: File, crtc: Crtc, request: WaitVblank, sequence: int | None) -> None:
    """At vblank `sequence`; None: it has passed, tell the newest now."""

    def tell(sequence: int, time_ns: int) -> None:
        file.send_event(
            VblankEvent(user_data=request.user_data, crtc_id=crtc.id, sequence=sequence, time_ns=time_ns)
        )

    file.reserve_event()
    if sequence is None:
        tell(*crtc.vblank.last())
    else:
        crtc.vblank.queue(sequence, tell)
