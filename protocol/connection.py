"""One connection, either role, with no socket in sight: bytes and descriptors in, bytes and descriptors out.

It owns the object table, versions, id reuse, destructors, `delete_id`, the fatal error, and every
descriptor that is not in a handler's hands. A handler's ProtocolError becomes `wl_display.error`; any
other exception passes through `receive`, for it is ours. `display.py` makes connections of either role.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from enum import Enum, auto
from typing import Final

from syncline.protocol.errors import ProtocolError
from syncline.protocol.object import NewId, Object
from syncline.protocol.trace import Observer
from syncline.protocol.wire import Wire

FDS_PER_PACKET: Final = 28  # libwayland's MAX_FDS_OUT; a receiver's control buffer may hold no more


class Role(Enum):
    SERVER = auto()
    CLIENT = auto()


@dataclass(frozen=True, slots=True)
class Limits:
    """What one peer may make us hold. Crossing one is its error (no_memory on wl_display)."""

    queued_fds: int = 128  # arrived before their message; libwayland's own lead is 28
    objects: int = 1 << 16  # alive at once


Packet = tuple[bytes, list[int]]
"""Bytes and the descriptors that travel with them. Whoever takes a packet closes them."""


class Connection:
    """`objects` are the living by id; `error` is the fatal one, if any; `closing` says that it is over."""

    def __init__(
        self,
        role: Role,
        wire: Wire,
        *,
        name: str = "",
        limits: Limits = Limits(),
        observer: Observer | None = None,
    ) -> None:
        raise NotImplementedError

    on_output: Callable[[], None]
    """Called when the first output is waiting since `take_output`. Nobody's until an edge sets it."""

    @property
    def closing(self) -> bool: ...

    @property
    def error(self) -> ProtocolError | None: ...

    @property
    def objects(self) -> Mapping[int, Object]: ...

    def receive(self, data: bytes, fds: Iterable[int] = ()) -> None:
        """Dispatch every complete message; keep the rest. The descriptors are ours from here on."""
        raise NotImplementedError

    def take_output(self) -> list[Packet]:
        """What is to be sent since the last call, at most 28 descriptors a packet."""
        raise NotImplementedError

    def post_error(self, error: ProtocolError) -> None:
        """Server: say `wl_display.error`; nothing is dispatched or said after it."""
        raise NotImplementedError

    def hang_up(self) -> None:
        """The peer is gone: end every object in order of ids, close every descriptor."""
        raise NotImplementedError

    def send_raw(self, object_id: int, opcode: int, body: bytes, fds: Iterable[int] = ()) -> None:
        """Send anything, however illegal: the conformance suite's way past every check. Lends the fds."""
        raise NotImplementedError

    def new_id(self, interface: str, version: int) -> NewId:
        """Take the next free id of our side."""
        raise NotImplementedError
