"""K21 where the reader is the display: a plane reads from the flip that shows a buffer to the flip that replaces it."""

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import pytest
from display import ASK, Change, Client, World

from syncline.kms_model.checker import Report, Severity
from syncline.kms_model.kms import tail
from syncline.kms_model.kms.state import AtomicState
from syncline.kms_model.profiles import SYNCLINE
from syncline.kms_model.quirks import UPSTREAM
from syncline.kms_model.uapi import (
    AtomicFlag,
    CreateDumb,
    DmaBufSync,
    DmaBufSyncFlag,
    Fd,
    HandleFlag,
    ModeAddFb2,
    Point,
    PrimeFdToHandle,
    PrimeHandleToFd,
    Submit,
    SyncFileMerge,
    SyncobjCreate,
    SyncobjFdToHandle,
    SyncobjHandleToFd,
    SyncobjTimelineSignal,
)

MS = 1_000_000
AT_POINT = HandleFlag.SYNC_FILE | HandleFlag.TIMELINE
WRITE, END = DmaBufSyncFlag.WRITE, DmaBufSyncFlag.END
RACE = ("K21", Severity.ERROR)


class Theatre:
    """A compositor with the screen, and a painter whose two buffers it shows. Both have the release timeline."""

    def __init__(self, world: World, *, writeback: bool = False) -> None:
        self.world = world
        self.client = Client(world, writeback=writeback)
        self.client.file.label = "compositor"
        self.painter = world.device.open()
        self.painter.label = "painter"
        mode = self.client.mode
        self.size = (mode.hdisplay, mode.vdisplay)
        self.handles: dict[str, int] = {}
        self.fds: dict[str, Fd] = {}
        self.fbs: dict[str, int] = {}
        self.pitch = 0
        for name in "ab":
            self.make(name)
        self.release = self.call(self.painter, SyncobjCreate()).handle
        fd = self.keep(self.call(self.painter, SyncobjHandleToFd(self.release)).fd)
        self.their_release = self.client.call(SyncobjFdToHandle(fd)).handle
        self.client.commit(AtomicFlag.ALLOW_MODESET, *self.client.output(0, self.fbs["b"]))

    def make(self, name: str) -> None:
        dumb = self.call(self.painter, CreateDumb(*self.size))
        self.handles[name], self.pitch = dumb.handle, dumb.pitch
        self.fds[name] = self.keep(self.call(self.painter, PrimeHandleToFd(dumb.handle)).fd)
        handle = self.client.call(PrimeFdToHandle(self.fds[name])).handle
        self.fbs[name] = self.client.call(ModeAddFb2(*self.size, 0x34325258, handle, dumb.pitch)).fb_id

    def call(self, file: Any, request: Any) -> Any:
        return self.world.device.call(file, request, self.world.now_ns).result()

    def keep(self, fd: Fd) -> Fd:
        self.world.fds.append(fd)
        return fd

    def paint(self, name: str, ms: float = 2, **more: Any) -> Fd:
        """The painter's GPU job; its fence."""
        request = Submit(
            self.handles[name], self.size, self.pitch, (), round(ms * MS), out_fence=True, **more
        )
        return self.keep(self.call(self.painter, request).out_fence)

    def flip(self, name: str, fence: int = -1, *changes: Change, flags: int = ASK) -> Fd:
        """Show the buffer; the out-fence."""
        fenced = [("primary0", "IN_FENCE_FD", fence)] if fence >= 0 else []
        pointer = self.client.pointer()
        shown = [("primary0", "FB_ID", self.fbs[name]), *fenced]
        out = [("crtc0", "OUT_FENCE_PTR", pointer)]
        reply = self.client.commit(flags, *shown, *out, *changes)
        return Fd(dict(reply.out_fences)[pointer])

    def run(self, ms: float = 40) -> None:
        self.world.run_ms(ms)
        self.client.events()

    def released(self) -> tuple[Point, ...]:
        return (Point(self.release, 1),)

    def hand_over(self, out_fence: int) -> None:
        """The compositor puts it behind the release point."""
        self.client.call(SyncobjFdToHandle(Fd(out_fence), self.their_release, AT_POINT, point=1))

    @property
    def races(self) -> list[Report]:
        return [each for each in self.world.ledger.reports.values() if each.rule == "K21"]


@pytest.fixture
def theatre() -> Iterator[Theatre]:
    world = World(SYNCLINE, UPSTREAM)
    yield Theatre(world)
    world.close()


# -- the display reads --------------------------------------------------------------------------------


def in_fence(theatre: Theatre) -> None:
    theatre.flip("a", theatre.paint("a"))


def implicit_fence(theatre: Theatre) -> None:
    theatre.paint("a", implicit=True)
    theatre.flip("a")


def merged_in_fence(theatre: Theatre) -> None:
    theatre.make("c")
    both = theatre.client.call(
        SyncFileMerge(theatre.paint("a"), theatre.paint("c", implicit=True), "both")
    ).fd
    theatre.flip("a", theatre.keep(both))


def cpu_painted_before_the_commit(theatre: Theatre) -> None:
    """Without a fence one relies on messages: the commit came after."""
    theatre.call(theatre.painter, DmaBufSync(theatre.fds["a"], WRITE))
    theatre.call(theatre.painter, DmaBufSync(theatre.fds["a"], WRITE | END))
    theatre.flip("a")


def without_its_fence(theatre: Theatre) -> None:
    theatre.paint("a")
    theatre.flip("a")


def with_the_fence_of_another(theatre: Theatre) -> None:
    """An explicit fence replaces the implicit ones."""
    theatre.paint("a", implicit=True)
    theatre.flip("a", theatre.keep(theatre.call(theatre.painter, SyncobjHandleToFd(done(theatre), 1)).fd))


def done(theatre: Theatre) -> int:
    return theatre.call(theatre.painter, SyncobjCreate(flags=1)).handle


@pytest.mark.requirement("K21")
@pytest.mark.parametrize(
    ("story", "races"),
    [
        (in_fence, False),
        (implicit_fence, False),
        (merged_in_fence, False),
        (cpu_painted_before_the_commit, False),
        (without_its_fence, True),
        (with_the_fence_of_another, True),
    ],
    ids=lambda case: getattr(case, "__name__", None),
)
def test_the_display_reads_after_the_fence_of_who_painted(
    theatre: Theatre, story: Callable[[Theatre], None], races: bool
) -> None:
    story(theatre)
    theatre.run()

    assert bool(theatre.races) == races
    if races:
        assert "a read before its producer's fence" in theatre.races[0].what


def test_a_user_fence_orders_the_display_too(theatre: Theatre) -> None:
    """The commit is parked until the painter's engine has signalled it."""
    mine = theatre.client.user_fence()
    fd = theatre.keep(theatre.client.call(SyncobjHandleToFd(mine)).fd)
    theirs = theatre.call(theatre.painter, SyncobjFdToHandle(fd)).handle
    theatre.paint("a", 5, out_points=(Point(theirs, 1),))
    theatre.client.commit(ASK, ("primary0", "FB_ID", theatre.fbs["a"]), theatre.client.waits_for((mine, 1)))
    theatre.run(60)

    assert theatre.client.shown() == (theatre.fbs["a"],)
    assert not theatre.races


def test_a_user_fence_that_lies_does_not(theatre: Theatre) -> None:
    mine = theatre.client.user_fence()
    theatre.paint("a", 25)
    theatre.client.reach(mine)
    theatre.client.commit(ASK, ("primary0", "FB_ID", theatre.fbs["a"]), theatre.client.waits_for((mine, 1)))
    theatre.run(60)

    assert theatre.races


@pytest.mark.parametrize("story", [in_fence, implicit_fence], ids=lambda story: story.__name__)
def test_a_display_that_does_not_wait_for_its_fences_is_found(
    theatre: Theatre, story: Callable[[Theatre], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A mutant of the machine, with a GPU that is slow enough to be seen at it."""

    async def forget(_display: object, state: AtomicState, *, before_swap: bool) -> None:
        for plane in state.planes.values():
            plane.fence = None

    monkeypatch.setattr(tail, "wait_for_fences", forget)
    monkeypatch.setattr(theatre, "paint", partial(theatre.paint, ms=30))
    story(theatre)
    theatre.run(80)

    assert "a read before its producer's fence" in theatre.races[0].what
    assert "they overlap" in theatre.races[0].what


@pytest.mark.requirement("K22")
def test_a_frame_that_waits_for_somebody_else_s_job_is_told_what_it_lost(theatre: Theatre) -> None:
    theatre.make("c")
    theatre.run()
    theatre.flip("a", theatre.paint("c", 25))
    theatre.run(60)

    (report,) = (each for each in theatre.world.ledger.reports.values() if each.rule == "K22")
    assert report.severity is Severity.INFO
    assert "flip 2 of CRTC" in report.what
    assert "was held up for 25000000 ns by job" in report.what


# -- the painter reuses -------------------------------------------------------------------------------


def a_and_then_b(theatre: Theatre) -> Fd:
    """`a` was on the screen, and `b` is about to replace it: that commit's out-fence."""
    theatre.flip("a", theatre.paint("a"))
    theatre.run()
    return theatre.flip("b")


@pytest.mark.requirement("K21")
def test_a_buffer_is_free_with_the_out_fence_of_the_commit_that_replaced_it(theatre: Theatre) -> None:
    theatre.hand_over(a_and_then_b(theatre))
    theatre.paint("a", in_points=theatre.released())
    theatre.run()

    assert not theatre.races


@pytest.mark.requirement("K21")
@pytest.mark.parametrize("delay_ms", [0, 30])
def test_a_release_point_signalled_at_the_commit_is_too_early(theatre: Theatre, delay_ms: float) -> None:
    """L15. Whether the display still read it when the painter came, or not."""
    a_and_then_b(theatre)
    theatre.client.call(SyncobjTimelineSignal((theatre.their_release,), (1,)))
    theatre.run(delay_ms)
    theatre.paint("a", in_points=theatre.released())
    theatre.run()

    (race,) = theatre.races
    assert "scanout from flip 2 of CRTC" in race.what
    assert "reuse before the out-fence of the commit that replaced the buffer" in race.what
    assert ("they overlap" in race.what) == (delay_ms == 0)
    assert [step.target for step in race.path if "SIGNAL" in step.target] == [
        "compositor: SYNCOBJ_TIMELINE_SIGNAL"
    ]


@pytest.mark.requirement("K21")
def test_the_out_fence_of_the_commit_that_showed_it_says_nothing_of_its_end(theatre: Theatre) -> None:
    """One commit too early: the usual mistake."""
    theatre.hand_over(theatre.flip("a", theatre.paint("a")))
    theatre.run()
    theatre.paint("a", in_points=theatre.released())
    theatre.run()

    assert "they overlap" in theatre.races[0].what


def test_a_release_point_signalled_after_the_flip_event_is_on_time(theatre: Theatre) -> None:
    a_and_then_b(theatre)
    theatre.run()
    theatre.client.call(SyncobjTimelineSignal((theatre.their_release,), (1,)))
    theatre.paint("a", in_points=theatre.released())
    theatre.run()

    assert not theatre.races


def test_a_blocking_commit_has_shown_it_when_it_returns(theatre: Theatre) -> None:
    theatre.flip("a", theatre.paint("a"))
    theatre.run()
    theatre.client.commit(0, ("primary0", "FB_ID", theatre.fbs["b"]))
    theatre.client.call(SyncobjTimelineSignal((theatre.their_release,), (1,)))
    theatre.paint("a", in_points=theatre.released())
    theatre.run()

    assert not theatre.races


def test_a_screen_that_is_off_reads_nothing(theatre: Theatre) -> None:
    theatre.flip("a", theatre.paint("a"))
    theatre.run()
    theatre.client.commit(AtomicFlag.ALLOW_MODESET, *theatre.client.off(0))
    theatre.client.call(SyncobjTimelineSignal((theatre.their_release,), (1,)))
    theatre.paint("a", in_points=theatre.released())
    theatre.run()

    assert not theatre.races


def test_a_message_is_taken_on_trust_where_there_is_no_explicit_fence(theatre: Theatre) -> None:
    """wl_buffer.release after the flip event: nothing of it passes the machine."""
    theatre.flip("a", theatre.paint("a"))
    theatre.run()
    theatre.flip("b")
    theatre.run()
    theatre.paint("a", implicit=True)
    theatre.run()

    assert not theatre.races


def test_a_message_cannot_tell_what_its_sender_does_not_know(theatre: Theatre) -> None:
    """Before the flip nobody does."""
    theatre.flip("a", theatre.paint("a"))
    theatre.run()
    theatre.flip("b")
    theatre.paint("a", implicit=True)
    theatre.run()

    assert "they overlap" in theatre.races[0].what


# -- writeback ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("waits", [True, False])
def test_a_written_back_image_is_read_after_its_out_fence(waits: bool) -> None:
    world = World(SYNCLINE, UPSTREAM)
    theatre = Theatre(world, writeback=True)
    theatre.make("image")
    client, pointer = theatre.client, theatre.client.pointer()
    changes: list[Change] = [
        ("writeback0", "CRTC_ID", client.ids["crtc0"]),
        ("writeback0", "WRITEBACK_FB_ID", theatre.fbs["image"]),
        ("writeback0", "WRITEBACK_OUT_FENCE_PTR", pointer),
    ]
    reply = client.commit(AtomicFlag.ALLOW_MODESET | AtomicFlag.NONBLOCK, *changes)
    written = Fd(dict(reply.out_fences)[pointer])
    theatre.paint("image", **({"in_fence": written} if waits else {}))
    theatre.run()

    assert bool(theatre.races) == (not waits)
    world.close()
