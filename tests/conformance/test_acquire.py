"""What is not ready is not shown, and holds up nobody else (protocol.md 5.3)."""

from typing import Final

from syncline.conformance.case import RunClass, case
from syncline.conformance.pace import WHILE_NS, Witnesses, check_after, cover, held
from syncline.conformance.thing import Thing
from syncline.conformance.trial import Trial
from syncline.conformance.window import Canvas, Child, Frame, Window

D, T = RunClass.D, RunClass.T
TOP: Final = (1 << 64) - 1
QUEUED: Final = 300
WAITS: Final = 10_000
BATCH: Final = 20
VICTIMS: Final = 20
SLACK: Final = 8


def _shown(trial: Trial) -> tuple[Window, Frame]:
    """A window with a frame on the screen."""
    window = Window(trial)
    frame = window.show(window.image())
    window.settle(frame)
    return window, frame


@case("S63 S67", T)
def test_acq_01_what_is_ready_is_shown_without_delay(trial: Trial) -> None:
    """A point that is signalled already adds no constraint: every frame is presented, the latency recorded."""
    window, _ = _shown(trial)
    latencies = []
    for _ in range(10):
        frame = window.show(window.image())
        trial.expect(lambda f=frame: f.is_presented, "presentation of a ready frame")  # type: ignore[misc]
        latencies.append((frame.presented_ns - frame.committed_ns) / 1e6)
    trial.note(f"commit to presented: {min(latencies):.1f} to {max(latencies):.1f} ms")


@case("S57 S59 S100", T)
def test_acq_02_a_point_that_nobody_submitted_is_waited_for(trial: Trial) -> None:
    """Committed before there is any fence: old content stays, no feedback until the signal 200 ms later."""
    window, old = _shown(trial)
    is_kept = not trial.until(lambda: old.is_released, within_ns=WHILE_NS)  # who copies may give it back
    frame = window.show(window.image(), ready=False)
    held(trial, frame, "a frame whose acquire point has no fence yet")
    trial.check(
        not (is_kept and old.is_released), "the old image was taken away before the new one was ready"
    )
    frame.signal()
    trial.expect(lambda: frame.is_presented, "presentation once signalled")
    check_after(trial, frame, frame.signalled_ns)


@case("S56 S58", T)
def test_acq_03_a_fence_that_exists_is_not_one_that_signalled(trial: Trial) -> None:
    """The point is materialised but its fence is not done: not shown before it is."""
    window, _ = _shown(trial)
    fence, acquire = trial.device.fence(), window.new_point()
    acquire.timeline.materialise(1, fence)
    frame = window.show(window.image(), acquire=acquire, ready=False)
    held(trial, frame, "a frame whose fence is not signalled")
    signalled_ns = trial.now_ns()
    fence.signal()
    trial.expect(lambda: frame.is_presented, "presentation once its fence signalled")
    check_after(trial, frame, signalled_ns)


@case("S62", D)
def test_acq_04_a_later_point_will_do(trial: Trial) -> None:
    """Signalling 5 satisfies who waits for 3."""
    window, _ = _shown(trial)
    acquire = window.new_point(3)
    frame = window.show(window.image(), acquire=acquire, ready=False)
    window.client.roundtrip()
    acquire.at(5).signal()
    window.settle(frame)


def _waits_for(trial: Trial, value: int, *, not_for: int) -> None:
    window, _ = _shown(trial)
    acquire = window.new_point(value)
    frame = window.show(window.image(), acquire=acquire, ready=False)
    window.client.roundtrip()
    acquire.at(not_for).signal()
    held(trial, frame, f"a frame that waits for {value} though only {not_for} is signalled")
    acquire.signal()
    window.settle(frame)


@case("S56", D)
def test_acq_05_an_earlier_point_will_not_do(trial: Trial) -> None:
    """Signalling 4 does nothing for who waits for 5."""
    _waits_for(trial, 5, not_for=4)


@case("S25", D)
def test_acq_06_a_wait_is_for_all_64_bits(trial: Trial) -> None:
    """Waiting for 2^32+5 is not waiting for 5."""
    _waits_for(trial, (1 << 32) + 5, not_for=5)


@case("S66", D, priority=2)
def test_acq_07_the_first_and_the_last_value_are_recorded(trial: Trial) -> None:
    """0 and 2^64-1 are legal numbers: what becomes of them is told, and nothing falls over."""
    for value in (0, TOP):
        window, _ = _shown(trial)
        acquire = window.new_point(value)
        frame = window.show(window.image(), acquire=acquire, ready=False)
        window.client.roundtrip()
        early = trial.until(lambda f=frame: f.is_done, within_ns=WHILE_NS)  # type: ignore[misc]
        acquire.signal()
        late = early or trial.until(lambda f=frame: f.is_done, within_ns=WHILE_NS)  # type: ignore[misc]
        when = "at once" if early else "when signalled" if late else "not even when signalled"
        trial.note(f"recorded: acquire {value} shown {when}")


@case("S60 C5", T)
def test_acq_08_a_ready_update_does_not_overtake(trial: Trial) -> None:
    """Behind an unready update a ready one waits; then both come, in order."""
    window, _ = _shown(trial)
    first = window.show(window.image(), ready=False)
    second = window.show(window.image())
    held(trial, second, "a ready update behind one that is not")
    first.signal()
    trial.expect(lambda: second.is_presented, "presentation of the second update")
    trial.expect(lambda: first.outcome != "", "feedback of the first update")
    check_after(trial, second, first.signalled_ns)
    if first.is_presented:
        trial.check(first.presented_ns <= second.presented_ns, "the second update was shown before the first")


@case("S60 C10", T)
def test_acq_09_null_does_not_overtake(trial: Trial) -> None:
    """A NULL attach behind an unready update removes nothing early."""
    window, shown = _shown(trial)
    waiting = window.show(window.image(), ready=False)
    window.client.roundtrip()
    if trial.until(lambda: shown.is_released, within_ns=WHILE_NS):
        trial.note("this compositor gives buffers back while they are shown: nothing to be seen by that")
        return
    gone = window.hide()
    trial.never(
        lambda: shown.is_released or waiting.is_released or gone.is_done,
        "the content removed by a NULL behind an unready update",
        for_ns=WHILE_NS,
    )
    waiting.signal()
    trial.expect(lambda: shown.is_released and waiting.is_released, "both release points after the NULL")


@case("S60 S69", T, priority=2, needs=("wp_viewporter",))
def test_acq_10_a_bufferless_update_does_not_overtake(trial: Trial) -> None:
    """A viewport that fits only an unready image waits behind it: applied early it would be out of the buffer."""
    window, _ = _shown(trial)
    viewport = window.client.bind("wp_viewporter").make("get_viewport", window.wl)
    waiting = window.show(window.image(128, 128), ready=False)
    viewport.send("set_source", 0.0, 0.0, 100.0, 100.0)
    viewport.send("set_destination", 32, 32)
    second = window.commit()
    held(trial, second, "a viewport change behind an unready update")
    waiting.signal()
    window.settle(second)


def _stuck(window: Canvas) -> Frame:
    """A frame whose acquire point will never be signalled."""
    frame = window.show(window.image(), ready=False)
    window.client.roundtrip()
    return frame


@case("S61 S64 X5", T)
def test_acq_11_a_client_that_never_signals_hurts_nobody_else(trial: Trial) -> None:
    """A witness keeps its rate, and the stuck client itself still gets answers."""
    witnesses = Witnesses(trial)
    stuck, _ = _shown(trial)
    _stuck(stuck)
    witnesses.check()
    stuck.client.roundtrip()


@case("S61", T, priority=2, practice=True)
def test_acq_12_a_window_that_never_signals_leaves_its_sibling_alone(trial: Trial) -> None:
    """The same between two toplevels of one client."""
    client = trial.client()
    witnesses, stuck = Witnesses(trial, client), Window(trial, client)
    stuck.settle(stuck.show(stuck.image()))
    _stuck(stuck)
    witnesses.check()


@case("S94 S80", D)
def test_acq_13_a_surface_destroyed_while_it_waits_owes_nothing(trial: Trial) -> None:
    """What was shown and what was waiting, all release points are reached."""
    window, shown = _shown(trial)
    frames = [shown, _stuck(window), window.show(window.image()), _stuck(window)]
    window.destroy()
    trial.expect(
        lambda: all(each.is_released for each in frames), "four release points after the surface's end"
    )


@case("S89 S94", D)
def test_acq_14_a_client_killed_while_it_waits_leaves_nothing_behind(trial: Trial) -> None:
    """Twenty are: the compositor lives on, watches nothing for them any more, and witnesses do not notice."""
    witnesses, image, counts, reached = Witnesses(trial), trial.device.image(), list[int | None](), 0
    for number in range(VICTIMS):
        window = Window(trial, trial.client(f"victim {number}"))
        frame = window.show(window.client.buffer(image), ready=False)
        window.client.roundtrip()
        window.client.close()
        trial.until(lambda f=frame: f.is_released, within_ns=50_000_000)  # type: ignore[misc]
        reached += frame.is_released
        frame.forget()
        counts.append(trial.stand.fd_count())
    first, last = counts[0], counts[-1]
    if first is not None and last is not None:
        trial.check(
            last <= first + SLACK, f"{first} descriptors after the first victim, {last} after the last"
        )
    witnesses.check()
    trial.note(f"recorded: {reached} of {VICTIMS} release points reached")


def _still_applied(trial: Trial, *, destroyed: str) -> None:
    window, shown = _shown(trial)
    buffer, acquire = window.image(), window.new_point()
    frame = window.show(buffer, acquire=acquire, ready=False)
    window.client.roundtrip()
    if destroyed == "surface object":
        window.destroy_sync()
    else:
        (buffer if destroyed == "buffer" else acquire.wl).send("destroy")
    held(trial, frame, f"an unready frame whose {destroyed} is gone")
    frame.signal()
    window.settle(frame)
    trial.expect(lambda: shown.is_released, "the release point of the frame that was replaced")


@case("S81", D, priority=2)
def test_acq_15_a_buffer_destroyed_while_it_waits_is_shown(trial: Trial) -> None:
    """The update keeps its content: signalled, it is applied."""
    _still_applied(trial, destroyed="buffer")


@case("S22", D, priority=2)
def test_acq_16_a_timeline_destroyed_while_it_is_waited_for_counts(trial: Trial) -> None:
    """The wait was committed; the object is not needed any more."""
    _still_applied(trial, destroyed="timeline")


@case("S82", D, priority=2)
def test_acq_17_a_surface_object_destroyed_while_a_frame_waits_changes_nothing(trial: Trial) -> None:
    """Committed points stay."""
    _still_applied(trial, destroyed="surface object")


@case("S26", D, priority=2)
def test_acq_18_a_replaced_acquire_point_is_not_waited_for(trial: Trial) -> None:
    """Only the last one set before the commit counts."""
    window, _ = _shown(trial)
    window.set_points(window.new_point(), None)
    window.settle(window.show(window.image()))


@case("S69 X2", T)
def test_acq_19_a_resize_waits_for_its_buffer(trial: Trial) -> None:
    """A configure acked with an unready buffer takes effect with that buffer, and not before."""
    window, _ = _shown(trial)
    before = window.xdg.count("configure")
    window.toplevel.send("set_maximized")
    trial.until(lambda: window.xdg.count("configure") > before, within_ns=WHILE_NS)
    window.xdg.send("set_window_geometry", 0, 0, 96, 80)
    width, height = (window.toplevel.last("configure") or (0, 0))[:2]
    frame = window.show(window.image(width or 96, height or 80), ready=False)
    held(trial, frame, "a resize whose buffer is not ready")
    frame.signal()
    trial.expect(lambda: frame.is_presented, "presentation of the resized window")
    check_after(trial, frame, frame.signalled_ns)


@case("S64", D)
def test_acq_22_three_hundred_waiting_updates_are_kept_or_refused(trial: Trial) -> None:
    """Memory is bounded: they are all kept, or the client is told off; then everything is given back."""
    window, _ = _shown(trial)
    acquire, release = window.new_point(), window.new_point()
    buffer = window.image()
    for number in range(1, QUEUED + 1):
        window.set_points(acquire.at(number), release.at(number))
        window.attach(buffer)
        window.wl.send("commit")
        if number % BATCH == 0 and not trial.until(lambda: window.client.is_over, within_ns=1_000_000):
            window.client.flush()
    if trial.until(lambda: window.client.is_over, within_ns=WHILE_NS):
        trial.note(f"recorded: {window.client.end}")
        window.client.forgiven = True
        return
    acquire.at(QUEUED).signal()
    window.replace()
    trial.expect(lambda: release.at(QUEUED).reached, f"the release points of {QUEUED} updates")
    trial.note(f"recorded: all {QUEUED} kept")


@case("S24", D, priority=2, practice=True)
def test_acq_23_ten_thousand_waits_leave_no_descriptors(trial: Trial) -> None:
    """Each wait is made before its point is signalled; afterwards as many descriptors are open as before."""
    window, _ = _shown(trial)
    acquire, release = window.new_point(), window.new_point()
    buffers = [window.image(), window.image()]
    before, number = None, 0
    for batch in range(WAITS // BATCH):
        for _ in range(BATCH):
            number += 1
            window.set_points(acquire.at(number), release.at(number))
            window.attach(buffers[number % 2])
            window.wl.send("commit")
        window.client.roundtrip()
        acquire.at(number).signal()
        window.settle(window.commit())
        if batch == 0:  # those that are kept to be used again are there by now
            before = trial.stand.fd_count()
    after = trial.stand.fd_count()
    if before is None or after is None:
        trial.note("its descriptors cannot be counted from here")
    else:
        trial.check(after <= before + SLACK, f"{before} descriptors before {WAITS} waits, {after} after")
        trial.note(f"descriptors: {before} before, {after} after")


@case("S96 S97", T, practice=True)
def test_acq_24_an_implicit_fence_does_not_delay_an_explicit_frame(trial: Trial) -> None:
    """The dma-buf carries a writer's fence that never signals; the acquire point is ready, so it is shown."""
    window, _ = _shown(trial)
    image = trial.device.image()
    trial.device.fence().guard(image)
    frame = window.show(window.client.buffer(image))
    trial.expect(lambda: frame.is_presented, "presentation of an explicit frame with a stuck implicit fence")


@case("S95 S78", T, priority=2)
def test_acq_25_what_becomes_ready_while_hidden_is_applied(trial: Trial) -> None:
    """Behind a fullscreen window: the update is applied and what it replaces is given back."""
    window, shown = _shown(trial)
    waiting = _stuck(window)
    cover(trial)
    waiting.signal()
    trial.expect(lambda: shown.is_released, "the release point of a hidden frame that was replaced")


@case("S67 S92", D, priority=2)
def test_acq_26_values_may_go_down(trial: Trial) -> None:
    """A point at or below what is reached is ready, whatever was waited for before."""
    window, _ = _shown(trial)
    acquire = window.new_point(10)
    acquire.signal()
    for value in (10, 3, 7, 1):
        frame = window.show(window.image(), acquire=acquire.at(value), ready=False)
        window.settle(frame)


@case("S56 S87", T)
def test_acq_31_one_buffer_on_two_surfaces_waits_for_both_points(trial: Trial) -> None:
    """Parent and synchronized child show one buffer with different points: both are honoured."""
    for late in ("child", "parent"):
        parent = Window(trial, trial.client(f"{late} late"))
        child = Child(parent)
        child.sub.send("set_position", 32, 32)  # so that a part of the parent can be seen
        buffer: Thing = parent.image()
        child.show(buffer)
        parent.settle(parent.show(buffer))
        below = child.show(buffer, ready=late != "child")
        above = parent.show(buffer, ready=late != "parent")
        held(trial, above, f"a tree whose {late} is not ready")
        (below if late == "child" else above).signal()
        parent.settle(above)
