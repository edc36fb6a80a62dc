"""A client behind a ROUTER socket: its own `Transport`, though all share the socket."""

from collections import deque
from collections.abc import Sequence
from functools import partial
from typing import Final, Protocol

from syncline.protocol.fd import close_all
from syncline.protocol.outbox import Packet
from syncline.protocol.transport import Loop, OnClosed, OnData
from syncline.protocol.transport.batch import Exchange, arrived, outgoing

FLUSH_BYTES: Final = 1 << 18
"""The most that one flush may say to one client, as on a Wayland socket that is not read."""
INBOX_BYTES: Final = 1 << 20
"""What a client may say while it is paused."""


class Post(Protocol):
    """What it needs of the socket that it shares."""

    @property
    def exchange(self) -> Exchange: ...

    def send(self, route: bytes, data: bytes) -> bool:
        """False: the client leaves too much unread, or is gone."""
        ...

    def dismiss(self, peer: "RoutedTransport") -> None:
        """Say goodbye to it."""
        ...


class RoutedTransport:
    """One client's line. `address` is where it fetches descriptors."""

    def __init__(self, post: Post, loop: Loop, route: bytes, address: int) -> None:
        self.route = route
        self._post = post
        self._loop = loop
        self._address = address
        self._on_data: OnData | None = None
        self._on_closed: OnClosed | None = None
        self._inbox: deque[bytes] = deque()
        self._ending = ""  # why, once what is in the inbox has been read
        self._is_paused = True  # until somebody listens
        self._is_closed = False

    def start(self, on_data: OnData, on_closed: OnClosed) -> None:
        self._on_data = on_data
        self._on_closed = on_closed
        self.resume()

    def pause(self) -> None:
        self._is_paused = True

    def resume(self) -> None:
        self._is_paused = False
        self._loop.call_soon(self._read_inbox)

    def hear(self, data: bytes) -> None:
        """From the post: a batch."""
        if not self._is_paused and not self._inbox:
            self._deliver(data)
            return
        self._inbox.append(data)
        if sum(map(len, self._inbox)) > INBOX_BYTES:
            self._end_later("the peer does not wait")

    def _read_inbox(self) -> None:
        while self._inbox and not self._is_paused:
            self._deliver(self._inbox.popleft())
        if self._ending and not self._is_paused:
            self.lose(self._ending)

    def _deliver(self, data: bytes) -> None:
        if self._on_data is not None and not self._is_closed:
            self._on_data(data, arrived(data, self._post.exchange))

    def lose(self, reason: str) -> None:
        """From the post: nothing more will come."""
        if self._inbox or self._on_closed is None:
            self._ending = reason
        elif not self._is_closed:
            self._is_closed = True
            self._on_closed(reason)

    def say(self, data: bytes) -> bool:
        return self._post.send(self.route, data)

    def write(self, packets: Sequence[Packet]) -> None:
        if self._is_closed:
            close_all(fd for _, fds in packets for fd in fds)
            return
        if not packets:
            return
        batches = outgoing(packets, self._post.exchange, self._address)
        if batches is None:
            self._end_later("the peer does not fetch its descriptors")
        elif sum(map(len, batches)) > FLUSH_BYTES or not all(self.say(each) for each in batches):
            self._end_later("the peer does not read")

    def _end_later(self, reason: str) -> None:
        """Not from inside `write`."""
        self._loop.call_soon(partial(self._end, reason))

    def _end(self, reason: str) -> None:
        if not self._is_closed:
            self.close()
            if self._on_closed is not None:
                self._on_closed(reason)

    def close(self) -> None:
        """Say goodbye, behind all that was written."""
        if not self._is_closed:
            self._is_closed = True
            self._inbox.clear()
            self._post.dismiss(self)
