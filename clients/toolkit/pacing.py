"""When the next frame is begun: `async for frame in Pacing(surface)`."""

from typing import Final, Self

from syncline.clients.toolkit.loop import ClientError
from syncline.clients.toolkit.options import Mode
from syncline.clients.toolkit.surface import Frame, Surface
from syncline.kms_model.loops import NS_PER_S

# The last frames are given this long to reach the screen before the window goes: a hidden window gets no
# feedback at all, and a visible one gets it within a few refreshes.
FEEDBACK_PATIENCE_NS: Final = NS_PER_S

IDLE_PERIOD_NS: Final = NS_PER_S  # as weston-presentation-shm pauses


class Pacing:
    """Frames until `--frames` are drawn. Each begins when the one before is through, as `mode` says.

    With a rate, frames begin on a grid of the client's own, at a random phase against the display. `ahead` so
    many commits may still be without their frame callback when the next frame begins.
    """

    def __init__(self, surface: Surface, *, ahead: int = 0) -> None:
        self._surface = surface
        self._ahead = ahead
        self._context = surface.context
        self._options = surface.context.options
        self._number = 0
        self._tick_ns = 0
        if self._options.mode is Mode.LOW_LATENCY and not surface.has_feedback:
            raise ClientError("--mode low-latency needs wp_presentation, which the compositor does not offer")

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Frame:
        if self._options.frames and self._number == self._options.frames:
            await self._settle()
            raise StopAsyncIteration
        await self._context.until(lambda: not self._surface.awaiting_job)
        tick_ns = await self._turn()
        now_ns = self._context.now_ns()
        self._number += 1
        if tick_ns is None:
            return Frame(self._number, now_ns)
        return Frame(self._number, tick_ns, now_ns - tick_ns)

    async def _turn(self) -> int | None:
        """Wait until the next frame is due; returns the instant it was due at, None if that is now."""
        if self._options.mode is Mode.IDLE:
            return await self._after_a_pause()
        if self._options.period_ns:
            return await self._next_tick()
        if self._options.mode is Mode.LOW_LATENCY:
            await self._context.until(lambda: not self._surface.awaiting_feedback)
        else:
            await self._callback()
        if self._options.random_phase:
            return await self._at(self._context.now_ns() + self._jitter_ns())
        return None

    async def _callback(self) -> None:
        await self._context.until(lambda: self._surface.awaiting_callbacks <= self._ahead)

    async def _after_a_pause(self) -> int | None:
        """A pause and up to one refresh more, so that commits fall at every phase of the display."""
        await self._callback()
        if not self._number:
            return None
        pause_ns = self._options.period_ns or IDLE_PERIOD_NS
        return await self._at(self._context.now_ns() + pause_ns + self._jitter_ns())

    async def _next_tick(self) -> int:
        """The next instant of the client's own clock; ticks that were missed are skipped, not made up for."""
        period_ns, now_ns = self._options.period_ns, self._context.now_ns()
        if not self._number:
            self._tick_ns = now_ns + int(self._context.random.random() * period_ns)
        else:
            missed = max(0, now_ns - self._tick_ns) // period_ns
            self._tick_ns += (missed + 1) * period_ns
        return await self._at(self._tick_ns + (self._jitter_ns() if self._options.random_phase else 0))

    async def _at(self, when_ns: int) -> int:
        await self._context.sleep_until(when_ns)
        return when_ns

    def _jitter_ns(self) -> int:
        """Up to one refresh of the display; 0 before its refresh is known."""
        return int(self._context.random.random() * self._surface.refresh_ns)

    async def _settle(self) -> None:
        deadline_ns = self._context.now_ns() + FEEDBACK_PATIENCE_NS + self._options.gpu_ns
        await self._context.until(lambda: not self._surface.awaiting_feedback, deadline_ns=deadline_ns)
