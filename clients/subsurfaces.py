"""A window of three surfaces, each explicit: a parent, a synchronized child and a desynchronized one.

The synchronized child is drawn together with its parent: its commits wait for the parent's, and both
appear in the same refresh, when both acquire points are signalled (C3, C5). The desynchronized child
keeps its own time: an unready parent does not hold it back.
"""

from types import TracebackType
from typing import Final, Self

from syncline.clients.solid import attach, submit
from syncline.clients.toolkit.display import Display
from syncline.clients.toolkit.explicit import ExplicitImage, Timeline
from syncline.clients.toolkit.loop import Context, side_by_side
from syncline.clients.toolkit.options import Size
from syncline.clients.toolkit.pacing import Pacing
from syncline.clients.toolkit.proxies import Subcompositor, Subsurface, SyncobjManager, SyncobjSurface
from syncline.clients.toolkit.surface import Frame, Surface
from syncline.clients.toolkit.swapchain import Swapchain
from syncline.clients.toolkit.window import Window

CHILD_SIZE: Final = (96, 64)
SYNCHRONIZED_AT: Final = (16, 96)
DESYNCHRONIZED_AT: Final = (136, 96)


class Layer:
    """One explicit surface of the tree."""

    def __init__(self, display: Display, surface: Surface, swapchain: Swapchain[ExplicitImage]) -> None:
        self.surface = surface
        self._swapchain = swapchain
        self._acquire = Timeline(display)
        manager = display.bind(SyncobjManager)
        self._sync = manager.request_new("get_surface", SyncobjSurface, surface.wl)

    async def draw(self, frame: Frame, size: Size) -> tuple[ExplicitImage, int]:
        """Queue the painting and attach it; returns the image and its acquire point, to be committed."""
        image = await self._swapchain.next_image(size)
        acquire_point = self._acquire.next_point()
        submit(self.surface, frame, image, self._acquire)
        attach(self.surface, self._sync, image, self._acquire)
        return image, acquire_point


class Child(Layer):
    """A sub-surface of the window at `position`."""

    def __init__(
        self,
        display: Display,
        window: Window,
        swapchain: Swapchain[ExplicitImage],
        *,
        position: tuple[int, int],
    ) -> None:
        super().__init__(display, Surface(display), swapchain)
        subcompositor = display.bind(Subcompositor)
        self.role = subcompositor.request_new(
            "get_subsurface", Subsurface, self.surface.wl, window.surface.wl
        )
        self.role.send("set_position", *position)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, _kind: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        self.role.send("destroy")
        self.surface.wl.send("destroy")


async def run(context: Context) -> None:
    """Open the window and draw all three until told to stop."""
    async with (
        Display(context) as display,
        Swapchain(display, ExplicitImage) as parent_images,
        Swapchain(display, ExplicitImage) as together_images,
        Swapchain(display, ExplicitImage) as alone_images,
        Window(display) as window,
    ):
        parent = Layer(display, window.surface, parent_images)
        with (
            Child(display, window, together_images, position=SYNCHRONIZED_AT) as together,
            Child(display, window, alone_images, position=DESYNCHRONIZED_AT) as alone,
        ):
            alone.role.send("set_desync")  # a sub-surface starts synchronized (U1)
            await side_by_side(draw_pair(window, parent, together), draw_alone(alone))


async def draw_pair(window: Window, parent: Layer, together: Child) -> None:
    """The synchronized child first: its commit is kept until the parent's takes it along."""
    async for frame in Pacing(window.surface):
        image, acquire_point = await together.draw(frame, CHILD_SIZE)
        together.surface.commit(frame, image.loan, acquire_point=acquire_point)
        image, acquire_point = await parent.draw(frame, window.size)
        window.commit(frame, image, acquire_point=acquire_point)


async def draw_alone(alone: Child) -> None:
    """At its own pace."""
    async for frame in Pacing(alone.surface):
        image, acquire_point = await alone.draw(frame, CHILD_SIZE)
        alone.surface.commit(frame, image.loan, acquire_point=acquire_point)
