"""The display under the compositor: flips that are refused, late or lost, and screens that go (protocol.md 5.9)."""

from itertools import permutations
from typing import Final

from syncline.conformance.case import DMABUF, PRESENTATION, SYNCOBJ, RunClass, case
from syncline.conformance.outputs import output_names
from syncline.conformance.pace import Witnesses, check_after, held
from syncline.conformance.screen import vblanks
from syncline.conformance.trial import Trial
from syncline.conformance.window import Frame, Window

M = RunClass.M
NEEDS: Final = (SYNCOBJ, DMABUF, PRESENTATION)
MS: Final = 1_000_000
LATE_NS: Final = 5_000 * MS
FRAMES: Final = 6
EARLY_NS: Final = 6 * MS
"""Before a vblank, so that it is in time for it."""


def _shown(trial: Trial, name: str = "client") -> Window:
    window = Window(trial, trial.client(name))
    window.settle(window.show(window.image()))
    return window


def _all_end(trial: Trial, window: Window, frames: list[Frame]) -> None:
    """Every feedback, and with the window hidden every release point."""
    trial.expect(
        lambda: all(each.outcome for each in frames), f"feedback of {len(frames)} frames", within_ns=LATE_NS
    )
    window.hide()
    trial.expect(
        lambda: all(each.is_released for each in frames), f"{len(frames)} release points", within_ns=LATE_NS
    )


def _screens(window: Window) -> int:
    return sum(interface == "wl_output" for interface, _ in window.client.registry.globals.values())


@case("S58 S71", M, needs=NEEDS, device=True)
def test_kms_01_a_fence_delays_its_flip_and_nothing_before_it(trial: Trial) -> None:
    """An image with an unfinished fence: the one before stays on the screen, and stays ours, until it is done."""
    _ = trial.faults
    window = Window(trial)
    before = window.show(window.image())
    trial.expect(lambda: before.is_presented, "presentation")
    fence, acquire = trial.device.fence(), window.new_point()
    acquire.timeline.materialise(1, fence)
    frame = window.show(window.image(), acquire=acquire, ready=False)
    held(trial, frame, "a frame whose fence has not signalled")
    trial.check(not before.is_released, "the image on the screen was given back")
    signalled_ns = trial.now_ns()
    fence.signal()
    trial.expect(lambda: frame.is_presented, "presentation once the fence signalled")
    check_after(trial, frame, signalled_ns)
    trial.expect(lambda: before.is_released, "the release of what was replaced")
    trial.check(before.released_ns >= frame.presented_ns, "released before the flip that replaced it")


@case("S71", M, needs=NEEDS, device=True)
def test_kms_02_the_release_follows_the_flip_and_not_its_event(trial: Trial) -> None:
    """The event of a flip is lost, its fence is not: the image before is given back, and not before the flip."""
    window = Window(trial)
    before = window.show(window.image())
    trial.expect(lambda: before.is_presented, "presentation")
    trial.faults.inject("lost-flip")
    frame = window.show(window.image())
    trial.expect(lambda: before.is_released, "the release of what was replaced", within_ns=LATE_NS)
    flip_ns = min(each.first_after(frame.committed_ns) for each in vblanks(trial.device))
    trial.check(before.released_ns >= flip_ns, "released before any vblank after the commit")
    late_ms = (before.released_ns - frame.committed_ns) / MS
    trial.note(f"recorded: released {late_ms:.0f} ms after the commit that replaced it")
    _all_end(trial, window, [frame])


@case("S71 S60", M, needs=NEEDS, device=True)
def test_kms_04_a_refused_commit_loses_nothing(trial: Trial) -> None:
    """The display says EBUSY three times: every frame still ends, and in order."""
    window = _shown(trial)
    frames = []
    for number in range(6):
        if number % 2:
            trial.faults.inject("ModeAtomic=EBUSY:1:3")
        frames.append(window.show(window.image()))
        window.settle(frames[-1])
    trial.expect(lambda: all(each.outcome for each in frames), "feedback of six frames", within_ns=LATE_NS)
    window.hide()
    trial.expect(lambda: all(each.is_released for each in frames), "six release points")


@case("S57 S68", M, needs=NEEDS, device=True)
def test_kms_05_a_point_without_a_fence_never_reaches_the_display(trial: Trial) -> None:
    """No fence is behind the point yet: nothing is shown, nobody else waits for it, and a later fence is honoured."""
    _ = trial.faults
    witnesses, window = Witnesses(trial), _shown(trial)
    acquire = window.new_point()
    frame = window.show(window.image(), acquire=acquire, ready=False)
    witnesses.check()
    fence = trial.device.fence()
    acquire.timeline.materialise(1, fence)
    held(trial, frame, "a frame whose fence has not signalled")
    signalled_ns = trial.now_ns()
    fence.signal()
    trial.expect(lambda: frame.is_presented, "presentation once the fence signalled")
    check_after(trial, frame, signalled_ns)


@case("S64 S61", M, needs=NEEDS, device=True)
def test_kms_06_a_fence_that_never_signals_stops_nobody_else(trial: Trial) -> None:
    """The screen of its window goes on for others, and for the window itself once the frame is gone."""
    _ = trial.faults
    witnesses, window = Witnesses(trial), _shown(trial)
    acquire = window.new_point()
    acquire.timeline.materialise(1, trial.device.fence())
    stuck = window.show(window.image(), acquire=acquire, ready=False)
    witnesses.check()
    window.destroy()
    trial.expect(lambda: stuck.is_released, "the release point of what was never ready")
    again = _shown(trial, "again")
    again.settle(again.show(again.image()))


@case("S70 S95", M, priority=2, needs=NEEDS, device=True)
def test_kms_07_a_lost_flip_event_is_made_good(trial: Trial) -> None:
    """Two of six flips are never told of: every frame ends, every image comes back."""
    window, frames = _shown(trial), []
    for number in range(FRAMES):
        if number % 3 == 1:
            trial.faults.inject("lost-flip")
        frames.append(window.show(window.image()))
        trial.expect(lambda: frames[-1].is_done, "a frame callback, even if late", within_ns=LATE_NS)
    _all_end(trial, window, frames)


@case("S70 S88", M, priority=2, needs=NEEDS, device=True)
def test_kms_08_a_pulled_cable_loses_nothing(trial: Trial) -> None:
    """Pulled while flips are on their way and updates wait, then put in again: all is paid, windows go on."""
    window, frames = _shown(trial), list[Frame]()
    name, count = output_names(window.client)[0], _screens(window)
    for _ in range(2):
        frames += [window.show(window.image()) for _ in range(2)]
        waiting = window.show(window.image(), ready=False)
        trial.pass_ms(5)
        trial.faults.pull(name)
        trial.expect(lambda: _screens(window) == count - 1, "the end of the output's global")
        trial.pass_ms(20)
        waiting.signal()
        frames.append(waiting)
        trial.expect(lambda f=waiting: f.is_done, "a frame callback elsewhere", within_ns=LATE_NS)  # type: ignore[misc]
        trial.faults.put_in(name)
        trial.expect(lambda: _screens(window) == count, "the output again")
        trial.pass_ms(40)
    frames.append(window.show(window.image()))
    trial.expect(lambda: frames[-1].is_presented, "presentation after all", within_ns=LATE_NS)
    _all_end(trial, window, frames)


@case("S95 S94", M, priority=2, needs=NEEDS, device=True)
def test_kms_09_a_display_that_is_somebody_else_s_for_a_while(trial: Trial) -> None:
    """Every commit is EACCES, as after a VT switch; surfaces with waits end meanwhile; then it goes on."""
    window, other = _shown(trial), _shown(trial, "other")
    trial.faults.inject("ModeAtomic=EACCES:1:*")
    frames = [window.show(window.image()) for _ in range(3)]
    waiting = [other.show(other.image(), ready=False) for _ in range(3)]
    trial.pass_ms(100)
    other.destroy()
    trial.expect(
        lambda: all(each.is_released for each in waiting), "release points of a surface that is gone"
    )
    trial.faults.clear()
    trial.expect(lambda: frames[-1].is_presented, "presentation once the display is back", within_ns=LATE_NS)
    _all_end(trial, window, frames)


@case("S70", M, needs=NEEDS, device=True)
def test_kms_10_out_of_descriptors_releases_still_come(trial: Trial) -> None:
    """Whatever makes a descriptor fails for a while; afterwards nothing is owed."""
    window = _shown(trial)
    for request in ("SyncobjHandleToFd", "SyncFileMerge", "SyncobjEventfd", "DmaBufExportSyncFile"):
        trial.faults.inject(f"{request}=EMFILE:1:10")
    frames = []
    for _ in range(10):
        frame = window.show(window.image(), ready=False)
        trial.pass_ms(5)
        frame.signal()
        frames.append(frame)
    trial.expect(lambda: frames[-1].is_done, "the callback of the last frame", within_ns=LATE_NS)
    window.hide()
    trial.expect(lambda: all(each.is_released for each in frames), "ten release points", within_ns=LATE_NS)


@case("S20 D8", M, priority=2, needs=NEEDS, device=True)
def test_kms_11_a_failure_between_import_and_first_use_is_no_client_s_fault(trial: Trial) -> None:
    """Framebuffers and watches fail with ENODEV for what was imported before: no error, and in the end a picture."""
    window = _shown(trial)
    buffers = [window.image() for _ in range(2)]
    points = [window.new_point() for _ in range(4)]
    window.client.roundtrip()
    trial.faults.inject("ModeAddFb2=ENODEV:1:*", "SyncobjEventfd=ENODEV:1:*")
    frames = []
    for number, buffer in enumerate(buffers):
        acquire, release = points[2 * number : 2 * number + 2]
        frames.append(window.show(buffer, acquire=acquire, release=release, ready=False))
        trial.pass_ms(30)
        frames[-1].signal()
        trial.pass_ms(30)
    trial.faults.clear()
    trial.expect(lambda: frames[-1].is_presented, "presentation in the end", within_ns=LATE_NS)
    check_after(trial, frames[-1], frames[-1].signalled_ns)
    for frame in frames[:-1]:
        trial.check(
            not frame.is_presented or frame.presented_ns >= (frame.signalled_ns or 0),
            "shown before it was ready",
        )
    _all_end(trial, window, frames)


@case("S61", M, priority=2, needs=NEEDS, device=True, practice=True)
def test_kms_12_a_late_image_on_one_plane_holds_no_other(trial: Trial) -> None:
    """Two windows share a screen; one is late by five refreshes, the other misses none."""
    _ = trial.faults
    witnesses, window = Witnesses(trial), _shown(trial)
    late = window.show(window.image(), ready=False)
    witnesses.check()
    trial.check(not late.is_done, "the late image was shown")
    late.signal()
    trial.expect(lambda: late.is_presented, "presentation of the late image")


@case("S61", M, priority=2, needs=NEEDS, device=True, practice=True)
def test_kms_13_a_client_that_lies_hurts_itself_only(trial: Trial) -> None:
    """It signals before it has painted, and paints while its image is shown: others keep their pace."""
    _ = trial.faults
    witnesses = Witnesses(trial)
    liar, frames = _shown(trial, "liar"), list[Frame]()
    image = trial.device.image()
    lie = liar.client.buffer(image)
    for colour in range(FRAMES):
        frames.append(liar.show(lie))
        trial.device.paint(image, colour)
    witnesses.check()
    _all_end(trial, liar, frames)


@case("S60 S69", M, needs=NEEDS, device=True)
def test_kms_14_wake_vblank_and_commit_in_any_order(trial: Trial) -> None:
    """A point is signalled and the next update committed just in time for a vblank or after it, in all six orders."""
    _ = trial.faults
    window = _shown(trial)
    frames = []
    for order in permutations(("signal", "commit", "vblank")):
        unready = window.show(window.image(), ready=False)
        trial.pass_ms(20)
        vblank_ns = vblanks(trial.device)[0].first_after(trial.now_ns() + 8 * MS)
        at = order.index("vblank")
        frames.append(unready)
        for place, what in enumerate(order):
            if what == "vblank":
                continue
            wanted_ns = vblank_ns + (MS // 10 if place > at else -EARLY_NS)
            trial.until(lambda: False, within_ns=max(0, wanted_ns - trial.now_ns()))
            if what == "signal":
                unready.signal()
            else:
                frames.append(window.show(window.image()))
        trial.expect(lambda: frames[-1].is_presented, f"presentation after {', '.join(order)}")
        check_order = [each.presented_ns for each in frames if each.is_presented]
        trial.check(check_order == sorted(check_order), f"out of order after {', '.join(order)}")
        check_after(trial, frames[-1], unready.signalled_ns)
        if unready.is_presented:
            check_after(trial, unready, unready.signalled_ns)
    _all_end(trial, window, frames)
