"""The whole compositor in one process on virtual time: a device model, the server, and clients that only record."""

import asyncio
import gc
import mmap
import os
from collections.abc import Iterator
from contextlib import suppress
from functools import cache
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from syncline.compositor.core.policy import Policy, Sync
from syncline.compositor.loop import Driver
from syncline.kms_model.checker import Policy as Findings
from syncline.kms_model.checker.watch import watch_buffers
from syncline.kms_model.device import Device
from syncline.kms_model.local import LocalNode
from syncline.kms_model.loops import VirtualLoop
from syncline.kms_model.uapi import (
    CreateDumb,
    Fd,
    PrimeHandleToFd,
    SyncobjCreate,
    SyncobjHandleToFd,
    SyncobjQuery,
    SyncobjTimelineSignal,
)
from syncline.protocol import schema
from syncline.protocol.display import Display, Registry
from syncline.protocol.fd import ReceivedFd
from syncline.protocol.object import NewId, Proxy, method_name
from syncline.protocol.transport.link import Link
from syncline.protocol.transport.memory import pair

MS = 1_000_000
XRGB8888 = 0x34325258
ARGB8888 = 0x34325241


class Recorder(Proxy):
    """A client's object that writes down each event as (name, *arguments) and answers none."""

    def heard(self, name: str) -> list[tuple[object, ...]]:
        """The arguments of every event of that name, oldest first."""
        return [arguments for event, *arguments in self.events if event == name]

    def last(self, name: str) -> list[object]:
        return self.heard(name)[-1]


@cache
def recorder(interface: str) -> type[Recorder]:
    """The recording class of an interface, with a method per event."""

    def method(message):
        def record(self, *arguments):
            kept = []
            for each in arguments:
                if isinstance(each, NewId):
                    each = recorder(each.interface)(each)
                elif isinstance(each, ReceivedFd):
                    each = each.take()
                    self.connection.owned_fds.append(each)
                kept.append(each)
            self.events.append((message.name, *kept))
            self.connection.story.append((self, message.name, *kept))

        record.__name__ = message.name
        record.__code__ = record.__code__
        return record

    def begin(self, new):
        Recorder.__init__(self, new)
        self.events = []

    methods = {method_name(each.name): method(each) for each in schema.interface(interface).events}
    return type(interface, (Recorder,), {"interface": interface, "__init__": begin, **methods})


class Client:
    """A connection to the server under test."""

    def __init__(self, world: "World") -> None:
        self.world = world
        ours, theirs = pair(world.loop)
        world.driver.server.accept(theirs)
        self.transport = ours
        self.display = Display.connect()
        self.connection = self.display.connection
        self.connection.owned_fds = []
        self.connection.story = []
        self.closed = ""
        self._memories = []
        self.link = Link(world.loop, self.connection, ours, self._closed)
        self.registry = self.display.get_registry(Registry)
        self.roundtrip()

    def _closed(self, reason: str) -> None:
        self.closed = reason

    @property
    def story(self):
        return self.connection.story

    @property
    def error(self):
        """What the server said was wrong: (interface, code)."""
        error = self.connection.error
        return (error.interface, error.code) if error else None

    def roundtrip(self) -> None:
        """Until the server has answered everything asked so far, or hung up."""
        answers = []
        if not self.connection.closing:
            self.display.sync(answers.append)
        self.world.until(lambda: answers or self.connection.closing)

    def bind(self, interface: str, version: int | None = None) -> Recorder:
        return self.registry.bind_first(recorder(interface), up_to=version)

    def make(self, factory: Proxy, request: str, *arguments: object) -> Recorder:
        """A request with a new_id."""
        made = schema.interface(factory.interface).request(request).new_id().interface
        return factory.request_new(request, recorder(made), *arguments)

    def expect(self, interface: str, code: int, obj: Proxy | None = None) -> None:
        """The next thing to be heard is this error, on this object."""
        self.roundtrip()
        assert self.error == (interface, code), self.connection.error
        if obj is not None:
            assert self.connection.error.object_id == obj.id

    def expect_no_error(self) -> None:
        self.roundtrip()
        assert self.connection.error is None
        assert not self.closed

    def hang_up(self) -> None:
        self.link.close()
        for memory in self._memories:
            memory.close()
        for fd in self.connection.owned_fds:
            os.close(fd)
        self.connection.owned_fds.clear()

    # -- things most stories need -----------------------------------------------------------------

    def surface(self) -> Recorder:
        compositor = self.bind("wl_compositor")
        return self.make(compositor, "create_surface")

    def toplevel(self, base: Recorder | None = None) -> SimpleNamespace:
        """A window that has been told its size and has acked it, but has no content yet."""
        surface = self.surface()
        xdg = self.make(base or self.bind("xdg_wm_base"), "get_xdg_surface", surface)
        toplevel = self.make(xdg, "get_toplevel")
        surface.send("commit")
        self.roundtrip()
        xdg.send("ack_configure", *xdg.last("configure"))
        return SimpleNamespace(surface=surface, xdg=xdg, toplevel=toplevel)

    def shm_buffer(self, width: int = 64, height: int = 64, pixel: int = 0xFF336699, format: int = 1):
        """A pool of one buffer: (wl_buffer, memory). The memory stays writable through `memory`."""
        size = width * height * 4
        fd = os.memfd_create("pool")
        os.ftruncate(fd, size)
        memory = mmap.mmap(fd, size)
        memory[:] = pixel.to_bytes(4, "little") * (width * height)
        pool = self.make(self.bind("wl_shm"), "create_pool", fd, size)
        buffer = self.make(pool, "create_buffer", 0, width, height, width * 4, format)
        pool.send("destroy")
        os.close(fd)
        self._memories.append(memory)
        return buffer, memory

    def dmabuf(self, width: int = 64, height: int = 64, format: int = XRGB8888, version: int | None = None):
        """A wl_buffer of a dumb buffer of the device."""
        fd, pitch = self.world.dumb(width, height)
        params = self.make(self.bind("zwp_linux_dmabuf_v1", version), "create_params")
        params.send("add", fd, 0, 0, pitch, 0)
        buffer = self.make(params, "create_immed", width, height, format, 0)
        params.send("destroy")
        os.close(fd)
        return buffer

    def timeline(self, manager: Recorder) -> SimpleNamespace:
        """A syncobj and its wl object."""
        syncobj = self.world.syncobj()
        fd = self.world.syncobj_fd(syncobj)
        proxy = self.make(manager, "import_timeline", fd)
        os.close(fd)
        return SimpleNamespace(
            proxy=proxy,
            signal=lambda point: self.world.signal(syncobj, point),
            value=lambda: self.world.value(syncobj),
        )


class WorkingLoop(VirtualLoop):
    """Time passes also while somebody works: a little at every look at the clock."""

    def __init__(self, work_ns: int) -> None:
        super().__init__()
        self._work_ns = work_ns

    def now_ns(self) -> int:
        self._now_ns += self._work_ns
        return super().now_ns()


class World:
    """Device, compositor and virtual time."""

    def __init__(
        self, caps: dict[str, int] | None = None, *, work_ns: int = 0, sync: Sync = Sync.USER
    ) -> None:
        self.loop = WorkingLoop(work_ns) if work_ns else VirtualLoop()
        self._faults: list[BaseException] = []
        self.loop.set_exception_handler(self._fault)
        self.node = LocalNode(Device(), self.loop)
        self.races = watch_buffers(self.node.device.kernel, Findings.COLLECT, say=lambda _: None)
        self.card = self.node.open("card")
        self.theirs = self.node.open("card")
        self.reports = []
        self.driver = Driver(
            self.loop,
            self.card,
            policy=Policy(sync=sync, declares_cpu_access=True),
            caps=caps or {},
            report=self.reports.extend,
        )
        self.clients: list[Client] = []

    def _fault(self, _loop, context) -> None:
        self._faults.append(context.get("exception") or RuntimeError(context["message"]))
        self.loop.stop()

    @property
    def core(self):
        return self.driver.core

    def client(self) -> Client:
        client = Client(self)
        self.clients.append(client)
        return client

    def until(self, condition, *, within_ms: int = 1000) -> None:
        """Run until the condition holds."""
        end_ns = self.loop.now_ns() + within_ms * MS
        while not condition():
            assert self.loop.now_ns() < end_ns, "it never happened"
            self.run(0)
            if not condition():
                self._turn()

    def _turn(self) -> None:
        """Up to the next deadline, but at most a millisecond."""
        self._run_until(self.loop.now_ns() + MS)

    def run(self, ms: float) -> None:
        """Let that much virtual time pass."""
        self._run_until(self.loop.now_ns() + round(ms * MS))

    def _run_until(self, when_ns: int) -> None:
        async def sleep() -> None:
            due = asyncio.Event()
            self.loop.call_at_ns(when_ns, due.set)
            await due.wait()
            for _ in range(20):  # what this instant brings about, through both ends of every transport
                await asyncio.sleep(0)

        task = self.loop.create_task(sleep())
        task.add_done_callback(lambda _: self.loop.stop())
        self.loop.run_forever()
        if self._faults:
            task.cancel()
            raise self._faults.pop(0)

    # -- the client's side of the device ----------------------------------------------------------

    def dumb(self, width: int, height: int) -> tuple[int, int]:
        """(dma-buf, pitch)"""
        reply = self.theirs.call(CreateDumb(width, height))
        return self.theirs.call(PrimeHandleToFd(reply.handle)).fd, reply.pitch

    def syncobj(self) -> int:
        return self.theirs.call(SyncobjCreate()).handle

    def syncobj_fd(self, handle: int) -> Fd:
        return self.theirs.call(SyncobjHandleToFd(handle)).fd

    def signal(self, handle: int, point: int) -> None:
        self.theirs.call(SyncobjTimelineSignal((handle,), (point,)))

    def value(self, handle: int) -> int:
        return self.theirs.call(SyncobjQuery((handle,))).points[0]

    def close(self) -> None:
        try:
            for client in self.clients:
                client.hang_up()
            self.run(1)
            self.driver.close()
            self.card.close()
            self.theirs.close()
            self.run(100)  # the kernel turns the screens off at a vblank
        finally:
            self.node.close()
            self.node.device.kernel.descriptors.close()
            self.loop.close()


@pytest.fixture
def world() -> Iterator[World]:
    """Checks at its end that no descriptor was left behind."""
    before = _open_descriptors()
    world = World()
    yield world
    world.close()
    assert world.races.summary() == []
    gc.collect()
    assert _open_descriptors() - before == set()


def _open_descriptors() -> set[str]:
    links = {}
    for link in Path("/proc/self/fd").iterdir():
        with suppress(FileNotFoundError):  # the one that lists them
            links[link.name] = f"{link.name} -> {link.readlink()}"
    return set(links.values())


@pytest.fixture
def client(world: World) -> Client:
    return world.client()


@pytest.fixture
def make_world():
    """A world of other capabilities, `make_world({"wl_compositor": 5})` or `sync=`, or one in which work takes time."""
    worlds = []

    def make(caps: dict[str, int] | None = None, **how: Any) -> World:
        worlds.append(World(caps, **how))
        return worlds[-1]

    yield make
    for world in worlds:
        world.close()


@pytest.fixture
def photograph(world: World):
    """The first screen as rows of 0xAARRGGBB pixels, taken through the protocol by a client of its own."""

    def take() -> list[list[int]]:
        client = world.client()
        source = client.make(
            client.bind("ext_output_image_capture_source_manager_v1"),
            "create_source",
            client.bind("wl_output"),
        )
        session = client.make(client.bind("ext_image_copy_capture_manager_v1"), "create_session", source, 0)
        client.roundtrip()
        width, height = session.last("buffer_size")
        buffer, memory = client.shm_buffer(width, height)
        frame = client.make(session, "create_frame")
        frame.send("attach_buffer", buffer)
        frame.send("damage_buffer", 0, 0, width, height)
        frame.send("capture")
        world.until(lambda: frame.heard("ready") or frame.heard("failed"))
        assert frame.heard("ready"), frame.events
        with memoryview(memory) as image, image.cast("I") as cast:
            pixels = cast.tolist()
        client.hang_up()
        return [pixels[row * width : (row + 1) * width] for row in range(height)]

    return take
