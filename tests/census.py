"""Everything that can be reached from an object, as it is now: two censuses differ where something changed."""

import itertools
import mmap
from collections.abc import Iterator, Mapping
from types import BuiltinFunctionType, CoroutineType, FunctionType, MethodType, ModuleType
from typing import Any

_VALUES = (int, float, str, bytes, bool, type(None), complex, range)
_OPAQUE = (type, ModuleType, FunctionType, BuiltinFunctionType, CoroutineType)


class Census:
    """Values by (object, place), where an object stands for itself. `unimportant` places are left out.

    It holds what it found: an identity is never used again while the census lasts.
    """

    def __init__(self, *roots: object, unimportant: frozenset[tuple[str, str]]) -> None:
        self._unimportant = unimportant
        self._found: dict[int, object] = {}
        self.values: dict[tuple[int, str], object] = {}
        todo = list(roots)
        while todo:
            thing = todo.pop()
            if isinstance(thing, _VALUES + _OPAQUE) or id(thing) in self._found:
                continue
            self._found[id(thing)] = thing
            for place, part in self._parts(thing):
                self.values[id(thing), place] = part if isinstance(part, _VALUES) else id(part)
                todo.append(part)

    def changes(self, later: "Census") -> list[str]:
        """What is otherwise in `later`, in words."""
        places = self.values.keys() | later.values.keys()
        return sorted(
            f"{type((self._found | later._found)[thing]).__name__}.{place}: "
            f"{self._name(thing, place)} -> {later._name(thing, place)}"
            for thing, place in places
            if self.values.get((thing, place), ...) != later.values.get((thing, place), ...)
        )

    def _name(self, thing: int, place: str) -> object:
        value = self.values.get((thing, place), "nothing")
        return self._found.get(value, value) if isinstance(value, int) else value

    def _parts(self, thing: object) -> Iterator[tuple[str, object]]:
        if isinstance(thing, MethodType):
            yield "of", thing.__self__
        elif isinstance(thing, mmap.mmap):
            yield "bytes", hash(thing[:])
        elif isinstance(thing, itertools.count):
            yield "next", repr(thing)
        elif isinstance(thing, Mapping):
            for key, value in thing.items():
                place = repr(key) if isinstance(key, _VALUES) else str(id(key))
                yield f"[{place}]", value
                yield f"key {place}", key
        elif isinstance(thing, set | frozenset):
            for each in thing:
                yield f"has {each if isinstance(each, _VALUES) else id(each)}", each
        elif hasattr(thing, "__iter__") and not hasattr(thing, "__dict__") and hasattr(thing, "__len__"):
            for at, each in enumerate(thing):
                yield f"[{at}]", each
        else:
            yield from self._attributes(thing)

    def _attributes(self, thing: Any) -> Iterator[tuple[str, object]]:
        names = {*getattr(thing, "__dict__", {}), *getattr(thing, "__struct_fields__", ())}
        for kind in type(thing).__mro__:
            slots = kind.__dict__.get("__slots__", ())
            names |= {slots} if isinstance(slots, str) else set(slots)
        for name in names:
            if (type(thing).__name__, name) not in self._unimportant and hasattr(thing, name):
                yield name, getattr(thing, name)
