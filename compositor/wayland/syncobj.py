"""linux-drm-syncobj-v1: three objects without a single event. What there is to say goes through the kernel's."""

from syncline.compositor.core.syncobj import SyncPoint, Timeline
from syncline.compositor.wayland.session import Session
from syncline.compositor.wayland.surface import SurfaceFactory, SurfaceObject, WlSurface
from syncline.kms_model.uapi import DeviceError, Fd
from syncline.protocol.enums import (
    WpLinuxDrmSyncobjManagerV1 as ManagerEnums,
    WpLinuxDrmSyncobjSurfaceV1 as SurfaceEnums,
)
from syncline.protocol.fd import ReceivedFd
from syncline.protocol.object import NewId, Resource


class WpLinuxDrmSyncobjManagerV1(SurfaceFactory):
    """Destroying it leaves timelines, surface objects and points alone (S3)."""

    interface = "wp_linux_drm_syncobj_manager_v1"

    def get_surface(self, new: NewId, surface: WlSurface) -> None:
        error = ManagerEnums.Error.SURFACE_EXISTS  # on this object, not on the surface (S4, S8)
        self.check_first(surface, WpLinuxDrmSyncobjSurfaceV1.interface, error)
        WpLinuxDrmSyncobjSurfaceV1(new, surface)

    def import_timeline(self, new: NewId, fd: ReceivedFd) -> None:
        try:
            timeline = self._session.core.import_timeline(self._session.client, Fd(fd.take()))
        except DeviceError as refusal:
            # The error names the manager, never the timeline that was to be (S4, S6).
            raise self.error(ManagerEnums.Error.INVALID_TIMELINE, "the fd is not a DRM syncobj") from refusal
        WpLinuxDrmSyncobjTimelineV1(new, self._session, timeline)


class WpLinuxDrmSyncobjTimelineV1(Resource):
    """Counts its uses: points that were set and not yet committed outlive it (S21); after that the core counts."""

    interface = "wp_linux_drm_syncobj_timeline_v1"

    def __init__(self, new: NewId, session: Session, timeline: Timeline) -> None:
        super().__init__(new)
        self._session = session
        self._uses = 1
        self.timeline = timeline

    def use(self) -> None:
        self._uses += 1

    def unuse(self) -> None:
        self._uses -= 1
        if not self._uses:
            self._session.core.destroy_timeline(self.timeline)

    def destroy(self) -> None:
        """Points that were set or committed stay (S21, S22, S23)."""

    def on_destroyed(self) -> None:
        self.unuse()


class WpLinuxDrmSyncobjSurfaceV1(SurfaceObject):
    """While it lives, commits of its surface are judged by `core.syncobj`."""

    interface = "wp_linux_drm_syncobj_surface_v1"

    def __init__(self, new: NewId, surface: WlSurface) -> None:
        super().__init__(new, surface)
        self.surface.explicit = True
        self._acquire: WpLinuxDrmSyncobjTimelineV1 | None = None
        self._release: WpLinuxDrmSyncobjTimelineV1 | None = None

    def set_acquire_point(self, timeline: WpLinuxDrmSyncobjTimelineV1, point: int) -> None:
        self._check_surface()
        self.surface.pending.acquire = SyncPoint(timeline.timeline, point)
        self._acquire = _exchange(self._acquire, timeline)

    def set_release_point(self, timeline: WpLinuxDrmSyncobjTimelineV1, point: int) -> None:
        self._check_surface()
        self.surface.pending.release = SyncPoint(timeline.timeline, point)
        self._release = _exchange(self._release, timeline)

    def committed(self) -> None:
        self._acquire = _exchange(self._acquire, None)
        self._release = _exchange(self._release, None)

    def destroy(self) -> None:
        """Points not yet committed go with it (S52); commits are judged no longer (S51)."""
        if self.surface.alive:
            self.surface.explicit = False
            self.surface.pending.acquire = self.surface.pending.release = None

    def on_destroyed(self) -> None:
        super().on_destroyed()
        self.committed()

    def _check_surface(self) -> None:
        if not self.surface.alive:
            raise self.error(SurfaceEnums.Error.NO_SURFACE, "its wl_surface is gone")  # S11


def _exchange(
    old: WpLinuxDrmSyncobjTimelineV1 | None, new: WpLinuxDrmSyncobjTimelineV1 | None
) -> WpLinuxDrmSyncobjTimelineV1 | None:
    """The pending point's timeline is another one now, or none."""
    if new is not None:
        new.use()
    if old is not None:
        old.unuse()
    return new
