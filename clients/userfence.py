"""Explicit sync on user fences: `solid`, with numbers in memory where that has dma_fences.

To the protocol a timeline is a timeline, so the requests are those of `solid`, one by one (F24). What differs is
what a point is worth. Behind `solid`'s acquire point is a dma_fence: the kernel promises that it signals, whatever
anybody does, so a compositor may hand it on and forget it. Here is a number that nobody has to raise. A compositor
can

* wait until it is raised, as it would for a point that was never submitted: what one that knows only dma_fences does
  without knowing (`syncline compositor --sync dma`);
* give it to a display that takes user fences. That keeps the old picture until the number is raised, or until a
  newer frame or a timeout ends the waiting (`--acquire user-forward`).

The release points are user fences too: the display itself writes the number when the next picture is on the screen.
"""

from syncline.clients.solid import attach, submit
from syncline.clients.toolkit.display import Display
from syncline.clients.toolkit.explicit import UserImage, UserTimeline
from syncline.clients.toolkit.loop import Context
from syncline.clients.toolkit.pacing import Pacing
from syncline.clients.toolkit.proxies import SyncobjManager, SyncobjSurface
from syncline.clients.toolkit.swapchain import Swapchain
from syncline.clients.toolkit.window import Window


async def run(context: Context) -> None:
    """Open a window and draw until told to stop. Leaving the block closes it and collects what is owed."""
    async with (
        Display(context) as display,
        Swapchain(display, UserImage) as swapchain,
        Window(display) as window,
    ):
        sync = display.bind(SyncobjManager).request_new("get_surface", SyncobjSurface, window.surface.wl)
        acquire = UserTimeline(
            display
        )  # ours to signal: should we die, the kernel says so to all who wait (6.5)

        async for frame in Pacing(window.surface):
            image = await swapchain.next_image(window.size)
            acquire.next_point()
            submit(window.surface, frame, image, acquire)
            attach(window.surface, sync, image, acquire)
            window.commit(frame, image, acquire_point=acquire.point)
