"""A pair of transports on one loop, with no kernel between them: same program, same order."""

from collections import deque
from collections.abc import Sequence
from typing import Self

from syncline.protocol.fd import close_all
from syncline.protocol.transport import PENDING_BYTES, PENDING_FDS, Loop, OnClosed, OnData


class MemoryTransport:
    """One end. What is written reaches the other in a later turn of the loop, packet by packet.

    Descriptors change hands without a copy: a packet's are the transport's own already.
    """

    def __init__(self, loop: Loop) -> None:
        self._loop = loop
        self._peer: Self | None = None
        self._on_data: OnData | None = None
        self._on_closed: OnClosed | None = None
        self._inbox: deque[tuple[bytes, list[int]]] = deque()
        self._is_due = False
        self._ending = ""  # why, once what is in the inbox has been read
        self._is_paused = False
        self._is_closed = False

    def meet(self, peer: Self) -> None:
        self._peer, peer._peer = peer, self

    def start(self, on_data: OnData, on_closed: OnClosed) -> None:
        self._on_data = on_data
        self._on_closed = on_closed
        self._wake()

    def pause(self) -> None:
        self._is_paused = True

    def resume(self) -> None:
        self._is_paused = False
        self._wake()

    def write(self, packets: Sequence[tuple[bytes, list[int]]]) -> None:
        assert self._peer is not None, "a pair is made of two"
        for packet in packets:
            if self._is_closed or not self._peer.accept(packet):
                close_all(packet[1])
        if self._peer.is_overfull():
            self._peer.end("the peer hung up")
            self.end("the peer does not read")

    def accept(self, packet: tuple[bytes, list[int]]) -> bool:
        """From the other end: take a packet, unless this end is over."""
        if self._is_closed or self._ending:
            return False
        self._inbox.append(packet)
        self._wake()
        return True

    def is_overfull(self) -> bool:
        """Whether this end has left more unread than a peer may."""
        return (
            sum(len(data) for data, _ in self._inbox) > PENDING_BYTES
            or sum(len(fds) for _, fds in self._inbox) > PENDING_FDS
        )

    def end(self, reason: str) -> None:
        """From the other end: nothing more will come."""
        self._ending = self._ending or reason
        self._wake()

    def _wake(self) -> None:
        if not self._is_due and self._on_data is not None:
            self._is_due = True
            self._loop.call_soon(self._turn)

    def _turn(self) -> None:
        self._is_due = False
        assert self._on_data is not None, "nobody wakes an end that has not started"
        assert self._on_closed is not None, "both are set at once"
        while self._inbox and not self._is_closed and not self._is_paused:
            self._on_data(*self._inbox.popleft())
        if self._ending and not self._is_closed and not self._is_paused:
            self.close()
            self._on_closed(self._ending)

    def close(self) -> None:
        """Hang up. What was written before is still read by the other end."""
        if self._is_closed:
            return
        self._is_closed = True
        for _, fds in self._inbox:
            close_all(fds)
        self._inbox.clear()
        if self._peer is not None:
            self._peer.end("the peer hung up")


def pair(loop: Loop) -> tuple[MemoryTransport, MemoryTransport]:
    """Two ends of one stream."""
    ours, theirs = MemoryTransport(loop), MemoryTransport(loop)
    ours.meet(theirs)
    return ours, theirs
