"""Edges: how bytes and descriptors travel.

listener = listen(loop, folder / "wayland-7", on_client)    # unix.py: on_client(transport)
transport = connect(loop, folder / "wayland-7")             # a client's end
ours, theirs = pair(loop)                                   # memory.py: both ends, no socket
link = Link(loop, connection, transport, on_closed)         # link.py: and the connection runs
"""

from collections.abc import Callable, Sequence
from typing import Final, Protocol

PENDING_BYTES: Final = 1 << 18  # what one peer may leave unread with us, beyond what the kernel holds
PENDING_FDS: Final = 128  # the same for descriptors, of which a process has few

OnData = Callable[[bytes, list[int]], None]
"""Bytes and the descriptors that came with them, now the receiver's."""

OnClosed = Callable[[str], None]
"""Why it ended, in a few words."""


class Loop(Protocol):
    """What a transport needs of an event loop: asyncio's, real or virtual."""

    def add_reader(self, fd: int, callback: Callable[[], None], /) -> None: ...

    def remove_reader(self, fd: int, /) -> bool: ...

    def add_writer(self, fd: int, callback: Callable[[], None], /) -> None: ...

    def remove_writer(self, fd: int, /) -> bool: ...

    def call_soon(self, callback: Callable[[], None], /) -> object: ...


class Transport(Protocol):
    """A stream of bytes with descriptors riding on it."""

    def start(self, on_data: OnData, on_closed: OnClosed) -> None:
        """Begin reading. `on_closed` is called at most once, never from inside `write`, and not after `close`."""
        ...

    def pause(self) -> None:
        """Leave what the peer sends where it is: it will have to wait."""
        ...

    def resume(self) -> None:
        """Read on."""
        ...

    def write(self, packets: Sequence[tuple[bytes, list[int]]]) -> None:
        """Send, or keep for later what the peer does not take. The descriptors are ours from here on.

        A peer that leaves more than PENDING_BYTES or PENDING_FDS with us is hung up on.
        """
        ...

    def close(self) -> None:
        """Send what can be sent at once, then hang up."""
        ...
