"""The latch margin: learned, and not to be frightened."""

from syncline.compositor.core.schedule import Margin

MS = 1_000_000


def _margin() -> Margin:
    return Margin(4 * MS, MS // 2, 16 * MS)


def test_what_frames_cost_replaces_the_first_guess() -> None:
    margin = _margin()
    for _ in range(8):
        margin.learn(MS)
    assert margin.value_ns == MS + MS // 2


def test_one_hiccup_of_the_machine_does_not_cost_every_later_frame_a_refresh() -> None:
    margin = _margin()
    for _ in range(20):
        margin.learn(MS)
    margin.learn(40 * MS)
    assert margin.value_ns == 4 * MS + MS // 2


def test_frames_that_really_cost_more_are_begun_earlier() -> None:
    margin = _margin()
    for _ in range(20):
        margin.learn(7 * MS)
    assert margin.value_ns == 7 * MS + MS // 2


def test_misses_of_our_own_raise_it_until_they_stop_and_never_beyond_a_refresh() -> None:
    margin = _margin()
    for _ in range(100):
        margin.missed()
    assert margin.value_ns == 16 * MS
