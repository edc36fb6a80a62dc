"""When images come back, in all the ways a commit can end."""

import pytest
from world import MS, Client, Picture, Window, World, machine

from syncline.compositor.core.effects import BufferReleased, CaptureReady, CommitReleased
from syncline.compositor.core.geometry import Rect
from syncline.compositor.core.policy import AcquireMode, Policy
from syncline.kms_model.uapi import (
    FORMAT_XRGB8888,
    ModeAtomic,
    SyncobjFdToHandle,
    SyncobjTimelineSignal,
)


@pytest.mark.requirement("S78")
def test_three_commits_within_one_refresh_leave_one_shown_and_two_given_back() -> None:
    world = World()
    window = Client(world, "client").window()

    notes = [window.present(name) for name in ("red", "green", "blue")]
    world.run_until_ms(30)

    assert [window.image(name).released() for name in ("red", "green", "blue")] == [1, 1, 0]
    assert [[what for what, _ in note.heard] for note in notes] == [
        ["discarded", "frame done"],
        ["discarded", "frame done"],
        ["presented", "frame done"],
    ]


@pytest.mark.requirement("S79")
def test_a_null_attach_gives_the_image_back_once_it_is_applied() -> None:
    world = World()
    window = Client(world, "client").window()
    window.present("red")
    world.run_until_ms(30)

    window.surface.pending.attached = None
    window.commit()
    world.run_until_ms(60)

    assert window.image("red").released() == 1
    assert not window.toplevel.is_mapped
    assert not world.core.outputs[0].deadline_ns


@pytest.mark.requirement("S79")
def test_a_null_attach_behind_an_unready_update_removes_nothing_early() -> None:
    world = World()
    window = Client(world, "client").window()
    window.present("red")
    world.run_until_ms(30)

    window.present("late", gpu_ms=None)
    window.surface.pending.attached = None
    window.commit()
    world.run_until_ms(60)
    assert window.toplevel.is_mapped
    assert not window.image("red").released()

    window.render(window.image("late"), MS)
    world.run_until_ms(90)
    assert window.image("red").released() == window.image("late").released() == 1


@pytest.mark.requirement("S80")
def test_a_destroyed_surface_gives_back_the_image_on_a_plane_with_the_flip_that_removes_it() -> None:
    world = World(policy=Policy())
    window = Client(world, "client").window(320, 240)
    window.present("red")
    world.run_until_ms(20)

    window.destroy()
    assert not window.image("red").released(), "the display still reads it"
    world.run_until_ms(30)
    assert not window.image("red").released()
    world.run_until_ms(34)

    assert window.image("red").released() == 1


@pytest.mark.requirement("S73")
def test_one_image_committed_twice_owes_two_points() -> None:
    world = World()
    window = Client(world, "client").window()
    window.present("red")
    world.run_until_ms(20)

    window.present("red", gpu_ms=1)
    world.run_until_ms(25)
    assert window.image("red").released() == 1
    window.present("blue")
    world.run_until_ms(40)

    assert window.image("red").released() == 2
    world.expect_race("a write before the reader's release")  # it paints what is on the screen


@pytest.mark.requirement("S81")
def test_a_destroyed_wl_buffer_still_owes_its_point_and_keeps_its_pixels() -> None:
    world = World()
    window = Client(world, "client").window()
    window.present("red")
    world.core.destroy_buffer(window.image("red").buffer, world.now_ns)
    world.run_until_ms(20)
    assert world.presented_ms(window) == [16.7]

    window.present("blue")
    world.run_until_ms(40)

    assert window.image("red").released() == 1


@pytest.mark.requirement("S88")
def test_two_outputs_of_different_rate_give_an_image_back_when_the_last_has_let_go() -> None:
    world = World(machine(60_000, 75_000), policy=COMPOSED_FORWARD)
    first, second = world.core.outputs
    client = Client(world, "client")
    window = client.window(200, 100)
    window.present("red")
    world.core.shell.move(window.toplevel, x=first.rect.right - 100, y=20, now_ns=world.now_ns)
    world.settle()
    world.run_until_ms(50)
    assert window.surface.outputs == [first, second]

    window.present("blue", gpu_ms=1)
    world.run_until_ms(100)

    assert window.image("red").released() == 1
    shows = [f for f in world.frames(window) if f.presented_ns]
    assert {frame.output for frame in shows} == {first.name}, "reported on its main output"


@pytest.mark.requirement("S88")
def test_windows_on_two_outputs_run_at_the_rate_of_each() -> None:
    world = World(machine(60_000, 100_000))
    slow, fast = Client(world, "slow").window(), Client(world, "fast").window()
    for window in (slow, fast):
        animate(window)
    world.run_until_ms(500)

    assert slow.surface.outputs != fast.surface.outputs
    assert len(world.presented_ms(slow)) == pytest.approx(30, abs=2)
    assert len(world.presented_ms(fast)) == pytest.approx(50, abs=2)


@pytest.mark.requirement("C14")
def test_get_release_and_the_point_of_one_commit_both_come() -> None:
    world = World()
    window = Client(world, "client").window()
    window.surface.pending.get_release.append("callback")
    window.present("red")
    world.run_until_ms(20)
    assert not world.told(CommitReleased)

    window.present("blue")
    world.run_until_ms(40)

    assert world.told(CommitReleased) == [CommitReleased("callback")]
    assert window.image("red").released() == 1


def test_an_upload_may_be_written_again_when_the_frames_that_read_it_have_been_shown() -> None:
    world = World()
    client = Client(world, "client")
    window = client.window(explicit=False)
    uploads = [
        world.core.create_upload(client.peer, width=100, height=80, format=FORMAT_XRGB8888) for _ in range(2)
    ]
    for upload in uploads:
        window.surface.pending.attached = upload
        window.commit()
        world.run_ms(20)

    assert world.told(BufferReleased) == [BufferReleased(uploads[0])]
    window.surface.pending.attached = uploads[0]
    window.commit()
    world.run_ms(20)
    assert len(world.told(BufferReleased)) == 2


@pytest.mark.requirement("REL-26")
def test_a_capture_is_ready_when_the_copy_is_and_holds_the_image_until_then() -> None:
    world = World()
    client, recorder = Client(world, "client"), Client(world, "recorder")
    window = client.window()
    window.present("red")
    world.run_until_ms(20)
    target = world.core.create_upload(recorder.peer, width=320, height=240, format=FORMAT_XRGB8888)
    output = world.core.outputs[0]

    world.core.capture(output, target, token="shot", with_cursor=False, now_ns=world.now_ns)
    world.run_until_ms(50)

    (ready,) = world.told(CaptureReady)
    assert ready.token == "shot"
    assert world.pixel(target, 160, 120) == window.color() - 0x0B_5A7D
    assert world.pixel(target, 2, 2) == world.core.policy.background


@pytest.mark.requirement("S93")
def test_a_cached_update_followed_by_another_still_gives_its_image_back() -> None:
    world = World()
    client = Client(world, "client")
    window = client.window()
    window.present("wall")
    child = subsurface(client, window)
    child.present("one")
    child.present("two")
    world.run_until_ms(30)
    assert not child.image("one").released()

    window.commit()
    world.run_until_ms(60)

    assert child.image("one").released() == 1
    assert child.image("two").released() == 0
    assert len(world.presented_ms(child)) == 1


COMPOSED_FORWARD = Policy(direct_scanout=False, acquire=AcquireMode.FENCE_FORWARD)


def subsurface(client: Client, parent: Picture) -> Picture:
    child = Picture(client, client.surface(), 40, 30, explicit=True)
    client.world.core.subsurfaces.make(child.surface, parent.surface)
    return child


def animate(window: Window) -> None:
    def present(number: int) -> None:
        window.present(f"image {number % 3}").on_frame = lambda: present(number + 1)

    present(0)


LONG = Policy(direct_scanout=False, composition_fixed_ns=4 * MS, first_margin_ns=8 * MS)


@pytest.mark.requirement("S71")
def test_an_image_removed_while_a_composition_reads_it_comes_back_when_that_ends() -> None:
    world = World(policy=LONG)
    window = Client(world, "client").window()
    window.present("red")
    world.run_until_ms(10)
    assert world.reading, "latched at 8.7 ms, composed until 12.7 ms"

    window.surface.pending.attached = None
    window.commit()
    assert not window.image("red").released()
    world.run_until_ms(12)
    assert not window.image("red").released()
    world.run_until_ms(13)

    assert window.image("red").released() == 1


@pytest.mark.requirement("REL-24")
def test_an_image_read_for_two_outputs_comes_back_when_the_slower_composition_ends() -> None:
    world = World(machine(60_000, 75_000), policy=LONG)
    first = world.core.outputs[0]
    window = Client(world, "client").window(200, 100)
    window.present("red")
    world.core.shell.move(window.toplevel, x=first.rect.right - 100, y=20, now_ns=world.now_ns)
    red = window.image("red")
    for _ in range(500):
        if [red.memory in sources for sources in world.reading.values()] == [True, True]:
            break
        window.surface.pending.damage_surface(Rect(0, 0, 200, 100))
        window.commit()
        world.run_ms(1)
    readers = set(world.reading)
    assert len(readers) == 2, "the two rates drift until both compositions overlap"

    window.surface.pending.attached = None
    window.commit()
    ends = []
    while readers & set(world.reading):
        assert not red.released()
        ends.append(len(readers & set(world.reading)))
        world.run_ms(0.1)

    assert set(ends) == {2, 1}
    assert red.released() == 1


@pytest.mark.requirement("REL-28")
def test_a_release_point_is_reached_late_but_surely_when_the_device_takes_no_fence() -> None:
    world = World(policy=Policy())
    window = Client(world, "client").window(320, 240)
    window.present("red")
    world.run_until_ms(20)
    world.refuse_next(lambda call: isinstance(call, SyncobjFdToHandle) and bool(call.point))
    window.present("blue", gpu_ms=1)
    world.run_until_ms(33)
    assert not window.image("red").released()
    world.run_until_ms(34)

    assert window.image("red").released() == 1


@pytest.mark.requirement("REL-33")
def test_an_image_on_a_plane_is_not_given_back_by_a_flip_that_the_kernel_refused() -> None:
    world = World(policy=Policy())
    window = Client(world, "client").window(320, 240)
    window.present("red")
    world.run_until_ms(20)
    window.present("blue", gpu_ms=1)
    for _ in range(2):
        world.file.refuse = lambda call: isinstance(call, ModeAtomic)
        world.run_until_ms(30)
    world.run_until_ms(40)

    assert world.presented_ms(window) == [16.7, 33.3]
    assert window.image("red").released() == 1


@pytest.mark.requirement("S92")
def test_a_client_that_advanced_its_release_timeline_itself_hurts_nobody() -> None:
    world = World()
    window = Client(world, "client").window()
    for name in ("red", "blue", "green"):
        window.present(name)
        image = window.image(name)
        window.client.file.call(SyncobjTimelineSignal(handles=(image.release,), points=(9,)))
        world.run_ms(20)

    assert len(world.presented_ms(window)) == 3
