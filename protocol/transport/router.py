"""The compositor's end of the message protocol: one ROUTER socket, a transport for every client behind it."""

import os
import socket as sockets
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Final

import zmq

from syncline.protocol.transport import Loop
from syncline.protocol.transport.batch import (
    BYE,
    NOTHING,
    Exchange,
    Refused,
    greeting,
    read_greeting,
    refusal,
)
from syncline.protocol.transport.curve import Doorkeeper, Keys
from syncline.protocol.transport.edge import Edge, Monitor
from syncline.protocol.transport.endpoint import Endpoint, EndpointError, allowed, private_socket
from syncline.protocol.transport.routed import RoutedTransport
from syncline.protocol.transport.zmq import prepare, say_goodbye

BACKLOG: Final = 128
STRAGGLERS_MAX: Final = 64
"""Messages that may still come from a client to which goodbye was said; then its connection is cut."""
PATIENCE: Final = 4096
"""Messages of everybody that are read before a client whose connection has ended is given up."""
_DONTWAIT: Final = int(zmq.DONTWAIT)
_ROUTE: Final = int(zmq.DONTWAIT | zmq.SNDMORE)
_RCVMORE: Final = int(zmq.RCVMORE)


@dataclass(eq=False, slots=True)
class _Line:
    """One connection to the socket, from accept to its end. `fd` is ZeroMQ's."""

    fd: int
    route: bytes = b""
    peer: RoutedTransport | None = None
    stragglers: int = 0


class Router:
    """Accepts clients until closed; then an ipc socket is gone from the file system. Owns the exchange."""

    def __init__(
        self,
        loop: Loop,
        endpoint: str,
        exchange: Exchange,
        on_client: Callable[[RoutedTransport], None],
        *,
        keys: Keys | None = None,
    ) -> None:
        """Raises EndpointError."""
        place = allowed(endpoint, has_keys=keys is not None)
        self.exchange = exchange
        self._loop = loop
        self._on_client = on_client
        self._path = place.path
        self._lines_by_fd: dict[int, _Line] = {}
        self._lines: dict[bytes, _Line] = {}
        self._departed: dict[_Line, int] = {}
        """Connections that have ended, and how many messages have been read since."""
        self._context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
        with ExitStack() as undo:
            undo.callback(self._context.destroy, linger=0)
            keeper = None if keys is None else Doorkeeper(self._context, keys)
            self._socket = self._context.socket(zmq.ROUTER)
            prepare(self._socket, place)
            self._socket.router_mandatory = True
            self._socket.backlog = BACKLOG
            if keys is not None:
                keys.guard(self._socket)
            self._monitor = Monitor(self._socket, zmq.EVENT_ACCEPTED | zmq.EVENT_DISCONNECTED)
            _bind(self._socket, place)
            undo.pop_all()
        self._keeper = keeper
        self._edge = Edge(loop, self._socket, self._receive, self._bury)
        self._edges = [self._edge, Edge(loop, self._monitor.socket, self._hear)]
        if keeper is not None:
            self._edges.append(Edge(loop, keeper.socket, keeper.answer))

    @property
    def endpoint(self) -> str:
        """Where clients connect to, the port chosen if none was named."""
        return self._socket.get_string(zmq.LAST_ENDPOINT).rstrip("\0")

    # Connections.

    def _hear(self) -> bool:
        for event, fd in self._monitor.news():
            if event == zmq.EVENT_ACCEPTED:
                self._lines_by_fd[fd] = _Line(fd)
                continue
            line = self._lines_by_fd.pop(fd, None)
            if line is not None and line.route:
                self._departed[line] = 0
                self._edge.look_later()
        return False

    def _bury(self) -> None:
        """Nothing that was said before those connections ended is left to be read."""
        if not self._departed:
            return
        departed, self._departed = self._departed, {}
        for line in departed:
            del self._lines[line.route]
            if line.peer is not None:
                line.peer.lose("the peer hung up")

    def _cut(self, line: _Line) -> None:
        """End the connection itself, which ZeroMQ has no call for. Its number may just have changed hands."""
        self._hear()
        if self._lines_by_fd.get(line.fd) is not line:
            return
        try:
            with sockets.socket(fileno=os.dup(line.fd)) as connection:
                connection.shutdown(sockets.SHUT_RDWR)
        except OSError:
            return  # it was faster

    # Messages.

    def _receive(self) -> bool:
        route = self._socket.recv()
        line = self._lines.get(route)
        if line is None:
            self._greet(route, self._socket.recv(copy=False))
            self._skip_parts()
            return True
        data = self._socket.recv()
        surplus = self._skip_parts()
        if line.peer is None:
            self._hear_straggler(line)
        elif surplus:
            line.peer.lose("a message of several parts")
            self.dismiss(line.peer)
        else:
            self._hand_over(line.peer, data)
        self._age_departed()
        return True

    def _skip_parts(self) -> bool:
        """Whatever else the message has. Returns whether it had any."""
        found = False
        while self._socket.get(_RCVMORE):
            self._socket.recv()
            found = True
        return found

    def _hand_over(self, peer: RoutedTransport, data: bytes) -> None:
        if data == BYE:
            peer.lose("the peer hung up")
            self.dismiss(peer)
        elif data != NOTHING:
            peer.hear(data)

    def _age_departed(self) -> None:
        if self._departed:
            self._departed = {line: age + 1 for line, age in self._departed.items()}
            if max(self._departed.values()) > PATIENCE:
                self._bury()

    def _hear_straggler(self, line: _Line) -> None:
        line.stragglers += 1
        if line.stragglers > STRAGGLERS_MAX:
            self._cut(line)

    def _greet(self, route: bytes, frame: zmq.Frame) -> None:
        self._hear()
        line = self._lines_by_fd.get(int(frame.get(zmq.SRCFD)))
        if line is None:
            return  # it said this and died
        if line.route:  # whose greeting this number got before had died just then
            self._departed[line] = 0
            line = self._lines_by_fd[line.fd] = _Line(line.fd)
        line.route = route
        self._lines[route] = line
        try:
            address = read_greeting(frame.bytes).address
        except Refused as why:
            self.send(route, refusal(str(why)))
            return
        peer = line.peer = RoutedTransport(self, self._loop, route, address)
        if peer.say(greeting(self.exchange.address)):
            self._on_client(peer)

    def send(self, route: bytes, data: bytes) -> bool:
        """False: the client has QUEUE_BATCHES unread, or is gone."""
        try:
            self._socket.send(route, _ROUTE)
            self._socket.send(data, _DONTWAIT)
        except zmq.ZMQError as error:
            if error.errno not in {zmq.EAGAIN, zmq.EHOSTUNREACH}:
                raise
            return False
        finally:
            self._edge.look()
        return True

    # What transports ask for.

    def dismiss(self, peer: RoutedTransport) -> None:
        """Say goodbye; who does not even take that is cut off."""
        line = self._lines.get(peer.route)
        if line is None or line.peer is not peer:
            return
        line.peer = None
        if not say_goodbye(self._socket, peer.route):
            self._cut(line)
        self._edge.look()

    def close(self) -> None:
        """Say goodbye to everybody. ZeroMQ sends it, for LAST_WORDS_MS at most."""
        for line in list(self._lines.values()):
            if line.peer is not None:
                line.peer.close()
        for edge in self._edges:
            edge.close()
        self._monitor.close()
        if self._keeper is not None:
            self._keeper.socket.close()
        self._socket.close()
        self._context.term()
        if self._path is not None:
            self._path.unlink(missing_ok=True)
        self.exchange.close()


def listen(
    loop: Loop,
    endpoint: str,
    exchange: Exchange,
    on_client: Callable[[RoutedTransport], None],
    *,
    keys: Keys | None = None,
) -> Router:
    """Serve clients at this endpoint. Raises EndpointError."""
    return Router(loop, endpoint, exchange, on_client, keys=keys)


def _bind(socket: "zmq.Socket[bytes]", place: Endpoint) -> None:
    try:
        if place.path is None:
            socket.bind(place.text)
        else:
            with private_socket(place.path):
                socket.bind(place.text)
    except (zmq.ZMQError, OSError) as error:
        raise EndpointError(f"cannot serve at {place.text}: {error.strerror}") from error
