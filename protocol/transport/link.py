"""A connection on a transport: what comes in is dispatched, what is said is flushed once per loop turn."""

from syncline.protocol.connection import Connection
from syncline.protocol.transport import Loop, OnClosed, Transport


class Link:
    """Runs a connection until either side ends it.

    `on_closed(reason)` is called once, after every object's `on_destroyed`; not after our own `close`. The
    reason is the protocol error if there is one.
    An exception of ours in a handler goes to the loop.
    """

    def __init__(self, loop: Loop, connection: Connection, transport: Transport, on_closed: OnClosed) -> None:
        self._loop = loop
        self._connection = connection
        self._transport = transport
        self._on_closed = on_closed
        self._is_flush_due = False
        self._is_receiving = False
        self._has_answer = False
        self._is_closed = False
        connection.call_on_output(self._flush_soon)
        self._flush_soon()  # what was said before there was a way to send it
        transport.start(self._receive, self._end)

    def _receive(self, data: bytes, fds: list[int]) -> None:
        """What handlers say in answer leaves when all of them have been called."""
        self._is_receiving = True
        try:
            self._connection.receive(data, fds)
        finally:
            self._is_receiving = False
        if self._connection.closing:
            self._flush_soon()
        elif self._has_answer:
            self._has_answer = False
            self.flush()

    def _flush_soon(self) -> None:
        if self._is_receiving:
            self._has_answer = True
        elif not self._is_flush_due:
            self._is_flush_due = True
            self._loop.call_soon(self._flush_due)

    def _flush_due(self) -> None:
        self._is_flush_due = False
        self.flush()

    def flush(self) -> None:
        """Send what is waiting now, not at the end of the turn."""
        if self._is_closed:
            return
        self._transport.write(self._connection.take_output())
        if self._connection.closing:
            self._end("our own end was hung up")

    def _end(self, reason: str) -> None:
        if not self._is_closed:
            self.close()
            error = self._connection.error
            self._on_closed(reason if error is None else str(error))

    def close(self) -> None:
        """Flush and hang up: every object ends, then the socket."""
        if self._is_closed:
            return
        self._is_closed = True
        self._transport.write(self._connection.take_output())
        self._transport.close()
        self._connection.hang_up()
