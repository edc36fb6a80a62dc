"""Whose fault a missed vblank is, on made-up numbers."""

from dataclasses import replace

import pytest
from hypothesis import given, strategies as st

from syncline.lab.present.standstill import (
    NOBODY,
    Course,
    Misses,
    Overrun,
    Standstill,
    Statement,
    overlaps,
    share,
    together,
)

MS = 1_000_000
VBLANK = 1_000 * MS
"""Of the vblank that was missed. The next one, 16 ms later, showed the frame; its latch was planned 2 ms before."""
LATCH = VBLANK - 2 * MS

COURSE = Course(
    commit_ns=VBLANK - 10 * MS, received_ns=VBLANK - 9 * MS, presented_ns=VBLANK + 16 * MS, refresh_ns=16 * MS,
    margin_ns=2 * MS, missed=1, not_ready=0, unused=1,
)  # fmt: skip


def seen(*spans: tuple[int, int], core: int = 0) -> Statement:
    return Statement(
        priority=3,
        cpu_percent=1.0,
        standstills=[Standstill(core=core, from_ns=since_ns, to_ns=until_ns) for since_ns, until_ns in spans],
    )


def misses(
    *, before_arrival: int = 0, client: int = 0, compositor: int = 0, machine: int | None = 0
) -> Misses:
    return Misses(
        before_arrival=before_arrival, by_client=client, by_compositor=compositor, by_machine=machine
    )


@pytest.mark.parametrize(
    ("since_ns", "until_ns"),
    [
        (LATCH - 5 * MS, LATCH + 1),
        (LATCH + 1, VBLANK - 1),
        (VBLANK - 1, VBLANK + 9 * MS),
        (LATCH - 5 * MS, VBLANK + 9 * MS),
    ],
)
def test_the_machine_answers_for_a_vblank_if_it_stood_still_between_the_latch_and_that(
    since_ns: int, until_ns: int
) -> None:
    assert share(COURSE, seen((since_ns, until_ns))) == misses(machine=1)


@pytest.mark.parametrize(
    ("since_ns", "until_ns"), [(LATCH - 5 * MS, LATCH), (VBLANK, VBLANK + 5 * MS), (0, MS)]
)
def test_a_standstill_that_was_over_by_the_latch_or_came_after_the_vblank_excuses_nobody(
    since_ns: int, until_ns: int
) -> None:
    assert share(COURSE, seen((since_ns, until_ns))) == misses(compositor=1)


def test_it_does_not_matter_which_core_stood_still() -> None:
    assert share(COURSE, seen((LATCH, VBLANK), core=7)) == misses(machine=1)


def test_of_several_vblanks_the_machine_answers_for_those_that_it_took() -> None:
    course = replace(COURSE, missed=3, unused=3, presented_ns=VBLANK + 48 * MS)

    assert share(course, seen((LATCH, VBLANK))) == misses(compositor=2, machine=1)
    assert share(course, seen((LATCH, VBLANK + 31 * MS))) == misses(machine=3)


def test_what_a_client_was_not_ready_for_remains_its_own() -> None:
    course = replace(COURSE, missed=2, not_ready=1, presented_ns=VBLANK + 32 * MS)
    stood = seen((LATCH, VBLANK))

    assert share(course, stood) == misses(client=1, compositor=1)
    assert share(replace(course, presented_ns=VBLANK + 16 * MS), stood) == misses(client=1, machine=1)


BLOCKED = Overrun(latch_ns=LATCH - 16 * MS, target_ns=VBLANK - 16 * MS, vblank_ns=VBLANK + 1)
"""A frame that was meant for the vblank before, and took the one that was missed; it may be off by a nanosecond."""


def test_a_frame_that_waits_for_one_which_the_machine_made_late_is_not_late_itself() -> None:
    course = replace(COURSE, overruns=[BLOCKED])
    stood = seen((BLOCKED.target_ns - 1, BLOCKED.target_ns + MS))

    assert share(COURSE, stood) == misses(compositor=1)
    assert share(course, stood) == misses(machine=1)
    assert share(course, seen((BLOCKED.target_ns, LATCH))) == misses(compositor=1)


def test_only_the_frame_that_took_the_missed_vblank_was_in_the_way() -> None:
    stood = seen((BLOCKED.latch_ns, BLOCKED.target_ns))
    elsewhere = replace(BLOCKED, vblank_ns=VBLANK + 16 * MS)
    in_time = replace(BLOCKED, target_ns=VBLANK - 1)

    for other in (elsewhere, in_time):
        assert share(replace(COURSE, overruns=[other]), stood) == misses(compositor=1)


def test_a_row_of_frames_that_waited_for_each_other_began_with_a_standstill() -> None:
    first = Overrun(
        latch_ns=BLOCKED.latch_ns - 16 * MS, target_ns=VBLANK - 32 * MS, vblank_ns=BLOCKED.target_ns
    )
    course = replace(COURSE, overruns=[first, BLOCKED])

    assert share(course, seen((first.latch_ns, first.target_ns))) == misses(machine=1)


LATE = replace(COURSE, unused=0, received_ns=VBLANK + 3 * MS)
"""Committed in time for the vblank, and read only after it."""


def test_a_commit_that_arrived_too_late_is_nobodys_fault_but_a_standstills() -> None:
    assert share(LATE, seen()) == misses(before_arrival=1)
    assert share(LATE, seen((LATE.commit_ns, LATE.commit_ns + 1))) == misses(machine=1)
    assert share(LATE, seen((0, LATE.commit_ns), (VBLANK, LATE.received_ns))) == misses(before_arrival=1)


def test_a_standstill_does_not_excuse_a_commit_that_was_too_late_anyhow() -> None:
    stood = seen((LATCH - MS, VBLANK + MS))

    assert share(replace(LATE, commit_ns=LATCH), stood) == misses(machine=1)
    assert share(replace(LATE, commit_ns=LATCH + 1), stood) == misses(before_arrival=1)


def test_where_nobody_could_watch_nothing_is_known_of_the_machine() -> None:
    assert share(COURSE, NOBODY) == misses(compositor=1, machine=None)
    assert share(LATE, NOBODY) == misses(before_arrival=1, machine=None)


def test_a_vblank_that_was_not_missed_is_nobodys() -> None:
    assert share(replace(COURSE, missed=0, unused=0, not_ready=1), seen((0, 2 * VBLANK))) == misses()


SPANS = st.lists(st.tuples(st.integers(0, 60), st.integers(1, 9)), max_size=6)


@given(
    st.builds(
        Course,
        commit_ns=st.integers(0, 60), received_ns=st.integers(0, 60), presented_ns=st.integers(0, 60),
        refresh_ns=st.integers(1, 9), margin_ns=st.integers(0, 9), missed=st.integers(0, 5),
        not_ready=st.integers(0, 5), unused=st.integers(0, 5),
    ),
    SPANS,
)  # fmt: skip
def test_the_parts_sum_to_all_that_were_missed(course: Course, spans: list[tuple[int, int]]) -> None:
    found = share(course, seen(*((since_ns, since_ns + long_ns) for since_ns, long_ns in spans)))
    assert found.by_machine is not None
    parts = (found.before_arrival, found.by_client, found.by_compositor, found.by_machine)

    assert min(parts) >= 0
    assert sum(parts) == course.missed


def test_cores_that_stand_still_together_do_so_once() -> None:
    both = [*seen((10, 30), (50, 60)).standstills, *seen((20, 40), core=1).standstills]

    assert together(both) == [(10, 40), (50, 60)]
    assert not overlaps(together(both), 40, 50)


def test_the_run_says_how_often_and_how_long_it_stood_still() -> None:
    stood = seen((0, 4 * MS), (20 * MS, 21 * MS + MS // 2))

    assert stood.sentence == "The machine stood still 2 times, for 4.0 ms at the longest and 5.5 ms in all."
    assert seen((0, 4 * MS)).sentence.startswith("The machine stood still once, for 4.0 ms")
    assert seen().sentence == "The machine never stood still for more than a millisecond."
    assert "at priority 3, for 1.0 % of a core" in stood.conditions
    assert "SCHED_RR was refused" in NOBODY.sentence
