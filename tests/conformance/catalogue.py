"""Every case of the suite, in the catalogue's order."""

from importlib import import_module
from typing import Final

from syncline.conformance.case import Case, case_of

MODULES: Final = (
    "test_objects",
    "test_validation",
    "test_acquire",
    "test_input",
    "test_release",
    "test_life_cycle",
    "test_trees",
    "test_core",
    "test_damage",
    "test_shell",
    "test_numbers",
    "test_presentation",
    "test_fifo",
    "test_timing",
    "test_buffers",
    "test_faults",
    "test_faults_release",
    "test_kms",
    "test_parity",
)


def cases() -> list[Case]:
    """All of them."""
    found: list[Case] = []
    for name in MODULES:
        module = import_module(f"syncline.conformance.{name}")
        found += [case for body in vars(module).values() if (case := case_of(body)) is not None]
    return found
