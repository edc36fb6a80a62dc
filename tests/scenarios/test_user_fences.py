"""User fences: a promise of nobody's, so they may hold up nobody but their own client (0007)."""

from dataclasses import replace
from itertools import pairwise

import pytest
from world import MS, Client, Window, World, machine

from syncline.compositor.core.effects import Presented
from syncline.compositor.core.output import Phase
from syncline.compositor.core.policy import AcquireMode, Policy, Sync
from syncline.compositor.core.report import DeviceRefusal, Drop, Flip, Latch, Release, Wait
from syncline.kms_model.faults import parse
from syncline.kms_model.profiles import DMA_KMS
from syncline.kms_model.trace import OutPointTrace, WaitTrace
from syncline.kms_model.uapi import AtomicFlag, ModeAtomic, SyncobjQueryType, SyncobjTimelineSignal

FORWARD = Policy(acquire=AcquireMode.USER_FORWARD)


def forwarding(policy: Policy = FORWARD, **machine_has: bool | int) -> World:
    return World(machine(60_000, **machine_has), policy=policy)


def game(world: World, *, user: bool = True) -> Window:
    """A window that fills the screen, its first picture there since 16.7 ms; it is now 20 ms."""
    window = Client(world, "game").window(320, 240, user=user)
    window.present("red")
    world.run_until_ms(20)
    return window


def told(window: Window) -> list[list[str]]:
    return [[what for what, _ in note.heard] for note in window.notes if note.picture != "nothing"]


def parked(world: World) -> list[Latch]:
    return [event for event in world.reports if isinstance(event, Latch) and event.how == "parked"]


def drops(world: World) -> list[tuple[int, int]]:
    return [(event.update, event.errno) for event in world.reports if isinstance(event, Drop)]


def flips(world: World) -> list[Flip]:
    return [event for event in world.reports if isinstance(event, Flip)]


def animate(window: Window, frames: int, gpu_ms: float = 1.0) -> None:
    def present(number: int) -> None:
        if number < frames:
            note = window.present(f"image {number % 3}", gpu_ms=gpu_ms)
            note.on_frame = lambda: present(number + 1)

    present(0)


def signal(window: Window, name: str) -> None:
    image = window.image(name)
    window.client.file.call(SyncobjTimelineSignal(handles=(image.acquire,), points=(image.uses,)))


@pytest.mark.requirement("UR5", "F27")
def test_a_picture_that_is_finished_after_the_latch_makes_the_vblank_all_the_same() -> None:
    shown = {}
    for mode in AcquireMode:
        world = forwarding(replace(FORWARD, acquire=mode))
        window = game(world)
        world.run_until_ms(22)
        window.present("blue", gpu_ms=10)  # done at 32 ms: after the latch, before the vblank
        world.run_until_ms(60)
        shown[mode] = world.presented_ms(window)
        assert told(window) == [["presented", "frame done"]] * 2

    assert shown[AcquireMode.SIGNAL_WAIT] == [16.7, 50.0]
    assert shown[AcquireMode.FENCE_FORWARD] == [16.7, 50.0], "there is no dma_fence to forward"
    assert shown[AcquireMode.USER_FORWARD] == [16.7, 33.3]


def test_the_commit_worker_is_who_waits_and_the_reports_say_so() -> None:
    world = forwarding()
    window = game(world)
    world.run_until_ms(22)
    window.present("blue", gpu_ms=10)
    world.run_until_ms(60)

    (latch,) = parked(world)
    waits = [event for event in world.reports if isinstance(event, Wait) and event.update == latch.updates[0]]
    assert [(event.edge, event.why, event.thread, event.call) for event in waits] == [
        ("begin", "acquire-point", "compositor loop", "epoll_wait"),
        ("end", "acquire-point", "compositor loop", "epoll_wait"),
        ("begin", "user-fence", "kernel commit worker", "PENDING_USER"),
        ("end", "user-fence", "kernel commit worker", "PENDING_USER"),
    ]
    (slept,) = [e for e in world.trace if isinstance(e, WaitTrace) and e.end and e.reason == "user-fence"]
    assert waits[-1].waited_ns == slept.waited_ns > 2 * MS
    frame = world.frames(window)[-1]
    assert (frame.waited_for, frame.missed_by_us, frame.missed_by_client) == ("user-fence", 0, 0)


@pytest.mark.requirement("UR1", "UR13")
def test_what_a_parked_frame_replaces_comes_back_by_the_displays_own_hand() -> None:
    world = forwarding()
    window = game(world)
    world.run_until_ms(22)
    window.present("blue", gpu_ms=10)
    world.run_until_ms(33)
    assert not window.image("red").released(), "it is on the screen until the vblank"
    world.run_until_ms(34)

    assert window.image("red").released() == 1
    (how,) = [event.how for event in world.reports if isinstance(event, Release)]
    assert how == "fence", "the kernel copies it, and nobody has to wake up for that"
    (paid,) = [event for event in world.trace if isinstance(event, OutPointTrace)]
    assert paid.status == 0
    (commit,) = [each for each in world.file.calls if isinstance(each, ModeAtomic) and each.timeout_ns]
    assert not commit.flags & AtomicFlag.OVERRIDE


@pytest.mark.requirement("UR1")
def test_a_dma_release_point_cannot_stand_behind_a_user_fence_and_is_reached_at_the_flip() -> None:
    world = forwarding()
    window = game(world)
    image = window.image("red")
    handle, timeline = window.client.timeline()
    image.release, image.release_timeline = handle, timeline
    image.uses = 0
    window.present("red")
    world.run_until_ms(55)
    window.present("blue", gpu_ms=10)
    world.run_until_ms(66)
    assert not image.released()
    world.run_until_ms(67)

    assert image.released() == 1
    assert len(parked(world)) == 1
    world.expect_race("reuse before the out-fence")  # it paints what is on the screen
    assert not [event for event in world.reports if isinstance(event, DeviceRefusal)]


@pytest.mark.requirement("UR9", "F51")
def test_a_fence_that_never_signals_costs_its_client_the_frame_and_nothing_else() -> None:
    world = forwarding(replace(FORWARD, acquire_timeout_ns=100 * MS))
    window = game(world)
    note = window.present("never", gpu_ms=None)
    world.run_until_ms(120)
    assert not note.heard
    world.run_until_ms(200)

    assert [what for what, _ in note.heard] == ["discarded", "frame done"]
    assert window.image("never").released() == 1, "its buffer is its own again"
    assert drops(world) == [(note_update(world, window), 62)]  # ETIME
    window.present("blue")
    world.run_until_ms(240)
    assert told(window)[-1] == ["presented", "frame done"]
    assert world.presented_ms(window)[-1] == 216.7
    assert window.image("red").is_free


def note_update(world: World, window: Window) -> int:
    """The update that was discarded."""
    return next(frame.update for frame in world.frames(window) if frame.presented_ns is None)


@pytest.mark.requirement("UR8", "F44")
def test_a_newer_picture_that_is_ready_takes_the_place_of_one_that_waits_in_the_display() -> None:
    world = forwarding()
    window = game(world)
    older = window.present("never", gpu_ms=None)
    world.run_until_ms(40)
    assert world.core.outputs[0].phase is Phase.PARKED
    newer = window.present("blue")
    world.run_until_ms(70)

    assert [what for what, _ in older.heard] == ["discarded", "frame done"]
    assert [what for what, _ in newer.heard] == ["presented", "frame done"]
    assert world.presented_ms(window) == [16.7, 50.0]
    assert window.image("never").is_free
    assert [errno for _, errno in drops(world)] == [125]  # ECANCELED
    assert any(isinstance(call, ModeAtomic) and call.flags & AtomicFlag.OVERRIDE for call in world.file.calls)


@pytest.mark.requirement("UR8", "S94")
def test_a_window_without_content_takes_the_place_of_its_picture_that_waits_in_the_display() -> None:
    world = forwarding(replace(FORWARD, acquire_timeout_ns=100 * MS))
    window = game(world)
    older = window.present("never", gpu_ms=None)
    world.run_until_ms(41)
    assert world.core.outputs[0].phase is Phase.PARKED
    following = Client(world, "next").window(100, 80)
    window.surface.pending.attached = None
    window.commit()
    following.present("blue")
    assert not window.image("red").is_free, "it is on the screen until the vblank"
    world.run_until_ms(66)

    assert [what for what, _ in older.heard] == ["discarded"]
    assert window.image("red").is_free
    assert window.image("never").is_free
    assert [errno for _, errno in drops(world)] == [125]  # ECANCELED
    assert world.presented_ms(following) == [50.0]
    assert not any(frame.missed_by_us for frame in world.frames())


@pytest.mark.requirement("P4", "UR8")
def test_a_frame_promoted_after_its_picture_was_given_up_says_nothing_of_the_newer_one() -> None:
    world = forwarding()
    window = game(world)
    older = window.present("late", gpu_ms=None)
    world.run_until_ms(40)
    newer = window.present("blue")
    world.run_until_ms(44)
    assert [what for what, _ in older.heard] == ["discarded"]
    signal(window, "late")
    world.run_until_ms(51)
    assert not newer.heard, "the display shows the older one"
    world.run_until_ms(100)

    assert [what for what, _ in newer.heard] == ["presented", "frame done"]
    assert world.presented_ms(window) == [16.7, 66.7]
    assert window.image("late").is_free
    assert not any(frame.missed_by_us for frame in world.frames(window))


@pytest.mark.requirement("S60")
def test_a_newer_picture_does_not_overtake_one_that_the_display_has_not_got() -> None:
    world = forwarding(replace(FORWARD, direct_scanout=False))
    window = game(world)
    window.present("never", gpu_ms=None)
    window.present("blue")
    world.run_until_ms(200)

    assert not parked(world), "what is composed waits in the compositor"
    assert world.presented_ms(window) == [16.7]


@pytest.mark.requirement("F51", "S61")
@pytest.mark.parametrize("overlays", [0, 1])
@pytest.mark.parametrize("direct", [False, True])
def test_whoever_never_signals_costs_a_neighbour_on_the_screen_no_frame(overlays: int, direct: bool) -> None:
    world = forwarding(replace(FORWARD, direct_scanout=direct), overlays=overlays)
    stuck = game(world)
    stuck.present("never", gpu_ms=None)
    world.run_until_ms(60)
    honest = Client(world, "honest").window(100, 80)
    animate(honest, frames=30)
    world.run_until_ms(700)

    times = world.presented_ms(honest)
    assert len(times) == 30
    assert max(b - a for a, b in pairwise(times)) == pytest.approx(16.7, abs=0.1)
    assert sum(frame.missed_by_us for frame in world.frames()) == 0
    assert sum(frame.missed_by_others for frame in world.frames(honest)) == 0


def test_a_neighbour_that_rests_lets_the_display_wait_again() -> None:
    world = forwarding(overlays=1)
    wall = game(world)
    small = Client(world, "small").window(100, 80)
    small.present("still")
    world.run_until_ms(60)
    wall.present("late", gpu_ms=None)
    world.run_until_ms(80)
    small.present("moved")
    world.run_until_ms(120)
    assert [event.how for event in world.reports if isinstance(event, Latch)][-3:] == [
        "parked",
        "direct",
        "parked",
    ]
    world.at_ms(128, lambda: signal(wall, "late"))
    world.run_until_ms(150)
    waits = [event for event in world.reports if isinstance(event, Wait) and event.edge == "end"]
    late = waits[-1].update
    whys = [event.why for event in waits if event.update == late]
    assert {*whys[::2]} == {"acquire-point"}
    assert {*whys[1::2]} == {"user-fence"}

    assert world.presented_ms(wall) == [16.7, 133.3]
    assert world.presented_ms(small)[-1] == 100.0


@pytest.mark.requirement("F27", "F51")
def test_a_fence_that_signals_between_two_latches_costs_a_neighbour_no_vblank() -> None:
    world = forwarding(overlays=1)
    wall = game(world)
    small = Client(world, "small").window(100, 80)
    small.present("still")
    world.run_until_ms(60)
    wall.present("late", gpu_ms=None)
    world.run_until_ms(84)
    assert drops(world)[-1][1] == 62, "it was parked for the vblank at 83.3 ms, and for no other"  # ETIME
    world.at_ms(86, lambda: signal(wall, "late"))
    world.at_ms(90, lambda: small.present("moved"))
    world.run_until_ms(150)

    assert world.presented_ms(wall) == [16.7, 100.0]
    assert world.presented_ms(small)[-1] == 100.0, "promoted at 86 ms, the other frame would have kept it out"


@pytest.mark.requirement("UR9")
def test_beside_a_neighbour_the_timeout_counts_over_all_the_vblanks_it_was_parked_for() -> None:
    world = forwarding(replace(FORWARD, acquire_timeout_ns=100 * MS), overlays=1)
    wall = game(world)
    Client(world, "small").window(100, 80).present("still")
    world.run_until_ms(60)
    note = wall.present("never", gpu_ms=None)
    world.run_until_ms(155)
    assert not note.heard
    world.run_until_ms(200)

    assert [what for what, _ in note.heard] == ["discarded", "frame done"]
    assert wall.image("never").released() == 1


@pytest.mark.requirement("UR9", "S71")
def test_a_fence_heard_of_before_the_drop_in_the_same_instant_gives_nothing_back_that_is_still_shown() -> (
    None
):
    world = forwarding(overlays=1)
    wall = game(world)
    Client(world, "small").window(100, 80).present("still")
    world.run_until_ms(60)
    note = wall.present("late", gpu_ms=None)
    world.run_until_ms(83)
    world.device.advance(parked(world)[-1].target_ns)  # the kernel gives the frame up
    signal(wall, "late")
    watch = world.watcher.take_fired()
    assert watch is not None
    world.core.point_ready(watch, world.now_ns)
    world.run_until_ms(85)
    assert [errno for _, errno in drops(world)] == [62, 62], "now, and at the vblank before"  # ETIME
    assert not wall.image("red").is_free, "it is on the screen until the next vblank"
    world.run_until_ms(101)

    assert wall.image("red").released() == 1
    assert note.heard == [("presented", 100.0), ("frame done", 100.0)]
    late = world.frames(wall)[-1]
    assert (late.missed_by_client, late.missed_by_others, late.missed_by_us) == (2, 0, 0)


def test_a_display_without_user_fences_is_not_asked() -> None:
    world = World(replace(DMA_KMS, crtcs=machine(60_000).crtcs, modes=()), policy=FORWARD)
    window = game(world)
    world.run_until_ms(22)
    window.present("blue", gpu_ms=10)
    world.run_until_ms(60)

    assert world.presented_ms(window) == [16.7, 50.0]
    assert not parked(world)
    assert not [event for event in world.reports if isinstance(event, DeviceRefusal)]


@pytest.mark.requirement("F24", "F27")
@pytest.mark.parametrize("sync", [Sync.DMA, Sync.USER])
def test_to_a_compositor_that_knows_only_dma_fences_a_user_fence_is_work_not_submitted(sync: Sync) -> None:
    world = World(policy=Policy(sync=sync))
    slow, honest = Client(world, "slow").window(user=True), Client(world, "honest").window()
    slow.present("red", gpu_ms=None)
    animate(honest, frames=12)
    world.at_ms(100, lambda: signal(slow, "red"))
    world.run_until_ms(130)
    slow.present("blue")
    world.run_until_ms(300)

    assert world.presented_ms(slow) == [116.7, 150.0]
    assert slow.image("red").is_free, "a fence may be put behind a point that only its client may signal"
    gaps = [b - a for a, b in pairwise(world.presented_ms(honest))]
    assert max(gaps) == pytest.approx(16.7, abs=0.1)


def test_a_client_that_goes_takes_its_parked_picture_along() -> None:
    world = forwarding()
    window = game(world)
    other = Client(world, "other").window(100, 80)
    window.present("never", gpu_ms=None)
    world.run_until_ms(40)
    window.client.hang_up()
    other.present("blue")
    world.run_until_ms(80)

    assert world.presented_ms(other)[0] in {50.0, 66.7}
    world.calm_down()
    assert not world.watcher.watches
    world.close()


@pytest.mark.requirement("UR8")
def test_a_frame_promoted_in_the_instant_it_is_to_be_replaced_is_shown_first() -> None:
    world = forwarding(overlays=1)
    wall = game(world)
    small = wall.client.window(100, 80)
    small.present("still")
    world.run_until_ms(60)
    note = wall.present("late", gpu_ms=None)
    world.run_until_ms(76)
    small.present("moved")
    world.run_until_ms(78)
    world.watcher.lose_wakes = True
    signal(wall, "late")  # the kernel goes on; the compositor has not heard of it when it latches
    world.run_until_ms(83)
    assert world.core.outputs[0].phase is Phase.FLIPPING_STALE
    world.run_until_ms(150)

    assert [what for what, _ in note.heard] == ["presented", "frame done"]
    assert world.presented_ms(wall) == [16.7, 83.3]
    assert world.presented_ms(small)[-1] == 100.0
    assert not drops(world)


def test_a_cursor_moves_while_the_picture_below_it_waits() -> None:
    world = forwarding(cursor=True)
    window = game(world)
    core = world.core
    pointer = window.client.cursor()
    core.seat.move_pointer(x=10, y=10, now_ns=world.now_ns)
    core.seat.set_cursor(pointer.client.peer, pointer.surface, hotspot=(0, 0), now_ns=world.now_ns)
    pointer.present("arrow")
    world.run_until_ms(40)
    window.present("never", gpu_ms=None)
    world.run_until_ms(60)
    flips_before = len(flips(world))
    for step in range(1, 11):
        core.seat.move_pointer(x=10 + step, y=10, now_ns=world.now_ns)
        world.settle()
        world.run_ms(17)

    assert len(flips(world)) - flips_before == 10


@pytest.mark.requirement("UR8", "UR9")
def test_a_drop_leaves_no_error_on_the_points_of_later_frames() -> None:
    world = forwarding(replace(FORWARD, acquire_timeout_ns=50 * MS))
    window = game(world)
    window.present("never", gpu_ms=None)
    world.run_until_ms(120)
    assert drops(world)
    for name, at_ms in (("blue", 120), ("green", 155)):
        world.run_until_ms(at_ms)
        window.present(name, gpu_ms=13)
    world.run_until_ms(220)

    assert len(parked(world)) == 3
    ask = window.client.file.call
    states = [ask(SyncobjQueryType(handle=window.image(name).release)) for name in ("red", "blue")]
    assert [(state.value, state.status) for state in states] == [(1, 0), (1, 0)]


@pytest.mark.requirement("UR10")
def test_a_window_on_two_screens_waits_in_the_compositor() -> None:
    world = World(machine(60_000, 60_000, overlays=1), policy=FORWARD)
    window = Client(world, "wide").window(100, 80, user=True)
    world.core.shell.move(window.toplevel, x=270, y=20, now_ns=world.now_ns)
    window.present("red")
    world.run_until_ms(60)
    window.present("blue", gpu_ms=13)
    world.run_until_ms(120)

    assert len(window.surface.shown_on) == 2
    assert told(window) == [["presented", "frame done"]] * 2
    assert not parked(world)


def test_a_picture_of_another_size_waits_in_the_compositor() -> None:
    world = forwarding(overlays=1)
    window = Client(world, "growing").window(100, 80, user=True)
    window.present("red")
    world.run_until_ms(30)
    window.width, window.height = 120, 90
    window.present("blue", gpu_ms=18)
    world.run_until_ms(100)

    assert told(window) == [["presented", "frame done"]] * 2
    assert not parked(world)


@pytest.mark.requirement("C5")
def test_a_picture_that_takes_a_childs_along_waits_in_the_compositor() -> None:
    world = forwarding(overlays=2)
    window = game(world)
    child = window.client.picture(50, 40)
    world.core.subsurfaces.make(child.surface, window.surface)
    child.present("leaf")
    window.present("blue")
    world.run_until_ms(60)
    child.present("late leaf", gpu_ms=20)
    window.present("red", gpu_ms=13)
    world.run_until_ms(120)

    assert not parked(world)
    assert world.presented_ms(window)[-1] == world.presented_ms(child)[-1] == 83.3 + 16.7


@pytest.mark.requirement("C5", "S60")
def test_what_is_not_ready_with_its_children_does_not_take_a_parked_ones_place() -> None:
    world = forwarding(overlays=2)
    window = game(world)
    child = window.client.picture(50, 40)
    world.core.subsurfaces.make(child.surface, window.surface)
    child.present("leaf")
    window.present("green")
    world.run_until_ms(60)
    older = window.present("never", gpu_ms=None)
    world.run_until_ms(80)
    assert world.core.outputs[0].phase is Phase.PARKED
    child.present("late leaf", gpu_ms=None)
    window.present("blue")
    world.run_until_ms(140)

    assert not older.heard


@pytest.mark.requirement("G4", "UR8")
def test_a_torn_frame_takes_a_parked_ones_place_at_once() -> None:
    world = forwarding()
    window = game(world)
    older = window.present("never", gpu_ms=None)
    world.run_until_ms(40)
    window.surface.pending.tearing = True
    window.present("blue")
    world.run_until_ms(45)

    assert [what for what, _ in older.heard] == ["discarded", "frame done"]
    assert world.presented_ms(window) == [16.7, 41.0]
    assert not [event for event in world.reports if isinstance(event, DeviceRefusal)]


@pytest.mark.requirement("T5")
def test_a_parked_frame_moves_nobodys_target_time() -> None:
    world = forwarding(overlays=1)
    wall = game(world)
    small = wall.client.window(100, 80)
    small.present("still")
    world.run_until_ms(50)
    wall.present("never", gpu_ms=None)
    world.run_until_ms(70)
    assert world.core.outputs[0].phase is Phase.PARKED
    small.surface.pending.target_time_ns = world.epoch_ns + 95 * MS
    small.present("moved")
    world.run_until_ms(150)

    assert world.presented_ms(small)[-1] == 100.0


@pytest.mark.requirement("S94")
def test_a_picture_given_up_and_never_finished_was_never_ready() -> None:
    world = forwarding(overlays=1)
    wall = game(world)
    small = wall.client.window(100, 80)
    wall.present("never", gpu_ms=None)
    world.run_until_ms(40)
    small.present("new")
    world.run_until_ms(48)
    wall.client.hang_up()
    world.run_until_ms(80)

    (lost,) = [frame for frame in world.frames(wall) if frame.presented_ns is None]
    assert lost.ready_ns is None


@pytest.mark.requirement("UR14", "S94")
def test_a_picture_parked_on_a_screen_whose_cable_is_pulled_is_shown_on_the_other() -> None:
    world = World(machine(60_000, 60_000), policy=FORWARD)
    window = game(world)
    first, second = world.core.outputs
    note = window.present("late", gpu_ms=None)
    world.run_until_ms(40)
    assert first.phase is Phase.PARKED

    world.device.inject(parse("output-removed=Virtual-1"))
    world.settle()
    assert not world.device.kms.display.crtcs[0].state.active, "nothing waits for a fence on a dark screen"
    assert not world.device.kms.display.parked
    world.run_until_ms(80)
    assert second.phase is Phase.PARKED
    signal(window, "late")
    world.run_until_ms(120)

    assert [what for what, _ in note.heard] == ["presented", "frame done"]
    assert world.told(Presented)[-1].output is second
    assert window.image("red").released() == 1
    assert not [event for event in world.reports if isinstance(event, DeviceRefusal)]
