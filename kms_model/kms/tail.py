"""Steps 8 to 13 and the flip itself: what happens once the new state is in and nothing may fail any more.

The three completions mark its progress: hw_done when the hardware is programmed, flip_done at the
vblank that shows it, cleanup_done when the old buffers are let go (kernel.md 3.3, 3.6).
"""

from functools import partial
from typing import Final

from syncline.kms_model.accesses import AccessObserver
from syncline.kms_model.kms.display import Display
from syncline.kms_model.kms.objects import Crtc, CrtcCommit, CrtcState
from syncline.kms_model.kms.state import AtomicState
from syncline.kms_model.kms.view import Scanout
from syncline.kms_model.kms.waiting import wait_for_fences
from syncline.kms_model.kms.writeback import queue_writeback
from syncline.kms_model.trace import FlipTrace

DEPENDENCY_NS: Final = 10_000_000_000


class Tail:
    """commit_tail of one commit: inline if it is blocking, in a worker if it is not."""

    def __init__(self, display: Display, state: AtomicState) -> None:
        self._display = display
        self._kernel = display.kernel
        self._state = state

    async def run(self) -> None:
        await wait_for_fences(self._display, self._state, before_swap=False)
        await self._wait_for_dependencies()
        self._switch_off()
        if self._display.profile.enables_before_planes:
            self._switch_on()
            self._program()
        else:
            self._program()
            self._switch_on()
        queue_writeback(self._display, self._state)
        self._complete_hw()
        await self._wait_for_screen()
        self._clean_up()

    # -- step 9 --------------------------------------------------------------------------------

    async def _wait_for_dependencies(self) -> None:
        state = self._state
        for kind, olds in (
            ("CRTC", state.old_crtcs),
            ("connector", state.old_connectors),
            ("plane", state.old_planes),
        ):
            for thing, old in olds.items():
                if old.commit is not None and not old.commit.is_on_screen:
                    await self._wait(old.commit, f"{kind} {thing.id}")

    async def _wait(self, previous: CrtcCommit, what: str) -> None:
        for name, completion in (("hw_done", previous.hw_done), ("flip_done", previous.flip_done)):
            deadline_ns = self._kernel.now_ns + DEPENDENCY_NS
            if not await self._kernel.wait(completion, deadline_ns=deadline_ns, interruptible=False):
                self._display.warn(name, f"{what}: {name} timed out")

    # -- step 10 -------------------------------------------------------------------------------

    def _switch_off(self) -> None:
        for crtc, new in self._state.crtcs.items():
            if new.needs_modeset and self._state.old_crtcs[crtc].active:
                crtc.showing = crtc.arming = None
                if self._kernel.accesses is not None:
                    self._tell_shown(self._kernel.accesses, new, None)
                if crtc.vblank.running:
                    crtc.vblank.stop()

    def _switch_on(self) -> None:
        for crtc, new in self._state.crtcs.items():
            if not new.needs_modeset or not new.active:
                continue
            assert new.mode is not None, "checked: active needs a mode"
            if self._display.profile.vblank:
                crtc.vblank.start(new.mode, vrr_min_mhz=_vrr_min_mhz(new))
            if crtc.arming is not None:
                self._show(crtc, new, crtc.arming, *crtc.vblank.last())

    def _program(self) -> None:
        """Plane updates, with the event armed as they are flushed."""
        for crtc, new in self._state.crtcs.items():
            if new.event is None:
                continue
            image = crtc.image() if new.active else None
            if not crtc.vblank.running:
                self._finish_at_once(crtc, new, image)
            elif new.async_flip:
                self._tear(crtc, new, image)
            else:
                self._arm(crtc, new, image)

    def _arm(self, crtc: Crtc, new: CrtcState, image: Scanout | None) -> None:
        crtc.arming = image
        crtc.vblank.vary(_vrr_min_mhz(new))
        crtc.vblank.arm(partial(self._finish, crtc, new, image))

    def _tear(self, crtc: Crtc, new: CrtcState, image: Scanout | None) -> None:
        """In the middle of a frame, which is over for the event: it tells the last vblank (3.7)."""
        sequence, time_ns = crtc.vblank.last()
        self._show(crtc, new, image, sequence, self._kernel.now_ns)
        self._send(crtc, new, sequence, time_ns)

    def _finish_at_once(self, crtc: Crtc, new: CrtcState, image: Scanout | None) -> None:
        """No vblank to wait for: the device has none (its events carry the time of day), or the CRTC is off."""
        if not self._display.profile.vblank:
            self._finish(crtc, new, image, 0, self._kernel.now_ns)
        elif image is None:
            self._finish(crtc, new, image, *crtc.vblank.last())
        else:
            crtc.arming = image  # on the screen as soon as that is switched on
            self._send(crtc, new, *crtc.vblank.last())

    def _finish(self, crtc: Crtc, new: CrtcState, image: Scanout | None, sequence: int, time_ns: int) -> None:
        """The vblank interrupt: the screen takes the new image, then everybody is told (step I)."""
        self._show(crtc, new, image, sequence, time_ns)
        self._send(crtc, new, sequence, time_ns)

    def _show(self, crtc: Crtc, new: CrtcState, image: Scanout | None, sequence: int, time_ns: int) -> None:
        crtc.showing = None if image is None else image.latched(sequence=sequence, time_ns=time_ns)
        crtc.arming = None
        if self._kernel.accesses is not None:
            self._tell_shown(self._kernel.accesses, new, image)
        if self._kernel.trace is not None:
            self._kernel.report(
                FlipTrace(
                    time_ns,
                    crtc_id=crtc.id,
                    sequence=sequence,
                    fb_ids=() if image is None else image.fb_ids,
                    user_data=0 if new.event is None else new.event.user_data,
                )
            )

    def _tell_shown(self, accesses: AccessObserver, new: CrtcState, image: Scanout | None) -> None:
        if new.commit is not None:
            accesses.shown(new.commit, [layer.gem.resv for layer in image.layers] if image else ())

    def _send(self, crtc: Crtc, new: CrtcState, sequence: int, time_ns: int) -> None:
        event, new.event = new.event, None
        assert event is not None, "an event is sent once"
        if self._kernel.accesses is not None and new.commit is not None:
            self._kernel.accesses.flip_told(event.file, new.commit)
        event.send(crtc_id=crtc.id, sequence=sequence, time_ns=time_ns)
        observer = self._kernel.observer
        if observer is not None:
            signalled_ns = time_ns if event.fence is None else event.fence.timestamp_ns
            observer.flip_told(crtc.id, new.commit, time_ns, event.fence, signalled_ns)

    # -- steps 11 to 13 ------------------------------------------------------------------------

    def _complete_hw(self) -> None:
        for new in self._state.crtcs.values():
            assert new.commit is not None, "every CRTC of a commit is tracked"
            new.commit.hw_done.complete()
        if self._state.fake_commit is not None:
            self._state.fake_commit.hw_done.complete()
            self._state.fake_commit.flip_done.complete()

    async def _wait_for_screen(self) -> None:
        profile = self._display.profile
        if profile.waits_for_flip:
            deadline_ns = self._kernel.now_ns + DEPENDENCY_NS
            for crtc, commit in self._state.crtc_commits.items():
                if not await self._kernel.wait(
                    commit.flip_done, deadline_ns=deadline_ns, interruptible=False
                ):
                    self._display.warn("flip_done", f"CRTC {crtc.id}: flip_done timed out")
            return
        deadline_ns = self._kernel.now_ns + profile.vblank_wait_ns
        running = [crtc for crtc, new in self._state.crtcs.items() if new.active and crtc.vblank.running]
        for crtc, sequence in [(crtc, crtc.vblank.last()[0] + 1) for crtc in running]:
            if crtc.vblank.last()[0] < sequence and not await crtc.vblank.wait(
                sequence=sequence, deadline_ns=deadline_ns, interruptible=False
            ):
                self._display.warn("vblank", f"CRTC {crtc.id}: vblank wait timed out")

    def _clean_up(self) -> None:
        for crtc, commit in self._state.crtc_commits.items():
            commit.cleanup_done.complete()
            crtc.commits.remove(commit)
        self._display.states.remove(self._state)


def _vrr_min_mhz(new: CrtcState) -> int:
    """The lowest refresh of a CRTC with VRR_ENABLED on a screen that has it; else 0."""
    if not new.vrr_enabled:
        return 0
    return max(
        (connector.output.vrr_min_mhz for connector in new.connectors if connector.output is not None),
        default=0,
    )
