"""The client without a GPU: two shared-memory buffers, painted by the CPU before they are committed.

There is nothing to synchronise but the order of the messages: the image is complete at the commit, and
wl_buffer.release says when the compositor has read it.
"""

from syncline.clients.toolkit.display import Display
from syncline.clients.toolkit.loop import Context
from syncline.clients.toolkit.pacing import Pacing
from syncline.clients.toolkit.painting import paint_by_cpu, picture
from syncline.clients.toolkit.shm import ShmImage
from syncline.clients.toolkit.swapchain import Swapchain
from syncline.clients.toolkit.window import Window


async def run(context: Context) -> None:
    """Open a window and draw until told to stop. Leaving the block closes it and collects what is owed."""
    async with (
        Display(context) as display,
        Swapchain(display, ShmImage) as swapchain,
        Window(display) as window,
    ):
        async for frame in Pacing(window.surface):
            image = await swapchain.next_image(window.size)
            paint_by_cpu(image.buffer.pixels, picture(context.options, image.size, frame.number))
            image.loan.begin()
            window.surface.wl.send("attach", image.buffer.wl, 0, 0)
            window.surface.wl.send("damage_buffer", 0, 0, *image.size)
            window.commit(frame, image)
