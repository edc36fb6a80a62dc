"""Waiting: every wait of a client is a condition, a deadline, and a way out."""

import os

import pytest

from syncline.clients.toolkit.loop import ClientError, Context, Finished, side_by_side
from syncline.clients.toolkit.options import Options
from syncline.kms_model.loops import VirtualLoop, run_virtual
from syncline.protocol.transport.memory import pair

MS = 1_000_000


def alone(loop: VirtualLoop) -> Context:
    """A client with neither compositor nor device."""
    transport, _ = pair(loop)
    return Context(loop=loop, transport=transport, device=None, options=Options())


def test_a_wait_ends_when_its_condition_holds_after_a_beat() -> None:
    async def main(loop: VirtualLoop) -> int:
        context = alone(loop)
        heard: list[int] = []
        loop.call_at_ns(loop.now_ns() + 3 * MS, lambda: (heard.append(1), context.beat()))
        start_ns = loop.now_ns()
        assert await context.until(lambda: bool(heard))
        return loop.now_ns() - start_ns

    assert run_virtual(main) == 3 * MS


def test_a_wait_with_a_deadline_gives_up_then_and_not_before() -> None:
    async def main(loop: VirtualLoop) -> int:
        start_ns = loop.now_ns()
        assert not await alone(loop).until(lambda: False, deadline_ns=start_ns + 7 * MS)
        return loop.now_ns() - start_ns

    assert run_virtual(main) == 7 * MS


def test_a_stop_ends_every_wait_but_those_of_the_ending() -> None:
    async def main(loop: VirtualLoop) -> None:
        context = alone(loop)
        loop.call_at_ns(loop.now_ns() + MS, lambda: context.stop("SIGTERM"))
        with pytest.raises(Finished, match="SIGTERM"):
            await context.until(lambda: False)
        assert not await context.until(lambda: False, deadline_ns=loop.now_ns() + MS, ending=True)

    run_virtual(main)


def test_a_failure_ends_even_the_waits_of_the_ending() -> None:
    async def main(loop: VirtualLoop) -> None:
        context = alone(loop)
        context.fail(ClientError("the compositor is gone"))
        with pytest.raises(ClientError, match="is gone"):
            await context.until(lambda: False, ending=True)

    run_virtual(main)


def test_a_doorbell_rings_once_for_each_time_it_was_rung() -> None:
    async def main(loop: VirtualLoop) -> int:
        context = alone(loop)
        rung: list[int] = []
        bell = context.doorbell(lambda: (rung.append(1), context.beat()))
        os.eventfd_write(bell.fd, 1)
        await context.until(lambda: len(rung) == 1)
        os.eventfd_write(bell.fd, 1)
        await context.until(lambda: len(rung) == 2)
        bell.close()
        return len(rung)

    assert run_virtual(main) == 2


def test_of_two_courses_the_first_failure_ends_both_and_comes_out_as_itself() -> None:
    async def main(loop: VirtualLoop) -> None:
        context = alone(loop)

        async def fails() -> None:
            await context.sleep_until(loop.now_ns() + MS)
            raise ClientError("no more")

        async def waits() -> None:
            await context.until(lambda: False)

        with pytest.raises(ClientError, match="no more"):
            await side_by_side(waits(), fails())

    run_virtual(main)
