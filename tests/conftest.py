"""Hypothesis profiles (the same inputs every run; `nightly` explores), and what every case of the suite is given."""

import gc
import sys
from collections.abc import Iterator

import pytest
from hypothesis import settings

from syncline.compositor.wayland.globals import OUTPUT_INTERFACE, OUTPUT_VERSION, SPOKEN
from syncline.conformance.case import case_of
from syncline.conformance.trial import Trial
from syncline.lab.conform.virtual import VirtualTarget

settings.register_profile("default", deadline=None, derandomize=True, max_examples=60)
settings.register_profile("nightly", deadline=None, max_examples=5_000, print_blob=True)
settings.load_profile("default")


@pytest.fixture(scope="session", autouse=True)
def _what_was_imported_is_no_garbage() -> None:
    """So that collecting is quick. Not later: what a test still holds then would never be collected."""
    gc.collect()
    gc.freeze()


@pytest.fixture(scope="module", autouse=True)
def _no_garbage_of_others() -> None:
    """Many tests count descriptors: what earlier modules left to the collector is closed before, not during them."""
    gc.collect()


@pytest.fixture(autouse=True)
def _no_race() -> Iterator[None]:
    """Whatever a story is about, nobody in it has touched a buffer too early (K21), unless it took the reports."""
    yield
    world = sys.modules.get("world")
    if world is not None:
        world.assert_no_race(world.end_worlds())


@pytest.fixture
def trial(request: pytest.FixtureRequest) -> Iterator[Trial]:
    """A Syncline on virtual time for one case of the conformance suite, as `syncline conform --virtual` has it."""
    case = case_of(request.function)
    assert case is not None, "only cases take a trial"
    with VirtualTarget().stand() as stand:
        trial = Trial(stand)
        try:
            trial.require(case.needs, device=case.device)
            yield trial
            trial.finish()
        finally:
            trial.close()


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """What Syncline does not speak yet is not asked of it: such cases are for other compositors."""
    offered = {each.interface: each.version for each in SPOKEN} | {OUTPUT_INTERFACE: OUTPUT_VERSION}
    unspoken = [item for item in items if not _is_spoken(item, offered)]
    if unspoken:
        config.hook.pytest_deselected(items=unspoken)
        items[:] = [item for item in items if item not in set(unspoken)]


def _is_spoken(item: pytest.Item, offered: dict[str, int]) -> bool:
    case = case_of(getattr(item, "function", None))
    needs = [need.partition(":") for need in case.needs] if case else []
    return all(offered.get(interface, 0) >= int(version or 1) for interface, _, version in needs)
