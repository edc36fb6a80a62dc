"""fifo, commit timing and tearing control: when an update may be shown. Pending state, judged by the core."""

from typing import Final

from syncline.compositor.wayland.surface import SurfaceFactory, SurfaceObject, WlSurface
from syncline.protocol.enums import (
    WpCommitTimerV1 as WpCommitTimerV1Enums,
    WpCommitTimingManagerV1 as WpCommitTimingManagerV1Enums,
    WpFifoManagerV1 as WpFifoManagerV1Enums,
    WpFifoV1 as WpFifoV1Enums,
    WpTearingControlManagerV1 as WpTearingControlManagerV1Enums,
    WpTearingControlV1 as WpTearingControlV1Enums,
)
from syncline.protocol.object import NewId

NS_PER_S: Final = 1_000_000_000


class WpFifoManagerV1(SurfaceFactory):
    interface = "wp_fifo_manager_v1"

    def get_fifo(self, new: NewId, surface: WlSurface) -> None:
        self.check_first(surface, WpFifoV1.interface, WpFifoManagerV1Enums.Error.ALREADY_EXISTS)  # F1
        WpFifoV1(new, surface)


class WpFifoV1(SurfaceObject):
    interface = "wp_fifo_v1"

    def set_barrier(self) -> None:
        self._check_surface()
        self.surface.pending.fifo_barrier = True

    def wait_barrier(self) -> None:
        self._check_surface()
        self.surface.pending.fifo_wait = True

    def destroy(self) -> None:
        """State already set stays (F10)."""

    def _check_surface(self) -> None:
        if not self.surface.alive:
            raise self.error(WpFifoV1Enums.Error.SURFACE_DESTROYED, "its wl_surface is gone")  # F2


class WpCommitTimingManagerV1(SurfaceFactory):
    interface = "wp_commit_timing_manager_v1"

    def get_timer(self, new: NewId, surface: WlSurface) -> None:
        error = WpCommitTimingManagerV1Enums.Error.COMMIT_TIMER_EXISTS  # T1
        self.check_first(surface, WpCommitTimerV1.interface, error)
        WpCommitTimerV1(new, surface)


class WpCommitTimerV1(SurfaceObject):
    interface = "wp_commit_timer_v1"

    def set_timestamp(self, tv_sec: int, tv_nsec: int) -> None:
        error = WpCommitTimerV1Enums.Error
        if not self.surface.alive:
            raise self.error(error.SURFACE_DESTROYED, "its wl_surface is gone")  # T4
        if tv_nsec >= NS_PER_S:
            raise self.error(error.INVALID_TIMESTAMP, f"{tv_nsec} ns are a second or more")  # T2
        if self.surface.pending.target_time_ns is not None:
            raise self.error(error.TIMESTAMP_EXISTS, "this commit has a timestamp already")  # T3
        self.surface.pending.target_time_ns = tv_sec * NS_PER_S + tv_nsec

    def destroy(self) -> None:
        """Constraints already given stay (T7)."""


class WpTearingControlManagerV1(SurfaceFactory):
    interface = "wp_tearing_control_manager_v1"

    def get_tearing_control(self, new: NewId, surface: WlSurface) -> None:
        error = WpTearingControlManagerV1Enums.Error.TEARING_CONTROL_EXISTS  # G1
        self.check_first(surface, WpTearingControlV1.interface, error)
        WpTearingControlV1(new, surface)


class WpTearingControlV1(SurfaceObject):
    interface = "wp_tearing_control_v1"

    def set_presentation_hint(self, hint: int) -> None:
        self.surface.pending.tearing = hint == WpTearingControlV1Enums.PresentationHint.ASYNC_

    def destroy(self) -> None:
        """Back to vsync with the next commit (G2)."""
        self.surface.pending.tearing = False
