"""What the parts of the core have in common: made once, by `Compositor`."""

from dataclasses import dataclass

from syncline.compositor.core.buffer import Memory
from syncline.compositor.core.effects import Effect
from syncline.compositor.core.feedback import Feedback
from syncline.compositor.core.journal import Journal
from syncline.compositor.core.pacing import Pacing
from syncline.compositor.core.policy import Policy
from syncline.compositor.core.queue import CompositionQueue
from syncline.compositor.core.release import Releases
from syncline.compositor.core.scene import Scene
from syncline.compositor.core.syncobj import Watcher
from syncline.compositor.core.waits import Waits
from syncline.kms_model.uapi import (
    CreateFlag,
    DeviceFile,
    Fd,
    HandleFlag,
    SyncobjCreate,
    SyncobjDestroy,
    SyncobjHandleToFd,
)


@dataclass(frozen=True, slots=True)
class Stage:
    device: DeviceFile
    watcher: Watcher
    policy: Policy
    effects: list[Effect]
    journal: Journal
    memory: Memory
    waits: Waits
    pacing: Pacing
    releases: Releases
    feedback: Feedback
    scene: Scene
    compositions: CompositionQueue
    done_fence: Fd
    """A signalled sync_file, lent: as IN_FENCE_FD it keeps the kernel from waiting for implicit fences (S97)."""

    def close(self) -> None:
        self.device.close_fd(self.done_fence)


def build_stage(device: DeviceFile, watcher: Watcher, policy: Policy) -> Stage:
    effects: list[Effect] = []
    journal = Journal()
    memory = Memory(device, declares_cpu_access=policy.declares_cpu_access)
    done_fence = _done_fence(device)
    return Stage(
        device, watcher, policy, effects, journal, memory,
        waits=Waits(device, watcher, journal),
        pacing=Pacing(journal, hidden_frame_ns=policy.hidden_frame_ns),
        releases=Releases(device, memory, journal, effects, done_fence=done_fence),
        feedback=Feedback(journal, effects, hidden_frame_ns=policy.hidden_frame_ns),
        scene=Scene(),
        compositions=CompositionQueue(),
        done_fence=done_fence,
    )  # fmt: skip


def _done_fence(device: DeviceFile) -> Fd:
    handle = device.call(SyncobjCreate(flags=CreateFlag.SIGNALED)).handle
    fence = device.call(SyncobjHandleToFd(handle=handle, flags=HandleFlag.SYNC_FILE)).fd
    device.call(SyncobjDestroy(handle=handle))
    return fence
