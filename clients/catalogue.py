"""The demos by name, and what each assumes when it is not told."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from typing import Final

from syncline.clients import (
    hog,
    implicit,
    pipelined,
    resize,
    rude,
    shm,
    solid,
    submit_thread,
    subsurfaces,
    userfence,
)
from syncline.clients.toolkit import report
from syncline.clients.toolkit.breach import Breach
from syncline.clients.toolkit.loop import ClientError, Context, Finished
from syncline.clients.toolkit.options import Options


@dataclass(frozen=True, kw_only=True, slots=True)
class Demo:
    """`run` is the program; `about` one line of help."""

    name: str
    run: Callable[[Context], Awaitable[None]]
    about: str
    gpu_ms: float = 2.0
    buffers: int = 3
    needs_device: bool = True
    buffers_min: int = 2
    """With one, the only image stays on the screen and there is none to draw the next frame in."""
    may_signal_early: bool = False
    has_thread: bool = False
    is_rude: bool = False
    has_own_size: bool = False

    def complete(self, options: Options) -> Options:
        """The options with this demo's own defaults filled in."""
        return replace(
            options,
            gpu_ms=self.gpu_ms if options.gpu_ms is None else options.gpu_ms,
            buffers=self.buffers if options.buffers is None else options.buffers,
            title=options.title or self.name,
        )

    def objection(self, options: Options) -> str | None:
        """Why this demo cannot run like that, in one sentence; None if it can."""
        if options.signal_early and not self.may_signal_early:
            able = ", ".join(each.name for each in DEMOS.values() if each.may_signal_early)
            return f"{self.name} has no acquire point to signal early; {able} do"
        if options.no_thread and not self.has_thread:
            able = ", ".join(each.name for each in DEMOS.values() if each.has_thread)
            return f"{self.name} has no submit thread to do without; {able} has"
        if self.is_rude and options.breaks is None:
            return f"{self.name} needs --breaks with a rule: {', '.join(each.value for each in Breach)}"
        if options.breaks is not None and not self.is_rude:
            return f"{self.name} keeps the rules; rude breaks them"
        if self.has_own_size and (options.fullscreen or options.maximised):
            return f"{self.name} chooses its own sizes: leave out --fullscreen and --maximised"
        if options.buffers is not None and options.buffers < self.buffers_min:
            return f"{self.name} needs {self.buffers_min} buffers: one is always on the screen"
        return None


DEMOS: Final = {
    demo.name: demo
    for demo in (
        Demo(
            name="solid",
            run=solid.run,
            about="the smallest fully explicit client",
            may_signal_early=True,
        ),
        Demo(
            name="implicit",
            run=implicit.run,
            about="no timelines: fences in the dma-buf, wl_buffer.release",
        ),
        Demo(
            name="shm",
            run=shm.run,
            about="wl_shm, painted by the CPU",
            gpu_ms=0.0,
            buffers=2,
            buffers_min=1,
            needs_device=False,
        ),
        Demo(
            name="hog",
            run=hog.run,
            about="explicit, with GPU jobs of two refreshes and more",
            gpu_ms=hog.GPU_MS,
            may_signal_early=True,
        ),
        Demo(
            name="pipelined",
            run=pipelined.run,
            about="explicit, committed before the job is submitted, the next frame begun meanwhile",
            gpu_ms=pipelined.GPU_MS,
        ),
        Demo(
            name="userfence",
            run=userfence.run,
            about="explicit, on user fences: points without a promise",
        ),
        Demo(
            name="submit-thread",
            run=submit_thread.run,
            about="user fences, no timelines: a thread of its own waits before each commit",
            has_thread=True,
        ),
        Demo(
            name="subsurfaces",
            run=subsurfaces.run,
            about="an explicit parent with a synchronized and a desynchronized child",
        ),
        Demo(
            name="resize",
            run=resize.run,
            about="explicit, and another size every few frames",
            has_own_size=True,
        ),
        Demo(
            name="rude",
            run=rude.run,
            about="explicit, and breaks the one rule that --breaks names",
            is_rude=True,
        ),
    )
}


POLITE: Final = tuple(sorted(name for name, demo in DEMOS.items() if not demo.is_rude))
"""Those that keep the rules, and can be run without being told more."""


async def run_demo(demo: Demo, context: Context) -> None:
    """Run a demo on a context whose options are complete, for `--seconds` if they say so.

    Raises ClientError with one sentence for the user; nothing when the run ends as ordered.
    """
    options = context.options
    context.emit(
        report.Started(t_ns=context.now_ns(), client=options.client_id, demo=demo.name, title=options.title)
    )
    if options.seconds:
        end_ns = context.now_ns() + options.duration_ns
        context.loop.call_at_ns(end_ns, lambda: context.stop(f"{options.seconds} s are over"))
    reason = "all frames are drawn"
    try:
        await demo.run(context)
    except Finished as end:
        reason = str(end)
    except ClientError as failure:
        reason = str(failure)
        raise
    finally:
        context.close()
        context.emit(context.tally.ended(context.now_ns(), client=options.client_id, reason=reason))
