"""The rules of kernel.md 7: what each says, what breaking it costs, how to repair it, and what to read."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

_FENCES: Final = "Documentation/driver-api/dma-buf.rst"


@dataclass(frozen=True, kw_only=True, slots=True)
class Rule:
    text: str
    consequence: str
    repair: str
    document: str


RULES: Final[Mapping[str, Rule]] = {
    "K1": Rule(
        text="no dma_fence may come to depend on user space: a user point, a point nobody has submitted, "
        "or a task that waits for either",
        consequence="memory management that waits for this fence waits for a program, which may wait for memory",
        repair="wait for user space before the fence exists (in the ioctl, without locks), or use a user fence "
        "for the result, too",
        document=f"{_FENCES}, Indefinite DMA Fences; Documentation/gpu/drm-vm-bind-async.rst",
    ),
    "K2": Rule(
        text="every published dma_fence has a signaller that is bounded in time",
        consequence="whoever waits for it, the memory manager and the display included, may wait for ever",
        repair="signal it from hardware with a watchdog, a timer or a vblank, or let it expire as vgem does",
        document=f"{_FENCES}, DMA Fence Cross-Driver Contract",
    ),
    "K3": Rule(
        text="nobody waits in a circle",
        consequence="everybody in the circle sleeps for ever, and so does everybody who waits for one of them",
        repair="break one edge: drop the lock before waiting, or let one side publish what it owes first",
        document=f"{_FENCES}, DMA Fence Cross-Driver Contract; Documentation/locking/lockdep-design.rst",
    ),
    "K6": Rule(
        text="who waits for user space (a user point, or a point to be submitted) holds no lock",
        consequence="one program that never signals blocks everybody who needs the lock",
        repair="wait first, then take locks and check again",
        document="Documentation/gpu/drm-vm-bind-async.rst",
    ),
    "K7": Rule(
        text="an error is set before the signal and is an errno; a timestamp lies between creation and now",
        consequence="waiters saw success where there was none, or frame timing is computed from a lie",
        repair="set the error first; stamp the signal with the instant of its event",
        document="include/linux/dma-fence.h, dma_fence_set_error",
    ),
    "K8": Rule(
        text="seqnos rise within a context, which signals in order; between contexts they have no order",
        consequence="deduplication by context drops the wrong fence, and somebody does not wait",
        repair="take the seqno under the lock that publishes; give each queue a context of its own",
        document="include/linux/dma-fence.h, dma_fence_context_alloc",
    ),
    "K9": Rule(
        text="an array holds leaves and is not empty; a chain node holds no chain; a reservation holds leaves",
        consequence="every walk over the container recurses, as deep as user space likes",
        repair="unwrap first, and merge what is left",
        document="drivers/dma-buf/dma-fence-chain.c, dma_fence_chain_init",
    ),
    "K10": Rule(
        text="a fence callback does not sleep, does not take its fence's lock, does not signal a fence under it",
        consequence="the processor spins on a lock that it holds itself, with interrupts off",
        repair="leave the work to irq_work or a worker",
        document="include/linux/dma-fence.h, dma_fence_func_t",
    ),
    "K11": Rule(
        text="no fence is released while somebody waits for it",
        consequence="the waiter is told -EDEADLK, if anything",
        repair="hold a reference until the signal: in the queue of whoever signals it",
        document="drivers/dma-buf/dma-fence.c, dma_fence_release",
    ),
    "K13": Rule(
        text="a NONBLOCK commit, a legacy flip or a test does not sleep for fences, flips or user space",
        consequence="the compositor's only thread stalls, and with it every window and the pointer",
        repair="leave the wait to the commit's worker; for sleeps on locks, do not commit blocking with late fences",
        document="kernel.md 3.4; drivers/gpu/drm/drm_atomic_helper.c, drm_atomic_helper_setup_commit",
    ),
    "K14": Rule(
        text="after the swap a commit cannot fail; descriptors are installed on success only, no pointer is left "
        "stale; one flip_done for each CRTC, event and out-fence with one time",
        consequence="user space believes in a frame that is not coming, or closes a descriptor of somebody else",
        repair="do what can fail before the swap; install descriptors last",
        document="drivers/gpu/drm/drm_atomic_uapi.c, complete_signaling",
    ),
    "K15": Rule(
        text="a commit that waits for user space, or shows a buffer that does, gives no dma_fence; out-fences of one "
        "commit are of one kind; PENDING_USER publishes no dma_fence and holds no modeset lock",
        consequence="a dma_fence waits for a program, and the memory manager for the dma_fence",
        repair="ask for OUT_USER_FENCE and the event instead of OUT_FENCE_PTR",
        document=f"{_FENCES}, Indefinite DMA Fences; kernel.md 6.6",
    ),
    "K19": Rule(
        text="a user point only rises, has one writer, somebody named to signal it, and something that wakes waiters",
        consequence="a waiter sleeps on after the value was reached, or was never going to be",
        repair="name the signaller (SYNCOBJ_SET_SIGNALLER); one slot for each direction",
        document="kernel.md 6.1, 6.3 (nothing upstream yet)",
    ),
    "K20": Rule(
        text="points of a timeline are added in order, QUERY does not go back, and who acquires at a point "
        "releases at a later one",
        consequence="points that were done are pending again, and their waiters wait for all of history",
        repair="let one side own the numbering of a timeline",
        document="include/uapi/drm/drm.h, DRM_IOCTL_SYNCOBJ_QUERY; linux-drm-syncobj-v1.xml",
    ),
    "K21": Rule(
        text="no read of a buffer before its producer's fence, no write before the reader's release, no release before "
        "the out-fence of the commit that replaced the buffer",
        consequence="an unfinished or a half overwritten image is read: on this machine or on the next one, where "
        "something is slower",
        repair="wait for the fence that is missing in the path, or signal the one that was signalled too early by the "
        "hardware's own fence",
        document="linux-drm-syncobj-v1.xml; Documentation/gpu/drm-kms.rst, Explicit Fencing Properties",
    ),
    "K22": Rule(
        text="nobody waits for work that has nothing to do with the buffers he touches",
        consequence="oversync: a frame comes later than it could, and nobody gains by it",
        repair="take the fence of the buffer instead of one of the whole queue, or a timeline for each stream of work",
        document=f"{_FENCES}, Implicit Fence Poll Support; kernel.md 1g, F67",
    ),
    "K24": Rule(
        text="in the end nothing published is unsignalled, nobody waits, no buffer is pinned, nothing is referred to",
        consequence="something was promised and forgotten",
        repair="end every fence on the way out, with an error if need be",
        document=f"{_FENCES}, DMA Fence Cross-Driver Contract",
    ),
    "H3": Rule(
        text="IN_FENCE_FD on a plane without a framebuffer is no use to anybody",
        consequence="the kernel warns, and 7.2 loses a reference to the fence",
        repair="do not set IN_FENCE_FD on a plane that is being disabled",
        document="drivers/gpu/drm/drm_atomic_helper.c, drm_atomic_helper_wait_for_fences",
    ),
    "WARN": Rule(
        text="the kernel prints a warning",
        consequence="what the warning says",
        repair="see the warning",
        document="dmesg",
    ),
}

LATER: Final = ("K4", "K5", "K12", "K16", "K17", "K18", "K23")
"""Rules that are not checked yet. Sections (K4, K5) belong in `waits`, the scheduler's (K16, K17, K18, K23) beside
`promises`, reservations (K12) in a log of their own."""
