"""The smallest fully explicit client. Read it from top to bottom.

A frame begins at the frame callback of the one before. The client takes an image whose release point is
signalled, queues a job on the GPU that paints it, and commits it at once: nobody waits for the GPU here.
Two promises travel with the commit, as points on timelines that the kernel keeps for both sides:

* the acquire point: "the image is ready when this is signalled". The GPU job does it, by itself;
* the release point: "tell me here when you no longer read the image". The compositor owes it.

`--signal-early` breaks the first promise: the acquire point is signalled by the CPU while the GPU is
still painting. The compositor believes it, and with `--gpu-ms 40` a screenshot shows what comes of it.
"""

from syncline.clients.toolkit.display import Display
from syncline.clients.toolkit.explicit import ExplicitImage, Timeline
from syncline.clients.toolkit.loop import Context
from syncline.clients.toolkit.pacing import Pacing
from syncline.clients.toolkit.painting import picture
from syncline.clients.toolkit.proxies import SyncobjManager, SyncobjSurface
from syncline.clients.toolkit.surface import Frame, Surface
from syncline.clients.toolkit.swapchain import Swapchain
from syncline.clients.toolkit.window import Window
from syncline.kms_model.uapi import Point, Submit, SyncobjTimelineSignal


async def run(context: Context) -> None:
    """Open a window and draw until told to stop. Leaving the block closes it and collects what is owed."""
    async with (
        Display(context) as display,
        Swapchain(display, ExplicitImage) as swapchain,
        Window(display) as window,
    ):
        # From here on every commit of this surface with a buffer must carry both points (S38-S40).
        sync = display.bind(SyncobjManager).request_new("get_surface", SyncobjSurface, window.surface.wl)
        acquire = Timeline(display)

        async for frame in Pacing(window.surface):
            image = await swapchain.next_image(window.size)
            acquire.next_point()
            submit(window.surface, frame, image, acquire)
            attach(window.surface, sync, image, acquire)
            window.commit(frame, image, acquire_point=acquire.point)


def submit(
    surface: Surface,
    frame: Frame,
    image: ExplicitImage,
    acquire: Timeline,
    *,
    in_points: tuple[Point, ...] = (),
) -> None:
    """Queue the job that paints the image, after `in_points`, and then signals the newest point of `acquire`."""
    device, options = surface.context.device, surface.context.options
    done = Point(handle=acquire.handle, point=acquire.point)
    job = device.call(
        Submit(
            target=image.buffer.handle,
            target_size=image.size,
            pitch=image.buffer.pitch,
            commands=picture(options, image.size, frame.number),
            duration_ns=options.gpu_ns,
            in_points=in_points,
            out_points=() if options.signal_early else (done,),
            out_fence=options.signal_early,
            label=f"{options.title} {frame.number}",
        )
    )
    if options.signal_early:
        device.call(SyncobjTimelineSignal(handles=(acquire.handle,), points=(acquire.point,)))
        surface.hold_until(job.out_fence)  # nothing else slows a liar down, and its jobs would pile up
    surface.submitted(frame, job=job.seqno, acquire_point=acquire.point)


def attach(surface: Surface, sync: SyncobjSurface, image: ExplicitImage, acquire: Timeline) -> None:
    """Everything of a commit but the commit: the image, what changed in it, and both points."""
    release_point = image.lend()
    surface.wl.send("attach", image.buffer.wl, 0, 0)
    surface.wl.send("damage_buffer", 0, 0, *image.size)
    sync.send("set_acquire_point", acquire.wl, acquire.point)
    sync.send("set_release_point", image.release.wl, release_point)
