"""The outputs there are: lit when they appear, let go when they disappear."""

from errno import ENODEV
from itertools import count

from syncline.compositor.core.capture import Captures
from syncline.compositor.core.darkening import Darkening
from syncline.compositor.core.display import Crtc, find_crtcs
from syncline.compositor.core.effects import OutputAdded, OutputRemoved
from syncline.compositor.core.geometry import Rect
from syncline.compositor.core.layout import Layout
from syncline.compositor.core.output import Output
from syncline.compositor.core.schedule import Margin, VblankGrid
from syncline.compositor.core.screen import Screen
from syncline.compositor.core.stage import Stage
from syncline.compositor.core.surface import ContentUpdate
from syncline.kms_model.uapi import DeviceError, FlipComplete, FlipDropped


class Outputs:
    """`screens` is shared with those who draw on all of them."""

    def __init__(self, stage: Stage, captures: Captures, layout: Layout, screens: list[Screen]) -> None:
        self._stage = stage
        self._captures = captures
        self._layout = layout
        self.screens = screens
        self._darkenings: list[Darkening] = []
        self._numbers = count(1)

    def rescan(self, now_ns: int) -> None:
        """Connectors may have come or gone: light the new, let go of the rest. Raises DeviceError."""
        self._darkenings = [each for each in self._darkenings if not each.is_over]
        kept = {screen.crtc.connector: screen.crtc.id for screen in self.screens}
        busy = {each.crtc.id for each in self._darkenings}
        found = {crtc.connector: crtc for crtc in find_crtcs(self._stage.device, kept=kept, busy=busy)}
        for screen in list(self.screens):
            if screen.crtc.connector not in found:
                self.screens.remove(screen)
                self._darkenings.append(screen.darken(now_ns))
                self._stage.effects.append(OutputRemoved(screen.output))
        for connector, crtc in found.items():
            if connector not in kept:
                self._light(crtc, now_ns)
        self._layout.changed()
        self._layout.settle(now_ns)

    def hotplug(self, now_ns: int) -> None:
        """The same later, when a refusal is no reason to end. Raises DeviceError(ENODEV)."""
        try:
            self.rescan(now_ns)
        except DeviceError as refusal:
            if refusal.errno == ENODEV:
                raise
            self._stage.journal.refused(refusal, "looking at the connectors", now_ns)

    def _light(self, crtc: Crtc, now_ns: int) -> None:
        mode, policy = crtc.modes[0], self._stage.policy
        left = max((screen.output.rect.right for screen in self.screens), default=0)
        output = Output(
            next(self._numbers), crtc.connector_name, mode,
            Rect(left, 0, mode.hdisplay, mode.vdisplay), policy.acquire,
            grid=VblankGrid(mode.refresh_ns, last_ns=now_ns, last_sequence=0),
            margin=Margin(
                first_ns=policy.first_margin_ns, safety_ns=policy.safety_ns,
                alone_safety_ns=policy.alone_safety_ns, refresh_ns=mode.refresh_ns,
            ),
        )  # fmt: skip
        screen = Screen(self._stage, self._captures, output, crtc)
        try:
            screen.light(now_ns)
        except DeviceError:
            screen.close(now_ns)
            raise
        self.screens.append(screen)
        self._stage.effects.append(OutputAdded(output))

    def flipped(self, flip: FlipComplete, now_ns: int) -> None:
        for screen in self.screens:
            if screen.crtc.id == flip.crtc_id:
                screen.flipped(flip, now_ns)
                return
        for darkening in self._darkenings:
            if darkening.crtc.id == flip.crtc_id:
                darkening.flipped(flip, now_ns)
        if any(each.is_over for each in self._darkenings):
            self.hotplug(now_ns)  # the cable may be back by now

    def waiting_in(self, flip: FlipComplete) -> ContentUpdate | None:
        """See `Screen.waiting_in`."""
        for screen in self.screens:
            if screen.crtc.id == flip.crtc_id:
                return screen.waiting_in(flip)
        return None

    def dropped(self, event: FlipDropped, now_ns: int) -> ContentUpdate | None:
        """See `Screen.dropped`."""
        screens = (screen for screen in self.screens if screen.crtc.id == event.crtc_id)
        return next((screen.dropped(event, now_ns) for screen in screens), None)

    def repaint(self, now_ns: int) -> None:
        """The GPU was reset."""
        for screen in self.screens:
            screen.repaint(now_ns)

    def deadlines_ns(self) -> list[int | None]:
        """When `tick` wants to be called."""
        deadlines: list[int | None] = []
        for screen in self.screens:
            deadlines += screen.output.deadline_ns, screen.flip_watch.deadline_ns
        for darkening in self._darkenings:
            deadlines.append(darkening.watch.deadline_ns)
        return deadlines

    def tick(self, now_ns: int) -> None:
        for screen in self.screens:
            due_ns = screen.output.deadline_ns
            if due_ns is not None and due_ns <= now_ns:
                screen.latch(now_ns)
        for screen in self.screens:
            screen.flip_watch.tick(now_ns)
        for darkening in self._darkenings:
            darkening.watch.tick(now_ns)

    def close(self, now_ns: int) -> None:
        for screen in self.screens:
            screen.close(now_ns)
        self.screens.clear()
        for darkening in self._darkenings:
            darkening.finish(now_ns)
