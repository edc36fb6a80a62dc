"""The client of before explicit sync: no timeline anywhere.

The GPU job leaves its fence in the dma-buf itself (dma_resv), where the compositor must look for it, and
whoever composites leaves theirs there too. The image comes back by wl_buffer.release. Compare `solid`.
"""

from syncline.clients.toolkit.display import Display
from syncline.clients.toolkit.implicit import ImplicitImage
from syncline.clients.toolkit.loop import Context
from syncline.clients.toolkit.pacing import Pacing
from syncline.clients.toolkit.painting import picture
from syncline.clients.toolkit.surface import Frame, Surface
from syncline.clients.toolkit.swapchain import Swapchain
from syncline.clients.toolkit.window import Window
from syncline.kms_model.uapi import Submit


async def run(context: Context) -> None:
    """Open a window and draw until told to stop. Leaving the block closes it and collects what is owed."""
    async with (
        Display(context) as display,
        Swapchain(display, ImplicitImage) as swapchain,
        Window(display) as window,
    ):
        async for frame in Pacing(window.surface):
            image = await swapchain.next_image(window.size)
            submit(window.surface, frame, image)
            image.loan.begin()
            window.surface.wl.send("attach", image.buffer.wl, 0, 0)
            window.surface.wl.send("damage_buffer", 0, 0, *image.size)
            window.commit(frame, image)


def submit(surface: Surface, frame: Frame, image: ImplicitImage) -> None:
    """Queue the job that paints the image; `implicit` makes it wait for and leave fences in the buffer."""
    device, options = surface.context.device, surface.context.options
    job = device.call(
        Submit(
            target=image.buffer.handle,
            target_size=image.size,
            pitch=image.buffer.pitch,
            commands=picture(options, image.size, frame.number),
            duration_ns=options.gpu_ns,
            implicit=True,
            label=f"{options.title} {frame.number}",
        )
    )
    surface.submitted(frame, job=job.seqno)
