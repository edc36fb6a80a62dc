"""What a frame of ours still waits for: fences that were accepted before they signalled."""

from syncline.compositor.core.buffer import Origin
from syncline.compositor.core.loan import Loan
from syncline.compositor.core.policy import ImplicitMode
from syncline.compositor.core.release import export_point
from syncline.compositor.core.scene import Element
from syncline.compositor.core.syncobj import SyncPoint
from syncline.kms_model.uapi import DeviceFile, Fd, SyncobjQuery


def in_fence(device: DeviceFile, loan: Loan, *, done_fence: Fd) -> Fd:
    """What the display waits for: what is left of the acquire, and never the buffer's implicit fences.

    `done_fence`, already signalled, says so (kernel.md 2.8: an explicit fence replaces the implicit ones).
    """
    if loan.forwarded and loan.acquire is not None:
        return export_point(device, loan.acquire.timeline.handle, loan.acquire.value)
    return done_fence


def look_who_is_finished(device: DeviceFile, elements: list[Element]) -> None:
    """Whoever has signalled by now need not be waited for."""
    points: dict[Loan, SyncPoint] = {}
    for element in elements:
        loan = element.loan
        if loan.forwarded and loan.acquire is not None and loan.acquire.value:  # 0 has no value to ask for
            points[loan] = loan.acquire
    if points:
        handles = tuple(point.timeline.handle for point in points.values())
        reached = device.call(SyncobjQuery(handles=handles)).points
        for (loan, point), value in zip(points.items(), reached, strict=True):
            loan.forwarded = value < point.value


def is_unfinished(loan: Loan, implicit: ImplicitMode) -> bool:
    """Its client may not have finished it: a late frame is not our fault then."""
    is_implicit = not loan.explicit and loan.buffer.origin is Origin.DMABUF
    return loan.forwarded or (is_implicit and implicit is ImplicitMode.FORWARD)
