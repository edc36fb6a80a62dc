"""Hypothesis profiles: the same inputs every run; `nightly` explores."""

from hypothesis import settings

settings.register_profile("default", deadline=None, derandomize=True, max_examples=60)
settings.register_profile("nightly", deadline=None, max_examples=5_000, print_blob=True)
settings.load_profile("default")
