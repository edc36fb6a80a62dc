"""Protocol errors on purpose: one request too many, too early or with the wrong argument."""

import os
from collections.abc import Callable, Mapping
from typing import Final

from syncline.clients import solid
from syncline.clients.toolkit.breach import Breach
from syncline.clients.toolkit.display import Display
from syncline.clients.toolkit.explicit import ExplicitImage, Timeline
from syncline.clients.toolkit.loop import ClientError, Context, Finished
from syncline.clients.toolkit.pacing import Pacing
from syncline.clients.toolkit.proxies import (
    Buffer,
    Dmabuf,
    DmabufParams,
    Shm,
    ShmPool,
    Subcompositor,
    Subsurface,
    SyncobjManager,
    SyncobjSurface,
    SyncobjTimeline,
)
from syncline.clients.toolkit.shm import XRGB8888, ShmBuffer
from syncline.clients.toolkit.surface import Surface
from syncline.clients.toolkit.swapchain import Swapchain
from syncline.clients.toolkit.window import Window
from syncline.kms_model.loops import NS_PER_S
from syncline.kms_model.uapi import FORMAT_XRGB8888

PATIENCE_NS: Final = 2 * NS_PER_S
"""The error is the answer to the next request: this is for a machine that is busy otherwise."""
SIDE: Final = 64


class Scene:
    """An open window with explicit sync, one image of which is attached, but not committed."""

    def __init__(
        self, display: Display, window: Window, sync: SyncobjSurface, image: ExplicitImage, acquire: Timeline
    ) -> None:
        self.display = display
        self.window = window
        self.surface = window.surface.wl
        self.sync = sync
        self.image = image
        self.acquire = acquire

    def attach(self) -> None:
        self.surface.send("attach", self.image.buffer.wl, 0, 0)

    def points(self, *, acquire: int | None = None, release: int | None = None) -> None:
        """On the acquire timeline, both of them."""
        if acquire is not None:
            self.sync.send("set_acquire_point", self.acquire.wl, acquire)
        if release is not None:
            self.sync.send("set_release_point", self.acquire.wl, release)

    def commit(self) -> None:
        self.surface.send("commit")


async def run(context: Context, breach: Breach) -> None:
    """A frame as it should be, and then the mistake. Finished when it was refused, by its name; else ClientError."""
    async with (
        Display(context) as display,
        Swapchain(display, ExplicitImage) as swapchain,
        Window(display) as window,
    ):
        sync = display.bind(SyncobjManager).request_new("get_surface", SyncobjSurface, window.surface.wl)
        acquire = Timeline(display)
        frame = await anext(Pacing(window.surface))
        image = await swapchain.next_image(window.size)
        acquire.next_point()
        solid.submit(window.surface, frame, image, acquire)
        solid.attach(window.surface, sync, image, acquire)
        window.commit(frame, image, acquire_point=acquire.point)
        image = await swapchain.next_image(window.size)
        MISTAKES[breach](Scene(display, window, sync, image, acquire))
        display.flush()
        await be_refused(context, breach, f"({breach.error})")


async def be_refused(context: Context, breach: Breach, words: str) -> None:
    """Wait for the connection's end, in these words: Finished. Any other end, or none, is a ClientError."""
    try:
        await context.until(lambda: False, deadline_ns=context.now_ns() + PATIENCE_NS)
    except ClientError as refusal:
        if words in str(refusal):
            raise Finished(str(refusal)) from refusal
        raise
    raise ClientError(f"the compositor let {breach.value} pass")


def surface_exists(scene: Scene) -> None:
    scene.display.bind(SyncobjManager).request_new("get_surface", SyncobjSurface, scene.surface)


def invalid_timeline(scene: Scene) -> None:
    fd = os.memfd_create("no timeline", os.MFD_CLOEXEC)
    scene.display.bind(SyncobjManager).request_new("import_timeline", SyncobjTimeline, fd)
    os.close(fd)


def no_surface(scene: Scene) -> None:
    gone = Surface(scene.display)
    sync = scene.display.bind(SyncobjManager).request_new("get_surface", SyncobjSurface, gone.wl)
    gone.wl.send("destroy")
    sync.send("set_acquire_point", scene.acquire.wl, 1)


def unsupported_buffer(scene: Scene) -> None:
    scene.surface.send("attach", ShmBuffer(scene.display, (SIDE, SIDE)).wl, 0, 0)
    scene.points(acquire=10, release=11)
    scene.commit()


def no_buffer(scene: Scene) -> None:
    scene.points(acquire=10, release=11)
    scene.commit()


def no_acquire_point(scene: Scene) -> None:
    scene.attach()
    scene.points(release=11)
    scene.commit()


def no_release_point(scene: Scene) -> None:
    scene.attach()
    scene.points(acquire=10)
    scene.commit()


def conflicting_points(scene: Scene) -> None:
    scene.attach()
    scene.points(acquire=10, release=10)
    scene.commit()


def unconfigured_buffer(scene: Scene) -> None:
    early = Window(scene.display)
    early.surface.wl.send("attach", scene.image.buffer.wl, 0, 0)
    early.surface.wl.send("commit")


def invalid_serial(scene: Scene) -> None:
    scene.window.acknowledge(0xFFFF_FFFF)


def invalid_stride(scene: Scene) -> None:
    fd = os.memfd_create("pool", os.MFD_CLOEXEC)
    os.ftruncate(fd, SIDE * SIDE * 4)
    pool = scene.display.bind(Shm).request_new("create_pool", ShmPool, fd, SIDE * SIDE * 4)
    os.close(fd)
    pool.request_new("create_buffer", Buffer, 0, SIDE, SIDE, SIDE, XRGB8888)


def invalid_scale(scene: Scene) -> None:
    scene.surface.send("set_buffer_scale", 0)


def bad_parent(scene: Scene) -> None:
    lonely = Surface(scene.display)
    scene.display.bind(Subcompositor).request_new("get_subsurface", Subsurface, lonely.wl, lonely.wl)


def incomplete(scene: Scene) -> None:
    params = scene.display.bind(Dmabuf).request_new("create_params", DmabufParams)
    params.request_new("create_immed", Buffer, SIDE, SIDE, FORMAT_XRGB8888, 0)


MISTAKES: Final[Mapping[Breach, Callable[[Scene], None]]] = {
    Breach.SURFACE_EXISTS: surface_exists,
    Breach.INVALID_TIMELINE: invalid_timeline,
    Breach.NO_SURFACE: no_surface,
    Breach.UNSUPPORTED_BUFFER: unsupported_buffer,
    Breach.NO_BUFFER: no_buffer,
    Breach.NO_ACQUIRE_POINT: no_acquire_point,
    Breach.NO_RELEASE_POINT: no_release_point,
    Breach.CONFLICTING_POINTS: conflicting_points,
    Breach.UNCONFIGURED_BUFFER: unconfigured_buffer,
    Breach.INVALID_SERIAL: invalid_serial,
    Breach.INVALID_STRIDE: invalid_stride,
    Breach.INVALID_SCALE: invalid_scale,
    Breach.BAD_PARENT: bad_parent,
    Breach.INCOMPLETE: incomplete,
}
