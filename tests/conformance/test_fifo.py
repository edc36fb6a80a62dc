"""fifo: one frame per refresh, and no deadlock where there are none (protocol.md 5.8, FIF)."""

from itertools import pairwise
from typing import Final

from syncline.conformance.case import DMABUF, PRESENTATION, SYNCOBJ, RunClass, case
from syncline.conformance.outputs import all_off
from syncline.conformance.pace import WHILE_NS, check_after, cover, held, presented
from syncline.conformance.pool import Pool
from syncline.conformance.thing import Thing
from syncline.conformance.trial import Trial
from syncline.conformance.window import Canvas, Child, Frame, Window

S, T, M = RunClass.S, RunClass.T, RunClass.M
FIFO: Final = "wp_fifo_manager_v1"
BARRIERS: Final = 10
TRIES: Final = 10
LONG_NS: Final = 10_000_000_000
HIDDEN_NS: Final = 3_000_000_000
"""A hidden client may be slowed down, to a frame in a second or so, but not stopped."""
FLOOD: Final = 2_000
BATCH: Final = 50


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


def _fifo(canvas: Canvas) -> Thing:
    return canvas.client.bind(FIFO).make("get_fifo", canvas.wl)


def _paced(trial: Trial) -> tuple[Window, Thing, Thing]:
    window = Window(trial, explicit=False)
    buffer = window.client.shm_buffer()
    window.settle(window.show(buffer))
    return window, buffer, _fifo(window)


def _set_and_wait(fifo: Thing) -> None:
    fifo.send("set_barrier")
    fifo.send("wait_barrier")


@case("F4 F5", T, needs=(FIFO,), device=False)
def test_fif_02_ten_barriers_take_ten_refreshes(trial: Trial) -> None:
    """Set and wait with every commit: one frame per refresh, none lost."""
    window, buffer, fifo = _paced(trial)
    frames = []
    for _ in range(BARRIERS):
        _set_and_wait(fifo)
        frames.append(window.show(buffer))
    times = presented(trial, *frames, what=f"{BARRIERS} fifo frames")
    trial.check(times == sorted(set(times)), "two of them were presented at once, or out of order")


@case("F6", T, needs=(FIFO,), device=False)
def test_fif_03_a_wait_without_a_barrier_waits_for_nothing(trial: Trial) -> None:
    """Neither does a barrier delay the commit that sets it."""
    window, buffer, fifo = _paced(trial)
    for request in ("wait_barrier", "set_barrier"):
        fifo.send(request)
        presented(trial, window.show(buffer), what=f"a commit with {request} alone")


@case("F5 F6", T, needs=(FIFO,), device=False)
def test_fif_04_a_barrier_of_one_commit_holds_the_next(trial: Trial) -> None:
    """Set with the first, waited for with the second: not presented at once."""
    window, buffer, fifo = _paced(trial)
    fifo.send("set_barrier")
    first = window.show(buffer)
    fifo.send("wait_barrier")
    second = window.show(buffer)
    times = presented(trial, first, second, what="both commits")
    trial.check(times[0] < times[1], "both were presented at once")


@case("F7", T, priority=2, needs=(FIFO,), device=False)
def test_fif_05_a_synchronized_child_does_not_wait_for_barriers(trial: Trial) -> None:
    """Its barrier is up, yet the parent's next commit is applied with it before the barrier falls.

    Both commits come at once. If the wait counted, no first frame would ever be superseded by its second;
    a latch may fall between them, but not each time.
    """
    parent, buffer, _ = _paced(trial)
    child = Child(parent, explicit=False)
    fifo = _fifo(child)
    small = child.client.shm_buffer(32, 32)
    child.show(small)
    parent.settle(parent.show(buffer))
    superseded = 0
    for _ in range(TRIES):
        fifo.send("set_barrier")
        first = child.show(small)
        parent.commit()
        fifo.send("wait_barrier")
        second = child.show(small)
        parent.settle(parent.commit())
        presented(trial, second, what="the child's second frame")
        superseded += first.outcome == "discarded"
    trial.check(
        superseded > 0, f"in {TRIES} tries the second frame always waited for the first one's barrier"
    )
    trial.note(f"{superseded} of {TRIES} applied in the refresh of the barrier")


@case("F8 F9 S95", T, needs=(FIFO,), practice=True)
def test_fif_06_a_hidden_client_with_barriers_does_not_starve(trial: Trial) -> None:
    """Behind other windows, three explicit images and a barrier with every commit: images come back at some rate."""
    window = Window(trial)
    window.settle(window.show(window.image()))
    fifo, pool = _fifo(window), Pool(trial, window)
    cover(trial)
    end_ns = trial.now_ns() + round(LONG_NS * trial.stand.endurance)
    commits = 0
    while trial.now_ns() < end_ns:
        _set_and_wait(fifo)
        pool.show_next(within_ns=HIDDEN_NS)
        commits += 1
    trial.note(f"{commits} commits in {LONG_NS * trial.stand.endurance / 1e9:.0f} s while hidden")


@case("F5 T9", T, needs=(FIFO,))
def test_fif_07_a_barrier_and_an_acquire_point_both_hold(trial: Trial) -> None:
    """The barrier falls long before the image is ready: it still waits."""
    window = Window(trial)
    window.settle(window.show(window.image()))
    fifo = _fifo(window)
    fifo.send("set_barrier")
    window.show(window.image())
    fifo.send("wait_barrier")
    frame = window.show(window.image(), ready=False)
    held(trial, frame, "an unready frame behind a barrier")
    frame.signal()
    presented(trial, frame, what="the frame once signalled")
    check_after(trial, frame, frame.signalled_ns)


@case("F10", T, priority=2, needs=(FIFO,), device=False)
def test_fif_08_barriers_and_waits_outlive_their_object(trial: Trial) -> None:
    """Set or waited for, and the object destroyed before the commit: both count all the same."""
    window, buffer, fifo = _paced(trial)
    fifo.send("set_barrier")
    fifo.send("destroy")
    first = window.show(buffer)
    again = _fifo(window)
    again.send("wait_barrier")
    again.send("destroy")
    second = window.show(buffer)
    times = presented(trial, first, second, what="two commits whose fifo objects are gone")
    trial.check(times[0] < times[1], "both were presented at once")


@case("F3 P12", T, priority=2, needs=(FIFO,), device=False)
def test_fif_09_barriers_without_a_buffer_keep_order_and_feedback(trial: Trial) -> None:
    """Image, barrier alone, image, each with set and wait: three refreshes, and feedback for all three."""
    window, buffer, fifo = _paced(trial)
    frames: list[Frame] = []
    for has_buffer in (True, False, True):
        _set_and_wait(fifo)
        frames.append(window.show(buffer) if has_buffer else window.commit())
    trial.expect(lambda: all(each.outcome for each in frames), "feedback of three barrier commits")
    trial.check(all(each.is_presented for each in frames[::2]), "an image between barriers was never shown")
    shown = [each.presented_ns for each in frames if each.is_presented]
    trial.check(all(a < b for a, b in pairwise(shown)), "two of them were presented at once, or out of order")
    refresh_ns = frames[0].told[2]
    passed_ns = frames[2].presented_ns - frames[0].presented_ns
    trial.check(passed_ns * 2 >= refresh_ns * 3, "the barrier without a buffer took no refresh")
    trial.note(f"the barrier without a buffer was {frames[1].outcome}")


def _progresses(trial: Trial, canvas: Canvas, *, what: str, frames: int = 4) -> None:
    """Commits with barriers, each when an image is back."""
    fifo, pool = _fifo(canvas), Pool(trial, canvas)
    for _ in range(frames):
        _set_and_wait(fifo)
        pool.show_next(within_ns=HIDDEN_NS)
    pool.expect_one_back(within_ns=HIDDEN_NS)
    trial.note(f"{frames} commits {what}")
    fifo.send("destroy")


@case("F9", M, priority=2, needs=(FIFO, SYNCOBJ, DMABUF, PRESENTATION), device=True, practice=True)
def test_fif_10_barriers_without_an_output_are_no_deadlock(trial: Trial) -> None:
    """A surface without a role, and a window while no output is on: images come back, and later it is seen again."""
    client = trial.client()
    _progresses(trial, Canvas(trial, client), what="without a role")
    window = Window(trial, client)
    window.settle(window.show(window.image()))
    with all_off(trial):
        _progresses(trial, window, what="without an output")
    presented(trial, window.show(window.image()), what="a frame once the outputs are back")


@case("F9 F11", T, priority=2, needs=(FIFO,), device=False, practice=True)
def test_fif_11_a_flood_of_barriers_from_a_hidden_client_is_bounded(trial: Trial) -> None:
    """Thousands of commits without waiting for anything: kept within bounds, or the client is told off."""
    window = Window(trial, explicit=False)
    buffer = window.client.shm_buffer()
    window.settle(window.show(buffer))
    fifo, covers = _fifo(window), cover(trial)
    sent = 0
    while sent < FLOOD and not trial.until(lambda: window.client.is_over, within_ns=1_000_000):
        for _ in range(BATCH):
            _set_and_wait(fifo)
            window.attach(buffer)
            window.wl.send("commit")
        sent += BATCH
    if trial.until(lambda: window.client.is_over, within_ns=WHILE_NS):
        trial.note(f"recorded: within {sent} commits, {window.client.end}")
        window.client.forgiven = True
    else:
        trial.note(f"recorded: all {sent} kept")
    covers[0].client.roundtrip()
