"""The client that breaks one rule, the one that `--breaks` names, and keeps all others.

It is there to see that the rule is enforced, by an error or by the machine's race detector, and that nobody
else is disturbed. The first frames are honest. What breaks a protocol is in `mistakes`.
"""

from collections.abc import Awaitable, Callable, Mapping
from typing import Final

from syncline.clients import mistakes, solid
from syncline.clients.toolkit.breach import Breach
from syncline.clients.toolkit.display import Display
from syncline.clients.toolkit.explicit import ExplicitImage, Timeline
from syncline.clients.toolkit.gpu_buffer import GpuBuffer
from syncline.clients.toolkit.loop import ClientError, Context, Finished
from syncline.clients.toolkit.pacing import Pacing
from syncline.clients.toolkit.proxies import SyncobjManager, SyncobjSurface
from syncline.clients.toolkit.surface import Frame
from syncline.clients.toolkit.swapchain import Swapchain
from syncline.clients.toolkit.window import Window
from syncline.kms_model.uapi import Point, Priority, Submit, SyncobjTimelineSignal

HONEST_FRAMES: Final = 3
DISTRACTION_NS: Final = 4_000_000
"""Engine time of the job that every other job of `oversync` waits for."""
QUESTIONS: Final = 100
ROUNDS: Final = 400
ROUND_NS: Final = 1_000_000
"""More answers than a socket and a compositor keep for one client. A queue of messages may keep them all."""
FLOOD: Final = 4_000


async def run(context: Context) -> None:
    """Break the rule in every frame after the first ones, until told to stop or hung up on."""
    breach = context.options.breaks
    assert breach is not None, "the catalogue lets nobody in without"
    if breach.is_protocol_error:
        await mistakes.run(context, breach)
    else:
        await _draw(context, PRANKS[breach])


class Easel:
    """An explicit window, as in `solid`."""

    def __init__(self, display: Display, window: Window) -> None:
        self.display = display
        self.window = window
        self.device = display.context.device
        self.sync = display.bind(SyncobjManager).request_new("get_surface", SyncobjSurface, window.surface.wl)
        self.acquire = Timeline(display)
        self.early = Timeline(display)
        self.scratch = GpuBuffer(display, (64, 64))
        self.scratch_done = Timeline(display)

    def paint(self, frame: Frame, image: ExplicitImage, *, in_points: tuple[Point, ...] = ()) -> None:
        self.acquire.next_point()
        solid.submit(self.window.surface, frame, image, self.acquire, in_points=in_points)

    def commit(self, frame: Frame, image: ExplicitImage) -> None:
        solid.attach(self.window.surface, self.sync, image, self.acquire)
        self.window.commit(frame, image, acquire_point=self.acquire.point)


Prank = Callable[[Easel, Frame, ExplicitImage], Awaitable[None]]


async def _draw(context: Context, prank: Prank) -> None:
    async with (
        Display(context) as display,
        Swapchain(display, ExplicitImage) as swapchain,
        Window(display) as window,
    ):
        easel = Easel(display, window)
        async for frame in Pacing(window.surface):
            image = await swapchain.next_image(window.size)
            await (prank if frame.number > HONEST_FRAMES else _paint_and_commit)(easel, frame, image)


async def _paint_and_commit(easel: Easel, frame: Frame, image: ExplicitImage) -> None:
    easel.paint(frame, image)
    easel.commit(frame, image)


async def reuse_early(easel: Easel, frame: Frame, image: ExplicitImage) -> None:
    """The same picture once more, while the compositor may read it."""
    await _paint_and_commit(easel, frame, image)
    easel.paint(frame, image)


async def signal_early(easel: Easel, frame: Frame, image: ExplicitImage) -> None:
    """By the CPU, a point that has nothing to do with the job."""
    easel.paint(frame, image)
    easel.device.call(
        SyncobjTimelineSignal(handles=(easel.early.handle,), points=(easel.early.next_point(),))
    )
    solid.attach(easel.window.surface, easel.sync, image, easel.early)
    easel.window.commit(frame, image, acquire_point=easel.early.point)


async def wait_for_something_else(easel: Easel, frame: Frame, image: ExplicitImage) -> None:
    scratch = easel.scratch
    point = Point(handle=easel.scratch_done.handle, point=easel.scratch_done.next_point())
    easel.device.call(
        Submit(
            target=scratch.handle,
            target_size=scratch.size,
            pitch=scratch.pitch,
            commands=(),
            duration_ns=DISTRACTION_NS,
            out_points=(point,),
            priority=Priority.LOW,
            label=f"{easel.window.context.options.title} distraction",
        )
    )
    easel.paint(frame, image, in_points=(point,))
    easel.commit(frame, image)


async def never_signal(easel: Easel, frame: Frame, image: ExplicitImage) -> None:
    easel.acquire.next_point()
    easel.commit(frame, image)


async def never_read(easel: Easel, frame: Frame, image: ExplicitImage) -> None:
    """Until the compositor should have had enough; then it looks what has become of the connection."""
    context = easel.window.context
    context.transport.pause()
    await _paint_and_commit(easel, frame, image)
    for _ in range(ROUNDS):
        for _ in range(QUESTIONS):
            easel.display.ask()
        easel.display.flush()
        await context.sleep_until(context.now_ns() + ROUND_NS)
    context.transport.resume()
    try:
        await easel.display.roundtrip()
    except ClientError as end:
        raise Finished(str(end)) from end


async def flood(easel: Easel, frame: Frame, image: ExplicitImage) -> None:
    easel.paint(frame, image)
    for row in range(FLOOD):
        easel.window.surface.wl.send("damage_buffer", 0, row % image.size[1], image.size[0], 1)
    easel.commit(frame, image)


async def die(easel: Easel, frame: Frame, image: ExplicitImage) -> None:
    easel.paint(frame, image)
    context = easel.window.context
    context.fail(Finished(f"died in frame {frame.number}"))
    context.transport.close()


PRANKS: Final[Mapping[Breach, Prank]] = {
    Breach.EARLY_REUSE: reuse_early,
    Breach.MISSING_ACQUIRE: signal_early,
    Breach.OVERSYNC: wait_for_something_else,
    Breach.NEVER_SIGNALS: never_signal,
    Breach.NEVER_READS: never_read,
    Breach.FLOODS: flood,
    Breach.DIES: die,
}
