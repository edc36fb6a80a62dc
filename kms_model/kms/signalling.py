"""Step 2 of a commit: the events and fences it will owe, made before anything can go wrong for good.

Out-fences exist, and count up their seqno, even for commits that fail afterwards; their descriptors are
installed at the very end of the ioctl (prepare_signaling, complete_signaling).
"""

from errno import EINVAL
from typing import Final

import msgspec

from syncline.kms_model.fences.fence import Fence
from syncline.kms_model.fences.sync_file import publish_fence
from syncline.kms_model.file import File
from syncline.kms_model.kms.display import Display
from syncline.kms_model.kms.event import FlipEvent
from syncline.kms_model.kms.objects import Connector, Crtc
from syncline.kms_model.kms.state import AtomicState
from syncline.kms_model.observer import Exporter
from syncline.kms_model.uapi import AtomicReply, DeviceError, Fd

FLIP_NS: Final = 10_000_000_000
"""How long the kernel itself waits for a flip before it complains."""


class Signalling(msgspec.Struct, eq=False):
    """The debts of one commit on their way to user space."""

    _display: Display
    _state: AtomicState
    _fences: list[tuple[int, Fence]] = []
    _events: list[FlipEvent] = []

    def prepare(self, file: File, *, want_event: bool, user_data: int) -> None:
        """Not for TEST_ONLY. ENOMEM without event space; EINVAL for an event that no CRTC could send."""
        state = self._state
        for crtc, crtc_state in state.crtcs.items():
            pointer, point = state.out_pointers.get(crtc), state.out_points.get(crtc)
            if want_event or pointer is not None or point is not None:
                crtc_state.event = FlipEvent(user_data, point=point)
                self._events.append(crtc_state.event)
            if want_event and crtc_state.event is not None:
                crtc_state.event.reserve(file)
            if pointer is not None and crtc_state.event is not None:
                crtc_state.event.fence = self._owe(pointer, self._crtc_fence(crtc))
        for connector, pointer in state.writeback_pointers.items():
            job = state.connectors[connector].writeback
            if job is not None:  # without WRITEBACK_FB_ID the pointer is ignored and stays -1
                job.out_fence = self._owe(pointer, self._job_fence(connector))
        if want_event and not state.crtcs:
            raise DeviceError(EINVAL, "PAGE_FLIP_EVENT without a CRTC")

    def install(self, written: list[int]) -> AtomicReply:
        """The commit stands: give the descriptors away. `written` pointers without a fence stay -1."""
        if not written:
            return AtomicReply()
        descriptors = self._display.kernel.descriptors
        fds = {pointer: publish_fence(descriptors, fence) for pointer, fence in self._fences}
        return AtomicReply(tuple((pointer, fds.get(pointer, Fd(-1))) for pointer in dict.fromkeys(written)))

    def cancel(self) -> None:
        """The commit failed: events are taken back, fences are forgotten unsignalled."""
        for event in self._events:
            event.cancel()

    def _owe(self, pointer: int, fence: Fence) -> Fence:
        self._fences.append((pointer, fence))
        observer = self._display.kernel.observer
        if observer is not None:
            exporter = Exporter(name=f"{self._display.profile.driver} vblank", bound_ns=FLIP_NS)
            observer.exported(fence, exporter)
        return fence

    def _crtc_fence(self, crtc: Crtc) -> Fence:
        crtc.fence_seqno += 1
        return Fence(crtc.fence_context, crtc.fence_seqno, self._display.profile.driver, crtc.timeline)

    def _job_fence(self, connector: Connector) -> Fence:
        connector.fence_seqno += 1
        return Fence(
            connector.fence_context, connector.fence_seqno, self._display.profile.driver, connector.timeline
        )
