"""Messages to bytes and back: one module per wire, the same messages on each.

A wire knows values, not objects: an object argument is its id, a new_id is the id (or the triple
interface, version, id where the schema leaves the interface open), null is None.
"""

from collections import deque
from collections.abc import Callable, Iterable, Sequence
from typing import Protocol, TypeAlias

from syncline.protocol.schema import Message

Untyped: TypeAlias = tuple[str, int, int]
"""The new_id of wl_registry.bind: interface, version, id."""

Value: TypeAlias = int | float | str | bytes | Untyped | None

Decoder: TypeAlias = Callable[[bytes, deque[int]], Sequence[Value]]
"""Body and queued descriptors to values. Raises Malformed; takes from the queue what the message has."""

Encoder: TypeAlias = Callable[[int, Sequence[Value], list[int]], bytes]
"""Object id and values to one whole message; appends the message's descriptors to the list. Raises Misuse."""


class Malformed(ValueError):
    """Bytes that are not the message they claim to be."""


class Wire(Protocol):
    """One direction-free codec per connection."""

    def frames(self, data: bytes) -> Iterable[tuple[int, int, bytes]]:
        """(object id, opcode, body) of every complete message, keeping the rest. Raises Malformed."""
        ...

    def decoder(self, message: Message) -> Decoder: ...

    def encoder(self, message: Message) -> Encoder: ...

    def frame(self, object_id: int, opcode: int, body: bytes) -> bytes:
        """A message of any content."""
        ...
