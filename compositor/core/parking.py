"""The one frame of an output that waits for a user fence: when there may be one, and what ends it (0007).

A user fence is no promise, so it may hold up nobody but its client. A frame is parked only when nothing else in it
is new; and as soon as anything is, another frame takes its place (OVERRIDE) in which the picture is the old one
still. The update itself stays at the head of its queue, and is applied when its point has been reached.

Beside other clients a frame is parked for one vblank only, and parked anew at the next latch. For once its point is
reached it can be recalled no more: long before a vblank it would lock out whatever else is new until the one after.
"""

from dataclasses import replace
from errno import ETIME

from syncline.compositor.core.constraint import AcquirePoint, ConstraintState
from syncline.compositor.core.departure import Departures
from syncline.compositor.core.display import Crtc, Plane
from syncline.compositor.core.extent import extent_of
from syncline.compositor.core.flights import Flights
from syncline.compositor.core.frame import Frame
from syncline.compositor.core.output import Output
from syncline.compositor.core.policy import AcquireMode
from syncline.compositor.core.scanout import Arrangement
from syncline.compositor.core.stage import Stage
from syncline.compositor.core.surface import ContentUpdate, Surface
from syncline.compositor.core.update import reachable
from syncline.kms_model.uapi import FlipDropped


def parkable(surface: Surface) -> ContentUpdate | None:
    """Its next update, if a user fence is all that this waits for, and the picture all that it changes."""
    if not surface.queue or surface.content is None:
        return None
    update = surface.queue[0]
    loan, state = update.loan, update.state
    if update.synchronized or loan is None or loan.acquire is None or not loan.acquire.timeline.is_user:
        return None
    graph = reachable(update)
    pending = [each for each in update.constraints if each.state is ConstraintState.PENDING]
    if len(graph) > 1 or not pending or not all(isinstance(each, AcquirePoint) for each in pending):
        return None
    is_like_before = (
        loan.buffer.format == surface.content.buffer.format
        and extent_of(state, loan.buffer) == surface.extent
        and state.stack == surface.current.stack
        and state.opaque_region == surface.current.opaque_region
        and state.window_geometry == surface.current.window_geometry
    )
    return update if is_like_before else None


def is_content(update: ContentUpdate, surface: Surface) -> bool:
    """Its picture is what the surface shows: it was not given up, and the surface is there."""
    return update.loan is not None and update.loan is surface.content


class Parking:
    """Of one output."""

    def __init__(
        self, stage: Stage, output: Output, crtc: Crtc, *, flights: Flights, departures: Departures,
    ) -> None:  # fmt: skip
        self._stage = stage
        self._output = output
        self._crtc = crtc
        self._flights = flights
        self._departures = departures

    def candidate(self, surface: Surface) -> ContentUpdate | None:
        """What a display that takes user fences could wait for, of a surface that is on one of its planes."""
        can = self._output.acquire_mode is AcquireMode.USER_FORWARD and self._crtc.takes_user_fences
        return parkable(surface) if can and surface.shown_on == [self._output] else None

    def try_to(self, arrangement: Arrangement, now_ns: int) -> bool:
        """Nothing in the arrangement is new. Is there something unfinished to park? True if it was."""
        for plane, element in arrangement.planes.items():
            update = self.candidate(element.surface)
            if update is not None:
                assert update.loan is not None
                planes = {**arrangement.planes, plane: replace(element, ahead=update.loan)}
                return self._park(Arrangement(planes, arrangement.composed), plane, update, now_ns)
        return False

    def _park(self, arrangement: Arrangement, plane: Plane, update: ContentUpdate, now_ns: int) -> bool:
        update.parked_ns = now_ns if update.parked_ns is None else update.parked_ns
        timeout_ns = self._timeout_ns(update)
        frame = self._departures.park(arrangement, plane, update, timeout_ns=timeout_ns, now_ns=now_ns)
        if frame is None:
            return False
        update.is_parked, update.ready_ns = True, now_ns
        self._stage.waits.take_over(update, "user-fence", now_ns)
        self._stage.journal.latched(
            self._output.name, frame.number, target_ns=frame.target_ns,
            margin_ns=frame.target_ns - frame.planned_ns, how=frame.how, updates=(update.number,),
            now_ns=now_ns,
        )  # fmt: skip
        return True

    def is_reached(self, surface: Surface) -> bool:
        """The parked update of this surface has been applied: its point was reached."""
        frame = self._flights.parked
        return frame is not None and frame.waiting is not None and is_content(frame.waiting, surface)

    def promote(self, now_ns: int) -> Frame:
        """The kernel goes on with the frame as with any other."""
        frame = self._flights.promote(now_ns)
        self._crtc.taken(frame.shows)
        return frame

    def given_up(self, frame: Frame, errno: int, now_ns: int) -> ContentUpdate | None:
        """The kernel has dropped the parked frame. Its update waits as before; or, if it took too long, is returned."""
        update = frame.waiting
        assert update is not None
        self._stage.journal.dropped(
            self._output.name, frame.number, update.number, errno=errno, now_ns=now_ns
        )
        if not update.is_parked:
            return None
        if errno == ETIME and now_ns >= self._timeout_ns(update):
            return update
        update.is_parked, update.ready_ns = False, None
        self._stage.waits.take_over(update, "acquire-point", now_ns)
        return None

    def _timeout_ns(self, update: ContentUpdate) -> int:
        assert update.parked_ns is not None
        return update.parked_ns + self._stage.policy.acquire_timeout_ns

    def dropped(self, event: FlipDropped, now_ns: int) -> ContentUpdate | None:
        """The same by event."""
        return self.given_up(self._flights.unpark(now_ns), -event.status, now_ns)
