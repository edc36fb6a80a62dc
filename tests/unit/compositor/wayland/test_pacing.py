"""fifo, commit timing and tearing control on the wire (protocol.md 2.5-2.7)."""

import pytest

NS_PER_S = 1_000_000_000

FACTORIES = [
    ("wp_fifo_manager_v1", "get_fifo"),
    ("wp_commit_timing_manager_v1", "get_timer"),
    ("wp_tearing_control_manager_v1", "get_tearing_control"),
]


@pytest.mark.requirement("F1", "T1", "G1")
@pytest.mark.parametrize(("interface", "request_"), FACTORIES)
def test_a_surface_has_one_object_of_each(client, interface, request_) -> None:
    manager, surface = client.bind(interface), client.surface()
    client.make(manager, request_, surface)

    client.make(manager, request_, surface)

    client.expect(interface, 0, manager)


@pytest.mark.requirement("F10", "T7", "G2")
@pytest.mark.parametrize(("interface", "request_"), FACTORIES)
def test_after_destruction_there_may_be_another(client, interface, request_) -> None:
    manager, surface = client.bind(interface), client.surface()
    client.make(manager, request_, surface).send("destroy")
    client.make(manager, request_, surface)
    manager.send("destroy")

    client.expect_no_error()


@pytest.mark.requirement("F10", "T7", "G2")
@pytest.mark.parametrize(("interface", "request_"), FACTORIES)
def test_an_object_may_be_destroyed_after_its_surface(client, interface, request_) -> None:
    manager, surface = client.bind(interface), client.surface()
    orphan = client.make(manager, request_, surface)
    surface.send("destroy")
    orphan.send("destroy")

    client.expect_no_error()


@pytest.mark.requirement("F2")
@pytest.mark.parametrize("request_", ["set_barrier", "wait_barrier"])
def test_a_fifo_without_its_surface_takes_nothing(client, request_) -> None:
    surface = client.surface()
    fifo = client.make(client.bind("wp_fifo_manager_v1"), "get_fifo", surface)
    surface.send("destroy")

    fifo.send(request_)

    client.expect("wp_fifo_v1", 0, fifo)


@pytest.mark.requirement("F4", "F5")
def test_barriers_show_one_image_per_refresh(client, world) -> None:
    window = client.toplevel()
    fifo = client.make(client.bind("wp_fifo_manager_v1"), "get_fifo", window.surface)
    presentation = client.bind("wp_presentation")
    buffer, _ = client.shm_buffer()
    feedbacks = []
    for _ in range(4):
        fifo.send("set_barrier")
        fifo.send("wait_barrier")
        window.surface.send("attach", buffer, 0, 0)
        feedbacks.append(client.make(presentation, "feedback", window.surface))
        window.surface.send("commit")
    world.run(200)

    sequences = [feedback.last("presented")[3] for feedback in feedbacks]
    assert sequences == list(range(sequences[0], sequences[0] + 4))


@pytest.fixture
def timed(client):
    """(window, its commit timer)"""
    window = client.toplevel()
    return window, client.make(client.bind("wp_commit_timing_manager_v1"), "get_timer", window.surface)


@pytest.mark.requirement("T2")
def test_a_timestamp_has_less_than_a_second_of_nanoseconds(client, timed) -> None:
    _, timer = timed

    timer.send("set_timestamp", 1, NS_PER_S)

    client.expect("wp_commit_timer_v1", 0, timer)


@pytest.mark.requirement("T3", "T8")
@pytest.mark.parametrize("seconds", [0, 1 << 40])
def test_a_commit_has_one_timestamp(client, timed, seconds) -> None:
    _, timer = timed
    timer.send("set_timestamp", seconds, 0)

    timer.send("set_timestamp", seconds, 1)

    client.expect("wp_commit_timer_v1", 1, timer)


@pytest.mark.requirement("T4")
def test_a_timer_without_its_surface_takes_nothing(client) -> None:
    surface = client.surface()
    timer = client.make(client.bind("wp_commit_timing_manager_v1"), "get_timer", surface)
    surface.send("destroy")

    timer.send("set_timestamp", 1, 0)

    client.expect("wp_commit_timer_v1", 2, timer)


@pytest.mark.requirement("T5", "T7")
def test_nothing_is_shown_before_its_time(client, world, timed) -> None:
    window, timer = timed
    target_ns = world.loop.now_ns() + NS_PER_S // 10
    buffer, _ = client.shm_buffer()
    window.surface.send("attach", buffer, 0, 0)
    timer.send("set_timestamp", *divmod(target_ns, NS_PER_S))
    timer.send("destroy")
    feedback = client.make(client.bind("wp_presentation"), "feedback", window.surface)
    window.surface.send("commit")
    world.run(200)

    seconds, nanoseconds, refresh_ns, *_ = feedback.last("presented")
    assert 0 <= seconds * NS_PER_S + nanoseconds - target_ns <= refresh_ns


@pytest.mark.requirement("T6")
def test_a_time_beyond_all_clocks_stops_nobody_else(client, world, timed) -> None:
    window, timer = timed
    buffer, _ = client.shm_buffer()
    window.surface.send("attach", buffer, 0, 0)
    timer.send("set_timestamp", (1 << 64) - 1, NS_PER_S - 1)
    window.surface.send("commit")
    world.run(100)

    client.expect_no_error()


@pytest.mark.requirement("G2")
def test_a_tearing_hint_is_pending_until_the_commit_and_goes_with_its_object(client, world) -> None:
    surface = client.surface()
    control = client.make(client.bind("wp_tearing_control_manager_v1"), "get_tearing_control", surface)
    control.send("set_presentation_hint", 1)
    client.roundtrip()
    (core_surface,) = world.core._surfaces()
    assert not core_surface.current.tearing

    surface.send("commit")
    client.roundtrip()
    assert core_surface.current.tearing

    control.send("destroy")
    client.roundtrip()
    assert core_surface.current.tearing
    surface.send("commit")
    client.roundtrip()
    assert not core_surface.current.tearing


@pytest.mark.requirement("G2")
def test_a_tearing_control_without_its_surface_is_inert(client) -> None:
    surface = client.surface()
    control = client.make(client.bind("wp_tearing_control_manager_v1"), "get_tearing_control", surface)
    surface.send("destroy")

    control.send("set_presentation_hint", 1)

    client.expect_no_error()
