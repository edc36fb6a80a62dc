"""What a real kernel itself does now one way, now another: the other ways, as machines (docs/scenarios.md)."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Final

from syncline.kms_model.profiles import Profile, profile
from syncline.lab.replay.machine import KERNELS, KernelName

_MS: Final = 1_000_000
_NO_VBLANK: Final = "no vblank here: the flip is over before the next call, or not"
_TWO_TIMERS: Final = "each CRTC has a vblank timer of its own: either event may come first"


@dataclass(frozen=True, slots=True)
class Alternative:
    """A machine that does it the other way. A recording is explained if that one agrees with it, to the letter."""

    why: str
    machine: Profile


def _late_worker(kernel: KernelName) -> Alternative:
    return Alternative(_NO_VBLANK, replace(profile("virtio_gpu", KERNELS[kernel]), worker_late_ns=_MS))


def _timers_apart(kernel: KernelName) -> Iterator[Alternative]:
    rig = profile("vkms-rig2", KERNELS[kernel])
    one, two = rig.crtcs
    for crtcs in ((replace(one, vblank_lead_ns=_MS), two), (one, replace(two, vblank_lead_ns=_MS))):
        yield Alternative(_TWO_TIMERS, replace(rig, crtcs=crtcs))


def alternatives(kernel: KernelName, name: str) -> tuple[Alternative, ...]:
    """For the runs that no kernel repeats; `name` is SCENARIO@DEVICE."""
    match kernel, name:
        case "linux-6.12", (
            "kms-back-to-back-nonblock@virtio_gpu" | "kms-release-chain-two-frames@virtio_gpu"
        ):
            return (_late_worker(kernel),)
        case "linux-7.2", "kms-two-crtcs-one-commit@vkms-rig2":
            return tuple(_timers_apart(kernel))
        case _:
            return ()
