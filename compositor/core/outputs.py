"""The outputs there are: lit when they appear, let go when they disappear."""

from itertools import count

from syncline.compositor.core.capture import Captures
from syncline.compositor.core.display import Crtc, find_crtcs
from syncline.compositor.core.effects import OutputAdded, OutputRemoved
from syncline.compositor.core.geometry import Rect
from syncline.compositor.core.layout import Layout
from syncline.compositor.core.output import Output
from syncline.compositor.core.schedule import Margin, VblankGrid
from syncline.compositor.core.screen import Screen
from syncline.compositor.core.stage import Stage
from syncline.kms_model.uapi import FlipComplete


class Outputs:
    """`screens` is shared with those who draw on all of them."""

    def __init__(self, stage: Stage, captures: Captures, layout: Layout, screens: list[Screen]) -> None:
        self._stage = stage
        self._captures = captures
        self._layout = layout
        self.screens = screens
        self._numbers = count(1)

    def rescan(self, now_ns: int) -> None:
        """Connectors may have come or gone: light the new, let go of the rest. Raises DeviceError."""
        found = {crtc.connector: crtc for crtc in find_crtcs(self._stage.device)}
        for screen in list(self.screens):
            if screen.crtc.connector not in found:
                self.screens.remove(screen)
                screen.close(now_ns)
                self._stage.effects.append(OutputRemoved(screen.output))
        lit = {screen.crtc.connector for screen in self.screens}
        for connector, crtc in found.items():
            if connector not in lit:
                self._light(crtc, now_ns)
        self._layout.changed()
        self._layout.settle(now_ns)

    def _light(self, crtc: Crtc, now_ns: int) -> None:
        mode, policy = crtc.modes[0], self._stage.policy
        left = max((screen.output.rect.right for screen in self.screens), default=0)
        output = Output(
            next(self._numbers), crtc.connector_name, mode,
            Rect(left, 0, mode.hdisplay, mode.vdisplay), policy.acquire,
            grid=VblankGrid(mode.refresh_ns, last_ns=now_ns, last_sequence=0),
            margin=Margin(
                first_ns=policy.first_margin_ns, safety_ns=policy.margin_safety_ns,
                refresh_ns=mode.refresh_ns,
            ),
        )  # fmt: skip
        screen = Screen(self._stage, self._captures, output, crtc)
        screen.light(now_ns)
        self.screens.append(screen)
        self._stage.effects.append(OutputAdded(output))

    def flipped(self, flip: FlipComplete, now_ns: int) -> None:
        for screen in self.screens:
            if screen.crtc.id == flip.crtc_id:
                screen.flipped(flip, now_ns)

    def tick(self, now_ns: int) -> None:
        for screen in self.screens:
            due_ns = screen.output.deadline_ns
            if due_ns is not None and due_ns <= now_ns:
                screen.latch(now_ns)

    def close(self, now_ns: int) -> None:
        for screen in self.screens:
            screen.close(now_ns)
        self.screens.clear()
