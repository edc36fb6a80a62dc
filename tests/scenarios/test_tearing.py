"""Asynchronous flips: for one surface that is scanned out alone and asks for them, and for nobody else."""

import pytest
from world import MS, Client, Window, World, machine

from syncline.compositor.core.effects import Presented
from syncline.compositor.core.policy import AcquireMode, Policy
from syncline.kms_model.uapi import AtomicFlag, ModeAtomic
from syncline.protocol.enums import WpPresentationFeedback

VSYNC = WpPresentationFeedback.Kind.VSYNC


def torn(world: World) -> int:
    """Asynchronous flips asked of the kernel."""
    calls = (call for call in world.file.calls if isinstance(call, ModeAtomic))
    return sum(bool(call.flags & AtomicFlag.PAGE_FLIP_ASYNC) for call in calls)


def game(world: World, width: int = 320, height: int = 240, *, tears: bool = True) -> Window:
    """A window that asks for tearing, on screen since 16.7 ms; it is now 20 ms."""
    window = Client(world, "game").window(width, height)
    window.surface.pending.tearing = tears
    window.present("first")
    world.run_until_ms(20)
    return window


def direct(policy: Policy | None = None) -> World:
    return World(policy=policy or Policy())


@pytest.mark.requirement("G2", "G3")
def test_a_fullscreen_surface_that_asks_is_shown_without_waiting_for_the_vblank() -> None:
    world = direct()
    window = game(world)

    for number in range(4):
        window.present(f"image {number % 3}")
        world.run_ms(3)

    assert torn(world) == 4
    assert world.presented_ms(window) == [16.7, 21.0, 24.0, 27.0, 30.0]
    assert all(frame.missed_by_us == 0 for frame in world.frames(window))


@pytest.mark.requirement("PRE-08")
def test_a_torn_frame_does_not_claim_the_vblank() -> None:
    world = direct()
    window = game(world)
    window.present("torn")
    world.run_ms(3)

    synced, torn_one = world.told(Presented)
    assert synced.flags & VSYNC
    assert torn_one.flags == WpPresentationFeedback.Kind.ZERO_COPY
    assert torn_one.time_ns == world.epoch_ns + 21 * MS


@pytest.mark.requirement("S80")
def test_buffers_replaced_by_torn_frames_come_back_at_once() -> None:
    world = direct()
    window = game(world)
    window.present("torn")
    world.run_ms(2)

    assert window.image("first").released() == 1
    assert window.image("torn").released() == 0


@pytest.mark.requirement("G2")
def test_without_the_hint_every_frame_waits_and_the_hint_can_be_taken_back() -> None:
    world = direct()
    window = game(world, tears=False)
    window.present("one")
    world.run_until_ms(36)
    window.surface.pending.tearing = True
    window.present("two")
    world.run_until_ms(40)
    window.surface.pending.tearing = False
    window.present("three")
    world.run_until_ms(60)

    assert torn(world) == 1
    assert world.presented_ms(window) == [16.7, 33.3, 37.0, 50.0]


@pytest.mark.requirement("G3")
def test_a_window_that_is_composed_does_not_tear() -> None:
    world = direct()
    window = game(world, 100, 80)
    window.present("one")
    world.run_until_ms(60)

    assert torn(world) == 0
    assert world.presented_ms(window) == [16.7, 33.3]


@pytest.mark.requirement("G3")
def test_a_surface_under_a_cursor_on_its_plane_does_not_tear() -> None:
    world = World(machine(60_000, cursor=True), policy=Policy())
    window = game(world)
    pointer = window.client.picture(32, 32)
    world.core.seat.move_pointer(x=160, y=120, now_ns=world.now_ns)
    world.core.seat.set_cursor(window.client.peer, pointer.surface, hotspot=(1, 1), now_ns=world.now_ns)
    pointer.present("arrow")
    world.run_until_ms(40)
    window.present("one")
    world.run_until_ms(80)

    assert torn(world) == 0
    assert world.presented_ms(window) == [16.7, 50.0]


@pytest.mark.requirement("G4", "S56")
def test_a_frame_whose_fence_is_unfinished_waits_for_the_vblank() -> None:
    world = direct(Policy(acquire=AcquireMode.FENCE_FORWARD))
    window = game(world)
    window.present("slow", gpu_ms=5)
    world.run_until_ms(60)

    assert torn(world) == 0
    assert world.presented_ms(window) == [16.7, 33.3]


@pytest.mark.requirement("G4", "S56")
def test_where_we_wait_ourselves_it_is_torn_when_it_is_finished() -> None:
    world = direct()
    window = game(world)
    window.present("slow", gpu_ms=5)
    world.run_until_ms(60)

    assert torn(world) == 1
    assert world.presented_ms(window) == [16.7, 25.0]


def test_a_machine_that_refuses_is_asked_once_and_shows_it_at_the_vblank() -> None:
    world = direct()
    window = game(world)
    world.file.refuse = lambda call: (
        isinstance(call, ModeAtomic) and bool(call.flags & AtomicFlag.PAGE_FLIP_ASYNC)
    )
    for name in ("one", "two"):
        window.present(name)
        world.run_ms(20)

    assert torn(world) == 1
    assert world.presented_ms(window) == [16.7, 33.3, 50.0]


@pytest.mark.requirement("F4", "F12")
def test_a_torn_barrier_falls_after_the_next_deadline_that_is_not() -> None:
    world = direct()
    window = game(world)
    (output,) = world.core.outputs
    for name in ("a", "b"):
        window.surface.pending.fifo_barrier = window.surface.pending.fifo_wait = True
        window.present(name, gpu_ms=1)
    world.run_until_ms(60)

    first, a, b = world.presented_ms(window)
    assert (first, a) == (16.7, 21.0)
    assert b == pytest.approx(33.3 - output.margin.value_ns / MS, abs=0.2), "nothing was latched there (F12)"


@pytest.mark.requirement("T5", "G3")
@pytest.mark.parametrize(("target_ms", "shown_ms", "flips"), [(45, 46.0, 1), (48, 50.0, 0)])
def test_a_frame_with_a_time_is_not_torn_before_it(target_ms: int, shown_ms: float, flips: int) -> None:
    world = direct()
    window = game(world)
    window.surface.pending.target_time_ns = world.epoch_ns + target_ms * MS
    window.present("timed")
    world.run_until_ms(80)

    assert world.presented_ms(window) == [16.7, shown_ms], "the latch is at 46"
    assert torn(world) == flips
