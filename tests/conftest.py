"""Hypothesis profiles (the same inputs every run; `nightly` explores), and what every case of the suite is given."""

from collections.abc import Iterator

import pytest
from hypothesis import settings

from syncline.conformance.case import case_of
from syncline.conformance.trial import Trial
from syncline.lab.conform.virtual import VirtualTarget

settings.register_profile("default", deadline=None, derandomize=True, max_examples=60)
settings.register_profile("nightly", deadline=None, max_examples=5_000, print_blob=True)
settings.load_profile("default")


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
