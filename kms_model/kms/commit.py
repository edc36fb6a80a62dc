"""Steps 4 to 7 of a commit: who must wait for whom before the new state is swapped in (kernel.md 3.3).

Up to the swap everything can still be undone, and sleeps end on a signal. All of it happens with the
commit's modeset locks held: that is why a blocking commit with a late fence stalls everybody else who
touches its objects, and why a NONBLOCK one, which leaves its waiting to a worker, stalls nobody.
"""

from errno import EBUSY
from typing import Final

from syncline.kms_model.buffers.resv import Usage
from syncline.kms_model.fences.chain import ChainNode
from syncline.kms_model.kms.display import Display
from syncline.kms_model.kms.event import FlipEvent
from syncline.kms_model.kms.flips import tell_flips
from syncline.kms_model.kms.objects import Crtc, CrtcCommit, PlaneState
from syncline.kms_model.kms.state import AtomicState
from syncline.kms_model.kms.tail import Tail
from syncline.kms_model.kms.user_points import accepted, check_out_points
from syncline.kms_model.kms.waiting import wait_for_fences
from syncline.kms_model.observer import Observer
from syncline.kms_model.task import Completion
from syncline.kms_model.trace import CommitTrace
from syncline.kms_model.uapi import DeviceError

THROTTLE_NS: Final = 10_000_000_000


async def commit(display: Display, state: AtomicState, *, nonblock: bool) -> None:
    """Carry out a checked state. EBUSY, or Interrupted, with nothing changed.

    NONBLOCK returns with the tail still to come in a worker; otherwise the tail has been run.
    """
    await set_up(display, state, nonblock=nonblock)
    for plane_state in state.planes.values():
        prepare(display, plane_state)
    await carry_out(display, state, nonblock=nonblock)
    if nonblock:
        display.kernel.spawn(_worker(display, state))
    else:
        await Tail(display, state).run()


async def _worker(display: Display, state: AtomicState) -> None:
    late_ns = display.profile.worker_late_ns
    if late_ns:
        deadline_ns = display.kernel.now_ns + late_ns
        await display.kernel.wait(Completion(), deadline_ns=deadline_ns, interruptible=False)
    await Tail(display, state).run()


async def carry_out(display: Display, state: AtomicState, *, nonblock: bool) -> None:
    """Steps 6 and 7: the waits before the point of no return, and the swap. What is left is the tail."""
    kernel = display.kernel
    if kernel.observer is not None:
        _show(kernel.observer, state)
    if not nonblock:
        await wait_for_fences(display, state, before_swap=True)
    await _wait_for_hardware(display, state)
    if state.out_points:
        check_out_points(state)  # another commit may have been accepted while this one slept
    _swap(display, state)
    if kernel.observer is not None:
        kernel.observer.commit_accepted(accepted(state, parked=False))
    if kernel.accesses is not None:
        tell_flips(display, kernel.accesses, state)
    if kernel.trace is not None:
        kernel.report(_trace(kernel.now_ns, state, nonblock=nonblock))


async def refuse_if_busy(display: Display, state: AtomicState, *, nonblock: bool) -> None:
    """The EBUSY rule (kernel.md 3.5) and the throttle."""
    for crtc in state.crtcs:
        if crtc.commits:
            await _stall(display, crtc, nonblock=nonblock)
    for old_connector in state.old_connectors.values():
        _refuse_if_ahead(old_connector.commit, nonblock=nonblock)
    for old_plane in state.old_planes.values():
        _refuse_if_ahead(old_plane.commit, nonblock=nonblock)


async def set_up(display: Display, state: AtomicState, *, nonblock: bool) -> None:
    """drm_atomic_helper_setup_commit: the EBUSY rule, the throttle, and the completions of this commit."""
    await refuse_if_busy(display, state, nonblock=nonblock)
    for crtc, new in state.crtcs.items():
        new.commit = CrtcCommit()
        if not new.active and not state.old_crtcs[crtc].active:
            new.commit.flip_done.complete()
            continue
        if new.event is None:
            new.event = FlipEvent()
        new.event.flip_done = new.commit.flip_done
        state.crtc_commits[crtc] = new.commit
    for connector, new_connector in state.connectors.items():
        old_connector = state.old_connectors[connector]
        new_connector.commit = _commit_of(state, new_connector.crtc or old_connector.crtc)
    for plane, new_plane in state.planes.items():
        old_plane = state.old_planes[plane]
        new_plane.commit = _commit_of(state, new_plane.crtc or old_plane.crtc)


async def _stall(display: Display, crtc: Crtc, *, nonblock: bool) -> None:
    """At most one commit in flight and one in cleanup per CRTC; triple buffering never gets here."""
    commits = crtc.commits
    _refuse_if_ahead(commits[0], nonblock=nonblock)
    if len(commits) > 1:
        deadline_ns = display.kernel.now_ns + THROTTLE_NS
        if not await display.kernel.wait(commits[1].cleanup_done, deadline_ns=deadline_ns):
            display.warn("cleanup_done", f"CRTC {crtc.id}: cleanup_done timed out")


def _refuse_if_ahead(previous: CrtcCommit | None, *, nonblock: bool) -> None:
    if nonblock and previous is not None and not previous.flip_done.done:
        raise DeviceError(EBUSY, "the commit before has not reached the screen")


def _commit_of(state: AtomicState, crtc: Crtc | None) -> CrtcCommit:
    """crtc_or_fake_commit."""
    if crtc is not None:
        of_crtc = state.crtcs[crtc].commit
        assert of_crtc is not None, "CRTCs are set up first"
        return of_crtc
    if state.fake_commit is None:
        state.fake_commit = CrtcCommit()
    return state.fake_commit


def prepare(display: Display, plane: PlaneState) -> None:
    """prepare_fb: an explicit fence replaces the implicit ones, except for moves of the memory itself."""
    _collect(display, plane, Usage.KERNEL if plane.is_explicit else Usage.WRITE)


def collect_moves(display: Display, plane: PlaneState) -> None:
    """The KERNEL fences alone: what a promoted commit adds to what it was parked with (UR6)."""
    _collect(display, plane, Usage.KERNEL)


def _collect(display: Display, plane: PlaneState, usage: Usage) -> None:
    if plane.fb is None or not display.profile.implicit_fences:
        return
    implicit = plane.fb.gem.resv.singleton(display.kernel, usage)
    if implicit is None:
        return
    plane.fence = implicit if plane.fence is None else ChainNode(display.kernel, plane.fence, implicit, 1)


async def _wait_for_hardware(display: Display, state: AtomicState) -> None:
    """Interruptible until the hardware has taken what was committed before."""
    for table in (state.old_crtcs, state.old_connectors, state.old_planes):
        for old in table.values():
            if old.commit is not None and not old.commit.hw_done.done:
                await display.kernel.wait(old.commit.hw_done)


def _swap(display: Display, state: AtomicState) -> None:
    """drm_atomic_helper_swap_state: the point of no return."""
    if display.parked:
        state.drop_parked(display.parked)
    for connector, new_connector in state.connectors.items():
        connector.state = new_connector
    for crtc, new_crtc in state.crtcs.items():
        crtc.state = new_crtc
        if new_crtc.event is not None:
            new_crtc.event.owe()
        if crtc in state.crtc_commits:
            crtc.commits.insert(0, state.crtc_commits[crtc])
    for plane, new_plane in state.planes.items():
        plane.state = new_plane


def _show(observer: Observer, state: AtomicState) -> None:
    """Let it know what the fences of this commit depend on."""
    owed = [crtc.event.fence for crtc in state.crtcs.values() if crtc.event is not None]
    owed += [new.writeback.out_fence for new in state.connectors.values() if new.writeback is not None]
    observer.committed(
        tuple(crtc.id for crtc in state.crtcs),
        [fence for fence in owed if fence is not None],
        [plane.fence for plane in state.planes.values() if plane.fence is not None],
    )


def _trace(now_ns: int, state: AtomicState, *, nonblock: bool) -> CommitTrace:
    fences = [plane.fence for plane in state.planes.values() if plane.fence is not None]
    return CommitTrace(
        now_ns,
        crtc_ids=tuple(crtc.id for crtc in state.crtcs),
        fb_ids=state.fb_ids,
        fences=sum(not fence.signalled for fence in fences),
        nonblock=nonblock,
        modeset=any(crtc.needs_modeset for crtc in state.crtcs.values()),
    )
