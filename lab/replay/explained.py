"""Differences that no model can avoid: what a real kernel itself does now one way, now another (docs/scenarios.md)."""

from collections.abc import Mapping
from typing import Final

from syncline.lab.replay.machine import KernelName

_NO_VBLANK: Final = "no vblank here: the flip is over before the next call, or not"
_TWO_TIMERS: Final = "each CRTC has a vblank timer of its own: either event may come first"

UNREPEATABLE: Final[Mapping[tuple[KernelName, str], str]] = {
    ("linux-6.12", "kms-back-to-back-nonblock@virtio_gpu"): _NO_VBLANK,
    ("linux-6.12", "kms-release-chain-two-frames@virtio_gpu"): _NO_VBLANK,
    ("linux-6.12", "kms-two-crtcs-one-commit@vkms-rig2"): _TWO_TIMERS,
    ("linux-7.2", "kms-two-crtcs-one-commit@vkms-rig2"): _TWO_TIMERS,
}
