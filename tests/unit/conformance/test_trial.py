"""A trial waits, and judges nobody for time that nobody has had."""

from collections.abc import Iterator

import pytest

from syncline.conformance.trial import NS_PER_MS, PATIENCE_NS, Trial
from syncline.conformance.verdict import Failure
from syncline.kms_model.loops import VirtualLoop
from syncline.lab.conform.virtual import VirtualTarget

SECOND_NS = 1_000 * NS_PER_MS


@pytest.fixture
def waiting() -> Iterator[Trial]:
    with VirtualTarget().stand() as stand:
        yield Trial(stand)


def _in(trial: Trial, delay_ns: int, heard: list[str]) -> None:
    """Something that a compositor would say."""

    def say() -> None:
        heard.append("said")
        trial.beat()

    trial.loop.call_at_ns(trial.now_ns() + delay_ns, say)


def _stand_still(trial: Trial, *, after_ns: int, for_ns: int) -> None:
    """Nobody runs, and the clock does."""
    loop = trial.loop
    assert isinstance(loop, VirtualLoop)

    def stop() -> None:
        loop._now_ns += for_ns

    loop.call_at_ns(trial.now_ns() + after_ns, stop)


def test_what_comes_too_late_has_not_come(waiting: Trial) -> None:
    heard: list[str] = []
    _in(waiting, PATIENCE_NS + 100 * NS_PER_MS, heard)
    with pytest.raises(Failure, match="2000 ms and not yet: a word"):
        waiting.expect(lambda: bool(heard), "a word")


def test_after_a_standstill_of_the_machine_there_is_as_much_time_as_before(waiting: Trial) -> None:
    heard: list[str] = []
    _stand_still(waiting, after_ns=SECOND_NS, for_ns=30 * SECOND_NS)
    _in(waiting, 32 * SECOND_NS, heard)
    waiting.expect(lambda: bool(heard), "a word")


def test_after_a_standstill_patience_still_ends(waiting: Trial) -> None:
    _stand_still(waiting, after_ns=SECOND_NS, for_ns=30 * SECOND_NS)
    began_ns = waiting.now_ns()
    assert not waiting.until(lambda: False)
    assert waiting.now_ns() - began_ns == 31 * SECOND_NS + PATIENCE_NS
