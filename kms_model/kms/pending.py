"""PENDING_USER: a commit that waits for user space, parked beside its CRTC (kernel.md 6.6, UR5 to UR9, UR14).

A parked commit is accepted but not carried out. It keeps its buffers, and nothing else: the software
state is the old one, no lock is held, no dma_fence depends on it. So whoever never signals harms only
his own frame, and a newer frame may take its place. When the last user point is reached a worker takes
the locks, checks again, and from the swap on it is a commit like any other.
"""

from errno import EBUSY, ECANCELED, EINVAL, ETIME

from syncline.kms_model.file import File
from syncline.kms_model.kms.check import check
from syncline.kms_model.kms.commit import carry_out, collect_moves, prepare, refuse_if_busy, set_up
from syncline.kms_model.kms.display import Display
from syncline.kms_model.kms.lock import AcquireContext, Deadlock
from syncline.kms_model.kms.objects import Crtc, Framebuffer
from syncline.kms_model.kms.point import PointWait, UserPoint
from syncline.kms_model.kms.state import AtomicState, Parked
from syncline.kms_model.kms.tail import Tail
from syncline.kms_model.kms.user_points import accepted, check_out_points, hint_deadline
from syncline.kms_model.task import Completion
from syncline.kms_model.trace import DropTrace
from syncline.kms_model.uapi import DeviceError


class NotYet(Exception):
    """A blocking commit has to wait for user space: it drops every lock, sleeps, and starts over (UR11)."""

    def __init__(self, *, points: tuple[UserPoint, ...] = (), parked: Parked | None = None) -> None:
        super().__init__("sleep without locks first")
        self._points = points
        self._parked = parked

    async def sleep(self, display: Display, who: str, deadline_ns: int | None) -> None:
        """ETIME at the deadline, which is for the user points only. Interrupted."""
        if self._parked is not None:
            await display.kernel.wait(self._parked.over)
        elif not await PointWait(display.kernel, who, self._points).sleep(deadline_ns):
            raise DeviceError(ETIME, "the user fences did not signal in time")


def give_way(display: Display, state: AtomicState, *, nonblock: bool) -> None:
    """UR8. A parked commit is in the way unless it will be replaced: EBUSY, or NotYet for a blocking commit."""
    for crtc in state.crtcs:
        parked = display.parked.get(crtc)
        if parked is None or state.replaces_parked(crtc):
            continue
        if nonblock:
            raise DeviceError(EBUSY, "the commit before waits for its user fences")
        raise NotYet(parked=parked)


async def park(display: Display, file: File, state: AtomicState, *, timeout_ns: int) -> None:
    """Steps 4 and 5, and then instead of the rest a worker (UR5). EBUSY, or Interrupted, with nothing changed."""
    await refuse_if_busy(display, state, nonblock=True)
    check_out_points(state)
    ((crtc, _),) = state.crtcs.items()
    for new in state.planes.values():
        if not new.is_explicit:
            prepare(display, new)
    state.drop_parked(display.parked)
    parked = ParkedCommit(display, file, crtc, state, timeout_ns or None)
    display.parked[crtc] = parked
    hint_deadline(crtc, state.user_points)
    display.kernel.spawn(parked.run())


def cancel_of(display: Display, file: File) -> None:
    """UR14: the file is master no longer, or closed."""
    for parked in tuple(display.parked.values()):
        if parked.file is file:
            parked.drop(ECANCELED)


def cancel_showing(display: Display, fb: Framebuffer) -> None:
    """UR14: the framebuffer is removed."""
    for parked in tuple(display.parked.values()):
        if parked.state.shows(fb):
            parked.drop(ECANCELED)


class ParkedCommit:
    """One commit in PENDING_USER. `over` when it was promoted or dropped."""

    def __init__(
        self, display: Display, file: File, crtc: Crtc, state: AtomicState, deadline_ns: int | None
    ) -> None:
        self.file = file
        self.state = state
        self.over = Completion()
        self._display = display
        self._crtc = crtc
        self._deadline_ns = deadline_ns
        self._wait = PointWait(display.kernel, f"CRTC {crtc.id}", state.user_points)
        self._event = state.crtcs[crtc].event
        if self._event is not None:
            assert self._event.fence is None, "a parked commit publishes no dma_fence (K15)"
            self._event.owe()

    async def run(self) -> None:
        if self._display.kernel.observer is not None:
            self._display.kernel.observer.commit_accepted(accepted(self.state, parked=True))
        in_time = await self._wait.sleep(self._deadline_ns)
        if self.over.done:
            return
        if in_time:
            await self._promote()
        else:
            self.drop(ETIME)

    def drop(self, errno: int) -> None:
        """It will not be shown: its buffers are free, its point is written, its file is told (UR8, UR9, Q9)."""
        self._end()
        self._wait.call_off()
        self._display.states.remove(self.state)
        now_ns = self._display.kernel.now_ns
        user_data = 0
        if self._event is not None:
            user_data = self._event.user_data
            self._event.drop(crtc_id=self._crtc.id, status=-errno, time_ns=now_ns)
        self._display.kernel.report(
            DropTrace(now_ns, self._crtc.id, self.state.fb_ids, -errno, user_data=user_data)
        )

    def _end(self) -> None:
        del self._display.parked[self._crtc]
        self.over.complete()

    async def _promote(self) -> None:
        """Locks, for the first time since the ioctl, and the rest of the way (UR6, UR7)."""
        display = self._display
        context = display.acquire_context(interruptible=False)
        state = display.begin_state(context, file=self.file)
        try:
            try:
                fits = await self._take_place(context, state)
            except DeviceError:
                if not self.over.done:
                    self.drop(EINVAL)
                fits = False
            if not fits:
                display.states.remove(state)
                return
            self._end()
            display.states.remove(self.state)
            await set_up(display, state, nonblock=False)
            for new in state.planes.values():
                collect_moves(display, new)
            await carry_out(display, state, nonblock=True)
        finally:
            context.release()
        await Tail(display, state).run()

    async def _take_place(self, context: AcquireContext, state: AtomicState) -> bool:
        """Lock, and put the parked changes on top of what is committed now. False: dropped while we slept."""
        while True:
            try:
                await self._lock(context)
                await state.adopt(self.state)
                await check(self._display, state)
            except Deadlock as deadlock:
                state.clear()
                await context.back_off(deadlock.contended)
            else:
                return not self.over.done

    async def _lock(self, context: AcquireContext) -> None:
        await context.lock(self._crtc.lock)
        for plane in self.state.planes:
            await context.lock(plane.lock)
