"""A flip whose event does not come: asked for after a second (KMS-07).

A commit that changes nothing is refused as busy as long as the flip is really pending. If it is taken, the flip has
happened and its event was lost; then the event of the question, which bears the same number, stands for it.
"""

from errno import EBUSY
from typing import Final

from syncline.compositor.core.display import Crtc
from syncline.compositor.core.flights import Flights
from syncline.compositor.core.stage import Stage
from syncline.kms_model.uapi import DeviceError

PATIENCE_NS: Final = 1_000_000_000


class FlipWatch:
    """One for each output. Frames do not move its deadline: it looks once a second while any are shown."""

    def __init__(self, stage: Stage, crtc: Crtc, flights: Flights) -> None:
        self._stage = stage
        self._crtc = crtc
        self._flights = flights
        self.deadline_ns: int | None = None

    def took_off(self, now_ns: int) -> None:
        if self.deadline_ns is None:
            self.deadline_ns = now_ns + PATIENCE_NS

    def tick(self, now_ns: int) -> None:
        """Look, if it is time to."""
        if self.deadline_ns is None or now_ns < self.deadline_ns:
            return
        frame = self._flights.in_air
        if frame is None:
            self.deadline_ns = None
        elif now_ns - frame.latched_ns < PATIENCE_NS:
            self.deadline_ns = frame.latched_ns + PATIENCE_NS
        else:
            self.deadline_ns = now_ns + PATIENCE_NS
            self._ask(frame.number, now_ns)

    def _ask(self, number: int, now_ns: int) -> None:
        try:
            self._stage.device.call(self._crtc.again(user_data=number))
        except DeviceError as refusal:
            if refusal.errno != EBUSY:
                self._stage.journal.refused(refusal, "looking for a flip", now_ns)
