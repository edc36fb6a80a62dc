"""A screen whose cable was pulled: nobody sees it, but its CRTC reads on until it is switched off.

So the last frame is let land, the CRTC is switched off, and only when the kernel says that this has happened are
the buffers given back that it showed (S71, S80).
"""

from syncline.compositor.core.composition import Swapchain
from syncline.compositor.core.display import Crtc
from syncline.compositor.core.flights import Flights
from syncline.compositor.core.overdue import FlipWatch
from syncline.compositor.core.stage import Stage
from syncline.kms_model.uapi import DeviceError, FlipComplete

OFF = 0
"""No frame has this number: the event of the commit that switches off."""


class Darkening:
    """What is left of a `Screen`. `is_over` once its CRTC is free for another."""

    def __init__(
        self, stage: Stage, crtc: Crtc, flights: Flights, swapchain: Swapchain, watch: FlipWatch
    ) -> None:
        self._stage = stage
        self.crtc = crtc
        self._flights = flights
        self._swapchain = swapchain
        self.watch = watch
        self.is_over = False

    def begin(self, now_ns: int) -> None:
        """At once, unless a flip is on its way: the kernel has no queue."""
        if self._flights.in_air is None:
            self._switch_off(now_ns)

    def flipped(self, flip: FlipComplete, now_ns: int) -> None:
        """The last frame landed, or the CRTC is off."""
        if self._flights.is_in_air(flip.user_data):
            self._flights.land(now_ns)
            self._switch_off(now_ns)
        elif flip.user_data == OFF:
            self.finish(now_ns)

    def _switch_off(self, now_ns: int) -> None:
        try:
            self._stage.device.call(self.crtc.off(user_data=OFF))
        except DeviceError as refusal:  # what else can be done? nobody looks at it
            self._stage.journal.refused(refusal, "switching an output off", now_ns)
            self.finish(now_ns)

    def finish(self, now_ns: int) -> None:
        """Also for the end of everything, which waits for nothing."""
        self.is_over = True
        self._flights.close(now_ns)
        self._swapchain.close()
