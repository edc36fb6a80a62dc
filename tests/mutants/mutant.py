"""A mutant: one function of Syncline replaced by one that breaks a rule.

Mutants exist in here and nowhere else: nothing in Syncline can be switched to one. A mutant names the seam that it
takes, the statements that it breaks and the cases that have to notice. A seam that is gone is an error, and so is a
mutant whose code a case never reached: then the verdict says nothing.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import wraps
from inspect import getattr_static
from types import ModuleType
from typing import Any

import pytest

from syncline.protocol import dispatch
from syncline.protocol.object import Object

Owner = type[Any] | ModuleType
Broken = Callable[..., Any]
"""Called with the original function, then with what that would have been called with."""

LOW = 0xFFFF_FFFF
"""What is left of a point by who forgets that it has 64 bits."""


@dataclass(frozen=True, slots=True)
class Seam:
    """A function, method or property, and what takes its place."""

    owner: Owner
    name: str
    broken: Broken

    def __str__(self) -> str:
        return f"{self.owner.__name__}.{self.name}"

    def open(self, patch: pytest.MonkeyPatch, ran: set["Seam"]) -> None:
        """Take the original's place and put ourselves into `ran` when called. Raises AttributeError: it is gone."""
        found = getattr_static(self.owner, self.name)
        original: Any = found.fget if isinstance(found, property) else found

        @wraps(original)
        def mutated(*arguments: Any, **named: Any) -> Any:
            ran.add(self)
            return self.broken(original, *arguments, **named)

        patch.setattr(self.owner, self.name, property(mutated) if isinstance(found, property) else mutated)
        if isinstance(self.owner, type) and issubclass(self.owner, Object):  # requests are looked up once
            rows = [mutated if each is original else each for each in self.owner.handlers]
            patch.setattr(self.owner, "handlers", tuple(rows))


@dataclass(frozen=True, slots=True)
class Mutant:
    """`sentence` says what it does instead of what it should."""

    name: str
    sentence: str
    breaks: tuple[str, ...]
    killed_by: tuple[str, ...]
    seams: tuple[Seam, ...]

    @contextmanager
    def alive(self) -> Iterator[set[Seam]]:
        """Compositors made in here have it. Yields those of its seams that have been used."""
        ran: set[Seam] = set()
        with pytest.MonkeyPatch.context() as patch:
            dispatch.incoming.cache_clear()
            for seam in self.seams:
                seam.open(patch, ran)
            try:
                yield ran
            finally:
                dispatch.incoming.cache_clear()


def breaks(
    statements: str,
    *,
    at: tuple[Owner, str],
    killed_by: str,
    also: tuple[tuple[Owner, str, Broken], ...] = (),
) -> Callable[[Broken], Mutant]:
    """Make a mutant of a function: its name and docstring are the mutant's.

    `also` are further seams with functions of their own, where one alone would not do.
    """

    def make(broken: Broken) -> Mutant:
        return Mutant(
            name=broken.__name__.replace("_", " "),
            sentence=(broken.__doc__ or "").strip(),
            breaks=tuple(statements.split()),
            killed_by=tuple(killed_by.split()),
            seams=(Seam(*at, broken), *(Seam(*each) for each in also)),
        )

    return make
