"""A wl_surface that times its frames: frame callback in, commit out, on the screen; and what comes next."""

from dataclasses import dataclass
from functools import partial
from typing import ClassVar

from syncline.clients.toolkit import report
from syncline.clients.toolkit.display import Display
from syncline.clients.toolkit.loan import Loan
from syncline.clients.toolkit.proxies import Compositor, FrameCallback, Presentation, WlSurface
from syncline.kms_model.loops import NS_PER_S
from syncline.kms_model.uapi import Fd
from syncline.protocol.object import NewId, Proxy


@dataclass(frozen=True, slots=True)
class Frame:
    """`begun_ns`: the frame callback or the tick that began it. `lateness_ns`: by how much we woke after the tick."""

    number: int
    begun_ns: int
    lateness_ns: int | None = None


@dataclass(frozen=True, slots=True)
class Vblank:
    """One presentation, from which the ones to come can be told."""

    presented_ns: int
    refresh_ns: int

    def next_after(self, when_ns: int) -> int | None:
        """The first vblank later than `when_ns`; None when the refresh rate is not constant (P8)."""
        if not self.refresh_ns:
            return None
        cycles = (when_ns - self.presented_ns) // self.refresh_ns + 1
        return self.presented_ns + max(0, cycles) * self.refresh_ns


@dataclass(frozen=True, slots=True)
class Sent:
    """One commit, and the vblank it may be expected at."""

    frame: Frame
    committed_ns: int
    target_ns: int | None


class Feedback(Proxy):
    """wp_presentation_feedback: exactly one of presented and discarded, then it is gone (P2)."""

    interface = "wp_presentation_feedback"
    up_to = 2
    ignored: ClassVar[tuple[str, ...]] = ("sync_output",)

    def __init__(self, new: NewId, surface: "Surface", sent: Sent) -> None:
        super().__init__(new)
        self._surface = surface
        self._sent = sent

    def presented(self, tv_sec: int, tv_nsec: int, refresh: int, seq: int, flags: int) -> None:
        self.finish()
        clock_ns = tv_sec * NS_PER_S + tv_nsec
        self._surface.presented(self._sent, clock_ns=clock_ns, refresh_ns=refresh, sequence=seq, flags=flags)

    def discarded(self) -> None:
        self.finish()
        self._surface.discarded(self._sent)


class Surface:
    """`wl` is the object itself; `commit` asks for a frame callback and presentation feedback each time."""

    def __init__(self, display: Display) -> None:
        self.wl = display.bind(Compositor).request_new("create_surface", WlSurface)
        self.context = display.context
        self.awaiting_callbacks = 0
        self.awaiting_feedback = 0
        self.awaiting_job = False
        self._display = display
        self._client = display.context.options.client_id
        self._presentation = display.bind(Presentation) if display.offers(Presentation) else None
        self._last: Vblank | None = None

    @property
    def has_feedback(self) -> bool:
        return self._presentation is not None

    @property
    def refresh_ns(self) -> int:
        """Of the output that last showed the surface; 0 while unknown or not constant."""
        return self._last.refresh_ns if self._last else 0

    def submitted(self, frame: Frame, *, job: int, acquire_point: int = 0) -> None:
        """Report the GPU job that paints a frame and will signal `acquire_point`."""
        self.context.emit(
            report.Submitted(
                t_ns=self.context.now_ns(),
                client=self._client,
                surface=self.wl.id,
                frame=frame.number,
                job=job,
                gpu_ns=self.context.options.gpu_ns,
                acquire_point=acquire_point,
            )
        )

    def hold_until(self, sync_file: Fd) -> None:
        """Begin no frame before it is signalled. Takes it over."""
        self.awaiting_job = True
        self.context.when_signalled(sync_file, self._job_done)

    def _job_done(self) -> None:
        self.awaiting_job = False
        self.context.beat()

    def commit(self, frame: Frame, loan: Loan, *, acquire_point: int = 0) -> None:
        """wl_surface.commit of what was attached, sent at once."""
        now_ns = self.context.now_ns()
        self.awaiting_callbacks += 1
        self.wl.request_new("frame", partial(FrameCallback, on_done=self._callback_done))
        if self._presentation is not None:
            sent = Sent(frame, now_ns, self._last.next_after(now_ns) if self._last else None)
            feedback = partial(Feedback, surface=self, sent=sent)
            self._presentation.request_new("feedback", feedback, self.wl)
            self.awaiting_feedback += 1
            self.context.tally.asked += 1
        self.wl.send("commit")
        self._display.flush()
        self.context.tally.committed += 1
        self.context.emit(
            report.Committed(
                t_ns=now_ns,
                client=self._client,
                surface=self.wl.id,
                frame=frame.number,
                begun_ns=frame.begun_ns,
                lateness_ns=frame.lateness_ns,
                image=loan.image,
                acquire_point=acquire_point,
                release_point=loan.point,
            )
        )

    def _callback_done(self) -> None:
        self.awaiting_callbacks -= 1
        self.context.beat()

    def presented(self, sent: Sent, *, clock_ns: int, refresh_ns: int, sequence: int, flags: int) -> None:
        """Told by the feedback of one commit."""
        assert self._presentation is not None, "nobody else makes feedback"
        presented_ns = self.context.to_monotonic_ns(clock_ns, clock=self._presentation.clock)
        before, self._last = self._last, Vblank(presented_ns, refresh_ns)
        self.context.tally.presented += 1
        self.context.emit(
            report.Presented(
                t_ns=self.context.now_ns(),
                client=self._client,
                surface=self.wl.id,
                frame=sent.frame.number,
                presented_ns=presented_ns,
                sequence=sequence,
                refresh_ns=refresh_ns,
                flags=flags,
                f2c_ns=sent.committed_ns - sent.frame.begun_ns,
                c2p_ns=presented_ns - sent.committed_ns,
                f2p_ns=presented_ns - sent.frame.begun_ns,
                p2p_ns=None if before is None else presented_ns - before.presented_ns,
                t2p_ns=None if sent.target_ns is None else presented_ns - sent.target_ns,
            )
        )
        self._answered()

    def discarded(self, sent: Sent) -> None:
        """Told by the feedback of one commit."""
        self.context.tally.discarded += 1
        self.context.emit(
            report.Discarded(
                t_ns=self.context.now_ns(),
                client=self._client,
                surface=self.wl.id,
                frame=sent.frame.number,
            )
        )
        self._answered()

    def _answered(self) -> None:
        self.awaiting_feedback -= 1
        self.context.beat()
