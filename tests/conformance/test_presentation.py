"""What presentation feedback says, and that it says it once (protocol.md 5.8, PRE)."""

from itertools import pairwise
from typing import Final

from syncline.conformance.case import DMABUF, PRESENTATION, SYNCOBJ, RunClass, case
from syncline.conformance.display import varies
from syncline.conformance.pace import check_after
from syncline.conformance.thing import Thing
from syncline.conformance.trial import Trial
from syncline.conformance.window import Frame, Window

S, T, M = RunClass.S, RunClass.T, RunClass.M
NS_PER_S: Final = 1_000_000_000
COMMITS: Final = 1_000
READABLE_CLOCKS: Final = frozenset({0, 1, 4, 5, 6, 7})
"""Those that a client reads with clock_gettime: realtime, monotonic, their raw, coarse and boot kin."""


def _plain(trial: Trial) -> tuple[Window, Thing]:
    window = Window(trial, explicit=False)
    return window, window.client.shm_buffer()


def _presented(trial: Trial, count: int) -> list[Frame]:
    window, buffer = _plain(trial)
    frames = []
    for _ in range(count):
        frame = window.show(buffer)
        trial.expect(lambda f=frame: f.is_presented, "presentation of a plain frame")  # type: ignore[misc]
        frames.append(frame)
    return frames


@case("P1", S, priority=2, needs=(PRESENTATION,))
def test_pre_01_the_clock_is_told_once_and_can_be_read(trial: Trial) -> None:
    """It comes with the binding, never changes, and names a clock of the system."""
    window, buffer = _plain(trial)
    presentation = window.client.bind(PRESENTATION)
    window.client.roundtrip()
    again = window.client.bind(PRESENTATION, again=True)
    window.client.roundtrip()
    window.settle(window.show(buffer))
    trial.check(presentation.count("clock_id") == 1, "not one clock_id per binding")
    trial.check(presentation.last("clock_id") == again.last("clock_id"), "two bindings with different clocks")
    (clock,) = presentation.last("clock_id") or (-1,)
    trial.check(clock in READABLE_CLOCKS, f"clock {clock} is none that a client can read")
    trial.note(f"clock {clock}")


@case("P2", T, device=False)
def test_pre_02_every_feedback_ends_once(trial: Trial) -> None:
    """A thousand commits, some superseded: presented or discarded, one of the two, once."""
    window, buffer = _plain(trial)
    frames = []
    for number in range(round(COMMITS * trial.stand.endurance)):
        frames.append(window.show(buffer))
        if number % 4 == 3:
            window.settle(frames[-1])
    trial.expect(lambda: all(each.outcome for each in frames), f"feedback of {len(frames)} commits")
    feedbacks = [each.feedback for each in frames if each.feedback is not None]
    ends = [sum(heard.event != "sync_output" for heard in each.heard) for each in feedbacks]
    trial.check(all(each == 1 for each in ends), "a feedback that ended more than once")
    shown = sum(each.is_presented for each in frames)
    trial.note(f"{shown} presented, {len(frames) - shown} discarded")


@case("P4", T, device=False)
def test_pre_03_what_is_superseded_or_destroyed_is_discarded(trial: Trial) -> None:
    """Never shown, never said to be."""
    window, buffer = _plain(trial)
    window.settle(window.show(buffer))
    frames = [window.show(buffer) for _ in range(3)]
    trial.expect(lambda: all(each.outcome for each in frames), "feedback of three commits in a row")
    trial.check(frames[2].is_presented, "the last of three was not presented")
    times = [each.presented_ns for each in frames if each.is_presented]
    trial.check(
        len(set(times)) == len(times), "of two frames presented at one time only one can have been shown"
    )
    last = window.show(buffer)
    window.destroy()
    trial.expect(lambda: last.outcome != "", "feedback of a surface destroyed")
    trial.note(f"{sum(each.outcome == 'discarded' for each in frames)} of two superseded were discarded")


@case("P3", T, priority=2, device=False)
def test_pre_04_two_feedbacks_of_one_commit_say_the_same(trial: Trial) -> None:
    """All their arguments are equal."""
    window, buffer = _plain(trial)
    window.settle(window.show(buffer))
    other = window.client.bind(PRESENTATION).make("feedback", window.wl)
    frame = window.show(buffer)
    trial.expect(lambda: frame.is_presented and other.last("presented") is not None, "two presented events")
    assert frame.feedback is not None
    mine, theirs = frame.feedback.last("presented"), other.last("presented")
    trial.check(mine == theirs, f"{mine} and {theirs}")


@case("P6 P11 S56", T)
def test_pre_05_timestamps_are_times_and_never_before_the_acquire(trial: Trial) -> None:
    """Nanoseconds in range, never backwards, none before the image was ready."""
    window = Window(trial)
    previous_ns = 0
    for _ in range(10):
        frame = window.show(window.image(), ready=False)
        trial.pass_ms(trial.random.uniform(1, 30))
        frame.signal()
        trial.expect(lambda f=frame: f.is_presented, "presentation once signalled")  # type: ignore[misc]
        nanoseconds = frame.told[1]
        trial.check(0 <= nanoseconds < NS_PER_S, f"{nanoseconds} nanoseconds")
        trial.check(frame.presented_ns >= previous_ns, "timestamps went backwards")
        check_after(trial, frame, frame.signalled_ns)
        previous_ns = frame.presented_ns


@case("P5", T, priority=2, device=False)
def test_pre_06_the_output_is_named_before_the_time(trial: Trial) -> None:
    """sync_output only before presented, and once per binding of the output."""
    window, buffer = _plain(trial)
    client = window.client
    outputs = [client.bind("wl_output"), client.bind("wl_output", again=True)]
    client.roundtrip()
    frame = window.show(buffer)
    trial.expect(lambda: frame.is_presented, "presentation of a plain frame")
    assert frame.feedback is not None
    events = [each.event for each in frame.feedback.heard]
    trial.check(events[-1] == "presented", f"the events were {', '.join(events)}")
    named = [each.arguments[0] for each in frame.feedback.heard[:-1]]
    trial.check(len(named) == len(set(named)), "an output was named twice")
    count = sum(each in named for each in outputs)
    trial.check(count in {0, len(outputs)}, "of two bindings of one output only one was named")
    trial.note(f"{count} of {len(outputs)} bindings named")


@case("P8 P9", T, device=False)
def test_pre_07_sequence_and_refresh_agree_with_the_times(trial: Trial) -> None:
    """Between two frames as many refreshes have passed as the counter says, within a third of one."""
    frames = _presented(trial, 10)
    words = [each.told for each in frames]
    if not all(each[2] for each in words) or not all(each[3] for each in words):
        trial.note("no constant refresh or no counter here: nothing to compare")
        return
    for earlier, later in pairwise(frames):
        before, after = earlier.told, later.told
        cycles = after[3] - before[3]
        passed_ns = later.presented_ns - earlier.presented_ns
        off = abs(passed_ns - cycles * after[2])
        trial.check(off * 3 <= after[2], f"{cycles} refreshes of {after[2]} ns took {passed_ns} ns")
    trial.note(f"refresh {words[0][2]} ns")


@case("P12", T, device=False, practice=True)
def test_pre_09_feedback_is_due_for_bufferless_commits_as_well(trial: Trial) -> None:
    """Also a commit without a buffer is told its end."""
    window, buffer = _plain(trial)
    window.settle(window.show(buffer))
    frames = [window.commit() for _ in range(5)]
    trial.expect(lambda: all(each.outcome for each in frames), "feedback of five bufferless commits")


@case("P8", M, priority=2, needs=(f"{PRESENTATION}:2", SYNCOBJ, DMABUF), device=True)
def test_pre_10_a_varying_refresh_is_zero_for_old_clients(trial: Trial) -> None:
    """Version 1 knows a constant refresh or none; version 2 is told some rate. The display says whether it varies."""
    told = []
    for version in (1, 2):
        window = Window(trial, trial.client(f"version {version}"), explicit=False)
        feedback = window.client.bind(PRESENTATION, version=version).make("feedback", window.wl)
        window.settle(window.show(window.client.shm_buffer()))
        trial.expect(lambda f=feedback: f.last("presented") is not None, "a presented event")  # type: ignore[misc]
        told.append((feedback.last("presented") or (0, 0, 0))[2])
    if varies(trial.device):
        trial.check(told[0] == 0, f"version 1 was told {told[0]} ns though the refresh varies")
    else:
        trial.check(told[0] == told[1] != 0, f"one constant refresh, told as {told[0]} and {told[1]} ns")
    trial.note(f"refresh {told[0]} ns for version 1, {told[1]} ns for version 2")
