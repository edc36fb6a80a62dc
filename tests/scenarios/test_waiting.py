"""Updates that wait: for work not yet submitted, for ever, for each other."""

from itertools import pairwise

import pytest
from world import MS, Client, Window, World, machine

from syncline.compositor.core.effects import FrameDone
from syncline.compositor.core.policy import AcquireMode, ImplicitMode, Policy
from syncline.compositor.core.report import Wait


@pytest.mark.requirement("S57")
def test_a_commit_before_its_work_is_submitted_is_shown_once_the_work_is_done() -> None:
    world = World()
    window = Client(world, "client").window()

    note = window.present("red", gpu_ms=None)
    world.at_ms(100, lambda: window.render(window.image("red"), 2 * MS))
    world.run_until_ms(99)
    assert not note.heard, "neither shown nor told before (S59, S100)"
    world.run_until_ms(130)

    assert [what for what, _ in note.heard] == ["presented", "frame done"]
    assert world.presented_ms(window) == [116.7]
    (frame,) = world.frames(window)
    assert frame.waited_for == "acquire-point"
    assert frame.missed_by_us == 0
    assert frame.missed_by_client == 6


@pytest.mark.requirement("S61")
def test_a_neighbour_that_never_signals_costs_nobody_a_frame() -> None:
    world = World()
    stuck = Client(world, "stuck").window()
    honest = Client(world, "honest").window()

    stuck.present("never", gpu_ms=None)
    animate(honest, frames=30)
    world.run_until_ms(600)

    assert world.presented_ms(honest) == pytest.approx([16.7 + 16.667 * n for n in range(30)], abs=0.1)
    assert not world.presented_ms(stuck)


@pytest.mark.requirement("S60")
def test_a_ready_update_never_overtakes_an_unready_older_one() -> None:
    world = World()
    window = Client(world, "client").window()

    window.present("late", gpu_ms=None)
    window.present("early", gpu_ms=1)
    bufferless = window.commit()
    world.run_until_ms(50)
    assert not world.frames(window)
    assert not bufferless.heard
    window.render(window.image("late"), MS)
    world.run_until_ms(80)

    assert world.presented_ms(window) == [66.7], "both became ready together: only the newer one is shown"
    assert [what for what, _ in window.notes[-1].heard] == ["presented", "frame done"]


@pytest.mark.requirement("S94")
def test_a_surface_destroyed_while_waiting_leaves_no_waiter_and_owes_nothing() -> None:
    world = World()
    window = Client(world, "client").window()

    note = window.present("never", gpu_ms=None)
    assert world.watcher.watches
    window.destroy()

    assert not world.watcher.watches
    assert window.image("never").released() == 1
    assert [what for what, _ in note.heard] == ["discarded"], (
        "no frame callback for what is not there any more"
    )


@pytest.mark.requirement("S89")
def test_a_killed_client_costs_nobody_a_frame_and_its_points_are_reached() -> None:
    world = World()
    doomed, honest = Client(world, "doomed"), Client(world, "honest").window()
    window = doomed.window()

    window.present("shown")
    animate(honest, frames=20)
    world.run_until_ms(40)
    window.present("never", gpu_ms=None)
    world.at_ms(100, doomed.hang_up)
    world.run_until_ms(400)

    assert world.presented_ms(honest) == pytest.approx([16.7 + 16.667 * n for n in range(20)], abs=0.1)
    assert not world.watcher.watches
    world.core.check_invariants()


def test_fence_forward_latches_what_is_not_finished_and_saves_a_wake_up() -> None:
    waiting, forwarding = (
        World(),
        World(policy=Policy(acquire=AcquireMode.FENCE_FORWARD, direct_scanout=False)),
    )
    shown = []
    for world in (waiting, forwarding):
        window = Client(world, "client").window()
        world.run_until_ms(10)
        window.present("red", gpu_ms=5)  # finished at 15 ms: after the latch, before the vblank
        world.run_until_ms(50)
        shown += world.presented_ms(window)

    assert shown == [33.3, 16.7]


def test_fence_forward_lets_a_slow_client_hold_the_whole_output() -> None:
    stalls = {}
    for mode in AcquireMode:
        world = World(policy=Policy(acquire=mode, direct_scanout=False))
        slow, honest = Client(world, "slow").window(), Client(world, "honest").window()
        slow.present("heavy", gpu_ms=None)
        sleeper = Client(world, "sleeper")
        animate(honest, frames=12)
        world.at_ms(18, lambda slow=slow, sleeper=sleeper: gated_render(slow, sleeper, until_ms=90))
        world.run_until_ms(300)
        gaps = world.presented_ms(honest)
        stalls[mode] = max(b - a for a, b in pairwise(gaps))

    assert stalls[AcquireMode.SIGNAL_WAIT] == pytest.approx(16.7, abs=0.1)
    assert stalls[AcquireMode.FENCE_FORWARD] > 60


def test_fence_forward_lets_a_slow_client_hold_every_composition_and_is_blamed_for_it() -> None:
    world = World(machine(60_000, 75_000), Policy(acquire=AcquireMode.FENCE_FORWARD, direct_scanout=False))
    slow, honest = Client(world, "slow").window(), Client(world, "honest").window()
    world.core.shell.move(honest.toplevel, x=400, y=20, now_ns=world.now_ns)
    slow.present("first")
    honest.present("first")
    world.run_until_ms(60)
    slow.present("heavy", gpu_ms=30)
    world.run_until_ms(68)
    honest.present("light")  # on the other screen, but its composition is behind that of the first
    world.run_until_ms(200)

    (*_, late), (*_, held) = world.frames(slow), world.frames(honest)
    assert late.output != held.output
    assert (late.missed_by_client, late.missed_by_others, late.missed_by_us) == (2, 0, 0)
    assert (held.missed_by_client, held.missed_by_others, held.missed_by_us) == (0, 2, 0)


def test_who_is_ready_after_the_deadline_and_makes_the_vblank_all_the_same_has_missed_nothing() -> None:
    world = World()
    busy, neighbour = Client(world, "busy").window(), Client(world, "neighbour").window()
    (output,) = world.core.outputs

    def wake_the_compositor_late() -> None:
        assert output.latch_ns == world.now_ns, "the neighbour's frame is due"
        world.device.advance(output.latch_ns + MS)  # the job ends meanwhile

    world.at_ms(52, lambda: neighbour.present("in time"))
    world.at_ms(55, lambda: busy.present("last moment", gpu_ms=8))
    world.run_until_ms(60)
    world.at_ms((output.latch_ns - world.epoch_ns) / MS, wake_the_compositor_late)
    world.run_until_ms(100)

    (frame,) = world.frames(busy)
    assert frame.ready_ns is not None
    assert output.margin.value_ns > frame.target_ns - frame.ready_ns > 0, (
        "with a punctual latch it had been too late"
    )
    assert world.presented_ms(busy) == world.presented_ms(neighbour) == [66.7]
    assert (frame.missed_by_client, frame.missed_by_others, frame.missed_by_us) == (0, 0, 0)


@pytest.mark.requirement("D10")
def test_an_implicit_client_stalls_itself_alone_or_everybody() -> None:
    stalls = {}
    for mode in ImplicitMode:
        world = World(policy=Policy(implicit=mode, direct_scanout=False))
        slow = Client(world, "slow").window(explicit=False)
        honest = Client(world, "honest").window()
        animate(honest, frames=12)
        sleeper = Client(world, "sleeper")
        world.at_ms(18, lambda slow=slow, sleeper=sleeper: gated_implicit(slow, sleeper, until_ms=90))
        world.run_until_ms(300)
        gaps = world.presented_ms(honest)
        stalls[mode] = max(b - a for a, b in pairwise(gaps))
        waits = [e for e in world.reports if isinstance(e, Wait) and e.why == "implicit-fence"]
        assert bool(waits) == (mode is ImplicitMode.WAIT)

    assert stalls[ImplicitMode.WAIT] == pytest.approx(16.7, abs=0.1)
    assert stalls[ImplicitMode.FORWARD] > 60


@pytest.mark.requirement("ACQ-29")
def test_a_lost_wake_is_found_by_asking_again() -> None:
    world = World()
    window = Client(world, "client").window()
    window.present("red", gpu_ms=5)
    world.watcher.lose_wakes = True

    world.run_until_ms(1200)

    assert world.presented_ms(window) == [1016.7]


@pytest.mark.requirement("ACQ-30")
def test_a_wake_that_is_not_true_applies_nothing() -> None:
    world = World()
    window = Client(world, "client").window()
    window.present("never", gpu_ms=None)

    for _ in range(3):
        world.watcher.fire(next(iter(world.watcher.watches)))
        world.settle()

    assert not window.surface.content
    assert len(world.watcher.watches) == 1


@pytest.mark.requirement("S95")
def test_a_hidden_window_cycles_three_images_without_starving() -> None:
    world = World()
    hidden, cover = Client(world, "hidden").window(50, 40), Client(world, "cover").window(320, 240)
    hidden.present("image 0")
    world.run_until_ms(30)
    cover.present("wall")
    world.run_until_ms(60)

    for number in range(1, 31):
        image = hidden.image(f"image {number % 3}")
        assert image.is_free
        hidden.present(image.name)
        world.run_ms(20)

    busy = [image.name for image in hidden.images.values() if not image.is_free]
    assert busy == ["image 0"], "it holds the current one only"


@pytest.mark.requirement("C18")
def test_frame_callbacks_of_a_hidden_window_come_once_a_second() -> None:
    world = World()
    hidden, cover = Client(world, "hidden").window(50, 40), Client(world, "cover").window(320, 240)
    hidden.present("below")
    cover.present("wall")
    world.run_until_ms(30)
    done_before = len(world.told(FrameDone))

    animate(hidden, frames=4)
    world.run_until_ms(3500)

    assert len(world.told(FrameDone)) - done_before == 3


def animate(window: Window, frames: int, gpu_ms: float = 1.0) -> None:
    """Present a new image after every frame callback, from three images in turn."""

    def present(number: int) -> None:
        if number < frames:
            note = window.present(f"image {number % 3}", gpu_ms=gpu_ms)
            note.on_frame = lambda: present(number + 1)

    present(0)


def gated_render(window: Window, sleeper: Client, until_ms: float) -> None:
    """The picture's fence exists now and signals at `until_ms`: its job waits for another client's."""
    image = window.image("heavy")
    gate = sleeper.gate(until_ms)
    window.render(image, MS, in_fence=gate)


def gated_implicit(window: Window, sleeper: Client, until_ms: float) -> None:
    window.present("heavy", gpu_ms=1, in_fence=sleeper.gate(until_ms))
