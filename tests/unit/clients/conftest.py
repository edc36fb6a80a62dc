"""The far side of the clients: a compositor with no judgement, whose every answer the test decides."""

import gc
import mmap
import re
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from syncline.clients.catalogue import DEMOS, run_demo
from syncline.clients.toolkit.loop import Context
from syncline.clients.toolkit.options import Options
from syncline.clients.toolkit.report import ClientEvent
from syncline.kms_model.device import Device
from syncline.kms_model.local import LocalNode
from syncline.kms_model.loops import VirtualLoop, run_virtual, sleep_until
from syncline.kms_model.uapi import (
    FORMAT_XRGB8888,
    MODIFIER_LINEAR,
    Fd,
    SyncobjFdToHandle,
    SyncobjQuery,
    SyncobjTimelineSignal,
)
from syncline.protocol.connection import Connection
from syncline.protocol.display import Callback, Global, Globals, serve
from syncline.protocol.fd import ReceivedFd
from syncline.protocol.object import NewId, Resource
from syncline.protocol.transport.link import Link
from syncline.protocol.transport.memory import pair

MS = 1_000_000
REFRESH_NS = 16 * MS


@dataclass(eq=False)
class Commit:
    """What one wl_surface.commit said."""

    t_ns: int
    surface: "Surface"
    buffer: "Resource | None" = None
    acquire: "tuple[Timeline, int] | None" = None
    release: "tuple[Timeline, int] | None" = None
    ack: int | None = None
    callback: Callback | None = None
    feedback: "Feedback | None" = None


class Mute(Resource):
    """An object of which nothing is expected."""

    def destroy(self) -> None: ...


class Pool(Mute):
    interface = "wl_shm_pool"
    ignored = ("resize",)

    def create_buffer(self, id: NewId, *_shape: int) -> None:
        Buffer(id)


class Buffer(Mute):
    """`pixels` look at the client's memory as it is now: what a reader that waits for nothing would see."""

    interface = "wl_buffer"
    size: tuple[int, int] = (0, 0)
    pixels: Any = None


class Timeline(Mute):
    interface = "wp_linux_drm_syncobj_timeline_v1"

    def __init__(self, new: NewId, world: "World", fd: ReceivedFd) -> None:
        super().__init__(new)
        self.handle = world.file.call(SyncobjFdToHandle(fd=Fd(fd.fileno()))).handle


class Feedback(Resource):
    interface = "wp_presentation_feedback"


class SyncSurface(Mute):
    interface = "wp_linux_drm_syncobj_surface_v1"

    def __init__(self, new: NewId, surface: "Surface") -> None:
        super().__init__(new)
        self.surface = surface

    def set_acquire_point(self, timeline: Timeline, point: int) -> None:
        self.surface.pending.acquire = timeline, point

    def set_release_point(self, timeline: Timeline, point: int) -> None:
        self.surface.pending.release = timeline, point


class Surface(Mute):
    interface = "wl_surface"
    up_to = 6
    ignored = (
        "damage",
        "damage_buffer",
        "set_opaque_region",
        "set_input_region",
        "set_buffer_transform",
        "set_buffer_scale",
        "offset",
    )

    def __init__(self, new: NewId, world: "World") -> None:
        super().__init__(new)
        self.world = world
        self.pending = Commit(0, self)

    def attach(self, buffer: Buffer | None, _x: int, _y: int) -> None:
        self.pending.buffer = buffer

    def frame(self, callback: NewId) -> None:
        self.pending.callback = Callback(callback)

    def commit(self) -> None:
        commit, self.pending = self.pending, Commit(0, self)
        commit.t_ns = self.world.loop.now_ns()
        self.world.hear(commit)

    def destroy(self) -> None:
        self.world.forget(self)


class Toplevel(Mute):
    interface = "xdg_toplevel"
    ignored = (
        "set_parent",
        "show_window_menu",
        "move",
        "resize",
        "set_max_size",
        "set_min_size",
        "set_maximized",
        "unset_maximized",
        "unset_fullscreen",
        "set_minimized",
    )

    def __init__(self, new: NewId) -> None:
        super().__init__(new)
        self.said: dict[str, object] = {}

    def set_title(self, title: str) -> None:
        self.said["title"] = title

    def set_app_id(self, app_id: str) -> None:
        self.said["app_id"] = app_id

    def set_fullscreen(self, output: None) -> None:
        self.said["fullscreen"] = output


class XdgSurface(Mute):
    interface = "xdg_surface"
    ignored = ("get_popup", "set_window_geometry")

    def __init__(self, new: NewId, surface: Surface, world: "World") -> None:
        super().__init__(new)
        self.surface = surface
        world.xdg = self

    def get_toplevel(self, id: NewId) -> None:
        self.toplevel = Toplevel(id)

    def ack_configure(self, serial: int) -> None:
        self.surface.pending.ack = serial

    def configure(self, serial: int, *, size: tuple[int, int] = (0, 0)) -> None:
        self.toplevel.send("configure", *size, b"")
        self.send("configure", serial)


class Shell(Mute):
    interface = "xdg_wm_base"
    ignored = ("create_positioner",)

    def __init__(self, new: NewId, world: "World") -> None:
        super().__init__(new)
        self.world = world
        self.ponged: list[int] = []
        world.shell = self

    def get_xdg_surface(self, id: NewId, surface: Surface) -> None:
        XdgSurface(id, surface, self.world)

    def pong(self, serial: int) -> None:
        self.ponged.append(serial)


class CompositorGlobal(Mute):
    interface = "wl_compositor"
    up_to = 6
    ignored = ("create_region",)
    world: "World"

    def create_surface(self, id: NewId) -> None:
        Surface(id, self.world)


class ShmGlobal(Mute):
    interface = "wl_shm"
    up_to = 1

    def create_pool(self, id: NewId, _fd: ReceivedFd, _size: int) -> None:
        Pool(id)


class Params(Mute):
    interface = "zwp_linux_buffer_params_v1"
    up_to = 3
    ignored = ("create",)

    def add(self, fd: ReceivedFd, _plane: int, _offset: int, stride: int, _modifier: int) -> None:
        self.memory = mmap.mmap(fd.fileno(), 0, mmap.MAP_SHARED, mmap.PROT_READ)
        self.stride = stride

    def create_immed(self, id: NewId, width: int, height: int, *_format: int) -> None:
        stride = self.stride // 4
        memory = np.frombuffer(self.memory, dtype=np.uint32)[: height * stride]
        buffer = Buffer(id)
        buffer.size = width, height
        buffer.pixels = memory.reshape(height, stride)[:, :width]


class DmabufGlobal(Mute):
    interface = "zwp_linux_dmabuf_v1"
    up_to = 3

    def create_params(self, id: NewId) -> None:
        Params(id)


class SyncobjGlobal(Mute):
    interface = "wp_linux_drm_syncobj_manager_v1"
    world: "World"

    def get_surface(self, id: NewId, surface: Surface) -> None:
        SyncSurface(id, surface)

    def import_timeline(self, id: NewId, fd: ReceivedFd) -> None:
        Timeline(id, self.world, fd)


class PresentationGlobal(Mute):
    interface = "wp_presentation"
    up_to = 2

    def feedback(self, surface: Surface, callback: NewId) -> None:
        surface.pending.feedback = Feedback(callback)


@dataclass
class World:
    """One client and this compositor on one loop.

    At every vblank the last commit is shown and the one before it given back, unless `releases` is off.
    """

    loop: VirtualLoop
    file: Any = None
    connection: Connection | None = None
    link: Link | None = None
    xdg: XdgSurface | None = None
    shell: Shell | None = None
    commits: list[Commit] = field(default_factory=list)
    events: list[ClientEvent] = field(default_factory=list)
    without: set[str] = field(default_factory=set)
    releases: bool = True
    hold_ns: int = 0
    """How long it keeps an image after the vblank that replaced it."""
    on_commit: Callable[[Commit], None] = lambda _: None
    shown: dict[Surface, Commit] = field(default_factory=dict)
    given_back: set[Commit] = field(default_factory=set)

    def offers(self) -> list[Global]:
        known = [
            ("wl_compositor", 6, self._with_world(CompositorGlobal)),
            ("xdg_wm_base", 7, lambda new: Shell(new, self)),
            ("wl_shm", 1, ShmGlobal),
            ("zwp_linux_dmabuf_v1", 3, self._dmabuf),
            ("wp_linux_drm_syncobj_manager_v1", 1, self._with_world(SyncobjGlobal)),
            ("wp_presentation", 2, self._presentation),
        ]
        return [Global(*each) for each in known if each[0] not in self.without]

    def _with_world(self, kind: Any) -> Callable[[NewId], Resource]:
        def bind(new: NewId) -> Resource:
            made = kind(new)
            made.world = self
            return made

        return bind

    def _dmabuf(self, new: NewId) -> Resource:
        made = DmabufGlobal(new)
        made.send("modifier", FORMAT_XRGB8888, MODIFIER_LINEAR)
        return made

    def _presentation(self, new: NewId) -> Resource:
        made = PresentationGlobal(new)
        made.send("clock_id", 1)
        return made

    def hear(self, commit: Commit) -> None:
        if commit.buffer is None:
            self.xdg.configure(1)
            return
        self.commits.append(commit)
        vblank_ns = (commit.t_ns // REFRESH_NS + 1) * REFRESH_NS
        self.loop.call_at_ns(vblank_ns, partial(self.show, commit, vblank_ns))
        self.on_commit(commit)

    def show(self, commit: Commit, vblank_ns: int) -> None:
        if not commit.surface.alive:
            return
        before = self.shown.get(commit.surface)
        self.shown[commit.surface] = commit
        if commit.callback is not None:
            commit.callback.done(vblank_ns // MS & 0xFFFFFFFF)
        if commit.feedback is not None:
            flags, sequence = 3, vblank_ns // REFRESH_NS
            commit.feedback.send("presented", *divmod(vblank_ns, 10**9), REFRESH_NS, sequence, flags)
            commit.feedback.finish()
        if before is not None and self.releases:
            self.loop.call_at_ns(vblank_ns + self.hold_ns, lambda: self.give_back(before))

    def give_back(self, commit: Commit) -> None:
        if commit in self.given_back:
            return
        self.given_back.add(commit)
        if commit.release is None:
            commit.buffer.send("release")
        else:
            timeline, point = commit.release
            self.file.call(SyncobjTimelineSignal(handles=(timeline.handle,), points=(point,)))

    def forget(self, surface: Surface) -> None:
        """The surface is gone: whatever is owed for it comes now (S80)."""
        if self.releases:
            for commit in self.commits:
                if commit.surface is surface:
                    self.give_back(commit)

    def still_out(self, commit: Commit) -> bool:
        return commit not in self.given_back

    def value(self, timeline: Timeline) -> int:
        """The highest point signalled on it."""
        return self.file.call(SyncobjQuery(handles=(timeline.handle,))).points[0]


@pytest.fixture
def play() -> Callable[..., World]:
    """`play("solid", Options(...), script)`: run a demo against the compositor above; the world, afterwards."""

    def play(demo: str, options: Options, script: Callable[[World, Context], None] | None = None) -> World:
        async def main(loop: VirtualLoop) -> World:
            node = LocalNode(Device(), loop)
            world = World(loop, file=node.open())
            ours, theirs = pair(loop)
            file = node.open()
            complete = DEMOS[demo].complete(options)
            context = Context(
                loop=loop, transport=theirs, device=file, options=complete, emit=world.events.append
            )
            if script is not None:
                script(world, context)
            world.connection = serve(Globals(world.offers()))
            world.link = link = Link(loop, world.connection, ours, lambda _: None)
            try:
                await run_demo(DEMOS[demo], context)
            finally:
                link.close()
                file.close()
                world.file.close()
                await sleep_until(loop, loop.now_ns() + 1000 * MS)  # the GPU finishes what it was given
                node.close()
                node.device.kernel.descriptors.close()
                for commit in world.commits:
                    commit.buffer.pixels = None  # a mapping holds a descriptor
            return world

        return run_virtual(main)

    def play_without_leaks(*arguments: Any) -> World:
        before = open_files()
        try:
            return play(*arguments)
        finally:
            gc.collect()  # the mappings of the pixels
            assert open_files() - before == Counter()

    return play_without_leaks


def open_files() -> Counter[str]:
    """What this process has open, by kind, without the numbers that differ from run to run."""
    links = []
    for each in Path("/proc/self/fd").iterdir():
        with suppress(FileNotFoundError):  # the listing itself
            links.append(re.sub(r"\d+", "N", str(each.readlink())))
    return Counter(links)
