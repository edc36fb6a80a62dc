"""commit-timing and tearing-control: not before its time, and not always at a vblank (protocol.md 5.8, CTM, TEA)."""

from typing import Final

from syncline.conformance.case import DMABUF, PRESENTATION, SYNCOBJ, RunClass, case
from syncline.conformance.outputs import all_off
from syncline.conformance.pace import check_after, fill, held, presented, rate
from syncline.conformance.thing import Thing
from syncline.conformance.trial import Trial
from syncline.conformance.verdict import Skip
from syncline.conformance.window import Window

S, D, T, M = RunClass.S, RunClass.D, RunClass.T, RunClass.M
TIMING: Final = "wp_commit_timing_manager_v1"
TEARING: Final = "wp_tearing_control_manager_v1"
NS_PER_S: Final = 1_000_000_000
MONOTONIC: Final = 1
AHEAD_NS: Final = 100_000_000
TEN_YEARS_NS: Final = 10 * 365 * 24 * 3600 * NS_PER_S
ASYNC: Final = 1


def _timestamp(timer: Thing, when_ns: int) -> None:
    seconds, nanoseconds = divmod(when_ns, NS_PER_S)
    timer.send("set_timestamp", seconds, nanoseconds)


def _timed(trial: Trial, *, explicit: bool) -> tuple[Window, Thing]:
    """A window with a timer, on a clock that we read as well."""
    window = Window(trial, explicit=explicit)
    presentation = window.client.bind(PRESENTATION)
    window.client.roundtrip()
    if presentation.last("clock_id") != (MONOTONIC,):
        raise Skip("presentation times in CLOCK_MONOTONIC")
    window.settle(window.show(window.image() if explicit else window.client.shm_buffer()))
    return window, window.client.bind(TIMING).make("get_timer", window.wl)


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


@case("T6", T, priority=2, needs=(TIMING,), device=False)
def test_ctm_04_a_far_time_holds_what_comes_after_it(trial: Trial) -> None:
    """Order is kept: an untimed update behind one with a time 300 ms ahead is not shown before that time."""
    window, timer = _timed(trial, explicit=False)
    buffer, when_ns = window.client.shm_buffer(), trial.now_ns() + 3 * AHEAD_NS
    _timestamp(timer, when_ns)
    window.show(buffer)
    later = window.show(buffer)
    held(trial, later, "an update behind one whose time has not come")
    (at_ns,) = presented(trial, later, what="the update behind the timed one")
    trial.check(at_ns >= when_ns, f"presented {(when_ns - at_ns) / 1e6:.3f} ms before the time ahead of it")


@case("T7", T, priority=2, needs=(TIMING,), device=False)
def test_ctm_05_a_time_outlives_its_timer(trial: Trial) -> None:
    """Destroyed after the commit, and destroyed before it: the time counts."""
    window, timer = _timed(trial, explicit=False)
    buffer = window.client.shm_buffer()
    for is_committed in (True, False):
        when_ns = trial.now_ns() + 2 * AHEAD_NS
        _timestamp(timer, when_ns)
        if not is_committed:
            timer.send("destroy")
        frame = window.show(buffer)
        if is_committed:
            timer.send("destroy")
        (at_ns,) = presented(trial, frame, what="a timed frame whose timer is gone")
        trial.check(at_ns >= when_ns, f"presented {(when_ns - at_ns) / 1e6:.3f} ms before its time")
        timer = window.client.bind(TIMING).make("get_timer", window.wl)


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


@case("T6 S94", D, priority=2, needs=(TIMING,))
def test_ctm_07_a_surface_that_waits_for_years_can_go(trial: Trial) -> None:
    """A target ten years ahead and an image behind it; the surface is destroyed, and both are given back."""
    window = Window(trial)
    shown = window.show(window.image())
    window.settle(shown)
    timer = window.client.bind(TIMING).make("get_timer", window.wl)
    _timestamp(timer, trial.now_ns() + TEN_YEARS_NS)
    frames = [shown, window.show(window.image()), window.show(window.image())]
    held(trial, frames[2], "an update behind one of the next decade")
    window.destroy()
    trial.expect(lambda: all(each.is_released for each in frames), "three release points after the end")


@case("T5", M, priority=2, needs=(SYNCOBJ, DMABUF, PRESENTATION, TIMING), device=True)
def test_ctm_08_times_that_pass_in_the_dark_are_no_burst_and_no_freeze(trial: Trial) -> None:
    """Every screen is off while three times come: afterwards no refresh shows two frames, and the window goes on."""
    window, timer = _timed(trial, explicit=True)
    frames = []
    for number in range(1, 4):
        _timestamp(timer, trial.now_ns() + number * AHEAD_NS)
        frames.append(window.show(window.image()))
    window.client.roundtrip()
    with all_off(trial):
        trial.pass_ms(500)
    last = window.show(window.image())
    presented(trial, last, what="an untimed frame once the screens are back")
    trial.expect(lambda: all(each.outcome for each in frames), "feedback of three frames whose times passed")
    times = [each.presented_ns for each in (*frames, last) if each.is_presented]
    trial.check(times == sorted(set(times)), "two of them were presented at once, or out of order")
    trial.note(f"{sum(each.is_presented for each in frames)} of three were presented")


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


@case("G4 S56", M, needs=(SYNCOBJ, DMABUF, PRESENTATION, TEARING), device=True)
def test_tea_02_an_asynchronous_flip_waits_for_its_fence_and_stalls_nobody(trial: Trial) -> None:
    """Alone on the screen and asking for tearing, with a fence that is not done: not shown, and others go on."""
    window = Window(trial)
    control = window.client.bind(TEARING).make("get_tearing_control", window.wl)
    control.send("set_presentation_hint", ASYNC)
    size = fill(trial, window)
    for _ in range(3):
        presented(trial, window.show(window.image(*size)), what="a frame that may tear")
    fence, acquire = trial.device.fence(), window.new_point()
    acquire.timeline.materialise(1, fence)
    late = window.show(window.image(*size), acquire=acquire, ready=False)
    held(trial, late, "a frame that may tear but is not ready")
    witness = Window(trial, trial.client("witness"))
    trial.note(f"witness: {rate(trial, witness, witness.image())} frames in half a second meanwhile")
    trial.check(
        not late.is_done and not late.is_presented, "the frame was shown though its fence is not done"
    )
    signalled_ns = trial.now_ns()
    fence.signal()
    presented(trial, late, what="the frame once its fence is done")
    check_after(trial, late, signalled_ns)
