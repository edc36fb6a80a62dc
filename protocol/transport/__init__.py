"""Edges: how bytes and descriptors travel.

listener = listen(loop, runtime_dir / "wayland-7", on_client)   # on_client(transport: UnixTransport)
transport = connect(loop, path)                                 # a client's end
ours, theirs = pair(loop)                                       # both, in memory
link = Link(loop, connection, transport, on_closed)             # and the connection runs
"""

from collections.abc import Callable, Sequence
from typing import Protocol


class Loop(Protocol):
    """What a transport needs of an event loop: asyncio's, real or virtual."""

    def add_reader(self, fd: int, callback: Callable[[], None], /) -> None: ...

    def remove_reader(self, fd: int, /) -> bool: ...

    def add_writer(self, fd: int, callback: Callable[[], None], /) -> None: ...

    def remove_writer(self, fd: int, /) -> bool: ...

    def call_soon(self, callback: Callable[[], None], /) -> object: ...


class Transport(Protocol):
    """A stream of bytes with descriptors riding on it."""

    def start(self, on_data: Callable[[bytes, list[int]], None], on_closed: Callable[[str], None]) -> None:
        """Begin reading. `on_closed(reason)` is called once, never from inside `write` or `close`."""
        ...

    def write(self, packets: Sequence[tuple[bytes, list[int]]]) -> None:
        """Send, or keep what the peer does not take. Closes the descriptors once they are sent."""
        ...

    def close(self) -> None:
        """Send what can be sent at once, then hang up."""
        ...
