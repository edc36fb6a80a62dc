"""A window that changes its size while it presents. Otherwise it is `solid`.

An image of the old size stays with the compositor until its release point, as any does, and only then it is
made anew in the size that is wanted by now. So no frame waits for a resize, and memory does not grow with them.
"""

from typing import Final

from syncline.clients.solid import attach, submit
from syncline.clients.toolkit.display import Display
from syncline.clients.toolkit.explicit import ExplicitImage, Timeline
from syncline.clients.toolkit.loop import Context
from syncline.clients.toolkit.options import Size
from syncline.clients.toolkit.pacing import Pacing
from syncline.clients.toolkit.proxies import SyncobjManager, SyncobjSurface
from syncline.clients.toolkit.swapchain import Swapchain
from syncline.clients.toolkit.window import Window

EVERY: Final = 5
"""Frames of one size."""
STEP: Final = 16
STEPS: Final = 4
"""So often it grows by STEP pixels, and shrinks again."""


async def run(context: Context) -> None:
    """Open a window and draw until told to stop. Leaving the block closes it and collects what is owed."""
    async with (
        Display(context) as display,
        Swapchain(display, ExplicitImage) as swapchain,
        Window(display) as window,
    ):
        sync = display.bind(SyncobjManager).request_new("get_surface", SyncobjSurface, window.surface.wl)
        acquire = Timeline(display)
        async for frame in Pacing(window.surface):
            window.size = size_of(frame.number, smallest=context.options.size)
            image = await swapchain.next_image(window.size)
            acquire.next_point()
            submit(window.surface, frame, image, acquire)
            attach(window.surface, sync, image, acquire)
            window.commit(frame, image, acquire_point=acquire.point)


def size_of(frame: int, *, smallest: Size) -> Size:
    """Up and down again, by a step every few frames."""
    at = (frame - 1) // EVERY % (2 * STEPS)
    more = STEP * min(at, 2 * STEPS - at)
    return smallest[0] + more, smallest[1] + more
