"""What a node has to say to one peer: sent at once, or kept while the peer does not read."""

import socket
from collections import deque
from collections.abc import Callable, Sequence
from typing import Final

from syncline.kms_model.loops import Loop
from syncline.kms_model.packet import PACKET_MAX, close_all, rights

_FLAGS: Final = int(socket.MSG_DONTWAIT | socket.MSG_NOSIGNAL)


class Outbox:
    """Owns queued descriptors until they are out. Whoever fills it must stop while there is a `backlog`."""

    def __init__(self, loop: Loop, sock: socket.socket, *, drained: Callable[[], None]) -> None:
        self._loop = loop
        self._sock = sock
        self._drained = drained
        self.backlog: deque[tuple[bytes, Sequence[int]]] = deque()
        """What the peer has not read, and has no room for."""
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, PACKET_MAX)

    def send(self, data: bytes, fds: Sequence[int] = ()) -> None:
        """Send or queue. `fds` are closed when they are out."""
        if self.backlog or not self._transmit(data, fds):
            if not self.backlog:
                self._loop.add_writer(self._sock.fileno(), self._flush)
            self.backlog.append((data, fds))

    def close(self) -> None:
        """Drop what is queued. The socket is the owner's to close."""
        self._loop.remove_writer(self._sock.fileno())
        for _, fds in self.backlog:
            close_all(fds)
        self.backlog.clear()

    def _transmit(self, data: bytes, fds: Sequence[int]) -> bool:
        """False: the peer's buffer is full. Any other trouble ends the connection, which the reader will see."""
        try:
            if fds:
                self._sock.sendmsg((data,), rights(fds), _FLAGS)
            else:
                self._sock.send(data, _FLAGS)
        except BlockingIOError:
            return False
        except OSError:
            self._hang_up()
        if fds:
            close_all(fds)
        return True

    def _hang_up(self) -> None:
        try:
            self._sock.shutdown(socket.SHUT_RDWR)
        except OSError:
            return  # the other side was faster

    def _flush(self) -> None:
        while self.backlog:
            if not self._transmit(*self.backlog[0]):
                return
            self.backlog.popleft()
        self._loop.remove_writer(self._sock.fileno())
        self._drained()
