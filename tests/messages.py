"""The message protocol without ZeroMQ: batches and tokens between two ends on one loop, in virtual time."""

from collections.abc import Sequence

from syncline.kms_model.exchange import Exchange
from syncline.kms_model.local import LocalNode
from syncline.protocol.fd import close_all
from syncline.protocol.outbox import Packet
from syncline.protocol.transport import Loop, OnClosed, OnData
from syncline.protocol.transport.batch import arrived, outgoing
from syncline.protocol.transport.memory import MemoryTransport, pair


class MessageTransport:
    """A memory transport on which descriptors travel as tokens of the node."""

    def __init__(self, inner: MemoryTransport, exchange: Exchange) -> None:
        self._inner = inner
        self._exchange = exchange
        self._is_open = True
        self.peer_address = 0

    def start(self, on_data: OnData, on_closed: OnClosed) -> None:
        def end(reason: str) -> None:
            self._close_exchange()
            on_closed(reason)

        self._inner.start(lambda data, _: on_data(data, arrived(data, self._exchange)), end)

    def pause(self) -> None:
        self._inner.pause()

    def resume(self) -> None:
        self._inner.resume()

    def write(self, packets: Sequence[Packet]) -> None:
        if self._is_open:
            batches = outgoing(packets, self._exchange, self.peer_address) if packets else []
            self._inner.write([(batch, []) for batch in batches or []])  # None: the other end has gone
        else:
            close_all(fd for _, fds in packets for fd in fds)

    def close(self) -> None:
        self._inner.close()
        self._close_exchange()

    def _close_exchange(self) -> None:
        if self._is_open:
            self._is_open = False
            self._exchange.close()


def message_pair(loop: Loop, node: LocalNode) -> tuple[MessageTransport, MessageTransport]:
    """Two ends, each with an open of the node for its descriptors."""
    exchanges = [Exchange(node.open("render")) for _ in range(2)]
    ours, theirs = (
        MessageTransport(end, exchange) for end, exchange in zip(pair(loop), exchanges, strict=True)
    )
    ours.peer_address, theirs.peer_address = exchanges[1].address, exchanges[0].address
    return ours, theirs
