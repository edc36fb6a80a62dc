from collections.abc import Callable

import pytest

from syncline.kms_model.kernel import Kernel
from syncline.kms_model.kms.mode import mode_of
from syncline.kms_model.kms.vblank import Grid, Vblank

MS = 1_000_000
S = 1_000_000_000
SIXTY = mode_of(width=640, height=480, refresh_mhz=60_000)


def told(log: list[tuple[int, int]]) -> Callable[[int, int], None]:
    return lambda sequence, time_ns: log.append((sequence, time_ns))


@pytest.mark.parametrize("refresh_mhz", [23_976, 59_940, 60_000, 143_856, 240_000])
def test_a_mode_has_the_refresh_that_was_asked_for_to_a_hundred_thousandth(refresh_mhz: int) -> None:
    asked_ns = S * 1_000 // refresh_mhz

    mode = mode_of(width=2560, height=1440, refresh_mhz=refresh_mhz)

    assert abs(mode.refresh_ns - asked_ns) * 100_000 < asked_ns * 2


def test_the_grid_does_not_drift_in_a_day() -> None:
    grid = Grid(SIXTY, start_ns=S, count=1)

    assert grid.time_of(1 + 60 * 86_400) == S + 86_400 * S


@pytest.mark.parametrize("refresh_mhz", [23_976, 59_940, 60_000, 143_856, 240_000])
def test_counter_and_timestamp_agree_on_every_edge(refresh_mhz: int) -> None:
    grid = Grid(mode_of(width=1280, height=720, refresh_mhz=refresh_mhz), start_ns=7, count=3)

    for count in (3, 4, 5, 1_000, 1_000_003):
        assert grid.count_at(grid.time_of(count)) == count
        assert grid.count_at(grid.time_of(count + 1) - 1) == count


def test_an_idle_screen_books_no_wake_up_and_still_counts() -> None:
    kernel = Kernel(now_ns=S)
    vblank = Vblank(kernel)
    vblank.start(SIXTY)

    assert kernel.next_deadline_ns() is None
    kernel.advance(11 * S)

    assert vblank.last() == (601, 11 * S)


def test_a_vblank_served_late_has_the_number_and_time_of_the_grid() -> None:
    kernel = Kernel(now_ns=S)
    vblank = Vblank(kernel)
    vblank.start(SIXTY)
    log: list[tuple[int, int]] = []
    vblank.arm(told(log))
    vblank.queue(4, told(log))

    kernel.advance(S + 200 * MS)

    assert log == [(2, S + 16_666_666), (4, S + 50_000_000)]


def test_stopping_tells_everybody_who_waits_the_last_vblank_there_was() -> None:
    kernel = Kernel(now_ns=S)
    vblank = Vblank(kernel)
    vblank.start(SIXTY)
    log: list[tuple[int, int]] = []
    kernel.advance(S + 20 * MS)
    vblank.queue(100, told(log))

    vblank.stop()

    assert log == [(2, S + 16_666_666)]
    assert kernel.next_deadline_ns() is None
    kernel.advance(2 * S)
    assert vblank.last() == (2, S + 16_666_666)


def test_no_number_is_seen_before_and_after_a_modeset() -> None:
    kernel = Kernel(now_ns=S)
    vblank = Vblank(kernel)
    vblank.start(SIXTY)
    vblank.stop()
    vblank.start(SIXTY)

    assert vblank.last() == (2, S)


def test_a_wait_ends_at_its_vblank_or_at_its_deadline() -> None:
    kernel = Kernel(now_ns=S)
    vblank = Vblank(kernel)
    vblank.start(SIXTY)
    in_time = kernel.spawn(vblank.wait(sequence=2, deadline_ns=2 * S, interruptible=True))
    too_late = kernel.spawn(vblank.wait(sequence=90, deadline_ns=2 * S, interruptible=True))
    kernel.settle()

    kernel.advance(S + 17 * MS)
    assert in_time.result() is True
    kernel.advance(2 * S)

    assert too_late.result() is False
    assert kernel.next_deadline_ns() is None


def test_a_flip_inside_the_variable_window_makes_the_vblank_at_once() -> None:
    kernel = Kernel(now_ns=S)
    vblank = Vblank(kernel)
    vblank.start(SIXTY, vrr_min_mhz=40_000)
    log: list[tuple[int, int]] = []
    kernel.advance(S + 20 * MS)

    vblank.arm(told(log))
    kernel.advance(S + 20 * MS)

    assert log == [(2, S + 20 * MS)]


def test_a_flip_before_the_variable_window_waits_for_the_shortest_frame() -> None:
    kernel = Kernel(now_ns=S)
    vblank = Vblank(kernel)
    vblank.start(SIXTY, vrr_min_mhz=40_000)
    log: list[tuple[int, int]] = []
    kernel.advance(S + 5 * MS)

    vblank.arm(told(log))
    assert vblank.last() == (1, S)
    kernel.advance(S + 30 * MS)

    assert log == [(2, S + 16_666_666)]
    assert vblank.next_ns() == S + 16_666_666 + 25 * MS


def test_a_flip_that_is_armed_does_not_change_the_past() -> None:
    kernel = Kernel(now_ns=S)
    vblank = Vblank(kernel)
    vblank.start(SIXTY, vrr_min_mhz=40_000)
    kernel.advance(S + 55 * MS)

    vblank.arm(told([]))

    assert vblank.last() == (3, S + 50 * MS)
    assert vblank.next_ns() == S + 50 * MS + 16_666_666


def test_an_idle_variable_screen_repeats_its_frame_at_the_lowest_refresh() -> None:
    kernel = Kernel(now_ns=S)
    vblank = Vblank(kernel)
    vblank.start(SIXTY, vrr_min_mhz=40_000)

    kernel.advance(2 * S)

    assert vblank.last() == (41, 2 * S)
    vblank.vary(0)
    assert vblank.next_ns() == 2 * S + 16_666_666


def test_two_flips_armed_for_one_variable_vblank_share_it() -> None:
    kernel = Kernel(now_ns=S)
    vblank = Vblank(kernel)
    vblank.start(SIXTY, vrr_min_mhz=40_000)
    log: list[tuple[int, int]] = []
    kernel.advance(S + 3 * MS)
    vblank.arm(told(log))
    kernel.advance(S + 6 * MS)

    vblank.arm(told(log))
    kernel.advance(S + 17 * MS)

    assert log == [(2, S + 16_666_666), (2, S + 16_666_666)]
