"""Screens and their modes: any refresh rate, given in millihertz."""

from dataclasses import dataclass

from syncline.kms_model.uapi import ModeInfo


def mode_of(*, width: int, height: int, refresh_mhz: int) -> ModeInfo:
    """A mode with little blanking whose refresh is as near to `refresh_mhz` as whole kHz of clock allow."""
    htotal, vtotal = width + 80, height + 20
    return ModeInfo(
        name=f"{width}x{height}",
        clock_khz=max(1, (htotal * vtotal * refresh_mhz + 500_000) // 1_000_000),
        hdisplay=width,
        htotal=htotal,
        vdisplay=height,
        vtotal=vtotal,
    )


def is_valid(mode: ModeInfo) -> bool:
    """drm_mode_validate_basic, for the fields we have."""
    return (
        mode.clock_khz > 0
        and 0 < mode.hdisplay <= mode.htotal < 1 << 16
        and 0 < mode.vdisplay <= mode.vtotal < 1 << 16
    )


@dataclass(frozen=True, slots=True)
class Output:
    """A connector with a screen on it. `vrr_min_mhz`: lowest refresh with VRR_ENABLED, 0 if it has no VRR."""

    name: str = "Virtual-1"
    width: int = 1280
    height: int = 720
    refresh_mhz: int = 60_000
    vrr_min_mhz: int = 0

    @property
    def mode(self) -> ModeInfo:
        """The preferred mode."""
        return mode_of(width=self.width, height=self.height, refresh_mhz=self.refresh_mhz)
