"""wp_presentation on the wire."""

import pytest


@pytest.fixture
def presentation(client):
    return client.bind("wp_presentation")


@pytest.fixture
def show(client, world):
    """Commit an image; gives the feedbacks asked for with it."""
    window = client.toplevel()
    buffers = [client.shm_buffer()[0] for _ in range(2)]

    def show(presentation, count=1):
        feedbacks = [client.make(presentation, "feedback", window.surface) for _ in range(count)]
        buffers.reverse()
        window.surface.send("attach", buffers[0], 0, 0)
        window.surface.send("damage", 0, 0, 64, 64)
        window.surface.send("commit")
        return feedbacks

    show.window = window
    return show


@pytest.mark.requirement("P1")
def test_the_clock_is_monotonic_and_told_at_the_bind(client, presentation) -> None:
    client.roundtrip()

    assert presentation.events == [("clock_id", 1)]


@pytest.mark.requirement("P2", "P6", "P9")
def test_a_shown_commit_is_presented_once(client, world, presentation, show) -> None:
    (feedback,) = show(presentation)
    world.run(100)

    assert [name for name, *_ in feedback.events] == ["presented"]
    seconds, nanoseconds, refresh_ns, sequence, _ = feedback.last("presented")
    assert 0 <= nanoseconds < 1_000_000_000
    assert seconds * 1_000_000_000 + nanoseconds <= world.loop.now_ns()
    assert refresh_ns == world.core.outputs[0].refresh_ns
    assert sequence > 0
    assert not feedback.alive


@pytest.mark.requirement("P3")
def test_two_feedbacks_of_one_commit_are_told_the_same(client, world, presentation, show) -> None:
    first, second = show(presentation, count=2)
    world.run(100)

    assert first.events == second.events


@pytest.mark.requirement("P4")
def test_a_superseded_commit_is_discarded(client, world, presentation, show) -> None:
    show(presentation)
    world.run(100)
    (first,), (second,) = show(presentation), show(presentation)
    world.run(100)

    assert first.events == [("discarded",)]
    assert [name for name, *_ in second.events] == ["presented"]


@pytest.mark.requirement("P4")
def test_what_was_not_shown_when_its_surface_went_is_discarded(client, world, presentation, show) -> None:
    (feedback,) = show(presentation)
    for each in (show.window.toplevel, show.window.xdg, show.window.surface):
        each.send("destroy")
    world.run(100)

    assert feedback.events == [("discarded",)]


@pytest.mark.requirement("P5")
def test_the_output_is_named_first_once_for_each_binding(client, world, presentation, show) -> None:
    outputs = [client.bind("wl_output"), client.bind("wl_output")]

    (feedback,) = show(presentation)
    world.run(100)

    assert feedback.events[:2] == [("sync_output", output) for output in outputs]
    assert feedback.events[2][0] == "presented"


@pytest.mark.requirement("P11")
def test_timestamps_do_not_go_backwards(client, world, presentation, show) -> None:
    times = []
    for _ in range(10):
        (feedback,) = show(presentation)
        world.run(50)
        seconds, nanoseconds, *_ = feedback.last("presented")
        times.append(seconds * 1_000_000_000 + nanoseconds)

    assert times == sorted(times)
    assert len(set(times)) == len(times)


@pytest.mark.requirement("P12")
def test_a_bufferless_commit_gets_its_feedback_too(client, world, presentation, show) -> None:
    show(presentation)
    world.run(100)
    feedback = client.make(presentation, "feedback", show.window.surface)
    show.window.surface.send("commit")
    world.run(100)

    assert len(feedback.events) == 1
