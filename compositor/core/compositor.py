"""Compositor: the one object the outside talks to."""

from collections.abc import Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from itertools import count
from typing import Final

from syncline.compositor.core.buffer import Buffer, Origin
from syncline.compositor.core.capture import Capture, Captures
from syncline.compositor.core.commits import Commits
from syncline.compositor.core.effects import Effect
from syncline.compositor.core.errors import Violation
from syncline.compositor.core.layout import Layout
from syncline.compositor.core.output import RIGHT_AFTER_NS, Cue, Output
from syncline.compositor.core.outputs import Outputs
from syncline.compositor.core.policy import AcquireMode, Policy, Sync
from syncline.compositor.core.report import ReportEvent
from syncline.compositor.core.roles import Shell
from syncline.compositor.core.screen import Screen
from syncline.compositor.core.seat import Seat
from syncline.compositor.core.stage import build_stage
from syncline.compositor.core.subsurface import Subsurfaces
from syncline.compositor.core.surface import Client, Surface
from syncline.compositor.core.syncobj import Timeline, Watcher, has_user_fences, import_timeline
from syncline.compositor.core.windows import Windows
from syncline.kms_model.uapi import (
    ClientCap,
    DeviceFile,
    DmaBufSyncFlag,
    Event,
    Fd,
    FlipComplete,
    FlipDropped,
    Hotplug,
    SetClientCap,
    Wedged,
)
from syncline.protocol.enums import WlDisplay, WlSurface

MAX_SURFACES: Final = 4096
"""Per client."""


class Compositor:
    """Requests and device news in, effects out. Never blocks, never reads a clock, never calls back.

    Every driver does the same: one input, `drain` and deliver, `take_report`, ask `next_deadline_ns`, wait.
    `Violation` is raised before any state moved; `DeviceError` only where a docstring says so.
    """

    def __init__(self, device: DeviceFile, watcher: Watcher, *, policy: Policy, now_ns: int) -> None:
        """Takes the card: enables caps, lights every connected connector. Raises DeviceError."""
        self.device = device
        self.policy = policy
        for cap in (ClientCap.UNIVERSAL_PLANES, ClientCap.ATOMIC):
            device.call(SetClientCap(capability=cap))
        self._stage = build_stage(device, watcher, policy)
        self._captures = Captures(self._stage)
        screens: list[Screen] = []
        self._layout = Layout(self._stage, screens)
        self._outputs = Outputs(self._stage, self._captures, self._layout, screens)
        self._windows = Windows(self._stage, self._layout, screens)
        self.shell = Shell(self._windows, self._layout)
        self.seat = Seat(self._stage, self._windows, self._layout)
        self._commits = Commits(self._stage, screens, self._layout, self.shell, self.seat)
        self.subsurfaces = Subsurfaces(self._commits, self._layout)
        self._knows_user_fences = policy.sync is Sync.USER and has_user_fences(device)
        self._clients: dict[Client, _Owned] = {}
        self._numbers = count(1)
        self._outputs.rescan(now_ns)

    # -- outputs and capture ----------------------------------------------------------------------

    @property
    def outputs(self) -> list[Output]:
        """In the order they were found, left to right."""
        return [screen.output for screen in self._outputs.screens]

    def rescan_outputs(self, now_ns: int) -> None:
        """Connectors may have come or gone: light the new, let go of the rest. Raises DeviceError."""
        self._outputs.rescan(now_ns)

    def set_acquire_mode(self, output: Output, mode: AcquireMode, now_ns: int) -> None:
        """Switch at runtime; updates already waiting are judged again."""
        output.acquire_mode = mode
        surfaces = list(self._surfaces())
        self._commits.set_acquire_mode(output, surfaces, now_ns)

    def capture(
        self, output: Output, buffer: Buffer, *, token: object, with_cursor: bool, now_ns: int
    ) -> None:
        """Copy the output's content at its next latch: CaptureReady or CaptureFailed carries `token`."""
        if self._captures.ask(Capture(output, buffer, token, with_cursor)) and output in self.outputs:
            output.cue(Cue.DAMAGED, now_ns)

    def cancel_capture(self, token: object, now_ns: int) -> None:
        """The frame object went away first: no effect will carry the token."""
        self._captures.cancel(token, now_ns)

    # -- clients and surfaces ---------------------------------------------------------------------

    def add_client(self, name: str) -> Client:
        """`name` is for reports."""
        client = Client(next(self._numbers), name)
        self._clients[client] = _Owned()
        return client

    def rename_client(self, client: Client, name: str) -> None:
        """When more is known (app_id)."""
        client.name = name

    def remove_client(self, client: Client, now_ns: int) -> None:
        """It hung up: whatever its objects' destructors left is destroyed; every point owed is reached (S89)."""
        owned = self._clients.pop(client)
        for surface in list(owned.surfaces):
            self._remove(surface, owned, now_ns)
        self._layout.settle(now_ns)
        for buffer in list(owned.buffers):
            self._stage.releases.destroy_buffer(buffer)
        for timeline in list(owned.timelines):
            self._stage.releases.unuse_timeline(timeline)

    def create_surface(self, client: Client) -> Surface:
        """Raises Violation(WlDisplay.Error.NO_MEMORY) over the client's limit."""
        owned = self._clients[client].surfaces
        if len(owned) >= MAX_SURFACES:
            raise Violation(WlDisplay.Error.NO_MEMORY, f"more than {MAX_SURFACES} surfaces")
        surface = Surface(next(self._numbers), client)
        owned[surface] = None
        return surface

    def commit(self, surface: Surface, now_ns: int) -> None:
        """wl_surface.commit: take `surface.pending` as a content update (C1). Raises Violation."""
        try:
            self._commits.commit(surface, now_ns)
        except Violation as violation:
            self._stage.journal.violated(surface.client, violation, now_ns)
            raise

    def destroy_surface(self, surface: Surface, now_ns: int) -> None:
        """WlSurface.Error.DEFUNCT_ROLE_OBJECT while a role object lives (C21); its points are reached (S80)."""
        if surface.has_role_object:
            raise Violation(WlSurface.Error.DEFUNCT_ROLE_OBJECT, "its role object is still there")
        self._remove(surface, self._clients[surface.client], now_ns)
        self._layout.settle(now_ns)

    def _remove(self, surface: Surface, owned: "_Owned", now_ns: int) -> None:
        self.shell.remove(surface, now_ns)
        self._commits.discard(surface, now_ns)
        self.subsurfaces.destroy(surface, now_ns)  # after its queue: a parent may have waited for that
        self.subsurfaces.orphan(surface, now_ns)
        self.seat.lost(surface)
        self._layout.forget(surface)
        surface.alive = False
        del owned.surfaces[surface]

    def _surfaces(self) -> Iterator[Surface]:
        for owned in self._clients.values():
            yield from owned.surfaces

    # -- buffers and timelines --------------------------------------------------------------------

    def import_dmabuf(
        self,
        client: Client,
        fd: Fd,
        *,
        width: int,
        height: int,
        format: int,
        pitch: int,
        offset: int = 0,
        modifier: int = 0,
    ) -> Buffer:
        """Takes `fd` over, also when it raises DeviceError (no dma-buf of a device)."""
        buffer = self._stage.memory.import_dmabuf(
            fd, width=width, height=height, format=format, pitch=pitch, offset=offset, modifier=modifier
        )
        self._clients[client].buffers[buffer] = None
        return buffer

    def create_upload(self, client: Client, *, width: int, height: int, format: int) -> Buffer:
        """A buffer of ours for wl_shm contents: map `buffer.fd` (`buffer.pitch` bytes a row), write, attach.

        It may be written when new and again after BufferReleased. Raises DeviceError.
        """
        memory = self._stage.memory
        buffer = memory.allocate(Origin.UPLOAD, width=width, height=height, format=format)
        self._clients[client].buffers[buffer] = None
        return buffer

    def cpu_access(self, buffer: Buffer, access: DmaBufSyncFlag) -> AbstractContextManager[None]:
        """Around writing an upload, or reading what was captured into one. Raises DeviceError."""
        return self._stage.memory.cpu_access(buffer, access)

    def create_color(self, client: Client, color: int) -> Buffer:
        """wp_single_pixel_buffer: premultiplied 0xAARRGGBB, 1x1 (Q1). Raises DeviceError."""
        buffer = self._stage.memory.color(color)
        self._clients[client].buffers[buffer] = None
        return buffer

    def destroy_buffer(self, buffer: Buffer, now_ns: int) -> None:
        """The wl_buffer is gone; storage stays until nobody needs it (C12, S81). No BufferReleased after this."""
        del now_ns  # its loans end when their readers do, not now
        for owned in self._clients.values():
            owned.buffers.pop(buffer, None)
        self._stage.releases.destroy_buffer(buffer)

    def import_timeline(self, client: Client, fd: Fd) -> Timeline:
        """Takes `fd` over; see `syncobj.import_timeline`."""
        timeline = import_timeline(self.device, fd, asks_type=self._knows_user_fences)
        self._clients[client].timelines[timeline] = None
        return timeline

    def destroy_timeline(self, timeline: Timeline) -> None:
        """Cancels nothing (S21-S23)."""
        for owned in self._clients.values():
            owned.timelines.pop(timeline, None)
        self._stage.releases.unuse_timeline(timeline)

    # -- news, time, effects ----------------------------------------------------------------------

    def point_ready(self, watch: int, now_ns: int) -> None:
        """A watched point's eventfd fired. Not believed before the device confirms it."""
        if self._captures.point_ready(watch, now_ns):
            return
        update = self._stage.waits.point_ready(watch, now_ns)
        if update is not None:
            self._commits.settle(update.surface.root, now_ns)

    def device_event(self, event: Event, now_ns: int) -> None:
        """One event of `DeviceFile.read_events()`. Raises DeviceError(ENODEV)."""
        match event:
            case FlipComplete():
                if (update := self._outputs.waiting_in(event)) is not None and update.is_parked:
                    self._commits.reached(update, now_ns)
                self._outputs.flipped(event, now_ns)
            case FlipDropped():
                if (update := self._outputs.dropped(event, now_ns)) is not None:
                    self._commits.lose_image(update, now_ns)
                    self._commits.settle(update.surface.root, now_ns)
            case Hotplug():
                self._outputs.hotplug(now_ns)
                self._windows.outputs_changed()
            case Wedged():
                self._outputs.repaint(now_ns)
            case _:
                pass

    def next_deadline_ns(self) -> int | None:
        """When `tick` wants to be called; None: not before other news."""
        stage, deadlines = self._stage, self._outputs.deadlines_ns()
        deadlines += stage.feedback.deadline_ns, stage.waits.deadline_ns, stage.pacing.deadline_ns
        return min(filter(None, deadlines), default=None)

    def tick(self, now_ns: int) -> None:
        """Do what is due. Calling early or late is harmless."""
        for update in self._stage.waits.tick(now_ns):
            self._commits.settle(update.surface.root, now_ns)
        self._pace(now_ns)
        self._outputs.tick(now_ns)
        self._stage.feedback.tick(now_ns)
        self._pace(now_ns + RIGHT_AFTER_NS)  # not with the latches

    def _pace(self, now_ns: int) -> None:
        for surface in self._stage.pacing.tick(now_ns):
            self._commits.settle(surface.root, now_ns)

    def drain(self) -> list[Effect]:
        """Everything to be told to clients since the last time, in order."""
        effects = list(self._stage.effects)
        self._stage.effects.clear()
        return effects

    def take_report(self) -> list[ReportEvent]:
        """Everything that happened since the last time, in order."""
        return self._stage.journal.take()

    def close(self, now_ns: int) -> None:
        """Orderly end: every point still owed is reached. Framebuffers are left for the file's own end."""
        self._stage.memory.leave_framebuffers()
        for client in list(self._clients):
            self.remove_client(client, now_ns)
        self._outputs.close(now_ns)
        self._captures.close()
        self._stage.close()

    def check_invariants(self) -> None:
        """AssertionError if the core contradicts itself. Cheap enough for after every input of a test."""
        surfaces = list(self._surfaces())
        for surface in surfaces:
            surface.check_invariants()
        self._stage.scene.check_invariants()
        self._stage.waits.check_invariants()
        self._stage.pacing.check_invariants()
        self._stage.releases.check_invariants()
        self._stage.feedback.check_invariants(surfaces)
        for screen in self._outputs.screens:
            screen.check_invariants()


@dataclass(eq=False, slots=True)
class _Owned:
    """What a client has and has not destroyed."""

    surfaces: dict[Surface, None] = field(default_factory=dict)
    buffers: dict[Buffer, None] = field(default_factory=dict)
    timelines: dict[Timeline, None] = field(default_factory=dict)
