"""A ZeroMQ socket on our loop, and the news of its connections."""

import struct
from collections.abc import Callable, Iterator
from typing import Final

import zmq

from syncline.protocol.transport import Loop

MESSAGES_PER_TURN: Final = 64
"""Taken before the loop looks at anything else."""
_EVENT: Final = struct.Struct("=HI")
_EVENTS: Final = int(zmq.EVENTS)  # plain numbers: those of an enum cost a microsecond each time
_POLLIN: Final = int(zmq.POLLIN)


class Edge:
    """Calls `receive` for each message until it says False, and `idle` when there is none left.

    ZeroMQ's descriptor tells of changes only, and sending may swallow one: hence `look`, after every send.
    """

    def __init__(
        self,
        loop: Loop,
        socket: "zmq.Socket[bytes]",
        receive: Callable[[], bool],
        idle: Callable[[], None] = lambda: None,
    ) -> None:
        self._loop = loop
        self._socket = socket
        self._fd = int(socket.get(zmq.FD))
        self._receive = receive
        self._idle = idle
        self._is_due = False
        self._is_draining = False
        self._is_closed = False
        loop.add_reader(self._fd, self._drain)
        self.look_later()

    def look(self) -> None:
        """Has something come? Then it is taken in another turn. While messages are taken the next is looked for anyhow."""
        if self._is_draining or self._is_due or self._is_closed:
            return
        if self._has_message():
            self.look_later()

    def look_later(self) -> None:
        """In another turn, whether or not something has come."""
        if not self._is_due and not self._is_closed:
            self._is_due = True
            self._loop.call_soon(self._look)

    def _look(self) -> None:
        self._is_due = False
        self._drain()

    def _has_message(self) -> bool:
        return bool(int(self._socket.get(_EVENTS)) & _POLLIN)

    def _drain(self) -> None:
        left = MESSAGES_PER_TURN
        self._is_draining = True
        try:
            while left and not self._is_closed and self._has_message():
                if not self._receive():
                    return
                left -= 1
        finally:
            self._is_draining = False
        if self._is_closed:
            return
        if left:
            self._idle()
        else:
            self.look_later()

    def close(self) -> None:
        """Before the socket is."""
        self._is_closed = True
        self._loop.remove_reader(self._fd)


class Monitor:
    """Connections of a socket as they come and go: (zmq.Event, descriptor)."""

    def __init__(self, socket: "zmq.Socket[bytes]", events: int) -> None:
        self._watched = socket
        self.socket = socket.get_monitor_socket(events)

    def news(self) -> Iterator[tuple[int, int]]:
        """What has not been told yet."""
        while True:
            try:
                event, _endpoint = self.socket.recv_multipart(zmq.DONTWAIT)
            except zmq.Again:
                return
            kind, fd = _EVENT.unpack(event)
            yield kind, fd

    def close(self) -> None:
        self._watched.disable_monitor()
        self.socket.close(linger=0)
