"""Threads of a scenario: who runs when, and what time it is."""

import pytest

from syncline.lab.replay.threads import NS_PER_MS, Park, Stuck, Threads


class Bell:
    """A machine that does one thing at one instant."""

    def __init__(self, at_ns: int | None) -> None:
        self._at_ns = at_ns
        self.rung = False

    def next_deadline_ns(self) -> int | None:
        return None if self.rung else self._at_ns

    def advance(self, now_ns: int) -> None:
        self.rung = self._at_ns is not None and now_ns >= self._at_ns

    def settle(self) -> None:
        """Nothing closes here."""


def test_sleeping_threads_wake_in_the_order_of_their_deadlines() -> None:
    threads = Threads(Bell(None), start_ns=0)
    story: list[str] = []

    async def sleeper(name: str, ms: int) -> None:
        await threads.sleep(ms)
        story.append(f"{threads.now_ns // NS_PER_MS} {name}")

    async def main() -> None:
        for name, ms in (("late", 30), ("early", 10)):
            threads.start(sleeper(name, ms))
        await sleeper("main", 40)

    threads.run(main(), limit_ns=50 * NS_PER_MS)

    assert story == ["10 early", "30 late", "40 main"]


def test_a_condition_is_seen_when_the_machine_makes_it_true() -> None:
    bell = Bell(7 * NS_PER_MS)
    threads = Threads(bell, start_ns=0)
    seen: list[tuple[bool, int]] = []

    async def main() -> None:
        seen.append((await threads.until(lambda: bell.rung, timeout_ms=5), threads.now_ns))
        seen.append((await threads.until(lambda: bell.rung, timeout_ms=-1), threads.now_ns))

    threads.run(main(), limit_ns=50 * NS_PER_MS)

    assert seen == [(False, 5 * NS_PER_MS), (True, 7 * NS_PER_MS)]


def test_threads_woken_at_one_instant_run_in_the_order_they_were_woken() -> None:
    threads = Threads(Bell(None), start_ns=0)
    parks = {name: threads.park() for name in "abc"}
    story: list[str] = []

    async def waiter(name: str) -> None:
        await parks[name]
        story.append(name)

    async def main() -> None:
        for name in "abc":
            threads.start(waiter(name))
        await threads.breathe()
        for name in "cab":
            parks[name].wake()
        await threads.breathe()

    threads.run(main(), limit_ns=1)

    assert story == ["c", "a", "b"]


@pytest.mark.parametrize("bell", [Bell(None), Bell(60 * NS_PER_MS)])
def test_a_wait_that_cannot_end_within_the_limit_is_stuck(bell: Bell) -> None:
    threads = Threads(bell, start_ns=0)

    async def main() -> None:
        await never(threads)

    with pytest.raises(Stuck):
        threads.run(main(), limit_ns=50 * NS_PER_MS)


async def never(threads: Threads) -> None:
    park: Park = threads.park()
    await park
