"""Time: both loops run the same code; only one of them waits."""

import asyncio
import os
import signal
import socket

import pytest

from syncline.kms_model.deadlines import Calendar
from syncline.kms_model.loops import (
    VIRTUAL_EPOCH_NS,
    RealLoop,
    VirtualLoop,
    run_real,
    run_virtual,
    sleep_until,
)

MS = 1_000_000


def test_equal_deadlines_run_in_the_order_they_were_booked() -> None:
    order: list[str] = []

    async def main(loop: VirtualLoop) -> None:
        when_ns = loop.now_ns() + MS
        for name in ("first", "second", "third"):
            loop.call_at_ns(when_ns, lambda name=name: order.append(name))  # type: ignore[misc]
        await sleep_until(loop, when_ns + 1)

    run_virtual(main)
    assert order == ["first", "second", "third"]


def test_virtual_time_moves_exactly_to_each_deadline_and_never_past_it() -> None:
    async def main(loop: VirtualLoop) -> list[int]:
        seen = []
        for step in range(1, 4):
            await sleep_until(loop, VIRTUAL_EPOCH_NS + step * 16_666_667)
            seen.append(loop.now_ns() - VIRTUAL_EPOCH_NS)
        return seen

    assert run_virtual(main) == [16_666_667, 33_333_334, 50_000_001]


def test_asyncio_sleep_and_deadlines_share_one_virtual_clock() -> None:
    async def main(loop: VirtualLoop) -> int:
        await asyncio.sleep(0.25)
        return loop.now_ns() - VIRTUAL_EPOCH_NS

    assert run_virtual(main) == 250 * MS


def test_a_cancelled_deadline_is_forgotten() -> None:
    calendar = Calendar()
    calendar.book(5, lambda: None).cancel()
    later = calendar.book(9, lambda: None)
    assert calendar.next_ns() == 9
    assert calendar.take_due(9) == [later.action]
    assert calendar.next_ns() is None


def test_those_that_are_left_among_many_cancelled_keep_their_order() -> None:
    calendar, ran = Calendar(), []
    for name in range(1000):
        calendar.book(5 + name % 2, lambda name=name: ran.append(name))  # type: ignore[misc]
        for limit_ns in (5, 6, 10):
            calendar.book(limit_ns, lambda: ran.append(-1)).cancel()

    due = [*calendar.take_due(5), *calendar.take_due(6)]

    for action in due:
        action()
    assert ran == [*range(0, 1000, 2), *range(1, 1000, 2)]


def test_waiting_for_nothing_on_virtual_time_is_our_bug_and_says_so() -> None:
    async def main(_: VirtualLoop) -> None:
        await asyncio.Event().wait()

    with pytest.raises(AssertionError, match="virtual time stands still"):
        run_virtual(main)


@pytest.mark.parametrize("run", [run_real, run_virtual])
def test_an_exception_in_a_deadline_ends_the_run_and_comes_out_of_it(run) -> None:  # type: ignore[no-untyped-def]
    async def main(loop: RealLoop | VirtualLoop) -> None:
        loop.call_at_ns(loop.now_ns() + MS, lambda: 1 // 0)  # type: ignore[arg-type]
        await sleep_until(loop, loop.now_ns() + 100 * MS)

    with pytest.raises(ZeroDivisionError):
        run(main)


def test_it_comes_out_also_when_the_run_fails_otherwise_on_its_way_out() -> None:
    async def main(loop: VirtualLoop) -> None:
        loop.call_at_ns(loop.now_ns() + MS, lambda: 1 // 0)  # type: ignore[arg-type]
        try:
            await sleep_until(loop, loop.now_ns() + 100 * MS)
        finally:
            raise OSError("the connection is gone, too")

    with pytest.raises(ZeroDivisionError):
        run_virtual(main)


def test_the_real_loop_wakes_no_earlier_than_asked() -> None:
    async def main(loop: RealLoop) -> list[int]:
        late = []
        for _ in range(5):
            when_ns = loop.now_ns() + MS
            await sleep_until(loop, when_ns)
            late.append(loop.now_ns() - when_ns)
        return late

    assert all(late_ns >= 0 for late_ns in run_real(main))


def test_a_deadline_in_the_past_runs_at_once_on_the_real_loop() -> None:
    async def main(loop: RealLoop) -> bool:
        await sleep_until(loop, loop.now_ns() - MS)
        return True

    assert run_real(main)


def _ringing() -> int:
    """An eventfd that is readable."""
    return os.eventfd(1, os.EFD_NONBLOCK)


def test_a_reader_that_wakes_a_task_lets_it_run_before_the_loop_sleeps_again() -> None:
    async def main(loop: RealLoop) -> bool:
        bell, rung = _ringing(), asyncio.Event()

        def ring() -> None:
            loop.remove_reader(bell)
            rung.set()

        loop.add_reader(bell, ring)
        await rung.wait()
        os.close(bell)
        return True

    assert run_real(main)


def test_a_descriptor_that_an_earlier_callback_of_the_same_wake_up_gave_up_is_not_called() -> None:
    called: list[int] = []

    async def main(loop: RealLoop) -> None:
        bells = [_ringing(), _ringing()]

        def ring(mine: int, other: int) -> None:
            called.append(mine)
            loop.remove_reader(mine)
            loop.remove_reader(other)
            os.close(other)
            loop.add_reader(os.eventfd(0), lambda: called.append(-1))  # under the other's number
            loop.call_at_ns(loop.now_ns(), over.set)

        over = asyncio.Event()
        loop.add_reader(bells[0], ring, bells[0], bells[1])
        loop.add_reader(bells[1], ring, bells[1], bells[0])
        await over.wait()

    run_real(main)
    assert len(called) == 1
    assert called[0] >= 0


def test_a_descriptor_is_read_and_written_by_different_callbacks() -> None:
    async def main(loop: RealLoop) -> tuple[bool, bool, bool]:
        here, there = socket.socketpair()
        with here, there:
            seen: set[str] = set()
            both = asyncio.Event()

            def note(what: str) -> None:
                seen.add(what)
                if len(seen) == 2:
                    both.set()

            loop.add_reader(here.fileno(), note, "read")
            loop.add_writer(here.fileno(), note, "write")
            there.send(b"x")
            await both.wait()
            return (
                loop.remove_writer(here.fileno()),
                loop.remove_reader(here.fileno()),
                loop.remove_reader(here.fileno()),
            )

    assert run_real(main) == (True, True, False)


def test_an_exception_in_a_reader_ends_the_run_and_comes_out_of_it() -> None:
    async def main(loop: RealLoop) -> None:
        bell = _ringing()
        loop.add_reader(bell, lambda: 1 // 0)
        try:
            await asyncio.Event().wait()
        finally:
            loop.remove_reader(bell)
            os.close(bell)

    with pytest.raises(ZeroDivisionError):
        run_real(main)


def test_asyncio_timers_and_signals_have_their_turn_beside_readers() -> None:
    async def main(loop: RealLoop) -> bool:
        caught = asyncio.Event()
        loop.add_signal_handler(signal.SIGUSR1, caught.set)
        loop.call_later(0.001, os.kill, os.getpid(), signal.SIGUSR1)
        await caught.wait()
        return loop.remove_signal_handler(signal.SIGUSR1)

    assert run_real(main)


def test_deadlines_booked_one_after_the_other_all_ring() -> None:
    async def main(loop: RealLoop) -> int:
        rung, over = 0, asyncio.Event()

        def ring() -> None:
            nonlocal rung
            rung += 1
            if rung == 3:
                over.set()
            else:
                loop.call_at_ns(loop.now_ns() + MS // 10, ring)

        ring()
        await over.wait()
        return rung

    assert run_real(main) == 3
