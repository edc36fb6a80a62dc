"""The client that keeps its GPU busy: it commits a frame before the work for it is even submitted.

A timeline point may be named before there is anything behind it. So a frame is first committed and then
submitted, and the next one is begun while the one before is still with the GPU: `solid` draws its next frame at
the frame callback, which comes when the last one is on the screen, and a job longer than a refresh then costs
two. Here the engine goes from one job to the next. wp_fifo keeps a compositor from skipping frames that become
ready at once.
"""

from typing import Final

from syncline.clients.solid import attach, submit
from syncline.clients.toolkit.display import Display
from syncline.clients.toolkit.explicit import ExplicitImage, Timeline
from syncline.clients.toolkit.loop import Context
from syncline.clients.toolkit.pacing import Pacing
from syncline.clients.toolkit.proxies import Fifo, FifoManager, SyncobjManager, SyncobjSurface
from syncline.clients.toolkit.swapchain import Swapchain
from syncline.clients.toolkit.window import Window

GPU_MS: Final = 20.0
AHEAD: Final = 1
"""Commits on their way to the screen when the next frame begins."""


async def run(context: Context) -> None:
    """Open a window and draw until told to stop. Leaving the block closes it and collects what is owed."""
    async with (
        Display(context) as display,
        Swapchain(display, ExplicitImage) as swapchain,
        Window(display) as window,
    ):
        sync = display.bind(SyncobjManager).request_new("get_surface", SyncobjSurface, window.surface.wl)
        fifo = display.bind(FifoManager).request_new("get_fifo", Fifo, window.surface.wl)
        acquire = Timeline(display)

        async for frame in Pacing(window.surface, ahead=AHEAD):
            image = await swapchain.next_image(window.size)
            acquire.next_point()
            attach(window.surface, sync, image, acquire)
            fifo.send("wait_barrier")
            fifo.send("set_barrier")
            window.commit(frame, image, acquire_point=acquire.point)
            submit(window.surface, frame, image, acquire)
