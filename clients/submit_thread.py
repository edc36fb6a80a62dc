"""User fences under a compositor that has never heard of timelines: the swapchain waits, on a thread of its own.

Nothing may leave this client before its pixels are finished: the compositor looks for fences in the dma-buf, and a
user fence cannot be there (F37). Somebody has to wait until the number is raised. That is the third of the places
where waiting is right (F27): not the thread that draws, which goes on hearing what the compositor says, but another
one that sleeps in SYNCOBJ_TIMELINE_WAIT and has the frame committed when it wakes. A Vulkan driver does that in
vkQueuePresentKHR.

In the other direction nothing is missing: the compositor leaves its fences in the buffer, and they are dma_fences.
The next job that paints there waits for them.

`--no-thread` does it wrong. The kernel is asked for a dma_fence of the user fence, to put it into the buffer as an
implicit client would; it has none to give before the number is raised, so the call sleeps until then, at most 5 s:
the kernel's last resort (F25), counted and reported as such.
"""

from typing import Final

from syncline.clients.toolkit import report
from syncline.clients.toolkit.display import Display
from syncline.clients.toolkit.gpu_buffer import GpuBuffer
from syncline.clients.toolkit.implicit import ImplicitImage
from syncline.clients.toolkit.loop import Context
from syncline.clients.toolkit.pacing import Pacing
from syncline.clients.toolkit.painting import picture
from syncline.clients.toolkit.surface import Frame, Surface
from syncline.clients.toolkit.swapchain import Swapchain
from syncline.clients.toolkit.window import Window
from syncline.kms_model.uapi import (
    DmaBufExportSyncFile,
    DmaBufImportSyncFile,
    DmaBufSyncFlag,
    HandleFlag,
    Point,
    PrimeHandleToFd,
    Submit,
    SyncobjCreate,
    SyncobjCreateUser,
    SyncobjHandleToFd,
    SyncobjQuery,
    SyncobjTimelineWait,
    SyncobjTransfer,
    WaitFlag,
)

FOREVER_NS: Final = (1 << 63) - 1


async def run(context: Context) -> None:
    """Open a window and draw until told to stop. Leaving the block closes it and collects what is owed."""
    async with (
        Display(context) as display,
        Swapchain(display, ImplicitImage) as swapchain,
        Window(display) as window,
    ):
        done = UserFence(context)
        async for frame in Pacing(window.surface):
            image = await swapchain.next_image(window.size)
            done.point += 1
            submit(window.surface, frame, image, done)
            if context.options.no_thread:
                await done.put_into(image.buffer, frame)
            else:
                await done.reached(frame)
            image.loan.begin()
            window.surface.wl.send("attach", image.buffer.wl, 0, 0)
            window.surface.wl.send("damage_buffer", 0, 0, *image.size)
            window.commit(frame, image)


def submit(surface: Surface, frame: Frame, image: ImplicitImage, done: "UserFence") -> None:
    """Queue the job that paints the image, after whoever reads it, and then raises `done` to its point."""
    device, options = surface.context.device, surface.context.options
    buffer = device.call(PrimeHandleToFd(handle=image.buffer.handle)).fd
    readers = device.call(DmaBufExportSyncFile(fd=buffer, flags=DmaBufSyncFlag.WRITE)).fd
    job = device.call(
        Submit(
            target=image.buffer.handle,
            target_size=image.size,
            pitch=image.buffer.pitch,
            commands=picture(options, image.size, frame.number),
            duration_ns=options.gpu_ns,
            in_fence=readers,
            out_points=(Point(handle=done.handle, point=done.point),),
            label=f"{options.title} {frame.number}",
        )
    )
    for fd in (buffer, readers):
        device.close_fd(fd)
    surface.submitted(frame, job=job.seqno, acquire_point=done.point)


class UserFence:
    """A timeline that nobody but this client knows, at its newest `point`."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._device = context.device
        self.handle = self._device.call(SyncobjCreateUser()).handle
        self.point = 0
        self._elsewhere = 0 if context.options.no_thread else context.threads.share(self.handle)
        self._fence = self._device.call(SyncobjCreate()).handle

    async def reached(self, frame: Frame) -> None:
        """The submit thread sleeps until the point is reached."""
        since_ns = self._context.now_ns()
        await self._context.threads.on_submit(
            SyncobjTimelineWait(
                handles=(self._elsewhere,),
                points=(self.point,),
                timeout_ns=FOREVER_NS,
                flags=WaitFlag.FOR_SUBMIT,
            )
        )
        # The word of the other thread is a hint; what counts is what the device tells this one.
        value = self._device.call(SyncobjQuery(handles=(self.handle,))).points[0]
        assert value >= self.point, "the wait ended early"
        self._tell(frame, "submit", "SYNCOBJ_TIMELINE_WAIT", since_ns)

    async def put_into(self, buffer: GpuBuffer, frame: Frame) -> None:
        """Leave a dma_fence of the point in the buffer. Raises DeviceError(ETIME): 5 s were not enough."""
        since_ns = self._context.now_ns()
        wish = SyncobjTransfer(
            src_handle=self.handle,
            src_point=self.point,
            dst_handle=self._fence,
            dst_point=0,
            flags=WaitFlag.FOR_SUBMIT,
        )
        await self._context.threads.on_main(wish)
        self._tell(frame, "main", "SYNCOBJ_TRANSFER", since_ns)
        self._publish(buffer)

    def _publish(self, buffer: GpuBuffer) -> None:
        fence = self._device.call(SyncobjHandleToFd(handle=self._fence, flags=HandleFlag.SYNC_FILE)).fd
        memory = self._device.call(PrimeHandleToFd(handle=buffer.handle)).fd
        self._device.call(DmaBufImportSyncFile(fd=memory, flags=DmaBufSyncFlag.WRITE, sync_file=fence))
        for fd in (fence, memory):
            self._device.close_fd(fd)

    def _tell(self, frame: Frame, thread: str, call: str, since_ns: int) -> None:
        now_ns = self._context.now_ns()
        self._context.emit(
            report.Waited(
                t_ns=now_ns,
                client=self._context.options.client_id,
                frame=frame.number,
                thread=thread,
                call=call,
                waited_ns=now_ns - since_ns,
            )
        )
