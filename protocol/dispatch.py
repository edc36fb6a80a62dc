"""How messages of one class at one version are delivered and sent: tables, made once per process.

The connection finds everything it needs of a message by one index: `obj.incoming[opcode]`, or one name:
`obj.outgoing["configure"]`. Messages of plain numbers have `particulars` None and take the short way.
"""

from collections.abc import Mapping, Sequence
from functools import cache
from typing import Final, TypeAlias

from syncline.protocol import schema
from syncline.protocol.errors import Misuse
from syncline.protocol.object import Handler, Object, Resource
from syncline.protocol.schema import Argument, Kind, Message
from syncline.protocol.wire import Decoder, Encoder, Wire

_SPECIAL: Final = frozenset({Kind.OBJECT, Kind.NEW_ID, Kind.FD})


class Particulars:
    """What a message needs beyond its numbers: objects looked up, made or ended, descriptors passed."""

    __slots__ = ("fd_count", "makes_objects", "message", "places")

    def __init__(self, message: Message) -> None:
        self.message = message
        special = _SPECIAL
        if str(message) == "wl_display.error":
            special = frozenset()  # the object may be one that is long gone here: its number is the news
        self.places: tuple[tuple[int, Argument], ...] = tuple(
            (at, each) for at, each in enumerate(message.arguments) if each.kind in special
        )
        self.fd_count = sum(each.kind is Kind.FD for each in message.arguments)
        self.makes_objects = any(each.kind is Kind.NEW_ID for each in message.arguments)


Incoming: TypeAlias = tuple[Decoder, Handler | None, Particulars, bool]
"""Decoder, handler, the message, and whether it is plain: decode and call, nothing else."""

Outgoing: TypeAlias = tuple[Encoder, Particulars, bool]


@cache
def incoming(kind: type[Object], version: int, wire: type[Wire]) -> Sequence[Incoming]:
    """By opcode, of every version: what is too new is known, and refused by name."""
    if version > kind.up_to:
        raise Misuse(f"{kind.__name__} implements {kind.interface} up to {kind.up_to}, not {version}")
    rows = []
    for message, handler in zip(_heard(kind), kind.handlers, strict=True):
        particulars = Particulars(message)
        is_plain = (
            handler is not None
            and not particulars.places
            and not message.ends_object
            and message.since <= version
        )
        rows.append((wire.decoder(message), handler, particulars, is_plain))
    return tuple(rows)


@cache
def outgoing(kind: type[Object], version: int, wire: type[Wire]) -> Mapping[str, Outgoing]:
    """By name, what an object of this version may say."""
    table = {}
    for message in _said(kind):
        if message.since <= version:
            particulars = Particulars(message)
            is_plain = not particulars.places and not message.ends_object
            table[message.name] = (wire.encoder(message), particulars, is_plain)
    return table


def _heard(kind: type[Object]) -> Sequence[Message]:
    interface = schema.interface(kind.interface)
    return interface.requests if issubclass(kind, Resource) else interface.events


def _said(kind: type[Object]) -> Sequence[Message]:
    interface = schema.interface(kind.interface)
    return interface.events if issubclass(kind, Resource) else interface.requests
