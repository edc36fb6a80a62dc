"""The outbox: messages waiting to leave, in packets that a libwayland peer can receive."""

from collections.abc import Callable
from typing import Final

from syncline.protocol.fd import close_all

FDS_PER_PACKET: Final = 28  # libwayland's MAX_FDS_OUT: its receiving end has room for no more

Packet = tuple[bytes, list[int]]
"""Bytes and the descriptors that travel with them. Whoever takes a packet closes them."""


class Outbox:
    """Joins messages into as few packets as their descriptors allow."""

    def __init__(self) -> None:
        self.on_output: Callable[[], None] = _nobody
        self._packets: list[tuple[list[bytes], list[int]]] = []

    def put(self, message: bytes, fds: list[int]) -> None:
        """Append one message; its descriptors are ours from here on."""
        packets = self._packets
        if not packets:
            packets.append(([message], fds))
            self.on_output()
        elif len(packets[-1][1]) + len(fds) > FDS_PER_PACKET:
            packets.append(([message], fds))
        else:
            packets[-1][0].append(message)
            packets[-1][1].extend(fds)

    def take(self) -> list[Packet]:
        """Everything, in order; descriptors never after the bytes that they belong to."""
        packets, self._packets = self._packets, []
        return [(b"".join(messages), fds) for messages, fds in packets]

    def discard(self) -> None:
        for _, fds in self.take():
            close_all(fds)


def _nobody() -> None:
    """Until an edge listens, output just waits."""
