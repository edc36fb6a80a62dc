"""One descriptor that polls readable for two reasons: a socket has something, or its owner says so."""

import os
import select
import socket


class Beacon:
    """The socket stays its owner's."""

    def __init__(self, sock: socket.socket) -> None:
        self._lamp = os.eventfd(0, os.EFD_CLOEXEC | os.EFD_NONBLOCK)
        self._lit = False
        self._either = select.epoll()
        for fd in (sock.fileno(), self._lamp):
            self._either.register(fd, select.EPOLLIN)

    def fileno(self) -> int:
        return self._either.fileno()

    def light(self) -> None:
        """Readable from now on, whatever the socket has."""
        if not self._lit:
            self._lit = True
            os.eventfd_write(self._lamp, 1)

    def lower(self) -> None:
        """Readable only for the socket again."""
        if self._lit:
            self._lit = False
            os.eventfd_read(self._lamp)

    def close(self) -> None:
        self._either.close()
        os.close(self._lamp)
