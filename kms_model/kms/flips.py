"""A commit as an observer of buffers sees it: on each CRTC, what it waits for and what will be scanned out."""

from collections.abc import Iterator

from syncline.kms_model.accesses import AccessObserver, Flip, Reservation, Wait
from syncline.kms_model.buffers.resv import Usage
from syncline.kms_model.kms.display import Display
from syncline.kms_model.kms.event import FlipEvent
from syncline.kms_model.kms.objects import PlaneState
from syncline.kms_model.kms.state import AtomicState
from syncline.kms_model.observer import AwaitedPoint


def tell_flips(display: Display, accesses: AccessObserver, state: AtomicState) -> None:
    """At the swap. Every CRTC waits for the fences of all planes: no hardware is touched before (kernel.md 3.3)."""
    implicit = display.profile.implicit_fences
    waits = [wait for plane in state.planes.values() for wait in _waits(plane, implicit=implicit)]
    for crtc, new in state.crtcs.items():
        if new.commit is None:
            continue
        event = new.event
        shown = (plane.state.fb for plane in crtc.state.planes) if crtc.state.active else ()
        accesses.committed(
            state.file,
            Flip(
                crtc=crtc,
                crtc_id=crtc.id,
                commit=new.commit,
                waits=waits,
                shows=[fb.gem.resv for fb in shown if fb is not None],
                outs=() if event is None or event.fence is None else (event.fence,),
                user_outs=_owed(event),
            ),
        )
    _tell_writeback(accesses, state)


def _tell_writeback(accesses: AccessObserver, state: AtomicState) -> None:
    for connector, new in state.connectors.items():
        if new.writeback is not None and new.writeback.fb is not None:
            accesses.will_write_back(connector, new.writeback.fb.gem.resv, new.writeback.out_fence)


def tell_end(display: Display, state: AtomicState) -> None:
    """A blocking commit returns: its caller knows that it is on the screen."""
    if display.kernel.accesses is not None:
        for commit in state.crtc_commits.values():
            display.kernel.accesses.flip_told(state.file, commit)


def _waits(plane: PlaneState, *, implicit: bool) -> Iterator[Wait]:
    if plane.fb is None:
        return
    for point in plane.user_points:
        yield Wait(AwaitedPoint(point.slot, point.point, is_user=True), None)
    if plane.in_file is not None:
        yield Wait(plane.in_file, plane.in_file.fence)
    elif implicit and not plane.user_points:
        yield Wait(Reservation(plane.fb.gem.resv, Usage.WRITE), None)


def _owed(event: FlipEvent | None) -> tuple[AwaitedPoint, ...]:
    """A parked commit is promoted with its event, which has the point."""
    if event is None or event.point is None:
        return ()
    return (AwaitedPoint(event.point.slot, event.point.point, is_user=True),)
