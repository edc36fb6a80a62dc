"""Tearing: frames that do not wait for the vblank, because all there is to see asked for that (G1-G4).

An asynchronous flip changes the framebuffer of the primary plane and nothing else. So it is for one opaque
surface that is scanned out alone, before and after; what would need an in-fence waits for the vblank as
ever (G4), and so does what may not be seen yet (T5). It is a hint: whoever does not qualify is not told (G3).
"""

from syncline.compositor.core.display import Crtc
from syncline.compositor.core.flights import Flights
from syncline.compositor.core.in_fence import is_unfinished
from syncline.compositor.core.policy import ImplicitMode
from syncline.compositor.core.scanout import Arrangement
from syncline.compositor.core.surface import Surface


def wishes(surface: Surface, now_ns: int) -> bool:
    """It has new content for which it asked for an asynchronous flip, and whose time has come."""
    if not surface.current.tearing or not surface.fresh:
        return False
    return all((update.state.target_time_ns or 0) <= now_ns for update in surface.fresh)


class Tearing:
    """Decides for one output. A machine that refuses once is not asked again."""

    def __init__(self, crtc: Crtc, flights: Flights, implicit: ImplicitMode) -> None:
        self._crtc = crtc
        self._flights = flights
        self._implicit = implicit
        self._is_refused = False

    def refused(self) -> None:
        """The kernel took no asynchronous flip where one should have been possible."""
        self._is_refused = True

    def could_follow(self, surface: Surface, now_ns: int) -> bool:
        """Before there is an arrangement: all that is on planes is the surface's older content."""
        if self._is_refused or not wishes(surface, now_ns):
            return False
        shown = self._flights.planes
        is_alone = len(shown) == 1 and self._crtc.primary.shown is not None
        return (
            is_alone and surface.content not in shown and {loan.surface for loan in shown} == {surface.number}
        )

    def allows(self, arrangement: Arrangement, now_ns: int) -> bool:
        """The next frame may replace the one on screen at once."""
        element = arrangement.planes.get(self._crtc.primary)
        if element is None or len(arrangement.planes) > 1:
            return False
        if not self.could_follow(element.surface, now_ns) or is_unfinished(element.loan, self._implicit):
            return False
        (before,), after, primary = self._flights.planes, element.loan, self._crtc.primary
        looks = {(each.buffer.format, each.buffer.modifier, each.buffer.pitch) for each in (before, after)}
        is_in_place = primary.shown is not None and primary.shown[1:] == (
            element.extent.source,
            element.place,
        )
        return len(looks) == 1 and is_in_place
