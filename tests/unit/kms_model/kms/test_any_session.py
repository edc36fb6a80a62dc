"""One machine tries everything: any mix of commits, fences and time, seen from the far side of the screen."""

from dataclasses import dataclass, replace
from errno import EBUSY
from itertools import chain

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
from syncline.kms_model.uapi import AtomicFlag as Flag, DeviceError, ModeRmFb

NONBLOCK = Flag.NONBLOCK | Flag.PAGE_FLIP_EVENT
SCREENS = ("crtc0", "crtc1")
SMALL = replace(
    SYNCLINE,
    crtcs=(
        CrtcLayout(output=Output("One", 16, 16, 60_000), overlays=1),
        CrtcLayout(output=Output("Two", 16, 16, 75_000), overlays=1),
    ),
)


@dataclass(eq=False)
class Frame:
    """An accepted commit of a framebuffer nobody showed before."""

    number: int
    crtcs: tuple[str, ...]
    fb: int
    timeline: int | None
    out_fences: tuple[int, ...]
    released: bool = False


class AnySession(RuleBasedStateMachine):
    def __init__(self, make_client, machine):
        super().__init__()
        self.client = make_client(machine)
        self.world = self.client.world
        self.client.modes = (SMALL.crtcs[0].output.mode,)
        fb = self.client.framebuffer()
        changes = [
            *self.client.output(0, fb, SMALL.crtcs[0].output.mode),
            *self.client.output(1, fb, SMALL.crtcs[1].output.mode),
        ]
        self.client.commit(Flag.ALLOW_MODESET, *changes)
        self.frames = []
        self.waiting = dict.fromkeys(SCREENS)
        self.was_shown = {crtc: set() for crtc in SCREENS}
        self.last = dict.fromkeys(SCREENS)
        self.blocking = None

    # -- what a client may do ------------------------------------------------------------------

    @precondition(lambda self: self.blocking is None)
    @rule(crtcs=st.sampled_from([SCREENS[:1], SCREENS[1:], SCREENS]), fenced=st.booleans())
    def commit_nonblock(self, crtcs, fenced):
        frame, request = self.frame(crtcs, fenced)
        busy = any(self.waiting[crtc] for crtc in crtcs)
        if busy:
            with pytest.raises(DeviceError) as error:
                self.client.call(request)
            assert error.value.errno == EBUSY
            assert {value for _, value in error.value.writes} == {-1}
            self.client.call(ModeRmFb(frame.fb))
        else:
            self.accept(frame, self.client.call(request))

    @precondition(lambda self: self.blocking is None)
    @rule(crtcs=st.sampled_from([SCREENS[:1], SCREENS[1:]]), fenced=st.booleans())
    def start_blocking(self, crtcs, fenced):
        frame, request = self.frame(crtcs, fenced, flags=Flag.PAGE_FLIP_EVENT)
        self.blocking = frame, self.client.start(request)

    @precondition(lambda self: self.blocking is not None)
    @rule()
    def interrupt(self):
        self.blocking[1].interrupt()

    @precondition(lambda self: self.unreleased())
    @rule(data=st.data())
    def finish_rendering(self, data):
        self.release(data.draw(st.sampled_from(self.unreleased())))

    @rule(ms=st.integers(1, 40))
    def wait(self, ms):
        self.world.run_ms(ms)

    @precondition(lambda self: self.blocking is None)
    @rule(crtc=st.sampled_from(SCREENS))
    def test_only(self, crtc):
        before = self.client.world.device.kms.view()
        _, request = self.frame((crtc,), fenced=True, flags=Flag.TEST_ONLY)
        self.client.call(request)
        assert self.client.world.device.kms.view() == before

    # -- what must hold ------------------------------------------------------------------------

    @invariant()
    def look(self):
        self.settle_blocking()
        self.read_events()
        self.world.check()
        for crtc in SCREENS:
            flips = [flip.fb_ids for flip in self.flips() if flip.crtc_id == self.client.ids[crtc]]
            assert self.client.shown(crtc) == flips[-1]
            self.was_shown[crtc] = set(chain.from_iterable(flips))
        for frame in self.frames:
            for crtc, fence in zip(frame.crtcs, frame.out_fences, strict=True):
                on_screen = frame.fb in self.was_shown[crtc]
                assert not on_screen or frame.timeline is None or frame.released
                assert self.client.status(fence) == int(on_screen)

    @invariant()
    def an_idle_machine_sleeps(self):
        if self.blocking is None and not any(self.waiting.values()):
            assert self.world.device.next_deadline_ns() is None

    def flips(self):
        return [each for each in self.world.trace if isinstance(each, FlipTrace)]

    def read_events(self):
        for event in self.client.events():
            crtc = next(name for name in SCREENS if self.client.ids[name] == event.crtc_id)
            frame = self.waiting[crtc]
            assert frame is not None
            assert frame.number == event.user_data
            if self.last[crtc] is not None:
                sequence, time_ns = self.last[crtc]
                period = SMALL.crtcs[SCREENS.index(crtc)].output.mode.refresh_ns
                assert event.sequence > sequence
                assert abs(event.time_ns - time_ns - (event.sequence - sequence) * period) < 1_000
            self.last[crtc] = event.sequence, event.time_ns
            assert event.time_ns <= self.world.now_ns
            self.waiting[crtc] = None

    def settle_blocking(self):
        """A blocking commit that is done was either carried out or interrupted."""
        if self.blocking is None or not self.blocking[1].done:
            return
        (frame, pending), self.blocking = self.blocking, None
        try:
            reply = pending.result()
        except DeviceError:
            return  # interrupted
        for crtc in frame.crtcs:
            if self.waiting[crtc] is not None:
                self.read_one_before(crtc, frame)
        self.accept(frame, reply)

    def read_one_before(self, crtc, frame):
        """The commit it waited for has told its flip; the event is queued before our own."""
        events, self.client.file._events = self.client.file._events, []
        mine = [event for event in events if event.user_data == frame.number]
        self.client.file._events = [event for event in events if event not in mine]
        self.read_events()
        self.client.file._events = mine
        assert self.waiting[crtc] is None

    # -- building ------------------------------------------------------------------------------

    def unreleased(self):
        frames = list(self.frames)
        if self.blocking is not None:
            frames.append(self.blocking[0])
        return [frame for frame in frames if frame.timeline is not None and not frame.released]

    def release(self, frame):
        frame.released = True
        self.client.signal(frame.timeline)

    def frame(self, crtcs, fenced, *, flags=NONBLOCK):
        fb = self.client.framebuffer()
        timeline = self.client.timeline() if fenced else None
        frame = Frame(len(self.frames) + 1, crtcs, fb, timeline, ())
        changes = []
        for crtc in crtcs:
            plane = crtc.replace("crtc", "primary")
            changes += [(plane, "FB_ID", fb), (crtc, "OUT_FENCE_PTR", self.client.pointer())]
            if timeline is not None:
                changes.append((plane, "IN_FENCE_FD", self.client.fence(timeline)))
        return frame, self.client.request(flags, *changes, user_data=frame.number)

    def accept(self, frame, reply):
        frame.out_fences = tuple(fd for _, fd in reply.out_fences)
        self.world.fds += frame.out_fences
        self.frames.append(frame)
        for crtc in frame.crtcs:
            self.waiting[crtc] = frame

    def teardown(self):
        try:
            for frame in self.unreleased():
                self.release(frame)
            self.world.run_ms(100)
            self.look()
            assert self.blocking is None
            assert not any(self.waiting.values())
        finally:
            self.world.close()


SIMPLE = replace(SMALL, enables_before_planes=False, waits_for_flip=False, adds_all_planes=True)


@pytest.mark.parametrize("machine", [SMALL, SIMPLE], ids=["hardware", "simple driver"])
def test_no_session_shows_an_unfinished_frame_loses_an_event_or_lies_about_a_fence(make_lone_client, machine):
    run_state_machine_as_test(
        lambda: AnySession(make_lone_client, machine),
        settings=settings(max_examples=2 * settings().max_examples // 3, stateful_step_count=30),
    )
