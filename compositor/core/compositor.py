"""Compositor: the one object the outside talks to."""

from typing import Any

from syncline.compositor.core.buffer import Buffer
from syncline.compositor.core.effects import Effect
from syncline.compositor.core.geometry import Rect
from syncline.compositor.core.output import Output
from syncline.compositor.core.policy import AcquireMode, Policy
from syncline.compositor.core.report import ReportEvent
from syncline.compositor.core.seat import Seat
from syncline.compositor.core.shell import Popup, Positioner, Toplevel, XdgSurface
from syncline.compositor.core.surface import Client, Surface
from syncline.compositor.core.syncobj import Timeline, Watcher
from syncline.kms_model.uapi import DeviceFile, Fd


class Subsurfaces:
    """wl_subcompositor and wl_subsurface. Reached as `Compositor.subsurfaces`; raises Violation."""

    def make(self, surface: Surface, parent: Surface) -> None:
        """get_subsurface: WlSubcompositorError.BAD_SURFACE, BAD_PARENT. Starts synchronized (U1)."""
        raise NotImplementedError

    def destroy(self, surface: Surface, now_ns: int) -> None:
        """wl_subsurface.destroy: unmapped at once (U4); harmless when the parent is already gone."""
        raise NotImplementedError

    def set_position(self, surface: Surface, *, x: int, y: int) -> None:
        """Pending state of the parent (U3)."""
        raise NotImplementedError

    def place(self, surface: Surface, sibling: Surface, *, above: bool) -> None:
        """place_above, place_below: WlSubsurfaceError.BAD_SURFACE unless a sibling or the parent (U8)."""
        raise NotImplementedError

    def set_synchronized(self, surface: Surface, *, synchronized: bool, now_ns: int) -> None:
        """set_sync, set_desync; becoming desynchronized may set cached updates free (C6)."""
        raise NotImplementedError


class Shell:
    """xdg_wm_base and what hangs from it. Reached as `Compositor.shell`; raises Violation."""

    def make_xdg_surface(self, surface: Surface) -> XdgSurface:
        """XdgWmBaseError.ROLE if it has another role, XdgSurfaceError.UNCONFIGURED_BUFFER if it has content."""
        raise NotImplementedError

    def make_toplevel(self, xdg: XdgSurface) -> Toplevel:
        """XdgSurfaceError.ALREADY_CONSTRUCTED, XdgWmBaseError.ROLE."""
        raise NotImplementedError

    def make_popup(self, xdg: XdgSurface, parent: XdgSurface | None, positioner: Positioner) -> Popup:
        """XdgSurfaceError.ALREADY_CONSTRUCTED; XdgWmBaseError.ROLE, INVALID_POSITIONER, INVALID_POPUP_PARENT."""
        raise NotImplementedError

    def ack_configure(self, xdg: XdgSurface, serial: int) -> None:
        """XdgSurfaceError.NOT_CONSTRUCTED, INVALID_SERIAL (X3). Takes effect with the next commit (X2)."""
        raise NotImplementedError

    def set_window_geometry(self, xdg: XdgSurface, rect: Rect) -> None:
        """XdgSurfaceError.NOT_CONSTRUCTED, INVALID_SIZE. Pending state."""
        raise NotImplementedError

    def set_size_limits(
        self, toplevel: Toplevel, *, minimum: tuple[int, int] | None, maximum: tuple[int, int] | None
    ) -> None:
        """set_min_size / set_max_size (None: leave). Pending; XdgToplevelError.INVALID_SIZE if negative."""
        raise NotImplementedError

    def set_parent(self, toplevel: Toplevel, parent: Toplevel | None) -> None:
        """XdgToplevelError.INVALID_PARENT if it would make a loop."""
        raise NotImplementedError

    def set_maximized(self, toplevel: Toplevel, *, on: bool, now_ns: int) -> None: ...

    def set_fullscreen(
        self, toplevel: Toplevel, *, on: bool, output: Output | None = None, now_ns: int
    ) -> None: ...

    def set_minimized(self, toplevel: Toplevel, now_ns: int) -> None: ...

    def grab(self, popup: Popup) -> None:
        """XdgPopupError.INVALID_GRAB after it was mapped."""
        raise NotImplementedError

    def reposition(self, popup: Popup, positioner: Positioner, *, token: int, now_ns: int) -> None:
        raise NotImplementedError

    def destroy_toplevel(self, toplevel: Toplevel, now_ns: int) -> None: ...

    def destroy_popup(self, popup: Popup, now_ns: int) -> None:
        """XdgWmBaseError.NOT_THE_TOPMOST_POPUP."""
        raise NotImplementedError

    def destroy_xdg_surface(self, xdg: XdgSurface, now_ns: int) -> None:
        """XdgSurfaceError.DEFUNCT_ROLE_OBJECT while its toplevel or popup lives."""
        raise NotImplementedError


class Compositor:
    """Requests and device news in, effects out. Never blocks, never reads a clock, never calls back.

    Every driver does the same: one input, `drain` and deliver, `take_report`, ask `next_deadline_ns`, wait.
    `Violation` is raised before any state moved; `DeviceError` only where a docstring says so.
    """

    def __init__(self, device: DeviceFile, watcher: Watcher, *, policy: Policy, now_ns: int) -> None:
        """Takes the card: enables caps, lights every connected connector. Raises DeviceError."""
        self.device = device
        self.watcher = watcher
        self.policy = policy
        self.started_ns = now_ns
        self.outputs: list[Output] = []
        self.subsurfaces = Subsurfaces()
        self.shell = Shell()
        self.seat = Seat()

    # -- clients and surfaces ---------------------------------------------------------------------

    def add_client(self, name: str) -> Client:
        """`name` is for reports."""
        raise NotImplementedError

    def rename_client(self, client: Client, name: str) -> None:
        """When more is known (app_id)."""
        raise NotImplementedError

    def remove_client(self, client: Client, now_ns: int) -> None:
        """It hung up: whatever the object destructors left is destroyed; every point owed is reached (S89)."""
        raise NotImplementedError

    def create_surface(self, client: Client) -> Surface:
        """Raises Violation(WlDisplayError.NO_MEMORY) over the client's limit."""
        raise NotImplementedError

    def commit(self, surface: Surface, now_ns: int) -> None:
        """wl_surface.commit: take `surface.pending` as a content update (C1). Raises Violation."""
        raise NotImplementedError

    def destroy_surface(self, surface: Surface, now_ns: int) -> None:
        """WlSurfaceError.DEFUNCT_ROLE_OBJECT while a role object lives (C21); its points are reached (S80)."""
        raise NotImplementedError

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
        """Takes `fd` over, also when it raises DeviceError (not a dma-buf, too small, wrong format)."""
        raise NotImplementedError

    def create_upload(self, client: Client, *, width: int, height: int, format: int) -> Buffer:
        """A buffer of ours for wl_shm contents: map `buffer.fd` (`buffer.pitch` bytes a row), write, attach.

        It may be written when new and again after BufferReleased. Raises DeviceError.
        """
        raise NotImplementedError

    def create_color(self, client: Client, color: int) -> Buffer:
        """wp_single_pixel_buffer: premultiplied 0xAARRGGBB, 1x1 (Q1)."""
        raise NotImplementedError

    def destroy_buffer(self, buffer: Buffer, now_ns: int) -> None:
        """The wl_buffer is gone; storage stays until nobody needs it (C12, S81). No BufferReleased after this."""
        raise NotImplementedError

    def import_timeline(self, client: Client, fd: Fd) -> Timeline:
        """Takes `fd` over, also when it raises DeviceError(EINVAL): then it was no syncobj (S15)."""
        raise NotImplementedError

    def destroy_timeline(self, timeline: Timeline) -> None:
        """Cancels nothing (S21-S23)."""
        raise NotImplementedError

    # -- outputs and capture ----------------------------------------------------------------------

    def set_acquire_mode(self, output: Output, mode: AcquireMode, now_ns: int) -> None:
        """Switch at runtime; updates already waiting are judged again."""
        raise NotImplementedError

    def capture(
        self, output: Output, buffer: Buffer, *, token: object, with_cursor: bool, now_ns: int
    ) -> None:
        """Copy the output's content at its next latch: CaptureReady or CaptureFailed carries `token`."""
        raise NotImplementedError

    def cancel_capture(self, token: object, now_ns: int) -> None:
        """The frame object went away first: no effect will carry the token."""
        raise NotImplementedError

    # -- news, time, effects ----------------------------------------------------------------------

    def point_ready(self, watch: int, now_ns: int) -> None:
        """A watched point's eventfd fired. Not believed before the device confirms it."""
        raise NotImplementedError

    def device_event(self, event: Any, now_ns: int) -> None:
        """One event of `DeviceFile.read_events()`."""
        raise NotImplementedError

    def next_deadline_ns(self) -> int | None:
        """When `tick` wants to be called; None: not before other news."""
        raise NotImplementedError

    def tick(self, now_ns: int) -> None:
        """Do what is due. Calling early or late is harmless."""
        raise NotImplementedError

    def settled(self, now_ns: int) -> None:
        """The work of the last call has ended, effects delivered: what latching costs is learned from this."""
        raise NotImplementedError

    def drain(self) -> list[Effect]:
        """Everything to be told to clients since the last time, in order."""
        raise NotImplementedError

    def take_report(self) -> list[ReportEvent]:
        """Everything that happened since the last time, in order."""
        raise NotImplementedError

    def close(self, now_ns: int) -> None:
        """Orderly end: every point still owed is reached, then nothing of ours is left in the device file."""
        raise NotImplementedError

    def check_invariants(self) -> None:
        """AssertionError if the core contradicts itself. Cheap enough for after every input of a test."""
        raise NotImplementedError
