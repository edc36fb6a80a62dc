"""Waiting for the in-fences of a commit (steps 6 and 8): plane by plane, for ever, errors and all."""

from syncline.kms_model.kms.display import Display
from syncline.kms_model.kms.state import AtomicState
from syncline.kms_model.trace import WaitTrace


async def wait_for_fences(display: Display, state: AtomicState, *, before_swap: bool) -> None:
    """drm_atomic_helper_wait_for_fences. Before the swap a signal ends it: Interrupted.

    No fence has a time limit, and one that ends in error counts as done (H8).
    """
    waiting = [(plane, new, new.fence) for plane, new in state.planes.items() if new.fence is not None]
    if waiting and display.profile.deadline_hints:
        _hint_deadline(state)
    kernel = display.kernel
    for plane, new, fence in waiting:
        if new.fb is None:
            if not display.quirks.disabled_plane_fence_leaks:
                new.fence = None
                continue
            display.warn("H3", f"IN_FENCE_FD on plane {plane.id}, which shows no framebuffer")
        if not fence.signalled:
            since_ns = kernel.now_ns
            who = f"plane {plane.id}"
            kernel.report(WaitTrace(since_ns, who, "in-fence", end=False))
            await kernel.wait(fence, interruptible=before_swap)
            now_ns = kernel.now_ns
            kernel.report(WaitTrace(now_ns, who, "in-fence", end=True, waited_ns=now_ns - since_ns))
        new.fence = None


def _hint_deadline(state: AtomicState) -> None:
    """Tell the fences when the earliest screen of this commit wants them. Not for CRTCs in a modeset."""
    vblanks = [
        crtc.vblank.deadline_ns()
        for crtc, new in state.crtcs.items()
        if new.active and not new.needs_modeset and crtc.vblank.running
    ]
    if vblanks:
        for plane in state.planes.values():
            if plane.fence is not None and not plane.fence.signalled:
                plane.fence.set_deadline(min(vblanks))
