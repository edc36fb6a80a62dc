"""The message protocol without ZeroMQ: batches and tokens between two ends on one loop, in virtual time."""

from collections.abc import Sequence

from syncline.kms_model.exchange import Exchange
from syncline.kms_model.local import LocalNode
from syncline.protocol.outbox import Packet
from syncline.protocol.transport import Loop, OnClosed, OnData
from syncline.protocol.transport.batch import arrived, outgoing
from syncline.protocol.transport.memory import MemoryTransport, pair


class MessageTransport:
    """A memory transport on which descriptors travel as tokens of the node."""

    def __init__(self, inner: MemoryTransport, exchange: Exchange) -> None:
        self._inner = inner
        self._exchange = exchange
        self.peer_address = 0

    def start(self, on_data: OnData, on_closed: OnClosed) -> None:
        self._inner.start(lambda data, _: on_data(data, arrived(data, self._exchange)), on_closed)

    def pause(self) -> None:
        self._inner.pause()

    def resume(self) -> None:
        self._inner.resume()

    def write(self, packets: Sequence[Packet]) -> None:
        batches = outgoing(packets, self._exchange, self.peer_address) if packets else []
        assert batches is not None, "the other end is there"
        self._inner.write([(batch, []) for batch in batches])

    def close(self) -> None:
        self._inner.close()


def message_pair(loop: Loop, node: LocalNode) -> tuple[MessageTransport, MessageTransport]:
    """Two ends, each with an open of the node for its descriptors."""
    exchanges = [Exchange(node.open("render")) for _ in range(2)]
    ours, theirs = (
        MessageTransport(end, exchange) for end, exchange in zip(pair(loop), exchanges, strict=True)
    )
    ours.peer_address, theirs.peer_address = exchanges[1].address, exchanges[0].address
    return ours, theirs
