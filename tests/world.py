"""A whole session in one process on simulated time: core, machine and clients, no wire in between."""

import mmap
import os
import select
import weakref
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from errno import EINVAL, ETIME
from heapq import heappop, heappush
from itertools import count
from textwrap import dedent
from typing import Any, TypeVar

from syncline.compositor.core.buffer import Buffer
from syncline.compositor.core.compositor import Compositor
from syncline.compositor.core.effects import (
    BufferReleased,
    Configure,
    Discarded,
    Effect,
    FrameDone,
    Presented,
)
from syncline.compositor.core.geometry import Rect
from syncline.compositor.core.output import Output, Phase
from syncline.compositor.core.policy import Policy
from syncline.compositor.core.report import Commit, Flip, FrameReport, Latch, Release, ReportEvent
from syncline.compositor.core.shell import Toplevel, XdgSurface
from syncline.compositor.core.surface import Client as Peer, Surface
from syncline.compositor.core.syncobj import SyncPoint, Timeline
from syncline.kms_model.checker import Ledger, Report, Severity, as_text
from syncline.kms_model.checker.races import Races
from syncline.kms_model.device import Device
from syncline.kms_model.file import File
from syncline.kms_model.kms.mode import Output as ScreenMode
from syncline.kms_model.loops import NS_PER_S
from syncline.kms_model.profiles import SYNCLINE, CrtcLayout, Profile
from syncline.kms_model.trace import JobTrace, TraceEvent
from syncline.kms_model.uapi import (
    FORMAT_XRGB8888,
    Blit,
    CreateDumb,
    DeviceError,
    Fd,
    Fill,
    Point,
    PrimeHandleToFd,
    Request,
    Submit,
    SwSyncCreateFence,
    SwSyncCreateTimeline,
    SwSyncInc,
    SyncobjCreate,
    SyncobjCreateUser,
    SyncobjEventfd,
    SyncobjHandleToFd,
    SyncobjQuery,
    SyncobjTimelineWait,
    WaitFlag,
    one_by_one,
)

MS = 1_000_000
R = TypeVar("R")


def _is_readable(fd: int) -> bool:
    poller = select.poll()
    poller.register(fd, select.POLLIN)
    return bool(poller.poll(0))


def _tell(traced: "weakref.WeakMethod[Callable[[TraceEvent], None]]", event: TraceEvent) -> None:
    hear = traced()
    if hear is not None:
        hear(event)


class DirectFile:
    """A `uapi.DeviceFile` on a device in this process whose clock is moved by hand."""

    def __init__(self, device: Device, node: str, name: str) -> None:
        self.device = device
        self.file: File = device.open(node)
        self.file.label = name
        self.calls: list[Request[Any]] = []
        self.is_calling = False
        self.refuse: Callable[[Request[Any]], bool] | None = None

    def call(self, request: Request[R]) -> R:
        self.calls.append(request)
        if self.refuse is not None and self.refuse(request):
            self.refuse = None
            raise DeviceError(EINVAL, "as asked")
        self.is_calling = True
        pending = self.device.call(self.file, request, self.device.now_ns)
        self.is_calling = False
        assert pending.done, f"{type(request).__name__} sleeps"
        return pending.result()

    @property
    def answered_ns(self) -> int:
        return self.device.now_ns

    def batch(self, requests: Sequence[Request[Any]]) -> tuple[list[Any], DeviceError | None]:
        return one_by_one(self.call, requests)

    async def wait(self, request: Request[R]) -> R:
        return self.call(request)

    def read_events(self) -> list[Any]:
        return list(self.file.read_events())

    def fileno(self) -> int:
        raise NotImplementedError

    def close_fd(self, fd: Fd) -> None:
        os.close(fd)

    def memory(self, handle: int) -> object:
        """The buffer itself, whoever else has a handle of it."""
        return self.file.gems.get(handle)

    def close(self) -> None:
        self.device.close(self.file, self.device.now_ns)


class EventfdWatcher:
    """What the loop edge does: an eventfd per watch."""

    def __init__(self, file: DirectFile) -> None:
        self.file = file
        self.watches: dict[int, int] = {}
        self.lose_wakes = False
        self.fences: set[int] = set()
        self._numbers = count(1)

    def watch(self, handle: int, point: int, *, available: bool) -> int:
        fd = os.eventfd(0, os.EFD_CLOEXEC | os.EFD_NONBLOCK)
        flags = WaitFlag.AVAILABLE if available else 0
        try:
            self.file.call(SyncobjEventfd(handle=handle, point=point, fd=Fd(fd), flags=flags))
        except DeviceError:
            os.close(fd)
            raise
        number = next(self._numbers)
        self.watches[number] = fd
        return number

    def ask(self, handle: int, point: int, *, available: bool) -> int | None:
        watch = self.watch(handle, point, available=available)
        flags = WaitFlag.FOR_SUBMIT | (WaitFlag.AVAILABLE if available else 0)
        try:
            self.file.call(SyncobjTimelineWait(handles=(handle,), points=(point,), flags=flags))
        except DeviceError as refusal:
            if refusal.errno == ETIME:
                return watch
            self.unwatch(watch)
            raise
        self.unwatch(watch)
        return None

    def watch_fence(self, fence: Fd) -> int | None:
        if _is_readable(fence):
            os.close(fence)
            return None
        number = next(self._numbers)
        self.watches[number] = fence
        self.fences.add(number)
        return number

    def unwatch(self, watch: int) -> None:
        os.close(self.watches.pop(watch))
        self.fences.discard(watch)

    def fire(self, watch: int) -> None:
        """A wake without a reason."""
        os.eventfd_write(self.watches[watch], 1)

    def take_fired(self) -> int | None:
        """A readable sync_file is no wake that could get lost."""
        able = [number for number in self.watches if number in self.fences or not self.lose_wakes]
        for number in able:
            if _is_readable(self.watches[number]):
                self.unwatch(number)
                return number
        return None


def machine(
    *refreshes_mhz: int, width: int = 320, height: int = 240, overlays: int = 0, cursor: bool = False
) -> Profile:
    """The default machine with one screen per refresh rate."""
    crtcs = tuple(
        CrtcLayout(
            output=ScreenMode(f"Virtual-{number}", width, height, mhz), overlays=overlays, cursor=cursor
        )
        for number, mhz in enumerate(refreshes_mhz, 1)
    )
    return replace(SYNCLINE, crtcs=crtcs, modes=())


LEDGERS: list[Ledger] = []
WORLDS: "weakref.WeakSet[World]" = weakref.WeakSet()
"""Of one test. Few of them are closed by their stories."""


def end_worlds() -> list[Ledger]:
    """Let go of the worlds since the last time; what their race detectors have found."""
    for world in list(WORLDS):
        world.drop()
    WORLDS.clear()
    ledgers = LEDGERS.copy()
    LEDGERS.clear()
    return ledgers


def assert_no_race(ledgers: list[Ledger]) -> None:
    reports = [report for ledger in ledgers for report in ledger.reports.values()]
    errors = [report for report in reports if report.severity is Severity.ERROR]
    assert not errors, "\n".join(map(as_text, errors))


COMPOSED = Policy(direct_scanout=False)


class World:
    """Run it with `run_until_ms`; times in stories are ms since the first vblank that showed our image."""

    def __init__(self, profile: Profile | None = None, policy: Policy = COMPOSED) -> None:
        self.trace: list[TraceEvent] = []
        self.reports: list[ReportEvent] = []
        self.effects: list[tuple[int, Effect]] = []
        self._names: dict[int, str] = {}
        self.naming = ""
        self._story: list[tuple[int, str, str]] = []
        self._agenda: list[tuple[int, int, Callable[[], None]]] = []
        self._order = count()
        traced = weakref.WeakMethod(self._traced)
        self.device = Device(profile or machine(60_000), trace=lambda event: _tell(traced, event))
        # Descriptors know the machine, hence its trace, which must not know us, or this would never come.
        self._finalize = weakref.finalize(self, self.device.kernel.descriptors.close)
        self.device.advance(NS_PER_S)
        self.races = Ledger()
        """What the race detector found: nothing, when the test is over, unless that says so."""
        Races(self.device.kernel, self.races)
        LEDGERS.append(self.races)
        WORLDS.add(self)
        self.file = DirectFile(self.device, "card", "compositor")
        self.watcher = EventfdWatcher(self.file)
        self.clients: list[Client] = []
        self.images: list[Image] = []
        self.is_closed = False
        self.colors = 0
        self._recorder: Peer | None = None
        self.bystanders: list[Callable[[], None]] = []
        """Look at the machine after every input."""
        self.reading: dict[tuple[int, int], set[object]] = {}
        """Unfinished jobs of the core, and the memory they read."""
        self._jobs_left = 0
        self.running: set[tuple[int, int]] = set()
        """Jobs that have begun."""
        self.epoch_ns = NS_PER_S
        self.core = Compositor(self.file, self.watcher, policy=policy, now_ns=NS_PER_S)
        self.epoch_ns = self._light()
        self._story.clear()

    # -- time -------------------------------------------------------------------------------------

    @property
    def now_ns(self) -> int:
        return self.device.now_ns

    @property
    def now_ms(self) -> float:
        return (self.now_ns - self.epoch_ns) / MS

    def at_ms(self, ms: float, action: Callable[[], None]) -> None:
        heappush(self._agenda, (self.epoch_ns + round(ms * MS), next(self._order), action))

    def run_until_ms(self, ms: float) -> None:
        self._run_until(self.epoch_ns + round(ms * MS))

    def run_ms(self, ms: float) -> None:
        self._run_until(self.now_ns + round(ms * MS))

    def calm_down(self) -> None:
        """Until the engine has nothing to do and every output shows what it should."""
        for _ in range(200):
            self.run_ms(20)
            phases = {output.phase for output in self.core.outputs}
            if self._jobs_left == 0 and phases == {Phase.IDLE}:
                return
        raise AssertionError("somebody never stops")

    def _light(self) -> int:
        """Until every output has shown its first image."""
        while any(output.grid.last_sequence == 0 for output in self.core.outputs):
            self._step(self.now_ns + NS_PER_S)
        return max(output.grid.last_ns for output in self.core.outputs)

    def _run_until(self, when_ns: int) -> None:
        while self._step(when_ns):
            pass
        self.device.advance(when_ns)

    def _step(self, limit_ns: int) -> bool:
        self.settle()
        due = [self.device.next_deadline_ns(), self.core.next_deadline_ns()]
        if self._agenda:
            due.append(self._agenda[0][0])
        next_ns = min((when for when in due if when is not None), default=limit_ns + 1)
        if next_ns > limit_ns:
            return False
        self.device.advance(max(next_ns, self.now_ns))
        while self._agenda and self._agenda[0][0] <= self.now_ns:
            heappop(self._agenda)[2]()
            self.settle()
        self.core.tick(self.now_ns)
        self.settle()
        return True

    def settle(self) -> None:
        """One input, everything it caused, the next input, until there is none."""
        self._deliver()
        self.device.collect(self.now_ns)
        while True:
            events = self.file.read_events()
            for event in events:
                self.core.device_event(event, self.now_ns)
                self._deliver()
            fired = self.watcher.take_fired()
            if fired is not None:
                self.core.point_ready(fired, self.now_ns)
                self._deliver()
            elif not events:
                return

    def _deliver(self) -> None:
        for event in self.core.take_report():
            self.reports.append(event)
            self._note(event)
        for effect in self.core.drain():
            self.effects.append((self.now_ns, effect))
            self._hear(effect)
        for look in self.bystanders:
            look()
        self.core.check_invariants()
        self.device.kms.display.check_invariants()

    def _note(self, event: ReportEvent) -> None:
        match event:
            case Commit(update=update):
                self._names[update] = self.naming
            case Latch(output=output, how=how):
                self.tell("core", f"latches {output}, {how}")
            case Flip(frame=frame, t_ns=t_ns):
                self.tell("display", f"shows frame {frame}", at_ns=t_ns)
            case Release(update=update, how=how):
                self.tell("core", f"gives {self._names[update]} back by {how}")
            case _:
                pass

    def _hear(self, effect: Effect) -> None:
        match effect:
            case FrameDone(callbacks, _):
                for callback in callbacks:
                    assert isinstance(callback, Note)
                    callback.told(self, "frame done")
                    callback.on_frame()
            case Presented(feedbacks):
                for feedback in feedbacks:
                    assert isinstance(feedback, Note)
                    feedback.told(self, "presented")
            case Discarded(feedbacks):
                for feedback in feedbacks:
                    assert isinstance(feedback, Note)
                    feedback.told(self, "discarded")
            case BufferReleased(buffer):
                for image in self.images:
                    if image.buffer is buffer:
                        image.is_lent = False
            case Configure(toplevel, serial, width, height):
                window = next(w for c in self.clients for w in c.windows if w.toplevel is toplevel)
                window.configured.append((serial, width, height))
            case _:
                pass

    def capture(self, output: Output) -> Buffer:
        """Take a picture of the output, as a screenshot tool would."""
        if self._recorder is None:
            self._recorder = self.core.add_client("recorder")
        target = self.core.create_upload(
            self._recorder, width=output.rect.width, height=output.rect.height, format=FORMAT_XRGB8888
        )
        self.core.capture(output, target, token=target, with_cursor=True, now_ns=self.now_ns)
        self.settle()
        return target

    def photograph(self, output: Output) -> bytes:
        """What a full repaint of the output looks like."""
        target = self.capture(output)
        self.run_ms(100)
        with mmap.mmap(target.fd, target.pitch * target.height) as pixels:
            return bytes(pixels)

    def scanned_out(self, output: Output) -> bytes | None:
        """What the display shows, if that is one composed image."""
        crtc = next(view for view in self.device.kms.display.view() if view.crtc_id == self.crtc_of(output))
        assert crtc.showing is not None
        if len(crtc.showing.layers) > 1:
            return None
        return bytes(crtc.showing.layers[0].gem.memory)

    def crtc_of(self, output: Output) -> int:
        return self.device.kms.display.crtcs[self.core.outputs.index(output)].id

    def close(self) -> None:
        """The compositor ends, then the machine."""
        if self.is_closed:
            return
        self.is_closed = True
        self.core.close(self.now_ns)
        self.file.close()
        for client in self.clients:
            if client.is_alive:
                client.file.close()
        self.device.collect(self.now_ns)
        assert not self.watcher.watches, "no waiter is left behind"
        assert_no_race([self.races])

    def drop(self) -> None:
        """Let go of every descriptor after a failure, as far as that still goes."""
        with suppress(Exception):
            self.close()
        for watch in list(self.watcher.watches):
            self.watcher.unwatch(watch)
        self._finalize()

    def expect_race(self, words: str) -> Report:
        """The one race there was: the story is about it, or its client cannot help it."""
        (report,) = self.races.reports.values()
        assert words in report.what, as_text(report)
        self.races.reports.clear()
        return report

    # -- stories ----------------------------------------------------------------------------------

    def _traced(self, event: TraceEvent) -> None:
        self.trace.append(event)
        if isinstance(event, JobTrace):
            self._watch_job(event)
        if isinstance(event, JobTrace) and event.stage == "done" and event.label:
            self.tell("gpu", f"finishes {event.label}", at_ns=event.t_ns)

    def _watch_job(self, event: JobTrace) -> None:
        job = event.context, event.seqno
        self._jobs_left += {"queued": 1, "done": -1}.get(event.stage, 0)
        if event.stage == "done":
            self.reading.pop(job, None)
            self.running.discard(job)
        elif event.stage == "run":
            self.running.add(job)
        elif event.stage == "queued" and self.file.is_calling:
            submit = self.file.calls[-1]
            assert isinstance(submit, Submit)
            blits = [command for command in submit.commands if isinstance(command, Blit)]
            self.reading[job] = {self.file.memory(blit.source) for blit in blits}

    def tell(self, who: str, what: str, *, at_ns: int | None = None) -> None:
        self._story.append((self.now_ns if at_ns is None else at_ns, who, what))

    def story(self) -> str:
        """Everything that happened, a line each."""
        lines = [f"{(when - self.epoch_ns) / MS:6.1f} ms  {who:<8}{what}" for when, who, what in self._story]
        return dedent("\n".join(lines))

    # -- looking ----------------------------------------------------------------------------------

    def frames(self, window: "Window | None" = None) -> list[FrameReport]:
        found = [event for event in self.reports if isinstance(event, FrameReport)]
        return [f for f in found if window is None or f.surface == window.surface.number]

    def presented_ms(self, window: "Window | None" = None) -> list[float]:
        return [
            round((frame.presented_ns - self.epoch_ns) / MS, 1)
            for frame in self.frames(window)
            if frame.presented_ns is not None
        ]

    def pixel(self, buffer: Buffer, x: int, y: int) -> int:
        with mmap.mmap(buffer.fd, buffer.pitch * buffer.height) as pixels:
            at = y * buffer.pitch + x * 4
            return int.from_bytes(pixels[at : at + 4], "little")

    def refuse_next(self, which: Callable[[Request[Any]], bool]) -> None:
        """The machine refuses the next such call of the core with EINVAL."""
        self.file.refuse = which

    def told(self, kind: type) -> list[Any]:
        return [effect for _, effect in self.effects if isinstance(effect, kind)]


@dataclass(eq=False)
class Note:
    """A callback or feedback of a client, by the name of the picture it came with."""

    client: "Client"
    picture: str
    heard: list[tuple[str, float]] = field(default_factory=list)
    on_frame: Callable[[], object] = field(default=lambda: None)

    def told(self, world: World, what: str) -> None:
        self.heard.append((what, world.now_ms))
        world.tell(self.client.name, f"hears {what} for {self.picture}")


class Image:
    """A client's buffer with an acquire and a release timeline of its own."""

    def __init__(self, client: "Client", width: int, height: int, name: str, *, user: bool = False) -> None:
        self.client, self.name = client, name
        self.width, self.height = width, height
        made = client.file.call(CreateDumb(width=width, height=height))
        self.handle, self.pitch = made.handle, made.pitch
        fd = client.file.call(PrimeHandleToFd(handle=made.handle)).fd
        core = client.world.core
        self.buffer: Buffer = core.import_dmabuf(
            client.peer, fd, width=width, height=height, format=FORMAT_XRGB8888, pitch=self.pitch
        )
        self.memory = client.file.memory(self.handle)
        self.acquire, self.acquire_timeline = client.timeline(user=user)
        self.release, self.release_timeline = client.timeline(user=user)
        self.uses = 0
        self.was_used = self.is_explicit = self.is_lent = False
        """`is_lent`: committed without points and not yet released by an event."""
        client.world.images.append(self)

    def released(self) -> int:
        """The highest release value that has signalled."""
        return self.client.file.call(SyncobjQuery(handles=(self.release,))).points[0]

    @property
    def is_finished(self) -> bool:
        """Its newest picture: the acquire point has signalled."""
        return self.client.file.call(SyncobjQuery(handles=(self.acquire,))).points[0] >= self.uses

    @property
    def is_free(self) -> bool:
        return not self.is_lent and self.released() >= self.uses


class Client:
    """One client process: a device file of its own (not master), windows, images."""

    def __init__(self, world: World, name: str) -> None:
        self.world, self.name = world, name
        self.file = DirectFile(world.device, "card", name)
        self.peer = world.core.add_client(name)
        self.windows: list[Window] = []
        self.pictures: list[Picture] = []
        self.is_alive = True
        self._cursor: Picture | None = None
        world.clients.append(self)

    def timeline(self, *, user: bool = False) -> tuple[int, Timeline]:
        handle = self.file.call(SyncobjCreateUser() if user else SyncobjCreate()).handle
        fd = self.file.call(SyncobjHandleToFd(handle=handle)).fd
        return handle, self.world.core.import_timeline(self.peer, fd)

    def window(
        self, width: int = 100, height: int = 80, *, explicit: bool = True, user: bool = False
    ) -> "Window":
        """`user`: its points are those of user fences."""
        return Window(self, width, height, explicit=explicit, user=user)

    def gate(self, until_ms: float) -> Fd:
        """A sync_file that signals at that time."""
        timeline = self.file.call(SwSyncCreateTimeline()).fd
        fence = self.file.call(SwSyncCreateFence(timeline=timeline, value=1)).fd
        self.world.at_ms(until_ms, lambda: self.file.call(SwSyncInc(timeline=timeline)))
        return fence

    def picture(self, width: int, height: int) -> "Picture":
        """A surface without a role."""
        picture = Picture(self, self.surface(), width, height, explicit=True)
        self.pictures.append(picture)
        return picture

    def cursor(self) -> "Picture":
        """The one cursor surface of this client."""
        if self._cursor is None:
            self._cursor = self.picture(24, 24)
        return self._cursor

    def surface(self) -> Surface:
        return self.world.core.create_surface(self.peer)

    def hang_up(self) -> None:
        """The process is killed."""
        self.is_alive = False
        self.file.close()
        self.world.core.remove_client(self.peer, self.world.now_ns)
        self.world.settle()


class Picture:
    """Presents images on one surface."""

    def __init__(
        self, client: Client, surface: Surface, width: int, height: int, *, explicit: bool, user: bool = False
    ) -> None:
        self.client, self.world = client, client.world
        self.user = user
        self.surface = surface
        self.width, self.height = width, height
        self.explicit = surface.explicit = explicit
        self.images: dict[str, Image] = {}
        self.notes: list[Note] = []

    def image(self, name: str) -> Image:
        if name not in self.images:
            self.images[name] = Image(self.client, self.width, self.height, name, user=self.user)
        return self.images[name]

    def color(self) -> int:
        """Another one for every picture."""
        self.world.colors += 1
        return 0xFF00_0000 | self.world.colors * 0x0B_5A7D & 0xFF_FFFF

    def render(self, image: Image, gpu_ns: int, *, in_fence: Fd | None = None) -> None:
        """Queue the GPU job that paints the image's next use and signals its acquire point."""
        out_points = (Point(handle=image.acquire, point=image.uses),) if self.explicit else ()
        image.released()  # an honest client looks before it paints over its image
        self.client.file.call(
            Submit(
                target=image.handle, target_size=(image.width, image.height), pitch=image.pitch,
                commands=(Fill(rect=(0, 0, image.width, image.height), color=self.color()),),
                duration_ns=gpu_ns, out_points=out_points, implicit=not self.explicit,
                in_fence=Fd(-1) if in_fence is None else in_fence,
                label=f"{self.client.name}'s {image.name}",
            )
        )  # fmt: skip

    def present(self, name: str, gpu_ms: float | None = 1.0, *, in_fence: Fd | None = None) -> Note:
        """Commit the image; `gpu_ms` None: the work is submitted never, or later by `render`."""
        image = self.image(name)
        image.was_used, image.is_explicit = True, self.explicit
        if self.explicit:
            image.uses += 1
        image.is_lent = not self.explicit
        if gpu_ms is not None:
            self.render(image, round(gpu_ms * MS), in_fence=in_fence)
        pending = self.surface.pending
        pending.attached = image.buffer
        pending.damage_buffer(Rect(0, 0, image.width, image.height))
        if self.explicit:
            pending.acquire = SyncPoint(image.acquire_timeline, image.uses)
            pending.release = SyncPoint(image.release_timeline, image.uses)
        return self.commit(name)

    def commit(self, name: str = "nothing") -> Note:
        note = Note(self.client, name)
        self.notes.append(note)
        pending = self.surface.pending
        pending.frame_callbacks.append(note)
        pending.feedbacks.append(note)
        self.world.tell(self.client.name, f"commits {name}")
        self.world.naming = name
        self.world.core.commit(self.surface, self.world.now_ns)
        self.world.settle()
        return note

    def destroy(self) -> None:
        self.world.core.destroy_surface(self.surface, self.world.now_ns)
        self.world.settle()


class Window(Picture):
    """A mapped-to-be toplevel that has done its configure round."""

    def __init__(
        self, client: Client, width: int, height: int, *, explicit: bool, user: bool = False
    ) -> None:
        super().__init__(client, client.surface(), width, height, explicit=explicit, user=user)
        core = self.world.core
        self.configured: list[tuple[int, int, int]] = []
        self.xdg: XdgSurface = core.shell.make_xdg_surface(self.surface)
        self.toplevel: Toplevel = core.shell.make_toplevel(self.xdg)
        client.windows.append(self)
        core.commit(self.surface, self.world.now_ns)
        self.world.settle()
        self.ack()

    def ack(self) -> None:
        serial, width, height = self.configured[-1]
        if width and height:
            self.width, self.height = width, height
            self.images.clear()
        self.world.core.shell.ack_configure(self.xdg, serial)

    def destroy(self) -> None:
        core, now_ns = self.world.core, self.world.now_ns
        core.shell.destroy_toplevel(self.toplevel, now_ns)
        core.shell.destroy_xdg_surface(self.xdg, now_ns)
        core.destroy_surface(self.surface, now_ns)
        self.world.settle()
