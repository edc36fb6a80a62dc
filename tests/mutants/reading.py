"""Buffers that are given back while the display, a copy or a composition still reads them."""

from contextlib import suppress
from typing import Any

from mutants.mutant import Broken, breaks
from syncline.compositor.core.buffer import Buffer, Origin
from syncline.compositor.core.capture import Capture, Captures
from syncline.compositor.core.commits import Commits
from syncline.compositor.core.constraint import AcquirePoint, ConstraintState
from syncline.compositor.core.errors import Violation
from syncline.compositor.core.flights import Flights
from syncline.compositor.core.surface import ContentUpdate, Surface
from syncline.compositor.core.waits import Waits
from syncline.kms_model.uapi import DeviceError, SyncobjTransfer
from syncline.protocol.enums import WlSurface as WlSurfaceEnums


def _has_none(_has: Broken, self: Flights, *_flip: Any) -> bool:
    return False


@breaks("S71", at=(Flights, "_rise"), killed_by="REL-23", also=((Flights, "_has_fence_for", _has_none),))
def releases_when_the_next_flip_begins(
    rise: Broken, self: Flights, frame: Any, now_ns: int, **_fence: Any
) -> None:
    """A scanned out buffer is given back when its successor is submitted, and is still on the screen."""
    rise(self, frame, now_ns)
    for loan in frame.leaving:
        if loan.release is not None and not loan.point_reached and not loan.is_wanted:
            self._stage.releases._signal(loan.release)
            loan.point_reached = True


@breaks("S71 S88", at=(Flights, "_rise"), killed_by="REL-24")
def lets_the_first_screen_decide(rise: Broken, self: Flights, frame: Any, now_ns: int, **fence: Any) -> None:
    """A buffer on two screens is given back when one of them lets go."""
    rise(self, frame, now_ns, **fence)
    for loan in frame.leaving:
        if loan.explicit and loan.planes and not loan.point_reached and not loan.is_current:
            self._stage.releases._reach_point(loan, None, is_idle=False, now_ns=now_ns)


@breaks("S71 S86", at=(Captures, "_start"), killed_by="REL-26 REL-32")
def forgets_who_copies(start: Broken, self: Captures, capture: Capture, elements: Any) -> None:
    """A buffer is given back while a capture reads it."""
    start(self, capture, elements)
    for loan in capture.read:
        loan.fences.pop(self._timeline, None)


@breaks("S71", at=(Flights, "reads"), killed_by="REL-36")
def forgets_who_composes(reads: Broken, self: Flights, loans: Any, point: int) -> None:
    """A buffer is given back while a composition reads it."""
    loans = list(loans)
    reads(self, loans, point)
    for loan in loans:
        loan.fences.pop(self._compositions, None)


@breaks("S71", at=(Waits, "_begin"), killed_by="REL-34")
def takes_an_import_for_a_copy(
    begin: Broken, self: Waits, update: ContentUpdate, constraint: AcquirePoint, now_ns: int
) -> None:
    """An image that is still being painted elsewhere is given back when that is done, and has not been read yet."""
    begin(self, update, constraint, now_ns)
    if update.loan is None or update.loan.release is None or constraint.state is ConstraintState.RELEASED:
        return
    source, target = constraint.point, update.loan.release
    with suppress(DeviceError):  # nobody has submitted anything
        self._device.call(
            SyncobjTransfer(
                src_handle=source.timeline.handle, src_point=source.value,
                dst_handle=target.timeline.handle, dst_point=target.value,
            )
        )  # fmt: skip
        update.loan.point_reached = True


@breaks("D8 S20", at=(Commits, "commit"), killed_by="KMS-11 DMA-02")
def blames_clients_for_the_machine(commit: Broken, self: Commits, surface: Surface, now_ns: int) -> None:
    """A buffer that the display cannot show any more is an error of its commit."""
    attached = surface.pending.attached
    commit(self, surface, now_ns)
    is_import = isinstance(attached, Buffer) and attached.origin is Origin.DMABUF
    if isinstance(attached, Buffer) and is_import and not self._stage.memory.framebuffer(attached):
        raise Violation(WlSurfaceEnums.Error.NO_BUFFER, "it was imported, and now it is of no use")


@breaks("D10 S61", at=(Waits, "await_writers"), killed_by="DMA-03")
def leaves_writers_to_the_display(_await: Broken, self: Waits, update: ContentUpdate, *_: Any) -> None:
    """An implicit fence is waited for by the whole screen."""
