"""One machine tries everything with user fences: any mix of parked, replaced, late and ordinary commits, and time."""

from dataclasses import dataclass, replace
from errno import EBUSY, ECANCELED, ETIME

import pytest
from hypothesis import settings, strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from syncline.kms_model.kms.mode import Output
from syncline.kms_model.profiles import SYNCLINE, CrtcLayout
from syncline.kms_model.trace import FlipTrace
from syncline.kms_model.uapi import AtomicFlag as Flag, FlipComplete, FlipDropped, ModeRmFb

ASK = Flag.NONBLOCK | Flag.PAGE_FLIP_EVENT
SMALL = replace(SYNCLINE, crtcs=(CrtcLayout(output=Output("One", 16, 16, 60_000), overlays=1),))


@dataclass(eq=False)
class Frame:
    """An accepted commit of a framebuffer nobody showed before, and what came of it."""

    number: int
    fb: int
    fence: int
    timeline: int | None
    deadline_ns: int
    signalled: bool = False
    rendered: bool = False
    end: int | None = None
    """0 shown, or the status it was dropped with."""


class AnyParkedSession(RuleBasedStateMachine):
    def __init__(self, make_client):
        super().__init__()
        self.client = make_client(SMALL)
        self.world = self.client.world
        self.client.modes = (SMALL.crtcs[0].output.mode,)
        fb = self.client.framebuffer()
        self.client.commit(Flag.ALLOW_MODESET, *self.client.output(0, fb))
        self.shown = fb
        self.out = self.client.user_fence()
        self.frames = []

    @property
    def last(self):
        """The newest accepted commit, while nobody has heard what came of it."""
        return self.frames[-1] if self.frames and self.frames[-1].end is None else None

    # -- what a client may do ------------------------------------------------------------------

    @rule(override=st.booleans(), waits=st.booleans(), fenced=st.booleans(), timeout_ms=st.integers(0, 40))
    def commit(self, override, waits, fenced, timeout_ms):
        frame, changes = self.frame(waits=waits, fenced=fenced, timeout_ms=timeout_ms)
        flags = ASK | (Flag.OVERRIDE if override else 0)
        last = self.last
        free = last is None or (self.client.parked() and override)
        request = self.client.request(flags, *changes, user_data=frame.number, timeout_ns=frame.deadline_ns)
        if not free:
            assert self.client.errno(request) == EBUSY
            self.client.call(ModeRmFb(frame.fb))
            return
        self.client.call(request)
        self.frames.append(frame)
        self.read_events()
        assert last is None or last.end == -ECANCELED

    @precondition(lambda self: self.last and not self.last.signalled)
    @rule()
    def signal(self):
        self.last.signalled = True
        self.client.reach(self.last.fence)

    @precondition(lambda self: self.last and self.last.timeline is not None and not self.last.rendered)
    @rule()
    def finish_rendering(self):
        self.last.rendered = True
        self.client.signal(self.last.timeline)

    @precondition(lambda self: self.client.parked())
    @rule()
    def remove_the_framebuffer(self):
        self.client.call(ModeRmFb(self.last.fb))

    @rule(ms=st.integers(1, 40))
    def wait(self, ms):
        self.world.run_ms(ms)

    # -- what must hold ------------------------------------------------------------------------

    def read_events(self):
        for event in self.client.events():
            frame = self.frames[event.user_data - 1]
            assert frame.end is None, "told once"
            frame.end = 0 if isinstance(event, FlipComplete) else event.status
            if isinstance(event, FlipDropped):
                assert event.status in (-ECANCELED, -ETIME)
                assert event.status == -ECANCELED or event.time_ns == frame.deadline_ns
            else:
                assert frame.signalled, "nothing is shown before its user fence"
                assert frame.timeline is None or frame.rendered
                self.shown = frame.fb

    @invariant()
    def look(self):
        self.read_events()
        last = self.last
        assert self.client.shown() == (self.shown,), "a dropped frame leaves the old one on the screen"
        assert self.client.slot(self.out)[0] == len([each for each in self.frames if each.end is not None])
        assert self.client.parked() == (last is not None and not last.signalled)
        self.world.check()
        flips = [
            flip.user_data for flip in self.world.trace if isinstance(flip, FlipTrace) and flip.user_data
        ]
        assert flips == [frame.number for frame in self.frames if frame.end == 0]

    # -- building ------------------------------------------------------------------------------

    def frame(self, *, waits, fenced, timeout_ms):
        fb = self.client.framebuffer()
        fence = self.client.user_fence()
        timeline = self.client.timeline() if fenced else None
        number = len(self.frames) + 1
        deadline_ns = self.world.now_ns + timeout_ms * 1_000_000 if waits and timeout_ms else 0
        frame = Frame(number, fb, fence, timeline, deadline_ns, signalled=not waits)
        changes = [("primary0", "FB_ID", fb), self.client.owes(self.out, number)]
        if waits:
            changes.append(self.client.waits_for((fence, 1)))
        if timeline is not None:
            changes.append(("primary0", "IN_FENCE_FD", self.client.fence(timeline)))
        return frame, changes

    def teardown(self):
        try:
            if self.last is not None:
                self.signal()
                if self.last is not None and self.last.timeline is not None:
                    self.finish_rendering()
            self.world.run_ms(100)
            self.look()
            assert self.last is None, "every accepted commit was told of"
        finally:
            self.world.close()


@pytest.mark.requirement("UR8")
def test_every_accepted_commit_is_shown_or_dropped_once_and_the_screen_never_shows_what_was_not_ready(
    make_lone_client,
):
    run_state_machine_as_test(
        lambda: AnyParkedSession(make_lone_client), settings=settings(stateful_step_count=30)
    )
