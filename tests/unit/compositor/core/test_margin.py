"""The latch margin: learned, and not to be frightened."""

from syncline.compositor.core.schedule import ENOUGH, WINDOW, Costs, Margin

MS = 1_000_000


def _costs() -> Costs:
    return Costs(first_ns=4 * MS, limit_ns=16 * MS)


def _margin() -> Margin:
    return Margin(first_ns=4 * MS, safety_ns=MS, alone_safety_ns=MS // 2, refresh_ns=16 * MS)


def test_what_frames_cost_replaces_the_first_guess() -> None:
    costs = _costs()
    for _ in range(ENOUGH - 1):
        costs.learn(MS)
    assert costs.margin_ns(MS // 2) == 4 * MS, "generous until enough is known"
    costs.learn(MS)
    assert costs.margin_ns(MS // 2) == MS + MS // 2


def test_hiccups_of_the_machine_cost_no_later_frame_anything() -> None:
    costs = _costs()
    for _ in range(WINDOW):
        costs.learn(MS)
    for _ in range(WINDOW // 20):
        costs.learn(40 * MS)
    assert costs.margin_ns(MS // 2) == MS + MS // 2


def test_a_machine_that_is_often_busy_does_not_cost_every_frame_a_refresh() -> None:
    costs = _costs()
    for _ in range(WINDOW * 3 // 4):
        costs.learn(MS)
    for _ in range(WINDOW // 4):
        costs.learn(40 * MS)
    assert costs.margin_ns(MS // 2) == 4 * MS + MS // 2


def test_frames_that_really_cost_more_are_begun_earlier() -> None:
    costs = _costs()
    for _ in range(20):
        costs.learn(7 * MS)
    assert costs.margin_ns(MS // 2) == 7 * MS + MS // 2


def test_misses_of_our_own_raise_it_until_they_stop_and_never_beyond_a_refresh() -> None:
    margin = _margin()
    for _ in range(100):
        margin.missed(composed=True)
    assert margin.value_ns == 16 * MS


def test_a_bad_moment_is_forgotten() -> None:
    margin = _margin()
    for _ in range(20):
        margin.composed.learn(MS)
    for _ in range(3):
        margin.missed(composed=True)
    assert margin.value_ns > 2 * MS
    for _ in range(WINDOW):
        margin.composed.learn(MS)
    assert margin.value_ns == 2 * MS


def test_who_has_a_screen_alone_may_cut_it_finer_unless_a_composition_is_in_between() -> None:
    margin = _margin()
    for _ in range(ENOUGH):
        margin.direct.learn(MS)
        margin.composed.learn(MS)

    margin.expects_composition = False
    assert margin.value_ns == MS + MS // 2
    margin.is_shared = True
    assert margin.value_ns == 2 * MS
    margin.expects_composition, margin.is_shared = True, False
    assert margin.value_ns == 2 * MS


def test_frames_without_composition_do_not_make_compositions_late() -> None:
    margin = _margin()
    for _ in range(ENOUGH):
        margin.direct.learn(0)

    margin.expects_composition = False
    assert margin.value_ns == MS // 2
    margin.expects_composition = True
    assert margin.value_ns == 4 * MS
