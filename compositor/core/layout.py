"""Keeping the scene in order: placement, which surface is on which output, and telling them."""

from syncline.compositor.core.effects import EnterOutput, LeaveOutput, PreferredScale
from syncline.compositor.core.output import Cue
from syncline.compositor.core.placement import choose_output, place_windows
from syncline.compositor.core.screen import Screen
from syncline.compositor.core.stage import Stage
from syncline.compositor.core.surface import Surface

SCALE_120 = 120


class Layout:
    """Anybody who moves, maps, resizes or restacks something says `changed`; `settle` puts it right once."""

    def __init__(self, stage: Stage, screens: list[Screen]) -> None:
        self._stage = stage
        self._screens = screens
        self._placed: dict[Surface, None] = {}
        self._scaled: set[Surface] = set()
        self._is_stale = False

    def changed(self) -> None:
        self._is_stale = True

    def settle(self, now_ns: int) -> None:
        if not self._is_stale:
            return
        self._is_stale = False
        before = {surface: surface.main_output for surface in self._placed}
        self._place()
        self._tell()
        for screen in self._screens:
            screen.look()
        for screen in self._screens:
            screen.adopt()
            screen.output.expect_composition(now_ns)
            screen.output.cue(Cue.DAMAGED, now_ns)
        for surface in self._placed:
            if surface.main_output is not before.get(surface):
                surface.shown_since_ns = now_ns

    def _place(self) -> None:
        outputs = [screen.output for screen in self._screens]
        windows = sorted(self._stage.scene.windows, key=lambda window: window.xdg.surface.number)
        known = {output.number for output in outputs}
        for window in windows:
            if window.output not in known:
                chosen = choose_output(outputs, windows)
                window.output = chosen.number if chosen is not None else None
        for output in outputs:
            mine = [window for window in windows if window.output == output.number]
            place_windows(output, [window for window in mine if not window.is_minimized])

    def _tell(self) -> None:
        effects = self._stage.effects
        overlaps = self._stage.scene.overlaps([screen.output for screen in self._screens])
        for surface in {**self._placed, **overlaps}:
            now = overlaps.get(surface, [])
            if not surface.alive:
                surface.outputs = []
                continue
            effects.extend(LeaveOutput(surface, gone) for gone in surface.outputs if gone not in now)
            effects.extend(EnterOutput(surface, new) for new in now if new not in surface.outputs)
            if now and surface not in self._scaled:
                self._scaled.add(surface)
                effects.append(PreferredScale(surface, SCALE_120 * now[0].scale, now[0].transform))
            surface.outputs = now
        self._placed = dict.fromkeys(overlaps)

    def forget(self, surface: Surface) -> None:
        """The surface was destroyed: nobody is told of its leaving."""
        self._placed.pop(surface, None)
        self._scaled.discard(surface)
        surface.outputs = []
        self.changed()
