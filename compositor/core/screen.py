"""One output at work: latches what it shows, gives it to the kernel, learns that it was shown."""

from collections.abc import Iterable

from msgspec.structs import replace

from syncline.compositor.core.buffer import Origin
from syncline.compositor.core.capture import Captures
from syncline.compositor.core.composition import Image, Swapchain
from syncline.compositor.core.damage import Damage
from syncline.compositor.core.darkening import Darkening
from syncline.compositor.core.display import Crtc, Plane, Show
from syncline.compositor.core.extent import FIXED
from syncline.compositor.core.flights import Flights
from syncline.compositor.core.frame import Frame
from syncline.compositor.core.geometry import Rect, Region
from syncline.compositor.core.in_fence import in_fence, is_unfinished, look_who_is_finished
from syncline.compositor.core.lessons import Lessons
from syncline.compositor.core.output import Cue, Output, Phase
from syncline.compositor.core.overdue import FlipWatch
from syncline.compositor.core.policy import ImplicitMode
from syncline.compositor.core.scanout import Arrangement, Arranger
from syncline.compositor.core.scene import Element
from syncline.compositor.core.stage import Stage
from syncline.compositor.core.surface import Surface
from syncline.compositor.core.tearing import Tearing
from syncline.kms_model.uapi import (
    DeviceError,
    DmaBufImportSyncFile,
    DmaBufSyncFlag,
    Fd,
    FlipComplete,
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
        self._whole = Rect(0, 0, screen.width * FIXED, screen.height * FIXED), screen
        """What a composition shows, and where."""
        self._swapchain = Swapchain(
            stage.device, stage.memory, stage.policy, width=screen.width, height=screen.height
        )
        self._arranger = Arranger(stage.device, stage.memory, crtc, screen)
        self._tearing = Tearing(crtc)
        self._damage = Damage(screen)
        self._flights = Flights(stage, self._swapchain.timeline)
        self.flip_watch = FlipWatch(stage, crtc, self._flights)
        self._lessons = Lessons(stage.device, output)
        self._elements: list[Element] = []
        self._direct: set[Surface] = set()
        """Surfaces that the last latch put on planes: a new buffer of theirs needs no composition."""
        self.visible: dict[Surface, None] = {}
        """Surfaces of which a part can be seen here, hence whose updates make a new frame worthwhile."""

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
        show = self._composition_show(painted.image)
        blob = stage.device.call(ModeCreateBlob(data=encode_mode(self.output.mode))).blob_id
        request = self.crtc.light(show, mode_blob=blob, in_fence=painted.fence, user_data=frame.number)
        reply = stage.device.call(request)
        stage.device.close_fd(painted.fence)
        stage.device.call(ModeDestroyBlob(blob_id=blob))  # the CRTC's state has it now
        self.crtc.taken({self.crtc.primary: show})
        self._flights.take_off(frame, reply, now_ns)
        self.flip_watch.took_off(now_ns)
        self.output.phase = Phase.FLIPPING

    def damaged(self, surface: Surface, rects: Iterable[Rect], now_ns: int) -> None:
        """New content of a surface; a new frame if it can be seen."""
        self._damage.add(surface, rects)
        if surface in self.visible:
            if surface not in self._direct:
                self.output.expect_composition(now_ns)
            self.output.cue(Cue.DAMAGED, now_ns)
            self._hurry(surface, now_ns)

    def _hurry(self, surface: Surface, now_ns: int) -> None:
        if self._tearing.could_follow(surface, self._flights.planes, now_ns):
            self.output.hurry(now_ns)

    def repaint(self, now_ns: int) -> None:
        """What the GPU was painting is lost."""
        self._damage.forget()
        self.output.expect_composition(now_ns)
        self.output.cue(Cue.DAMAGED, now_ns)

    def latch(self, now_ns: int) -> None:
        """Fix what the next frame shows and give it to the kernel."""
        elements = self._elements
        arrangement = Arrangement(composed=elements)
        if self._stage.policy.direct_scanout:
            arrangement = self._arranger.arrange(elements, composition=self._any_composition())
        if not self._has_news(arrangement):
            self.output.cue(Cue.NOTHING, now_ns)
            self._pass_barriers(now_ns)
            return
        frame = None
        if self._may_tear(arrangement, now_ns):
            frame = self._fly(arrangement, elements, now_ns, is_torn=True)
            if frame is None:
                self._tearing.refused()
        frame = frame or self._fly(arrangement, elements, now_ns)
        if frame is None and not self._arranger.trusts(arrangement):
            arrangement = Arrangement(composed=elements)
            frame = self._fly(arrangement, elements, now_ns)
        if frame is None:
            self.output.cue(Cue.REFUSED, now_ns)
            return
        for surface in self.visible:
            if surface.main_output is self.output:
                self._stage.feedback.latch(surface, frame)
        if not frame.is_torn:  # F4
            self._pass_barriers(now_ns)
        self._captures.copy(self.output, now_ns)
        self._direct = {element.surface for element in arrangement.planes.values()}
        self.output.margin.expects_composition = False
        self.output.cue(Cue.LATCHED, now_ns)
        self._lessons.latched(frame)
        self._stage.journal.latched(
            self.output.name, frame.number, target_ns=frame.target_ns,
            margin_ns=frame.target_ns - frame.planned_ns, how=frame.how,
            updates=tuple(update.number for update in frame.updates), now_ns=now_ns,
        )  # fmt: skip

    def _pass_barriers(self, now_ns: int) -> None:
        """Not when the kernel refused or the frame was torn: the deadline is yet to come."""
        for surface in self.visible:
            if surface.main_output is self.output:
                self._stage.pacing.latched(surface, now_ns)

    def flipped(self, flip: FlipComplete, now_ns: int) -> None:
        """The display took the frame at `flip.time_ns`."""
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
            self._hurry(surface, now_ns)

    def settled(self, now_ns: int) -> None:
        """The work of latching ended now."""
        self._lessons.settled(now_ns)

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

    def _has_news(self, arrangement: Arrangement) -> bool:
        loans = frozenset(element.loan for element in arrangement.planes.values())
        is_composed = self.crtc.primary not in arrangement.planes
        return (
            any(surface.main_output is self.output and surface.has_news for surface in self.visible)
            or self._captures.is_asked(self.output)
            or loans != self._flights.planes
            or any(plane.shown != show for plane, show in self._client_shows(arrangement).items())
            or (is_composed and bool(self._damage.since_last(arrangement.composed)))
        )

    def _client_shows(self, arrangement: Arrangement) -> dict[Plane, Show | None]:
        """Planes with client content, and those that are to show nothing."""
        shows = self._arranger.shows(arrangement, self._any_composition())
        if self.crtc.primary not in arrangement.planes:
            del shows[self.crtc.primary]
        return shows

    def _any_composition(self) -> Show:
        """What a composition looks like to the kernel, whichever image it is in."""
        return self._composition_show(self._swapchain.images[0])

    def _composition_show(self, image: Image) -> Show:
        return Show(self._stage.memory.framebuffer(image.buffer), *self._whole)

    # -- giving it to the kernel ------------------------------------------------------------------

    def _may_tear(self, arrangement: Arrangement, now_ns: int) -> bool:
        implicit = self._stage.policy.implicit
        is_ready = not any(is_unfinished(element.loan, implicit) for element in arrangement.planes.values())
        return is_ready and self._tearing.allows(arrangement, self._flights.planes, now_ns)

    def _fly(
        self, arrangement: Arrangement, elements: list[Element], now_ns: int, *, is_torn: bool = False
    ) -> Frame | None:
        """Compose what must be composed and commit; None if the machine refused."""
        output = self.output
        loans = frozenset(element.loan for element in arrangement.planes.values())
        frame = Frame(
            self._flights.next_number, output.latch_ns, now_ns, output.target_ns, image=None, planes=loans,
            is_torn=is_torn,
        )  # fmt: skip
        fences: dict[Plane, Fd] = {}
        try:
            look_who_is_finished(self._stage.device, (element.loan for element in elements))
            if self.crtc.primary not in arrangement.planes:
                self._compose(arrangement, frame, fences)
            for plane, element in arrangement.planes.items():
                if element.loan.explicit:
                    fences[plane] = in_fence(
                        self._stage.device, element.loan, done_fence=self._stage.done_fence
                    )
            self._commit(arrangement, frame, fences, now_ns)
        except DeviceError as refusal:
            self._stage.journal.refused(refusal, "showing a frame", now_ns)
            if frame.composed_point:
                self._flights.stray(frame.composed_point, frame.read)
            self._damage.forget()
            if not is_torn:
                self._arranger.refused(arrangement, refusal.errno)
            return None
        finally:
            for fence in fences.values():
                if fence != self._stage.done_fence:
                    self._stage.device.close_fd(fence)
        return frame

    def _compose(self, arrangement: Arrangement, frame: Frame, fences: dict[Plane, Fd]) -> None:
        stage, implicit = self._stage, self._stage.policy.implicit is ImplicitMode.FORWARD
        damage = self._damage.since_last(arrangement.composed)
        frame.image = self._swapchain.newest
        if not damage:
            return
        label = f"{self.output.name} frame {frame.number}"
        painted = self._swapchain.compose(arrangement.composed, damage, implicit=implicit, label=label)
        fences[self.crtc.primary] = painted.fence
        frame.image, frame.composed_point, frame.read = painted.image, painted.point, painted.read
        self._flights.reads(painted.read, painted.point)
        self._damage.composed(arrangement.composed)
        for loan in painted.read:
            if not implicit and not loan.explicit and loan.buffer.origin is Origin.DMABUF:
                publish = DmaBufImportSyncFile(
                    fd=loan.buffer.fd, flags=DmaBufSyncFlag.READ, sync_file=painted.fence
                )
                stage.device.call(publish)

    def _commit(self, arrangement: Arrangement, frame: Frame, fences: dict[Plane, Fd], now_ns: int) -> None:
        composition = self._any_composition()
        if frame.image is not None:
            composition = self._composition_show(frame.image)
        shows = self._arranger.shows(arrangement, composition)
        leaves = any(loan.explicit and loan not in frame.planes for loan in self._flights.planes)
        request = self.crtc.flip(
            shows, in_fences=fences, wants_out_fence=leaves, user_data=frame.number, is_torn=frame.is_torn
        )
        reply = self._stage.device.call(request)
        self.crtc.taken(shows)
        frame.waits_for = frozenset(
            loan for loan in (*frame.read, *frame.planes) if is_unfinished(loan, self._stage.policy.implicit)
        )
        if frame.composed_point and self._lessons.is_sample(frame):
            frame.composed_fence = fences.pop(self.crtc.primary)
        self._flights.take_off(frame, reply, now_ns)
        self.flip_watch.took_off(now_ns)

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
        for surface in self.visible:
            surface.shown_on.remove(self.output)
        self.visible = {}
        self._captures.stop(self.output, now_ns)

    def check_invariants(self) -> None:
        self.output.check_invariants()
        self._swapchain.check_invariants()
        self._flights.check_invariants()
        flying = self.output.phase in {Phase.FLIPPING, Phase.FLIPPING_STALE}
        assert flying == (self._flights.in_air is not None)
        now = self._stage.scene.elements(self.output)
        assert list(map(_look, self._elements)) == list(map(_look, now)), (
            "nobody said that the layout changed"
        )


def _look(element: Element) -> tuple[object, ...]:
    return element.surface, element.extent, element.place, element.is_opaque, tuple(element.visible)
