"""One output: where it is, what it can, and its redraw cycle."""

from dataclasses import dataclass
from enum import IntEnum, auto
from typing import Final

from syncline.compositor.core.geometry import Rect
from syncline.compositor.core.policy import AcquireMode
from syncline.compositor.core.schedule import Margin, VblankGrid
from syncline.kms_model.uapi import ModeInfo

RIGHT_AFTER_NS: Final = 1_000
"""Surely after a latch: where that is, is known to some nanoseconds only, vblanks being predicted in whole ones."""


class Phase(IntEnum):  # hashed at every cue: numbers do that fastest
    IDLE = auto()  # what is on screen is what should be
    SCHEDULED = auto()  # a frame is due before a vblank
    FLIPPING = auto()  # the kernel has our frame
    FLIPPING_STALE = auto()  # it has it, and it is already out of date
    PARKED = auto()  # it has one that waits for a user fence, and that another may still replace


class Cue(IntEnum):
    DAMAGED = auto()  # something to show, or somebody who waits for a frame
    LATCHED = auto()  # the frame went to the kernel
    NOTHING = auto()  # at the deadline there was nothing to show after all
    REFUSED = auto()  # the kernel did not take the frame: try the next vblank
    FLIPPED = auto()  # the display shows it
    PARKED = auto()  # at the deadline nothing was new but a picture that a user fence holds back
    PROMOTED = auto()  # the user fence signalled: the frame is one like any other
    DROPPED = auto()  # it did not, and the kernel gave the frame up


NEXT_PHASE: Final = {
    (Phase.IDLE, Cue.DAMAGED): Phase.SCHEDULED,
    (Phase.SCHEDULED, Cue.DAMAGED): Phase.SCHEDULED,
    (Phase.SCHEDULED, Cue.LATCHED): Phase.FLIPPING,
    (Phase.SCHEDULED, Cue.NOTHING): Phase.IDLE,
    (Phase.SCHEDULED, Cue.REFUSED): Phase.SCHEDULED,
    (Phase.FLIPPING, Cue.DAMAGED): Phase.FLIPPING_STALE,
    (Phase.FLIPPING, Cue.FLIPPED): Phase.IDLE,
    (Phase.FLIPPING_STALE, Cue.DAMAGED): Phase.FLIPPING_STALE,
    (Phase.FLIPPING_STALE, Cue.FLIPPED): Phase.SCHEDULED,
    (Phase.SCHEDULED, Cue.PARKED): Phase.PARKED,
    (Phase.PARKED, Cue.DAMAGED): Phase.SCHEDULED,
    (Phase.PARKED, Cue.PROMOTED): Phase.FLIPPING,
    (Phase.SCHEDULED, Cue.PROMOTED): Phase.FLIPPING_STALE,
    (Phase.FLIPPING_STALE, Cue.PROMOTED): Phase.FLIPPING_STALE,
    (Phase.PARKED, Cue.DROPPED): Phase.IDLE,
    (Phase.SCHEDULED, Cue.DROPPED): Phase.SCHEDULED,
    (Phase.FLIPPING, Cue.DROPPED): Phase.SCHEDULED,
    (Phase.FLIPPING_STALE, Cue.DROPPED): Phase.SCHEDULED,
}


@dataclass(eq=False, slots=True)
class Output:
    """A connected connector with its CRTC. `rect` is its place in the global space, in pixels (scale 1)."""

    number: int
    name: str
    mode: ModeInfo
    rect: Rect
    acquire_mode: AcquireMode
    grid: VblankGrid
    margin: Margin
    scale: int = 1
    transform: int = 0
    phase: Phase = Phase.IDLE
    target_ns: int = 0
    """The vblank the scheduled frame is for; meaningful while SCHEDULED."""
    latch_ns: int = 0
    """When that frame is to be latched."""

    @property
    def refresh_ns(self) -> int:
        return self.grid.refresh_ns

    def cue(self, cue: Cue, now_ns: int) -> None:
        """Move on in the cycle; entering SCHEDULED (again) aims at the next vblank that can be made."""
        before, self.phase = self.phase, NEXT_PHASE[self.phase, cue]
        if self.phase is Phase.SCHEDULED and (before is not Phase.SCHEDULED or cue is Cue.REFUSED):
            self._aim(now_ns + 1 if cue is Cue.REFUSED else now_ns)

    def expect_composition(self, now_ns: int) -> None:
        """The scheduled frame turns out to be a dear one: begin it earlier, if that is still possible."""
        self.margin.expects_composition = True
        if self.phase is Phase.SCHEDULED:
            self.latch_ns = max(now_ns, min(self.latch_ns, self.target_ns - self.margin.value_ns))

    def hurry(self, now_ns: int) -> None:
        """The scheduled frame may be shown at once: latch it now."""
        if self.phase is Phase.SCHEDULED:
            self.latch_ns = min(self.latch_ns, now_ns)

    def _aim(self, now_ns: int) -> None:
        margin_ns = self.margin.value_ns
        self.target_ns = self.grid.target_for(now_ns=now_ns, margin_ns=margin_ns)
        self.latch_ns = self.target_ns - margin_ns

    def aim_from(self, now_ns: int) -> int:
        """The vblank of the next frame that something new now would be in."""
        if self.phase is Phase.SCHEDULED:
            return self.target_ns
        surely_ns = now_ns - RIGHT_AFTER_NS + 1
        soonest_ns = self.grid.target_for(now_ns=surely_ns, margin_ns=self.margin.value_ns)
        if self.phase in {Phase.IDLE, Phase.PARKED}:
            return soonest_ns
        return max(soonest_ns, self.target_ns + self.refresh_ns)

    def turn_of(self, time_ns: int) -> int:
        """From when on, as far as is known, something new would be shown at `time_ns` or later and not before."""
        vblank_ns = self.grid.next_after(time_ns - 1)
        turn_ns = vblank_ns - self.refresh_ns - self.margin.value_ns + RIGHT_AFTER_NS
        if self.phase is Phase.SCHEDULED and self.target_ns < time_ns:
            return max(turn_ns, self.latch_ns)
        return turn_ns

    @property
    def deadline_ns(self) -> int | None:
        return self.latch_ns if self.phase is Phase.SCHEDULED else None

    def check_invariants(self) -> None:
        if self.phase is Phase.SCHEDULED:
            assert self.latch_ns < self.target_ns
            assert (self.target_ns - self.grid.last_ns) % self.refresh_ns == 0
