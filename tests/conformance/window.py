"""A surface that shows frames, one commit at a time, and remembers what became of each."""

from dataclasses import dataclass, field
from typing import Final

from syncline.conformance.client import Client
from syncline.conformance.device import Timeline, Watch
from syncline.conformance.thing import Thing
from syncline.conformance.trial import Trial

NS_PER_S: Final = 1_000_000_000
SYNCOBJ: Final = "wp_linux_drm_syncobj_manager_v1"


@dataclass(frozen=True, slots=True)
class Point:
    """A value on a timeline that the compositor knows too."""

    timeline: Timeline
    wl: Thing
    value: int

    def signal(self) -> None:
        self.timeline.signal(self.value)

    @property
    def reached(self) -> bool:
        return self.timeline.reached(self.value)

    def at(self, value: int) -> "Point":
        """Another value on the same timeline."""
        return Point(self.timeline, self.wl, value)


@dataclass(slots=True)
class Frame:
    """One commit. `acquire` is ours to signal, `release` the compositor's."""

    committed_ns: int
    acquire: Point | None = None
    release: Point | None = None
    feedback: Thing | None = None
    callback: Thing | None = None
    released: Watch | None = None
    signalled_ns: int | None = field(default=None)

    def signal(self) -> None:
        """The image is painted."""
        assert self.acquire is not None, "an explicit frame"
        self.signalled_ns = self.acquire.timeline.device.clock.loop.now_ns()
        self.acquire.signal()

    @property
    def is_released(self) -> bool:
        assert self.released is not None, "an explicit frame"
        return self.released.at_ns is not None

    @property
    def released_ns(self) -> int:
        """By the fence behind the release point, which has been reached, or when we heard of it if that was before."""
        assert self.release is not None, "an explicit frame"
        assert self.released is not None, "watched"
        assert self.released.at_ns is not None, "reached"
        return min(self.released.at_ns, self.release.timeline.reached_ns(self.release.value))

    @property
    def is_done(self) -> bool:
        return self.callback is not None and self.callback.count("done") > 0

    @property
    def outcome(self) -> str:
        """`presented`, `discarded`, or nothing yet."""
        ends = ("presented", "discarded")
        heard = self.feedback.heard if self.feedback else []
        return next((each.event for each in heard if each.event in ends), "")

    @property
    def told(self) -> tuple[int, ...]:
        """The presented event: tv_sec as 64 bits, nanoseconds, refresh, sequence as 64 bits, flags."""
        assert self.feedback is not None, "asked for"
        words = self.feedback.last("presented")
        assert words is not None, "presented"
        return words

    @property
    def presented_ns(self) -> int:
        """By the compositor's word, in its clock."""
        return self.told[0] * NS_PER_S + self.told[1]

    def forget(self) -> None:
        """Give the tester's own handles back; what the compositor still needs it has."""
        for point in (self.acquire, self.release):
            if point is not None:
                point.wl.send("destroy")
                point.timeline.destroy()
        if self.released is not None:
            self.released.close()

    @property
    def is_presented(self) -> bool:
        return self.outcome == "presented"


class Canvas:
    """A wl_surface of any role. `sync` is its explicit-sync object, if it has one."""

    def __init__(
        self, trial: Trial, client: Client, *, explicit: bool = True, wl: Thing | None = None
    ) -> None:
        self.trial = trial
        self.client = client
        self.wl = wl or client.surface()
        self.sync: Thing | None = client.sync_surface(self.wl) if explicit else None

    @property
    def sync_object(self) -> Thing:
        assert self.sync is not None, "an explicit surface"
        return self.sync

    def new_point(self, value: int = 1) -> Point:
        """A point on a timeline of its own."""
        return self.point_on(self.trial.device.timeline(), value)

    def point_on(self, timeline: Timeline, value: int) -> Point:
        """A point on a timeline that others may use as well."""
        return Point(timeline, self.client.timeline(timeline), value)

    def set_points(self, acquire: Point | None, release: Point | None) -> None:
        if acquire is not None:
            self.sync_object.send("set_acquire_point", acquire.wl, acquire.value)
        if release is not None:
            self.sync_object.send("set_release_point", release.wl, release.value)

    def attach(self, buffer: Thing | None) -> None:
        self.wl.send("attach", buffer, 0, 0)

    def commit(self, acquire: Point | None = None, release: Point | None = None) -> Frame:
        """Commit what is pending, and ask for every kind of answer."""
        client = self.client
        feedback = None
        if client.offers("wp_presentation"):
            feedback = client.bind("wp_presentation").make("feedback", self.wl)
        callback = self.wl.make("frame")
        self.wl.send("damage", 0, 0, 1 << 15, 1 << 15)
        self.wl.send("commit")
        released = None
        if release is not None:
            released = release.timeline.device.watch(release.timeline, release.value)
        return Frame(self.trial.now_ns(), acquire, release, feedback, callback, released)

    def show(
        self,
        buffer: Thing,
        *,
        ready: bool = True,
        acquire: Point | None = None,
        release: Point | None = None,
    ) -> Frame:
        """Commit a buffer, explicitly if the surface is explicit: by default with points of its own."""
        points: tuple[Point | None, Point | None] = None, None
        if self.sync is not None:
            acquire = acquire or self.new_point()
            release = release or self.new_point()
            if ready:
                acquire.signal()
            self.set_points(acquire, release)
            points = acquire, release
        self.attach(buffer)
        return self.commit(*points)

    def settle(self, frame: Frame) -> None:
        """Wait until the frame is on the screen, or at least applied."""
        self.trial.expect(lambda: frame.is_done, "the frame callback of an image that is ready")

    def replace(self) -> None:
        """Show another image, by which those before are given back, and wait until it is there."""
        self.settle(self.show(self.image()))

    def hide(self) -> Frame:
        """Commit a NULL buffer."""
        self.attach(None)
        return self.commit()

    def image(self, width: int = 64, height: int = 64) -> Thing:
        """A dma-buf buffer."""
        return self.client.buffer(self.trial.device.image(width, height))

    def destroy_sync(self) -> None:
        self.sync_object.send("destroy")
        self.sync = None


class Window(Canvas):
    """A toplevel, configured and ready for its first buffer."""

    def __init__(
        self,
        trial: Trial,
        client: Client | None = None,
        *,
        explicit: bool = True,
        wl: Thing | None = None,
    ) -> None:
        client = client or trial.client()
        super().__init__(trial, client, explicit=explicit, wl=wl)
        self.xdg = client.bind("xdg_wm_base").make("get_xdg_surface", self.wl)
        self.toplevel = self.xdg.make("get_toplevel")
        self.configure()

    def hide(self) -> Frame:
        """Unmapped, it begins anew (X6): a configure from before must not be acknowledged any more."""
        del self.xdg.hooks["configure"]
        return super().hide()

    def destroy(self) -> None:
        """Role, then surface."""
        for thing in (self.toplevel, self.xdg, self.wl):
            thing.send("destroy")

    def configure(self) -> None:
        """The bufferless commit, and the answer to it."""
        before = self.xdg.count("configure")
        self.xdg.hooks["configure"] = lambda serial: self.xdg.send("ack_configure", serial)
        self.wl.send("commit")
        self.trial.expect(lambda: self.xdg.count("configure") > before, "xdg_surface.configure")


class Child(Canvas):
    """A sub-surface of another canvas."""

    def __init__(self, parent: Canvas, *, explicit: bool = True, desync: bool = False) -> None:
        super().__init__(parent.trial, parent.client, explicit=explicit)
        self.sub = self.client.bind("wl_subcompositor").make("get_subsurface", self.wl, parent.wl)
        if desync:
            self.sub.send("set_desync")

    def destroy(self) -> None:
        """Role, then surface: in the other order some call it defunct_role_object, and some do not."""
        self.sub.send("destroy")
        self.wl.send("destroy")
