"""fifo, commit-timing and tearing-control: their objects and their errors (protocol.md 5.8, FIF, CTM, TEA)."""

from typing import Final

from syncline.conformance.case import PRESENTATION, RunClass, case
from syncline.conformance.pace import check_after
from syncline.conformance.thing import Thing
from syncline.conformance.trial import Trial
from syncline.conformance.verdict import Skip
from syncline.conformance.window import Window

S, T = RunClass.S, RunClass.T
FIFO: Final = "wp_fifo_manager_v1"
TIMING: Final = "wp_commit_timing_manager_v1"
TEARING: Final = "wp_tearing_control_manager_v1"
NS_PER_S: Final = 1_000_000_000
BARRIERS: Final = 10
MONOTONIC: Final = 1
AHEAD_NS: Final = 100_000_000


def _timestamp(timer: Thing, when_ns: int) -> None:
    seconds, nanoseconds = divmod(when_ns, NS_PER_S)
    timer.send("set_timestamp", seconds, nanoseconds)


@case("F1 F2", S, needs=(FIFO,))
def test_fif_01_one_fifo_object_and_none_without_a_surface(trial: Trial) -> None:
    """A second object is already_exists; barriers for a surface that is gone are surface_destroyed."""
    client = trial.client("twice")
    manager, surface = client.bind(FIFO), client.surface()
    for _ in range(2):
        manager.make("get_fifo", surface)
    trial.note(client.expect_error(manager, "already_exists"))
    for request in ("set_barrier", "wait_barrier"):
        client = trial.client(request)
        surface = client.surface()
        fifo = client.bind(FIFO).make("get_fifo", surface)
        surface.send("destroy")
        fifo.send(request)
        trial.note(client.expect_error(fifo, "surface_destroyed"))


def _paced(trial: Trial) -> tuple[Window, Thing, Thing]:
    window = Window(trial, explicit=False)
    buffer = window.client.shm_buffer()
    window.settle(window.show(buffer))
    return window, buffer, window.client.bind(FIFO).make("get_fifo", window.wl)


@case("F4 F5", T, needs=(FIFO,), device=False)
def test_fif_02_ten_barriers_take_ten_refreshes(trial: Trial) -> None:
    """Set and wait with every commit: one frame per refresh, none lost."""
    window, buffer, fifo = _paced(trial)
    frames = []
    for _ in range(BARRIERS):
        fifo.send("set_barrier")
        fifo.send("wait_barrier")
        frames.append(window.show(buffer))
    trial.expect(lambda: all(each.is_presented for each in frames), f"presentation of {BARRIERS} fifo frames")
    times = [each.presented_ns for each in frames]
    trial.check(times == sorted(set(times)), "two of them were presented at once, or out of order")


@case("F6", T, needs=(FIFO,), device=False)
def test_fif_03_a_wait_without_a_barrier_waits_for_nothing(trial: Trial) -> None:
    """Neither does a barrier delay the commit that sets it."""
    window, buffer, fifo = _paced(trial)
    for request in ("wait_barrier", "set_barrier"):
        fifo.send(request)
        frame = window.show(buffer)
        trial.expect(lambda f=frame: f.is_presented, f"presentation of a commit with {request} alone")  # type: ignore[misc]


@case("F5 F6", T, needs=(FIFO,), device=False)
def test_fif_04_a_barrier_of_one_commit_holds_the_next(trial: Trial) -> None:
    """Set with the first, waited for with the second: not presented at once."""
    window, buffer, fifo = _paced(trial)
    fifo.send("set_barrier")
    first = window.show(buffer)
    fifo.send("wait_barrier")
    second = window.show(buffer)
    trial.expect(lambda: first.is_presented and second.is_presented, "presentation of both commits")
    trial.check(first.presented_ns < second.presented_ns, "both were presented at once")


@case("F5 T9", T, needs=(FIFO,))
def test_fif_07_a_barrier_and_an_acquire_point_both_hold(trial: Trial) -> None:
    """The barrier falls long before the image is ready: it still waits."""
    window = Window(trial)
    window.settle(window.show(window.image()))
    fifo = window.client.bind(FIFO).make("get_fifo", window.wl)
    fifo.send("set_barrier")
    window.show(window.image())
    fifo.send("wait_barrier")
    frame = window.show(window.image(), ready=False)
    trial.never(lambda: frame.is_done or frame.is_presented, "an unready frame behind a barrier")
    frame.signal()
    trial.expect(lambda: frame.is_presented, "presentation once signalled")
    check_after(trial, frame, frame.signalled_ns)


def _timed(trial: Trial, *, explicit: bool) -> tuple[Window, Thing]:
    """A window with a timer, on a clock that we read as well."""
    window = Window(trial, explicit=explicit)
    presentation = window.client.bind(PRESENTATION)
    window.client.roundtrip()
    if presentation.last("clock_id") != (MONOTONIC,):
        raise Skip("presentation times in CLOCK_MONOTONIC")
    window.settle(window.show(window.image() if explicit else window.client.shm_buffer()))
    return window, window.client.bind(TIMING).make("get_timer", window.wl)


@case("T5", T, needs=(TIMING,), device=False)
def test_ctm_02_a_frame_is_not_presented_before_its_time(trial: Trial) -> None:
    """100 ms ahead, at or after; by how much after is recorded."""
    window, timer = _timed(trial, explicit=False)
    when_ns = trial.now_ns() + AHEAD_NS
    _timestamp(timer, when_ns)
    frame = window.show(window.client.shm_buffer())
    trial.expect(lambda: frame.is_presented, "presentation of a timed frame")
    late_ns = frame.presented_ns - when_ns
    trial.check(late_ns >= 0, f"presented {-late_ns / 1e6:.3f} ms before its time")
    trial.note(f"recorded: {late_ns / 1e6:.3f} ms after its time")


@case("T9", T, needs=(TIMING,))
def test_ctm_06_a_time_that_has_come_does_not_make_an_image_ready(trial: Trial) -> None:
    """The acquire point is signalled late: that is what counts."""
    window, timer = _timed(trial, explicit=True)
    _timestamp(timer, trial.now_ns() + AHEAD_NS // 2)
    frame = window.show(window.image(), ready=False)
    trial.never(lambda: frame.is_done or frame.is_presented, "an unready frame whose time has come")
    frame.signal()
    trial.expect(lambda: frame.is_presented, "presentation once signalled")
    check_after(trial, frame, frame.signalled_ns)


@case("T1 T2 T3 T4", S, needs=(TIMING,))
def test_ctm_01_one_timer_with_one_time_that_is_one(trial: Trial) -> None:
    """A second timer, a second time, nanoseconds out of range, a surface that is gone: each its own error."""
    client = trial.client("twice")
    manager, surface = client.bind(TIMING), client.surface()
    for _ in range(2):
        manager.make("get_timer", surface)
    trial.note(client.expect_error(manager, "commit_timer_exists"))
    for name in ("invalid_timestamp", "timestamp_exists", "surface_destroyed"):
        client = trial.client(name)
        surface = client.surface()
        timer = client.bind(TIMING).make("get_timer", surface)
        if name == "surface_destroyed":
            surface.send("destroy")
        if name == "timestamp_exists":
            _timestamp(timer, NS_PER_S)
        timer.send("set_timestamp", 1, NS_PER_S if name == "invalid_timestamp" else 0)
        trial.note(client.expect_error(timer, name))


@case("T8 T3", S, needs=(TIMING,))
def test_ctm_03_a_past_time_holds_nothing_and_counts(trial: Trial) -> None:
    """It is satisfied at once; a second one in the same cycle is still one too many."""
    window = Window(trial, explicit=False)
    buffer = window.client.shm_buffer()
    timer = window.client.bind(TIMING).make("get_timer", window.wl)
    _timestamp(timer, 1)
    window.settle(window.show(buffer))
    _timestamp(timer, 1)
    _timestamp(timer, 2)
    trial.note(window.client.expect_error(timer, "timestamp_exists"))


@case("G1 G2", S, priority=2, needs=(TEARING,))
def test_tea_01_one_tearing_object_that_may_become_an_orphan(trial: Trial) -> None:
    """A second one is an error; after the surface's end its requests are taken and mean nothing."""
    client = trial.client("orphan")
    surface = client.surface()
    control = client.bind(TEARING).make("get_tearing_control", surface)
    control.send("set_presentation_hint", 1)
    surface.send("destroy")
    client.roundtrip()
    control.send("set_presentation_hint", 0)
    control.send("destroy")
    client.roundtrip()
    client = trial.client("twice")
    manager, surface = client.bind(TEARING), client.surface()
    for _ in range(2):
        manager.make("get_tearing_control", surface)
    trial.note(client.expect_error(manager, "tearing_control_exists"))
