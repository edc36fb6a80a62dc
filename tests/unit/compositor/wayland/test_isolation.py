"""What one client does to itself is nobody else's business."""

import os

import pytest

from syncline.compositor.core.report import ViolationEvent


def animate(client, world, frames):
    """A well-behaved client that shows a frame per refresh; gives the sequence numbers."""
    window = client.toplevel()
    presentation = client.bind("wp_presentation")
    buffers = [client.shm_buffer()[0] for _ in range(2)]
    sequences = []
    for frame in range(frames):
        feedback = client.make(presentation, "feedback", window.surface)
        window.surface.send("attach", buffers[frame % 2], 0, 0)
        window.surface.send("damage", 0, 0, 64, 64)
        window.surface.send("commit")
        world.until(lambda feedback=feedback: feedback.heard("presented"))
        sequences.append(feedback.last("presented")[3])
    return sequences


def assert_undisturbed(client, world):
    sequences = animate(client, world, 10)
    assert sequences == list(range(sequences[0], sequences[0] + 10))
    client.expect_no_error()


@pytest.mark.requirement("S46")
def test_a_client_that_sends_garbage(world, client) -> None:
    rude = world.client()
    rude.connection.send_bytes(b"\xff" * 64)
    rude.roundtrip()

    assert rude.closed
    assert_undisturbed(client, world)


def test_a_client_that_never_reads(world, client) -> None:
    deaf = world.client()
    surface = deaf.surface()
    deaf.roundtrip()
    deaf.transport._on_data = lambda data, fds: [os.close(fd) for fd in fds]
    sync = deaf.display
    for _ in range(3):
        for _ in range(2000):
            sync.sync(lambda _: None)
        surface.send("commit")
        world.run(1)

    assert_undisturbed(client, world)


@pytest.mark.requirement("S61", "S64")
def test_a_client_whose_point_never_signals(world, client) -> None:
    stuck = world.client()
    manager = stuck.bind("wp_linux_drm_syncobj_manager_v1")
    window = stuck.toplevel()
    sync = stuck.make(manager, "get_surface", window.surface)
    acquire, release = stuck.timeline(manager), stuck.timeline(manager)
    for point in range(1, 20):
        window.surface.send("attach", stuck.dmabuf(), 0, 0)
        sync.send("set_acquire_point", acquire.proxy, point)
        sync.send("set_release_point", release.proxy, point)
        window.surface.send("commit")
        stuck.roundtrip()

    assert_undisturbed(client, world)
    stuck.expect_no_error()


def test_a_client_that_dies_with_everything_open(world, client) -> None:
    mortal = world.client()
    window = mortal.toplevel()
    animate(mortal, world, 3)
    child = mortal.surface()
    mortal.make(mortal.bind("wl_subcompositor"), "get_subsurface", child, window.surface)
    mortal.make(mortal.bind("wp_viewporter"), "get_viewport", window.surface)
    mortal.make(mortal.bind("wl_seat"), "get_keyboard")
    mortal.make(window.surface, "frame")
    mortal.roundtrip()
    mortal.hang_up()
    world.run(50)

    assert_undisturbed(client, world)
    world.core.check_invariants()


def test_a_client_that_talks_without_end_takes_turns(make_world) -> None:
    """A flood is worked on piece by piece; what somebody else says meanwhile is not behind all of it."""
    world = make_world(work_ns=100_000)
    noisy, quiet = world.client(), world.client()
    surface = noisy.surface()
    noisy.roundtrip()
    heard = []
    for _ in range(8000):
        surface.send("damage", 0, 0, 1, 1)
    noisy.display.sync(lambda _: heard.append("noisy"))
    noisy.link.flush()
    quiet.display.sync(lambda _: heard.append("quiet"))
    quiet.link.flush()

    world.until(lambda: len(heard) == 2, within_ms=10_000)

    assert heard == ["quiet", "noisy"]
    noisy.expect_no_error()


def test_what_comes_while_a_flood_is_worked_on_comes_after_it(make_world) -> None:
    world = make_world(work_ns=100_000)
    noisy = world.client()
    surface = noisy.surface()
    noisy.roundtrip()
    for _ in range(20):
        for _ in range(300):
            surface.send("damage", 0, 0, 1, 1)
        noisy.link.flush()

    noisy.expect_no_error()


def test_an_error_in_the_middle_of_a_flood_is_the_last_word(make_world) -> None:
    world = make_world(work_ns=100_000)
    noisy = world.client()
    surface = noisy.surface()
    for scale in (1, 1, 0, 1):
        for _ in range(1000):
            surface.send("set_buffer_scale", scale)

    noisy.expect("wl_surface", 0, surface)


def test_a_client_that_goes_in_the_middle_of_its_flood(make_world) -> None:
    world = make_world(work_ns=100_000)
    noisy, quiet = world.client(), world.client()
    surface = noisy.surface()
    noisy.roundtrip()
    for _ in range(5000):
        surface.send("damage", 0, 0, 1, 1)
    noisy.link.flush()
    world.run(1)
    noisy.hang_up()
    world.run(1000)

    quiet.expect_no_error()
    assert len(world.driver.server._lines) == 1


def test_a_client_that_hoards_objects(world, client) -> None:
    hoarder = world.client()
    compositor = hoarder.bind("wl_compositor")
    for _ in range(70):
        for _ in range(100):
            hoarder.make(compositor, "create_surface")
        hoarder.roundtrip()
        if hoarder.closed:
            break

    assert hoarder.error == ("wl_display", 2)
    assert_undisturbed(client, world)


@pytest.mark.parametrize(
    ("mistake", "code"),
    [
        (lambda client: client.surface().send("set_buffer_scale", 0), "wl_surface.error.0"),
        (lambda client: client.toplevel().surface.send("destroy"), "wl_surface.error.4"),
    ],
)
def test_every_violation_is_reported_once(world, mistake, code) -> None:
    rude = world.client()
    mistake(rude)
    rude.roundtrip()

    violations = [event for event in world.reports if isinstance(event, ViolationEvent)]
    assert [event.code for event in violations] == [code]


def test_a_violation_of_the_core_is_reported_once(world) -> None:
    rude = world.client()
    rude.make(rude.bind("xdg_wm_base"), "get_xdg_surface", surface := rude.surface())
    surface.send("commit")
    rude.roundtrip()

    assert rude.error == ("xdg_surface", 1)
    assert len([event for event in world.reports if isinstance(event, ViolationEvent)]) == 1
