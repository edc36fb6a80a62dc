"""Traces: every message in and out as a value, and as a line in the notation of WAYLAND_DEBUG."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from syncline.protocol.object import NewId
from syncline.protocol.schema import Argument, Kind, Message

NS_PER_S: Final = 1_000_000_000


@dataclass(frozen=True, slots=True)
class Said:
    """One message, seen on its way in or out. Time is the observer's to add: a connection has no clock.

    Objects and new ids are what handlers and senders see, in a discarded message bare numbers; descriptors
    are numbers always.
    """

    connection: str
    object_id: int
    message: Message
    arguments: tuple[object, ...]
    incoming: bool
    discarded: bool = False  # it came for an object that this side had ended


@dataclass(frozen=True, slots=True, repr=False)
class Mention:
    """What a recording keeps of an object, or with a version of a new id."""

    interface: str
    id: int
    version: int = 0

    def __repr__(self) -> str:
        return f"{'new id ' if self.version else ''}{self.interface}#{self.id}"


Observer = Callable[[Said], None]


def line(said: Said, t_ns: int) -> str:
    """`[   12.345678] wl_surface#7.damage(0, 0, 10, 10)`, after `->` when it goes out.

    WAYLAND_DEBUG's words; the time is CLOCK_MONOTONIC in seconds, the queue's place has the connection's name.
    """
    seconds, ns = divmod(t_ns, NS_PER_S)
    origin = f" {{{said.connection}}}" if said.connection else ""
    discarded = " discarded" if said.discarded else ""
    direction = "" if said.incoming else "  ->"
    who = f"{said.message.interface}#{said.object_id}"
    return f"[{seconds:5}.{ns // 1000:06}]{origin}{discarded}{direction} {who}.{said.message.name}({words(said)})"


def words(said: Said) -> str:
    """The arguments alone."""
    pairs = zip(said.message.arguments, said.arguments, strict=True)
    return ", ".join(_word(argument, value) for argument, value in pairs)


def _word(argument: Argument, value: object) -> str:
    match value:
        case None:
            return "nil"
        case str():
            return f'"{value}"'
        case bytes():
            return f"array[{len(value)}]"
        case int() | float() if argument.kind is Kind.FIXED:
            return f"{value:.8f}"
        case int() if argument.kind is Kind.FD:
            return f"fd {value}"
        case int() if argument.kind in {Kind.OBJECT, Kind.NEW_ID}:
            return f"{argument.interface or '[unknown]'}#{value}"  # all that is left of an ended one
        case _:
            return _new_id(argument, value) if argument.kind is Kind.NEW_ID else str(value)


def _new_id(argument: Argument, value: object) -> str:
    """An open new_id shows the three arguments that it is on the wire."""
    assert isinstance(value, NewId | Mention)
    if argument.interface is None:
        return f'"{value.interface}", {value.version}, new id [unknown]#{value.id}'
    return repr(value)
