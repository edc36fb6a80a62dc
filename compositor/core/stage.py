"""What the parts of the core have in common: made once, by `Compositor`."""

from dataclasses import dataclass

from syncline.compositor.core.buffer import Memory
from syncline.compositor.core.effects import Effect
from syncline.compositor.core.feedback import Feedback
from syncline.compositor.core.journal import Journal
from syncline.compositor.core.policy import Policy
from syncline.compositor.core.release import Releases
from syncline.compositor.core.scene import Scene
from syncline.compositor.core.syncobj import Watcher
from syncline.compositor.core.waits import Waits
from syncline.kms_model.uapi import DeviceFile


@dataclass(frozen=True, slots=True)
class Stage:
    device: DeviceFile
    watcher: Watcher
    policy: Policy
    effects: list[Effect]
    journal: Journal
    memory: Memory
    waits: Waits
    releases: Releases
    feedback: Feedback
    scene: Scene


def build_stage(device: DeviceFile, watcher: Watcher, policy: Policy) -> Stage:
    effects: list[Effect] = []
    journal = Journal()
    memory = Memory(device)
    return Stage(
        device, watcher, policy, effects, journal, memory,
        waits=Waits(device, watcher, journal),
        releases=Releases(device, memory, journal, effects),
        feedback=Feedback(journal, effects, hidden_frame_ns=policy.hidden_frame_ns),
        scene=Scene(),
    )  # fmt: skip
