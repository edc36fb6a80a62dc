"""One output at work: latches what it shows, gives it to the kernel, learns that it was shown."""

from errno import ECANCELED

from msgspec.structs import replace

from syncline.compositor.core.capture import Captures
from syncline.compositor.core.composition import Swapchain
from syncline.compositor.core.damage import Damage
from syncline.compositor.core.darkening import Darkening
from syncline.compositor.core.departure import Departures, TooLate
from syncline.compositor.core.display import Crtc
from syncline.compositor.core.flights import Flights
from syncline.compositor.core.frame import Frame
from syncline.compositor.core.geometry import Rect, Region
from syncline.compositor.core.lessons import Lessons
from syncline.compositor.core.output import Cue, Output, Phase
from syncline.compositor.core.overdue import FlipWatch
from syncline.compositor.core.parking import Parking, is_content
from syncline.compositor.core.scanout import Arrangement, Arranger
from syncline.compositor.core.scene import Element
from syncline.compositor.core.stage import Stage
from syncline.compositor.core.surface import ContentUpdate, Surface
from syncline.compositor.core.tearing import Tearing
from syncline.kms_model.uapi import (
    FlipComplete,
    FlipDropped,
    ModeCreateBlob,
    ModeDestroyBlob,
    encode_mode,
)


class Screen:
    """The machinery behind one `Output`."""

    def __init__(self, stage: Stage, captures: Captures, output: Output, crtc: Crtc) -> None:
        self._stage = stage
        self._captures = captures
        self.output = output
        self.crtc = crtc
        screen = Rect(0, 0, output.rect.width, output.rect.height)
        self._swapchain = Swapchain(
            stage.device, stage.memory, stage.policy, width=screen.width, height=screen.height
        )
        self._arranger = Arranger(stage.device, stage.memory, crtc, self._swapchain, screen)
        self._damage = Damage(screen)
        self._flights = Flights(stage, self._swapchain.timeline)
        self._tearing = Tearing(crtc, self._flights, stage.policy.implicit)
        self.flip_watch = FlipWatch(stage, crtc, self._flights)
        self._lessons = Lessons(stage.device, output)
        self._elements: list[Element] = []
        self._departures = Departures(
            stage, output, crtc, swapchain=self._swapchain, arranger=self._arranger, damage=self._damage,
            flights=self._flights, lessons=self._lessons, flip_watch=self.flip_watch,
        )  # fmt: skip
        self._parking = Parking(stage, output, crtc, flights=self._flights, departures=self._departures)
        self._direct: set[Surface] = set()
        """Surfaces that the last latch put on planes: a new buffer of theirs needs no composition."""
        self.visible: dict[Surface, None] = {}
        """Surfaces of which a part can be seen here, hence whose updates make a new frame worthwhile."""
        self._own: list[Surface] = []
        """Of these, those whose main output this is: their callbacks and feedback follow our frames."""

    # -- the cycle --------------------------------------------------------------------------------

    def light(self, now_ns: int) -> None:
        """Set the mode with an empty scene. Raises DeviceError."""
        stage = self._stage
        whole = Region((Rect(0, 0, self.output.rect.width, self.output.rect.height),))
        painted = self._swapchain.compose([], whole, implicit=False, label=f"{self.output.name} first")
        self._damage.composed([])
        frame = Frame(
            self._flights.next_number, now_ns, now_ns, now_ns, painted.image, painted.point,
            is_first=True,
        )  # fmt: skip
        show = self._arranger.show_of(painted.image)
        blob = stage.device.call(ModeCreateBlob(data=encode_mode(self.output.mode))).blob_id
        request = self.crtc.light(show, mode_blob=blob, in_fence=painted.fence, user_data=frame.number)
        reply = stage.device.call(request)
        stage.device.close_fd(painted.fence)
        stage.device.call(ModeDestroyBlob(blob_id=blob))  # the CRTC's state has it now
        self.crtc.taken({self.crtc.primary: show})
        self._flights.take_off(frame, reply, now_ns)
        self.flip_watch.took_off(now_ns)
        self.output.phase = Phase.FLIPPING

    def damaged(self, surface: Surface, now_ns: int) -> None:
        """New content of a surface; a new frame if it can be seen."""
        self._damage.add(surface)
        if self._flights.parked is not None and self._parking.is_reached(surface):
            self._promote(now_ns)
        elif surface in self.visible:
            if surface not in self._direct:
                self.output.expect_composition(now_ns)
            self.output.cue(Cue.DAMAGED, now_ns)
            if surface.current.tearing:
                self._hurry(surface, now_ns)

    def _hurry(self, surface: Surface, now_ns: int) -> None:
        """It wants to tear."""
        if self._tearing.could_follow(surface, now_ns):
            self.output.hurry(now_ns)

    def repaint(self, now_ns: int) -> None:
        """What the GPU was painting is lost."""
        self._damage.forget()
        self.output.expect_composition(now_ns)
        self.output.cue(Cue.DAMAGED, now_ns)

    def latch(self, now_ns: int) -> None:
        """Fix what the next frame shows and give it to the kernel."""
        elements, parked = self._elements, self._flights.parked
        is_direct = self._stage.policy.direct_scanout
        arrangement = self._arranger.arrange(elements) if is_direct else Arrangement(composed=elements)
        if not self._has_news() and not self._looks_new(arrangement):
            is_parked = parked is not None or self._parking.try_to(arrangement, now_ns)
            self.output.cue(Cue.PARKED if is_parked else Cue.NOTHING, now_ns)
            self._stage.pacing.latched(self._own, now_ns)
            return
        try:
            frame, arrangement = self._depart(arrangement, elements, now_ns)
        except TooLate:
            self.output.cue(Cue.PROMOTED, now_ns)
            return
        if frame is None:
            self.output.cue(Cue.REFUSED, now_ns)
            return
        if parked is not None:
            self._parking.given_up(parked, ECANCELED, now_ns)
        for surface in self._own:
            self._stage.feedback.latch(surface, frame)
        if not frame.is_torn:  # else the deadline is yet to come, as it is when the kernel refused (F4)
            self._stage.pacing.latched(self._own, now_ns)
        self._captures.copy(self.output, now_ns)
        self._direct = {element.surface for element in arrangement.planes.values()}
        self.output.margin.expects_composition = bool(frame.composed_point)
        self.output.cue(Cue.LATCHED, now_ns)
        self._stage.journal.latched(
            self.output.name, frame.number, target_ns=frame.target_ns,
            margin_ns=frame.target_ns - frame.planned_ns, how=frame.how,
            updates=tuple([update.number for update in frame.updates]), now_ns=now_ns,
        )  # fmt: skip

    def _depart(
        self, arrangement: Arrangement, elements: list[Element], now_ns: int
    ) -> tuple[Frame | None, Arrangement]:
        """As good as the machine will have it. Raises TooLate."""
        if self._tearing.allows(arrangement, now_ns):
            frame = self._departures.fly(arrangement, elements, now_ns, is_torn=True)
            if frame is not None:
                return frame, arrangement
            self._tearing.refused()
        frame = self._departures.fly(arrangement, elements, now_ns)
        if frame is None and not self._arranger.trusts(arrangement):
            arrangement = Arrangement(composed=elements)
            frame = self._departures.fly(arrangement, elements, now_ns)
        return frame, arrangement

    def flipped(self, flip: FlipComplete, now_ns: int) -> None:
        """The display took the frame at `flip.time_ns`."""
        if self.waiting_in(flip) is not None:
            self._promote(now_ns)  # its surface is gone, or its picture was given up
        if not self._flights.is_in_air(flip.user_data):
            return  # known already (KMS-07)
        output = self.output
        output.grid.seen(time_ns=flip.time_ns, sequence=flip.sequence)
        frame = self._flights.land(now_ns)
        if frame.is_torn:  # the event tells the vblank before
            flip = replace(flip, time_ns=now_ns)
        self._lessons.flipped(frame, flip.time_ns)
        self._stage.journal.flipped(
            output.name, frame.number, sequence=flip.sequence, target_ns=frame.target_ns,
            time_ns=flip.time_ns,
        )  # fmt: skip
        self._stage.feedback.presented(output, frame, flip)
        output.cue(Cue.FLIPPED, now_ns)
        for surface in self.visible:
            if frame.is_torn and self._stage.pacing.has_barrier(surface):
                output.cue(Cue.DAMAGED, now_ns)  # so that there is a deadline for it to fall after (F12)
            if surface.current.tearing:
                self._hurry(surface, now_ns)
            if surface.queue:
                self.offered(surface, now_ns)

    # -- what to show -----------------------------------------------------------------------------

    def look(self) -> None:
        """The scene was rearranged: surfaces learn whether this output shows any part of them."""
        self._elements = self._stage.scene.elements(self.output)
        now = dict.fromkeys(element.surface for element in self._elements)
        for surface in self.visible:
            if surface not in now:
                surface.shown_on.remove(self.output)
        for surface in now:
            if surface not in self.visible:
                surface.shown_on.append(self.output)
        self.visible = now
        self.output.margin.is_shared = len({surface.client for surface in now}) > 1

    def adopt(self) -> None:
        """All outputs have looked: of those that show a surface one is its main output."""
        self._own = [surface for surface in self.visible if surface.main_output is self.output]

    def _has_news(self) -> bool:
        """Somebody waits for the next frame."""
        for surface in self._own:
            if surface.fresh or surface.frame_callbacks:
                return True
        return self._captures.is_asked(self.output)

    def _looks_new(self, arrangement: Arrangement) -> bool:
        """It would look different from what is on screen, or at least show other buffers."""
        if frozenset(element.loan for element in arrangement.planes.values()) != self._flights.planes:
            return True
        is_composed = self.crtc.primary not in arrangement.planes
        for plane, show in self._arranger.shows(arrangement, None).items():
            if plane.shown != show and not (is_composed and plane is self.crtc.primary):
                return True
        return is_composed and bool(self._damage.since_last(arrangement.composed))

    # -- frames that wait for user space ----------------------------------------------------------

    def offered(self, surface: Surface, now_ns: int) -> None:
        """It may have something unfinished that the display itself could wait for."""
        if surface in self._direct and surface in self.visible and self._parking.candidate(surface):
            self.output.cue(Cue.DAMAGED, now_ns)

    def waiting_in(self, flip: FlipComplete) -> ContentUpdate | None:
        """What was parked in the frame that flipped, if we have not heard yet that its point was reached."""
        frame = self._flights.parked
        return frame.waiting if frame is not None and frame.number == flip.user_data else None

    def _promote(self, now_ns: int) -> None:
        frame = self._parking.promote(now_ns)
        update = frame.waiting
        assert update is not None
        if is_content(update, update.surface):  # and nothing else is new; if not, what is new is not in it
            self._stage.feedback.latch(update.surface, frame)
        self.flip_watch.took_off(now_ns)
        self.output.cue(Cue.PROMOTED, now_ns)

    def dropped(self, event: FlipDropped, now_ns: int) -> ContentUpdate | None:
        """The kernel gave a frame up. Returns the update whose picture is lost by it."""
        lost = None
        frame = self._flights.parked
        if frame is not None and frame.number == event.user_data:
            lost = self._parking.dropped(event, now_ns)
        elif self._flights.is_in_air(event.user_data):
            frame = self._flights.recall(now_ns)
            self._parking.given_up(frame, -event.status, now_ns)
            assert frame.waiting is not None
            self._stage.feedback.take_back(frame.waiting.surface, frame, now_ns)
            self.crtc.forget(frame.shows)
        else:
            return None  # overridden by us
        self.output.cue(Cue.DROPPED, now_ns)
        if lost is None and frame.waiting is not None:
            self.offered(frame.waiting.surface, now_ns)
        return lost

    # -- end --------------------------------------------------------------------------------------

    def close(self, now_ns: int) -> None:
        """Everything ends."""
        self._leave(now_ns)
        self._flights.close(now_ns)
        self._swapchain.close()

    def darken(self, now_ns: int) -> Darkening:
        """Its connector is gone. What is left takes the flip events from here on."""
        self._leave(now_ns)
        rest = Darkening(self._stage, self.crtc, self._flights, self._swapchain, self.flip_watch)
        rest.begin(now_ns)
        return rest

    def _leave(self, now_ns: int) -> None:
        frame = self._flights.in_air
        if frame is not None:
            self._stage.feedback.abandon(frame, now_ns)
            if frame.composed_fence is not None:
                self._stage.device.close_fd(frame.composed_fence)
                frame.composed_fence = None
        if self._flights.parked is not None:
            self._parking.given_up(self._flights.unpark(now_ns), ECANCELED, now_ns)
        for surface in self.visible:
            surface.shown_on.remove(self.output)
        self.visible, self._own = {}, []
        self._captures.stop(self.output, now_ns)

    def check_invariants(self) -> None:
        self.output.check_invariants()
        self._swapchain.check_invariants()
        self._flights.check_invariants()
        flying = self.output.phase in {Phase.FLIPPING, Phase.FLIPPING_STALE}
        parked = self._flights.parked is not None
        assert flying == (self._flights.in_air is not None or (parked and flying))
        assert parked or self.output.phase is not Phase.PARKED
        assert self._own == [surface for surface in self.visible if surface.main_output is self.output]
        now = self._stage.scene.elements(self.output)
        assert list(map(_look, self._elements)) == list(map(_look, now)), (
            "nobody said that the layout changed"
        )


def _look(element: Element) -> tuple[object, ...]:
    return element.surface, element.extent, element.place, element.is_opaque, tuple(element.visible)
