"""What was lent is given back, once, and not too early (protocol.md 5.4)."""

from typing import Final

from syncline.conformance.case import DMABUF, PRESENTATION, SYNCOBJ, RunClass, case
from syncline.conformance.outputs import all_off
from syncline.conformance.pace import HALF_A_SECOND_NS, presented
from syncline.conformance.pool import Pool
from syncline.conformance.trial import Trial
from syncline.conformance.window import Canvas, Child, Frame, Window

D, T, M = RunClass.D, RunClass.T, RunClass.M
MS: Final = 1_000_000
LONG_NS: Final = 10_000 * MS
FEEDING_NS: Final = 1_000 * MS
"""A client with three images that gets none back for so long is starved."""


def _given_back(trial: Trial, *frames: Frame, after: str) -> None:
    trial.expect(lambda: all(each.is_released for each in frames), f"{len(frames)} release points {after}")


@case("S70", D)
def test_rel_01_a_replaced_frame_is_given_back(trial: Trial) -> None:
    """B is shown, so A is not needed any more."""
    window = Window(trial)
    first = window.show(window.image())
    window.settle(first)
    window.settle(window.show(window.image()))
    _given_back(trial, first, after="of what was replaced")


@case("S71 S77", T)
def test_rel_02_a_shown_frame_is_not_given_back_before_it_was_ready(trial: Trial) -> None:
    """Ten frames that become ready late: none that was presented is released before its acquire."""
    window = Window(trial)
    frames = []
    for _ in range(10):
        frame = window.show(window.image(), ready=False)
        trial.pass_ms(20)
        frame.signal()
        trial.expect(lambda f=frame: f.is_presented, "presentation once signalled")  # type: ignore[misc]
        frames.append(frame)
    window.replace()
    _given_back(trial, *frames, after="of frames that were replaced")
    for frame in frames:
        assert frame.released is not None
        assert frame.released.at_ns is not None
        assert frame.signalled_ns is not None
        trial.check(
            frame.released.at_ns >= frame.signalled_ns, "released before its acquire point, yet shown"
        )


@case("S79", D)
def test_rel_03_null_gives_the_last_frame_back(trial: Trial) -> None:
    """Nothing is shown any more."""
    window = Window(trial)
    frame = window.show(window.image())
    window.settle(frame)
    window.hide()
    _given_back(trial, frame, after="after the NULL")


@case("S80", D)
def test_rel_04_the_end_of_a_surface_gives_its_frames_back(trial: Trial) -> None:
    """Shown and queued ones."""
    window = Window(trial)
    frames = [window.show(window.image()), window.show(window.image())]
    window.settle(frames[1])
    frames.append(window.show(window.image()))
    window.destroy()
    _given_back(trial, *frames, after="after the surface's end")


@case("S81 C12", D)
def test_rel_05_the_end_of_a_buffer_does_not_cancel_its_point(trial: Trial) -> None:
    """Destroyed right after the commit, then replaced: the point is reached."""
    window = Window(trial)
    buffer = window.image()
    frame = window.show(buffer)
    buffer.send("destroy")
    window.settle(frame)
    if frame.feedback is not None:
        trial.expect(lambda: frame.is_presented, "presentation of a frame whose wl_buffer is gone")
    window.settle(window.show(window.image()))
    _given_back(trial, frame, after="of a destroyed wl_buffer")


@case("S82", D, priority=2)
def test_rel_06_the_end_of_the_surface_object_does_not_cancel_points(trial: Trial) -> None:
    """Destroyed right after the commit; a plain commit then replaces the frame."""
    window = Window(trial)
    frame = window.show(window.image())
    window.destroy_sync()
    window.settle(window.show(window.client.shm_buffer()))
    _given_back(trial, frame, after="of a frame whose surface object is gone")


@case("S23 S83", D, priority=2)
def test_rel_07_the_end_of_a_timeline_object_does_not_cancel_points(trial: Trial) -> None:
    """Destroyed right after the commit."""
    window = Window(trial)
    release = window.new_point()
    frame = window.show(window.image(), release=release)
    release.wl.send("destroy")
    window.settle(window.show(window.image()))
    _given_back(trial, frame, after="on a timeline whose object is gone")


@case("S78", D)
def test_rel_08_frames_that_were_never_shown_are_given_back(trial: Trial) -> None:
    """Three commits within one refresh: the superseded ones owe their points, too."""
    window = Window(trial)
    window.settle(window.show(window.image()))
    first, second, third = (window.show(window.image()) for _ in range(3))
    window.settle(third)
    _given_back(trial, first, second, after="of two superseded frames")


@case("S73", D)
def test_rel_09_one_buffer_committed_twice_owes_two_points(trial: Trial) -> None:
    """Release is per commit: both are reached once the buffer is replaced."""
    window = Window(trial)
    buffer = window.image()
    first = window.show(buffer)
    window.settle(first)
    second = window.show(buffer)
    window.settle(second)
    window.settle(window.show(window.image()))
    _given_back(trial, first, second, after="of one buffer")


@case("S87 C13", D)
def test_rel_10_one_buffer_on_two_surfaces_owes_two_points(trial: Trial) -> None:
    """Each surface's commit has its own; replacing it on one gives back that one."""
    client = trial.client()
    first, second = Window(trial, client), Window(trial, client)
    buffer = first.image()
    one, other = first.show(buffer), second.show(buffer)
    first.settle(one)
    second.settle(other)
    first.settle(first.show(first.image()))
    _given_back(trial, one, after="on the surface that shows something else now")
    second.settle(second.show(second.image()))
    _given_back(trial, other, after="on the other surface")


def _go_round(trial: Trial, pool: Pool, *, for_ns: float) -> int:
    """Commits of a client that knows no other pace than its images."""
    end_ns = trial.now_ns() + round(for_ns)
    commits = 0
    while trial.now_ns() < end_ns:
        pool.show_next(within_ns=FEEDING_NS)
        commits += 1
        trial.pass_ms(4)
    return commits


@case("S95 F9", T, practice=True)
def test_rel_11_a_hidden_client_with_three_images_does_not_starve(trial: Trial) -> None:
    """Minimised, without any pacing: of three images one comes back in time, again and again."""
    window = Window(trial)
    window.settle(window.show(window.image()))
    window.toplevel.send("set_minimized")
    commits = _go_round(trial, Pool(trial, window), for_ns=LONG_NS * trial.stand.endurance)
    trial.note(f"{commits} commits while minimised")


@case("S95", M, priority=2, needs=(SYNCOBJ, DMABUF, PRESENTATION), device=True, practice=True)
def test_rel_12_a_client_does_not_starve_while_and_after_its_output_is_off(trial: Trial) -> None:
    """Every screen goes and comes back: images come back all the time, and frames are shown again."""
    window = Window(trial)
    window.settle(window.show(window.image()))
    pool = Pool(trial, window)
    with all_off(trial):
        trial.note(f"{_go_round(trial, pool, for_ns=HALF_A_SECOND_NS)} commits while all was dark")
    commits = _go_round(trial, pool, for_ns=HALF_A_SECOND_NS)
    presented(trial, pool.show_next(within_ns=FEEDING_NS), what="a frame after the screens came back")
    trial.note(f"{commits} in half a second afterwards")


@case("S70 S81", D, priority=2)
def test_rel_13_a_window_that_changes_size_gets_every_buffer_back(trial: Trial) -> None:
    """New buffers for every size, the old ones destroyed at once."""
    window = Window(trial)
    frames = []
    for size in (64, 96, 32, 128, 48):
        buffer = window.image(size, size)
        frames.append(window.show(buffer))
        buffer.send("destroy")
        window.settle(frames[-1])
    window.replace()
    _given_back(trial, *frames, after="of five sizes")


@case("S70", D, priority=2, needs=("wl_seat",))
def test_rel_14_a_cursor_gives_its_frames_back(trial: Trial) -> None:
    """Shown or not, a cursor surface's points are reached when the next comes or the surface goes."""
    client = trial.client()
    seat = client.bind("wl_seat")
    client.roundtrip()
    if not (seat.last("capabilities") or (0,))[0] & 1:
        trial.note("the seat has no pointer: a surface without a role instead")
    cursor = Canvas(trial, client)
    if (seat.last("capabilities") or (0,))[0] & 1:
        seat.make("get_pointer").send("set_cursor", 0, cursor.wl, 0, 0)
    frames = [cursor.show(cursor.image(16, 16)) for _ in range(3)]
    client.roundtrip()
    cursor.wl.send("destroy")
    _given_back(trial, *frames, after="of a cursor")


@case("S80 U4", D, priority=2)
def test_rel_15_the_end_of_a_subsurface_gives_its_frames_back(trial: Trial) -> None:
    """The role object is destroyed, at once and without a commit of the parent."""
    parent = Window(trial)
    child = Child(parent)
    frame = child.show(child.image())
    parent.settle(parent.show(parent.image()))
    child.destroy()
    _given_back(trial, frame, after="after the sub-surface's end")


@case("S91", D, priority=2, practice=True)
def test_rel_16_a_release_timeline_goes_to_given_values_only(trial: Trial) -> None:
    """It never runs ahead of what it was given."""
    window = Window(trial)
    release, seen = window.new_point(), set()
    for value in (5, 10, 15):
        frame = window.show(window.image(), release=release.at(value))
        window.settle(frame)
        seen.add(release.timeline.value())
    window.replace()
    trial.expect(lambda: release.at(15).reached, "the last of three points")
    seen.add(release.timeline.value())
    strays = sorted(seen - {0, 5, 10, 15})
    trial.check(not strays, f"the timeline went to {strays}")


@case("S25 S70", D)
def test_rel_35_release_points_have_all_64_bits(trial: Trial) -> None:
    """2^32+5 is reached, not 5."""
    window = Window(trial)
    release = window.new_point((1 << 32) + 5)
    frame = window.show(window.image(), release=release)
    window.settle(frame)
    window.replace()
    _given_back(trial, frame, after="beyond 2^32")


@case("S92", D, priority=2)
def test_rel_17_a_release_value_that_is_past_hurts_nobody(trial: Trial) -> None:
    """The client has gone further itself: the window goes on, other points are reached."""
    window = Window(trial)
    release = window.new_point(10)
    release.signal()
    window.settle(window.show(window.image(), release=release.at(5)))
    frame = window.show(window.image())
    window.settle(frame)
    window.settle(window.show(window.image(), release=release.at(10)))
    _given_back(trial, frame, after="between two that were past")
    window.hide()


@case("S89", D, priority=2)
def test_rel_18_points_owed_to_a_dead_client_are_recorded(trial: Trial) -> None:
    """What happens to them is open; signalling all keeps pools and proxies alive."""
    window = Window(trial)
    frames = [window.show(window.image()) for _ in range(3)]
    window.client.roundtrip()
    window.client.close()
    trial.until(lambda: all(each.is_released for each in frames), within_ns=500 * MS)
    reached = sum(each.is_released for each in frames)
    trial.note(f"recorded: {reached} of {len(frames)} reached after the client's end")


@case("S90", D, priority=2)
def test_rel_19_points_owed_at_the_compositors_end_are_recorded(trial: Trial) -> None:
    """Nobody is obliged to reach them: a shown frame, one that waits and one behind it are looked at."""
    window = Window(trial)
    shown = window.show(window.image())
    window.settle(shown)
    frames = [shown, window.show(window.image(), ready=False), window.show(window.image())]
    window.client.roundtrip()
    trial.end_compositor()
    trial.until(lambda: all(each.is_released for each in frames), within_ns=500 * MS)
    names = ("the shown", "the waiting", "the queued")
    reached = [name for name, frame in zip(names, frames, strict=True) if frame.is_released]
    trial.note(f"recorded: {' and '.join(reached) or 'none'} of three reached")


@case("S72", D, practice=True)
def test_rel_20_a_fence_may_come_before_the_signal(trial: Trial) -> None:
    """A release point may be materialised first and signalled later; how long between them is recorded."""
    window = Window(trial)
    release = window.new_point()
    available = trial.device.watch(release.timeline, release.value, available=True)
    frame = window.show(window.image(), release=release)
    window.settle(frame)
    window.show(window.image())
    _given_back(trial, frame, after="of a replaced frame")
    trial.expect(lambda: available.at_ns is not None, "news of the fence behind the release point")
    assert frame.released is not None
    gap_ns = (frame.released.at_ns or 0) - (available.at_ns or 0)
    trial.note(f"recorded: signalled {gap_ns / MS:.3f} ms after available")


@case("S84", D)
def test_rel_21_buffer_release_events_are_recorded(trial: Trial) -> None:
    """With points wl_buffer.release may come or not: either is right."""
    window = Window(trial)
    buffers = [window.image(), window.image()]
    for number in range(6):
        window.settle(window.show(buffers[number % 2]))
    window.hide()
    trial.pass_ms(100)
    trial.note(f"recorded: {sum(each.count('release') for each in buffers)} wl_buffer.release for 6 commits")


@case("S99 C14", D, needs=("wl_compositor:7",))
def test_rel_22_points_and_get_release_both_answer(trial: Trial) -> None:
    """One commit may ask in both ways."""
    window = Window(trial)
    callback = window.wl.make("get_release")
    frame = window.show(window.image())
    window.settle(frame)
    window.settle(window.show(window.image()))
    _given_back(trial, frame, after="of a frame with get_release")
    trial.expect(lambda: callback.count("done") == 1, "the get_release callback of the same frame")
