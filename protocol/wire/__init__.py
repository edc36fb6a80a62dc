"""Messages to bytes and back: one module per wire, the same messages on each.

A wire knows values, not objects: an object argument is its id, null is 0, a new_id is the id, or the
triple (interface, version, id) where the schema leaves the interface open. Descriptors are not in the
body at all: they come and go beside the bytes, in the order of the messages that they belong to.
"""

from collections.abc import Callable, Iterable, Sequence
from typing import Any, ClassVar, Protocol, TypeAlias

from syncline.protocol.schema import Message

Untyped: TypeAlias = tuple[str, int, int]
"""The new_id of wl_registry.bind: interface, version, id."""

Value: TypeAlias = int | float | str | bytes | Untyped | None

Body: TypeAlias = Any
"""What a wire's `frames` find for its decoders: bytes, or already an array."""

Decoder: TypeAlias = Callable[[Body], Sequence[Value]]
"""A body to the message's values, descriptors left out. Raises one of the wire's `refusals`."""

Encoder: TypeAlias = Callable[[int, Sequence[object]], bytes]
"""Object id and values, descriptors left out, to one whole message. Raises Misuse."""


class Malformed(ValueError):
    """Bytes that are not the message they claim to be."""


class Wire(Protocol):
    """How one connection's messages look. Keeps what has come of the next message."""

    refusals: ClassVar[tuple[type[Exception], ...]]
    """What its decoders raise on a malformed body: Malformed, or their library's own word for "too short"."""

    def frames(self, data: bytes) -> Iterable[tuple[int, int, Body]]:
        """(object id, opcode, body) of every message now complete. Raises Malformed."""
        ...

    @staticmethod
    def decoder(message: Message) -> Decoder: ...

    @staticmethod
    def encoder(message: Message) -> Encoder: ...

    def frame(self, object_id: int, opcode: int, body: Body) -> bytes:
        """A message with any content, for those who mean to break the rules."""
        ...
