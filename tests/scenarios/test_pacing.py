"""Updates that wait for time: fifo barriers, target times, and both with everything else."""

from itertools import pairwise

import pytest
from world import MS, Client, Picture, Window, World

from syncline.compositor.core.errors import Violation
from syncline.compositor.core.report import Ready
from syncline.compositor.core.update import MAX_QUEUED_UPDATES


def queue_up(picture: Picture, *names: str, sets: bool = True, waits: bool = True) -> None:
    """Present each in fifo order."""
    for name in names:
        picture.surface.pending.fifo_barrier = sets
        picture.surface.pending.fifo_wait = waits
        picture.present(name)


def aim(picture: Picture, ms: float) -> None:
    """The next commit's target time."""
    picture.surface.pending.target_time_ns = picture.world.epoch_ns + round(ms * MS)


def shown_window(world: World) -> Window:
    """A mapped window, presented at 16.7 ms; it is now 20 ms."""
    window = Client(world, "client").window()
    window.present("first")
    world.run_until_ms(20)
    return window


def child_of(window: Window) -> Picture:
    client = window.client
    child = Picture(client, client.surface(), 40, 40, explicit=True)
    window.world.core.subsurfaces.make(child.surface, window.surface)
    return child


# -- fifo ------------------------------------------------------------------------------------------


@pytest.mark.requirement("F4", "F5")
def test_barriers_show_one_update_per_refresh_and_lose_none() -> None:
    world = World()
    window = shown_window(world)

    queue_up(window, *"abcdef")
    world.run_until_ms(200)

    assert world.presented_ms(window) == [16.7, 33.3, 50.0, 66.7, 83.3, 100.0, 116.7]
    frames = world.frames(window)
    assert [frame.waited_for for frame in frames[3:]] == ["fifo"] * 4
    assert all(frame.missed_by_us == 0 for frame in frames), "a wait that was asked for is nobody's lateness"


@pytest.mark.requirement("F6")
@pytest.mark.parametrize(("sets", "waits"), [(True, False), (False, True)])
def test_half_of_fifo_holds_nothing(sets: bool, waits: bool) -> None:
    world = World()
    window = shown_window(world)

    queue_up(window, "a", "b", "c", sets=sets, waits=waits)
    world.run_until_ms(60)

    assert world.presented_ms(window) == [16.7, 33.3], "only the newest"


@pytest.mark.requirement("F5", "F6")
def test_a_barrier_holds_a_later_update_that_only_waits() -> None:
    world = World()
    window = shown_window(world)

    queue_up(window, "a", waits=False)
    queue_up(window, "b", sets=False)
    world.run_until_ms(60)

    assert world.presented_ms(window) == [16.7, 33.3, 50.0]


@pytest.mark.requirement("F5", "S60")
def test_a_barrier_that_is_yet_to_be_raised_holds_already() -> None:
    world = World()
    window = shown_window(world)
    window.surface.pending.fifo_barrier = True
    window.present("late", gpu_ms=None)
    queue_up(window, "early")

    world.at_ms(70, lambda: window.render(window.image("late"), MS))
    world.run_until_ms(150)

    assert world.presented_ms(window) == [16.7, 83.3, 100.0]


@pytest.mark.requirement("F5", "T9")
def test_a_barrier_and_an_unready_acquire_point_both_hold() -> None:
    world = World()
    window = shown_window(world)
    queue_up(window, "a")
    window.surface.pending.fifo_wait = True
    window.present("slow", gpu_ms=40)

    world.run_until_ms(120)

    assert world.presented_ms(window) == [16.7, 33.3, 66.7]


@pytest.mark.requirement("F4", "F12")
def test_a_barrier_without_a_buffer_holds_for_one_deadline() -> None:
    world = World()
    window = shown_window(world)
    window.surface.pending.fifo_barrier = True
    window.commit()
    queue_up(window, "b")

    world.run_until_ms(100)

    assert world.presented_ms(window) == [16.7, 50.0]
    assert [what for what, _ in window.notes[1].heard] == ["presented", "frame done"]


@pytest.mark.requirement("F4")
def test_a_frame_the_kernel_refused_does_not_let_the_barrier_fall() -> None:
    world = World()
    window = shown_window(world)
    queue_up(window, "a", "b")

    world.file.refuse = lambda request: type(request).__name__ == "ModeAtomic"
    world.run_until_ms(100)

    assert world.presented_ms(window) == [16.7, 50.0, 66.7], "a was shown, a refresh later"


@pytest.mark.requirement("F7")
def test_a_synchronized_child_does_not_wait() -> None:
    world = World()
    window = shown_window(world)
    child = child_of(window)

    queue_up(child, "a", "b", "c")
    window.present("parent")
    world.run_until_ms(80)

    assert world.presented_ms(child) == world.presented_ms(window)[1:] == [33.3]


@pytest.mark.requirement("F5", "C6")
def test_a_child_set_free_waits_from_then_on() -> None:
    world = World()
    window = shown_window(world)
    child = child_of(window)
    child.present("zero")
    window.present("parent")
    world.run_until_ms(36)

    queue_up(child, "a", "b", "c")
    world.core.subsurfaces.set_synchronized(child.surface, synchronized=False, now_ns=world.now_ns)
    world.run_until_ms(120)

    assert world.presented_ms(child) == [33.3, 50.0, 66.7, 83.3]


@pytest.mark.requirement("F8", "F9")
def test_a_hidden_window_makes_slow_progress_and_is_throttled() -> None:
    world = World()
    window = shown_window(world)
    world.core.shell.set_minimized(window.toplevel, world.now_ns)

    queue_up(window, "a", "b", "c")
    world.run_until_ms(20 + 2100)

    assert len(window.surface.queue) == 0
    assert window.image("a").released() == 1
    assert window.image("b").released() == 1
    ready_ns = [event.t_ns for event in world.reports if isinstance(event, Ready)][-3:]
    gaps_ns = [later - sooner for sooner, later in pairwise(ready_ns)]
    assert gaps_ns == pytest.approx([1000 * MS] * 2, abs=2)


@pytest.mark.requirement("F9")
def test_a_surface_that_nothing_shows_at_all_does_not_deadlock() -> None:
    world = World()
    picture = Client(world, "client").picture(20, 20)

    queue_up(picture, "a", "b")
    world.run_until_ms(1100)

    assert not picture.surface.queue


@pytest.mark.requirement("F8")
def test_a_window_hidden_behind_its_barrier_goes_on_when_it_comes_back() -> None:
    world = World()
    window = shown_window(world)
    queue_up(window, "a", "b", "c")
    world.run_until_ms(34)
    world.core.shell.set_minimized(window.toplevel, world.now_ns)
    world.run_until_ms(200)

    world.core.shell.activate(window.toplevel, world.now_ns)
    world.run_until_ms(300)

    assert not window.surface.queue
    assert world.presented_ms(window)[-1] < 250


@pytest.mark.requirement("F9", "F11")
def test_a_flood_of_barriers_from_a_hidden_window_is_bounded() -> None:
    world = World()
    window = shown_window(world)
    world.core.shell.set_minimized(window.toplevel, world.now_ns)

    for _ in range(MAX_QUEUED_UPDATES + 1):
        window.surface.pending.fifo_barrier = window.surface.pending.fifo_wait = True
        window.commit()
    with pytest.raises(Violation):
        window.commit()


@pytest.mark.requirement("F9", "S94")
def test_a_surface_destroyed_at_its_barrier_owes_nothing() -> None:
    world = World()
    window = shown_window(world)

    queue_up(window, "a", "b", "c")
    window.destroy()
    world.run_until_ms(60)

    assert [window.image(name).released() for name in "abc"] == [1, 1, 1]


# -- target times ----------------------------------------------------------------------------------


@pytest.mark.requirement("T5")
@pytest.mark.parametrize(
    ("target_ms", "shown_ms"),
    [(34, 50.0), (49.9, 50.0), (50.1, 66.7), (80, 83.3), (120, 133.3), (1000.1, 1016.7)],
)
def test_an_update_is_shown_at_the_first_vblank_not_before_its_time(
    target_ms: float, shown_ms: float
) -> None:
    world = World()
    window = shown_window(world)

    aim(window, target_ms)
    window.present("timed")
    world.run_until_ms(1100)

    assert world.presented_ms(window) == [16.7, shown_ms]
    assert world.frames(window)[-1].missed_by_us == 0


@pytest.mark.requirement("T5")
def test_a_time_that_is_exactly_a_vblank_means_that_vblank() -> None:
    world = World()
    window = shown_window(world)
    (output,) = world.core.outputs
    target_ns = output.grid.last_ns + 5 * output.refresh_ns

    window.surface.pending.target_time_ns = target_ns
    window.present("timed")
    world.run_until_ms(200)

    assert world.presented_ms(window) == [16.7, 100.0]


@pytest.mark.requirement("T5")
def test_a_window_appears_at_its_time() -> None:
    world = World()
    window = Client(world, "client").window()

    aim(window, 99.9)
    window.present("timed")
    world.run_until_ms(150)

    assert world.presented_ms(window) == [100.0]


@pytest.mark.requirement("T5")
def test_a_busy_neighbour_does_not_take_it_along_too_early() -> None:
    world = World()
    window = shown_window(world)
    neighbour = Client(world, "neighbour").window()
    for n in range(12):
        world.at_ms(21 + 16.667 * n, lambda n=n: neighbour.present(f"frame {n % 4}"))

    aim(window, 101)
    window.present("timed")
    world.run_until_ms(200)

    assert world.presented_ms(window) == [16.7, 116.7]
    assert world.frames(window)[-1].missed_by_us == 0


@pytest.mark.requirement("T8")
def test_a_time_that_is_past_holds_nothing() -> None:
    world = World()
    window = shown_window(world)

    aim(window, 1)
    window.present("timed")
    world.run_until_ms(60)

    assert world.presented_ms(window) == [16.7, 33.3]
    assert world.frames(window)[-1].waited_for != "target-time"


@pytest.mark.requirement("T6")
def test_a_far_time_holds_the_untimed_and_the_earlier_timed_behind_it() -> None:
    world = World()
    window = shown_window(world)

    aim(window, 99)
    window.present("timed")
    aim(window, 40)
    note = window.present("behind")
    last = window.present("untimed")
    world.run_until_ms(79)
    assert not note.heard
    assert not last.heard
    world.run_until_ms(150)

    assert world.presented_ms(window) == [16.7, 100.0], "all three became candidates at once"


@pytest.mark.requirement("T9")
def test_a_time_that_has_come_still_waits_for_the_acquire_point() -> None:
    world = World()
    window = shown_window(world)

    aim(window, 50.1)
    window.present("timed", gpu_ms=None)
    world.at_ms(90, lambda: window.render(window.image("timed"), MS))
    world.run_until_ms(150)

    assert world.presented_ms(window) == [16.7, 100.0]


@pytest.mark.requirement("C5", "T5")
def test_a_childs_time_holds_its_parents_update() -> None:
    world = World()
    window = shown_window(world)
    child = child_of(window)

    aim(child, 70)
    child.present("child")
    window.present("parent")
    world.run_until_ms(150)

    assert world.presented_ms(child) == world.presented_ms(window)[1:] == [83.3]


@pytest.mark.requirement("T5")
def test_a_hidden_windows_times_are_those_of_the_clock() -> None:
    world = World()
    window = shown_window(world)
    world.core.shell.set_minimized(window.toplevel, world.now_ns)

    aim(window, 70)
    window.present("timed")
    world.run_until_ms(69.9)
    assert window.surface.queue
    world.run_until_ms(70)

    assert not window.surface.queue


@pytest.mark.requirement("T6", "S94")
def test_a_time_beyond_all_clocks_is_waited_for_until_the_surface_goes() -> None:
    world = World()
    window = shown_window(world)

    window.surface.pending.target_time_ns = (1 << 64) * 1_000_000_000
    window.present("timed")
    world.run_until_ms(100)
    deadline_ns = world.core.next_deadline_ns()
    assert deadline_ns is not None
    assert deadline_ns < 1 << 63, "timers take no more"
    window.destroy()

    assert window.image("timed").released() == 1


@pytest.mark.requirement("F5", "T9")
def test_timed_updates_with_barriers_are_each_shown_in_turn() -> None:
    world = World()
    window = shown_window(world)

    for name, ms in [("a", 40), ("b", 41), ("c", 90)]:
        aim(window, ms)
        queue_up(window, name)
    world.run_until_ms(150)

    assert world.presented_ms(window) == [16.7, 50.0, 66.7, 100.0]
