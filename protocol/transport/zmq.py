"""A client's end of the message protocol: a DEALER socket, connected once and never again."""

from collections.abc import Sequence
from functools import partial
from typing import Final

import zmq

from syncline.protocol.fd import close_all
from syncline.protocol.outbox import Packet
from syncline.protocol.transport import PENDING_BYTES, PENDING_FDS, Loop, OnClosed, OnData
from syncline.protocol.transport.batch import (
    BYE,
    NOTHING,
    Exchange,
    Refused,
    arrived,
    greeting,
    outgoing,
    read_greeting,
)
from syncline.protocol.transport.curve import Keys
from syncline.protocol.transport.edge import Edge, Monitor
from syncline.protocol.transport.endpoint import Endpoint, allowed, probe

BATCH_BYTES: Final = 1 << 18
"""The longest batch that is taken; ZeroMQ hangs up on whoever sends a longer one."""
QUEUE_BATCHES: Final = 1024
"""What the peer may leave unread, beyond what the kernel holds: 16 MiB of the longest, a minute of a busy client's."""
LAST_WORDS_MS: Final = 200
"""How long the end of a process may take because of a peer that does not read."""
HEARTBEAT_MS: Final = 300
"""Beyond this machine only: here the kernel tells when a process has died."""
_DONTWAIT: Final = int(zmq.DONTWAIT)  # see edge
RECONNECT_MS: Final = 1000
"""Never reached: the socket is closed when the connection is over. With none a refused one would be no news."""
_ENDS: Final = zmq.EVENT_DISCONNECTED | zmq.EVENT_CONNECT_RETRIED | zmq.EVENT_HANDSHAKE_FAILED_AUTH


class ZmqTransport:
    """Owns its socket and its exchange. Descriptors, and what comes behind them, wait for the greeting's answer."""

    def __init__(self, loop: Loop, place: Endpoint, exchange: Exchange, *, keys: Keys | None) -> None:
        self._loop = loop
        self._exchange = exchange
        self._context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
        self._socket = self._context.socket(zmq.DEALER)
        prepare(self._socket, place)
        self._socket.reconnect_ivl = RECONNECT_MS
        if keys is not None:
            keys.address(self._socket)
        self._monitor = Monitor(self._socket, _ENDS)
        self._peer: int | None = None
        """Where the compositor fetches descriptors; None until it has greeted."""
        self._waiting: list[Packet] = []
        self._ending = ""
        self._is_paused = False
        self._is_closed = False
        self._edges: list[Edge] = []
        self._socket.connect(place.text)
        self._socket.send(greeting(exchange.address))

    def start(self, on_data: OnData, on_closed: OnClosed) -> None:
        self._on_data = on_data
        self._on_closed = on_closed
        self._edges = [
            Edge(self._loop, self._socket, self._receive, self._run_dry),
            Edge(self._loop, self._monitor.socket, self._hear),
        ]

    def pause(self) -> None:
        self._is_paused = True

    def resume(self) -> None:
        self._is_paused = False
        for edge in self._edges:
            edge.look_later()

    def _receive(self) -> bool:
        if self._is_paused:
            return False
        data = self._socket.recv()
        if self._peer is None:
            self._welcome(data)
        elif data == BYE:
            self._end("the peer hung up")
        elif data != NOTHING:
            self._on_data(data, arrived(data, self._exchange))
        return True

    def _run_dry(self) -> None:
        """Nothing is left to read."""
        if self._ending and not self._is_paused:
            self._end(self._ending)

    def _welcome(self, data: bytes) -> None:
        try:
            self._peer = read_greeting(data).address
        except Refused as why:
            self._end(f"refused: {why}")
        else:
            waiting, self._waiting = self._waiting, []
            self.write(waiting)

    def _hear(self) -> bool:
        """The connection is over; what came before it was is still to be read."""
        for event, _ in self._monitor.news():
            failed = event == zmq.EVENT_HANDSHAKE_FAILED_AUTH
            reason = "the keys are not trusted there" if failed else "the peer hung up"
            self._ending = self._ending or reason
            self._edges[0].look_later()
        return False

    def write(self, packets: Sequence[Packet]) -> None:
        if self._is_closed or self._ending:
            close_all(fd for _, fds in packets for fd in fds)
        elif self._peer is None and (self._waiting or any(fds for _, fds in packets)):
            self._waiting += packets
            self._check_waiting()
        elif packets:
            self._send(packets)

    def _send(self, packets: Sequence[Packet]) -> None:
        batches = outgoing(packets, self._exchange, self._peer or 0)
        if batches is None:
            self._end_later("the peer does not fetch its descriptors")
            return
        try:
            for batch in batches:
                self._socket.send(batch, _DONTWAIT)
        except zmq.Again:
            self._end_later("the peer does not read")
        if self._edges:
            self._edges[0].look()

    def _check_waiting(self) -> None:
        size = sum(len(data) for data, _ in self._waiting)
        count = sum(len(fds) for _, fds in self._waiting)
        if size > PENDING_BYTES or count > PENDING_FDS:
            self._end_later("the peer does not read")

    def _end_later(self, reason: str) -> None:
        """Not from inside `write`."""
        self._ending = reason
        self._loop.call_soon(partial(self._end, reason))

    def _end(self, reason: str) -> None:
        if not self._is_closed:
            self.close()
            self._on_closed(reason)

    def close(self) -> None:
        """Hang up. ZeroMQ still sends what was written, for LAST_WORDS_MS at most."""
        if self._is_closed:
            return
        self._is_closed = True
        for edge in self._edges:
            edge.close()
        if not self._ending:
            say_goodbye(self._socket)
        close_all(fd for _, fds in self._waiting for fd in fds)
        self._monitor.close()
        self._socket.close()
        self._context.term()
        self._exchange.close()


def connect(loop: Loop, endpoint: str, exchange: Exchange, *, keys: Keys | None = None) -> ZmqTransport:
    """Connect to a compositor. Raises EndpointError, and OSError if nobody listens. Owns the exchange then."""
    place = allowed(endpoint, has_keys=keys is not None)
    probe(place)
    return ZmqTransport(loop, place, exchange, keys=keys)


def prepare(socket: "zmq.Socket[bytes]", place: Endpoint) -> None:
    """What both ends set."""
    socket.linger = LAST_WORDS_MS
    socket.maxmsgsize = BATCH_BYTES
    socket.sndhwm = QUEUE_BATCHES
    socket.rcvhwm = QUEUE_BATCHES
    socket.ipv6 = place.host.startswith("[")
    if not place.is_local:
        socket.heartbeat_ivl = HEARTBEAT_MS
        socket.heartbeat_timeout = 2 * HEARTBEAT_MS


def say_goodbye(socket: "zmq.Socket[bytes]", *route: bytes) -> bool:
    """False: the peer reads so little that not even this can be said, or is gone."""
    try:
        socket.send_multipart([*route, BYE], zmq.DONTWAIT)
    except zmq.ZMQError:
        return False
    return True
