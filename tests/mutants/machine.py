"""Compositors that fall over what goes wrong in their machine."""

from collections.abc import Iterator
from typing import Any, Final

from mutants.mutant import Broken, breaks
from syncline.compositor.core import commits
from syncline.compositor.core.constraint import ConstraintState
from syncline.compositor.core.darkening import Darkening
from syncline.compositor.core.departure import Departures
from syncline.compositor.core.frame import Frame
from syncline.compositor.core.output import Cue, Output
from syncline.compositor.core.outputs import Outputs
from syncline.compositor.core.overdue import FlipWatch
from syncline.compositor.core.screen import Screen
from syncline.compositor.core.surface import ContentUpdate
from syncline.compositor.core.waits import Waits
from syncline.kms_model.uapi import DeviceError, SyncobjTimelineSignal

FOR_EVER_NS: Final = 1 << 60

# Who still reads.


@breaks("S71", at=(Departures, "_commit"), killed_by="REL-33")
def believes_in_refused_flips(
    commit: Broken, self: Departures, arrangement: Any, frame: Frame, fences: Any, now_ns: int
) -> None:
    """What a refused flip would have taken off the screen is given back."""
    try:
        commit(self, arrangement, frame, fences, now_ns)
    except DeviceError:
        for loan in self._flights.planes - frame.planes:
            if loan.release is not None and not loan.is_current:
                handle, point = loan.release.timeline.handle, loan.release.value
                self._stage.device.call(SyncobjTimelineSignal(handles=(handle,), points=(point,)))
        raise


# Flips and outputs.


@breaks("S60", at=(Output, "cue"), killed_by="KMS-04")
def gives_up_after_a_refusal(cue: Broken, self: Output, what: Cue, now_ns: int) -> None:
    """A frame that the kernel refused is not tried again."""
    cue(self, Cue.NOTHING if what is Cue.REFUSED else what, now_ns)


@breaks("S70", at=(Outputs, "hotplug"), killed_by="KMS-08")
def does_not_hear_of_cables(_hotplug: Broken, _self: Outputs, _now_ns: int) -> None:
    """Outputs stay as they were at the start."""


@breaks("S70", at=(Darkening, "_switch_off"), killed_by="KMS-08")
def leaves_dark_outputs_on(_switch_off: Broken, _self: Darkening, _now_ns: int) -> None:
    """What an output showed that is gone is never given back."""


# Who waits for whom.


@breaks("S61 S64", at=(Waits, "await_point"), killed_by="KMS-06")
def hands_any_fence_to_the_display(
    await_point: Broken, self: Waits, update: ContentUpdate, *, now_ns: int, **_: bool
) -> None:
    """Whatever has a fence goes to the display, which then waits for it with everybody else."""
    await_point(self, update, available_is_enough=True, now_ns=now_ns)


@breaks("S57 S71 S68", at=(Waits, "await_point"), killed_by="KMS-01 KMS-05")
def waits_for_nobody(_await_point: Broken, _self: Waits, _update: ContentUpdate, **_how: Any) -> None:
    """An explicit update is shown at once."""


@breaks("S70 S95", at=(FlipWatch, "tick"), killed_by="KMS-07")
def never_looks_for_a_flip(_tick: Broken, self: FlipWatch, _now_ns: int) -> None:
    """A flip whose event is lost is waited for in vain."""
    self.deadline_ns = None


@breaks("S61", at=(Screen, "latch"), killed_by="KMS-12")
def shows_nothing_while_somebody_waits(latch: Broken, self: Screen, now_ns: int) -> None:
    """One update that is not ready holds every output."""
    if self._stage.waits._pending:
        self.output.cue(Cue.REFUSED, now_ns)
    else:
        latch(self, now_ns)


@breaks("S60", at=(commits, "enqueue"), killed_by="KMS-14")
def forgets_who_is_late(enqueue: Broken, new: ContentUpdate) -> None:
    """A newer update does not let an older one wait."""
    for old in new.surface.queue:
        for constraint in old.constraints:
            constraint.state = ConstraintState.RELEASED
    enqueue(new)


@breaks("D8", at=(Waits, "tick"), killed_by="KMS-11")
def gives_up_what_cannot_be_watched(_tick: Broken, self: Waits, now_ns: int) -> Iterator[ContentUpdate]:
    """An update whose wait could not be registered is never asked for."""
    self.deadline_ns = now_ns + FOR_EVER_NS
    return iter(())
