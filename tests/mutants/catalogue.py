"""Every mutant, part by part, and the statements that have none."""

from collections.abc import Mapping
from typing import Final

from mutants import (
    acquire,
    buffers,
    core,
    machine,
    numbers,
    objects,
    pacing,
    painting,
    presentation,
    reading,
    refusals,
    release,
    trees,
    validation,
    waiting,
    wires,
)
from mutants.mutant import Mutant

MODULES: Final = (
    objects,
    validation,
    refusals,
    acquire,
    waiting,
    release,
    reading,
    trees,
    core,
    painting,
    presentation,
    pacing,
    buffers,
    machine,
    numbers,
    wires,
)

PARTS: Final[Mapping[str, tuple[Mutant, ...]]] = {
    (module.__doc__ or "").strip(): tuple(each for each in vars(module).values() if isinstance(each, Mutant))
    for module in MODULES
}
"""By the sentence of their module."""

MUTANTS: Final = tuple(mutant for part in PARTS.values() for mutant in part)

_MAY: Final = "a permission: whatever a compositor does, it keeps this"
_OPEN: Final = "open: only a crash or a hang would break it"

UNBROKEN: Final[Mapping[str, str]] = {
    "S16": "the kernel has one kind of syncobj, so there is no other one to refuse",
    "S18": _OPEN,
    "S19": "a descriptor does not tell by which node it was made",
    "S58": _MAY,
    "S72": _MAY,
    "S74": _MAY,
    "S75": "the kernel's doing",
    "S77": _MAY,
    "S84": _MAY,
    "S89": _OPEN,
    "S90": _OPEN,
    "C13": _MAY,
    "U6": "what hangs from a surface that is gone is in no scene, whoever forgets to unhook it",
    "F11": "the client's part",
}
"""Statements without a mutant, and why."""
