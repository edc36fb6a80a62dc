"""Schema: what every interface says, read from the tables that come with pywayland.

Nothing here is typed by hand. A protocol module is imported when the first of its interfaces is asked
for; finding out which module that is costs one scan over the module sources per process.

Two things differ from the XML. A pair of uints named `x_hi` and `x_lo` is one u64 argument `x`, in
either order. And of the interfaces that two modules describe, the higher version is the one that counts.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import Enum, IntEnum, IntFlag
from functools import cache
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Final

PACKAGE: Final = "pywayland.protocol"


class Kind(Enum):
    """What an argument is on the wire."""

    INT = "i"
    UINT = "u"
    FIXED = "f"
    STRING = "s"
    OBJECT = "o"
    NEW_ID = "n"
    ARRAY = "a"
    FD = "h"
    U64_HI_LO = "hi"  # two uints, the high half first
    U64_LO_HI = "lo"  # two uints, the low half first (xwayland_surface_v1.set_serial)


U64: Final = frozenset({Kind.U64_HI_LO, Kind.U64_LO_HI})


@dataclass(frozen=True, slots=True)
class Argument:
    """`interface` is None for a new_id or object of any kind; such a new_id carries its own on the wire."""

    name: str
    kind: Kind
    nullable: bool = False
    interface: str | None = None


@dataclass(frozen=True, slots=True)
class Message:
    """A request or an event. `ends_object` is known for requests only: the tables do not say it of events."""

    interface: str
    name: str
    opcode: int
    since: int
    arguments: tuple[Argument, ...]
    ends_object: bool

    def __str__(self) -> str:
        return f"{self.interface}.{self.name}"

    def new_id(self) -> Argument | None:
        """The argument that makes an object, if any. No message has two."""
        return next((each for each in self.arguments if each.kind is Kind.NEW_ID), None)


@dataclass(frozen=True, slots=True)
class Interface:
    """`enums` are the tables' own classes, by their XML names: `enums["error"].role`."""

    name: str
    version: int
    requests: tuple[Message, ...]
    events: tuple[Message, ...]
    enums: Mapping[str, type[IntEnum | IntFlag]]

    def request(self, name: str) -> Message:
        return _named(name, self.requests)

    def event(self, name: str) -> Message:
        return _named(name, self.events)


@cache
def interface(name: str) -> Interface:
    """The interface of that name. Raises KeyError when no module has it."""
    return _load(_modules()[name], name)


def interfaces() -> list[str]:
    """Every name `interface` knows, sorted."""
    return sorted(_modules())


def _named(name: str, messages: Iterable[Message]) -> Message:
    for message in messages:
        if message.name == name:
            return message
    raise KeyError(name)


_DECLARATION: Final = re.compile(r'^    name = "(\w+)"\n    version = (\d+)$', re.MULTILINE)


@cache
def _modules() -> dict[str, str]:
    """Interface name to module, from the sources: importing all of them would cost 40 ms."""
    spec = find_spec(PACKAGE)
    assert spec is not None, "pywayland is a dependency"
    assert spec.submodule_search_locations is not None, "it is a package"
    best: dict[str, tuple[int, str]] = {}
    for folder in spec.submodule_search_locations:
        for source in sorted(Path(folder).glob("*.py")):
            for name, version in _DECLARATION.findall(source.read_text(encoding="utf-8")):
                best[name] = max(best.get(name, (0, "")), (int(version), source.stem))
    return {name: module for name, (_, module) in best.items()}


@cache
def _load(module_name: str, name: str) -> Interface:
    module = import_module(f"{PACKAGE}.{module_name}")
    for candidate in vars(module).values():
        if getattr(candidate, "name", None) == name and candidate.__module__ == module.__name__:
            return Interface(
                name=name,
                version=candidate.version,
                requests=_messages(name, candidate.requests),
                events=_messages(name, candidate.events),
                enums={
                    key: value
                    for key, value in vars(candidate).items()
                    if isinstance(value, type) and issubclass(value, IntEnum | IntFlag)
                },
            )
    raise KeyError(name)


_KINDS: Final = {
    "Int": Kind.INT,
    "Uint": Kind.UINT,
    "Fixed": Kind.FIXED,
    "String": Kind.STRING,
    "Object": Kind.OBJECT,
    "NewId": Kind.NEW_ID,
    "Array": Kind.ARRAY,
    "FileDescriptor": Kind.FD,
}


def _messages(interface_name: str, table: Iterable[Any]) -> tuple[Message, ...]:
    return tuple(
        Message(
            interface=interface_name,
            name=row.name,
            opcode=opcode,
            since=row.version or 1,
            arguments=_joined(_arguments(row)),
            # The scanner makes a destructor's method also destroy the proxy it is called on.
            ends_object="_destroy" in row.py_func.__code__.co_names,
        )
        for opcode, row in enumerate(table)
    )


def _arguments(row: Any) -> list[Argument]:
    """A method takes every argument by name except the new_id of a request, which it returns."""
    code = row.py_func.__code__
    names = list(code.co_varnames[1 : code.co_argcount])
    typed = [each for each in row.arguments if each.argument_type.name == "NewId" and each.interface is None]
    if typed:  # wl_registry.bind: the method is told interface and version, the wire's new_id has both inside
        names = [name for name in names if name not in {"interface", "version"}]
    arguments: list[Argument] = []
    for each in row.arguments:
        is_returned = each.argument_type.name == "NewId" and len(names) + len(arguments) < len(row.arguments)
        arguments.append(
            Argument(
                name="id" if is_returned else names.pop(0),
                kind=_KINDS[each.argument_type.name],
                nullable=each.nullable,
                interface=each.interface.name if each.interface else None,
            )
        )
    assert not names, f"{row.name}: {names} not on the wire"
    return arguments


def _joined(arguments: list[Argument]) -> tuple[Argument, ...]:
    """Join neighbouring halves of a 64-bit value."""
    joined: list[Argument] = []
    for each in arguments:
        stem, _, half = each.name.rpartition("_")
        if joined and joined[-1].name == f"{stem}_{_OTHER_HALF.get(half)}" and each.kind is Kind.UINT:
            joined[-1] = Argument(stem, Kind.U64_LO_HI if half == "hi" else Kind.U64_HI_LO)
        else:
            joined.append(each)
    return tuple(joined)


_OTHER_HALF: Final = {"hi": "lo", "lo": "hi"}
