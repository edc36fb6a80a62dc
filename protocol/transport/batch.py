"""What goes into one message of the message protocol, and what comes out of it.

The first message each way is a greeting `["syncline", version, address]`, the address being where the sender
fetches descriptors; who is not wanted hears `["refused", reason]` instead. Then come batches. `["bye"]` is
the last message of who hangs up. An empty message says nothing.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final, Protocol

import msgspec

from syncline.protocol.fd import close_all
from syncline.protocol.outbox import Packet
from syncline.protocol.transport import PENDING_FDS
from syncline.protocol.wire import Malformed
from syncline.protocol.wire.msgpack import tokens_in, unpacked, with_tokens

VERSION: Final = 1
SPLIT_BYTES: Final = 1 << 14
"""What one flush says beyond this is another batch, so that a queue of batches is a bound in bytes."""
TOKEN_MARK: Final = b"\xd8\x01"
"""How every token begins."""

_pack: Final = msgspec.msgpack.Encoder().encode

BYE: Final = _pack(["bye"])
NOTHING: Final = b""


class Exchange(Protocol):
    """The device node's side of it: descriptors for tokens. Its two methods are ordinary, short calls."""

    address: int
    """Where descriptors for us are deposited."""

    def deposit(self, fd: int, address: int) -> bytes | None:
        """A token for a descriptor, which is lent. None: nobody there fetches what is sent."""
        ...

    def redeem(self, token: bytes) -> int | None:
        """The descriptor, ours from here on. None: the token is not good, or not for us."""
        ...

    def close(self) -> None: ...


@dataclass(frozen=True, slots=True)
class Greeting:
    """The other side speaks our language."""

    address: int


class Refused(Exception):
    """It does not, or does not want to: the text says why."""


def greeting(address: int) -> bytes:
    return _pack(["syncline", VERSION, address])


def refusal(reason: str) -> bytes:
    return _pack(["refused", reason])


def read_greeting(data: bytes) -> Greeting:
    """Raises Refused."""
    try:
        values = [value for _, value in unpacked(data)]
    except Malformed:
        values = []
    match values:
        case [("refused", str(reason))]:
            raise Refused(reason)
        case [("syncline", int(version), int(address))] if version == VERSION and address >= 0:
            return Greeting(address)
        case [("syncline", version, *_)] if version != VERSION:
            raise Refused(f"this end speaks version {VERSION} of the message protocol, not {version}")
        case _:
            raise Refused('the first message must be ["syncline", version, address]')


def outgoing(packets: Sequence[Packet], exchange: Exchange, address: int) -> list[bytes] | None:
    """The batches of one flush, whose descriptors are deposited and closed. None: the peer does not fetch them."""
    if len(packets) == 1 and not packets[0][1] and len(packets[0][0]) <= SPLIT_BYTES:
        return [packets[0][0]]  # as almost always
    said: list[bytes] = []
    is_taken = True
    for data, fds in packets:
        if fds:
            tokens = [exchange.deposit(fd, address) for fd in fds] if is_taken else [None]
            close_all(fds)
            good = [token for token in tokens if token is not None]
            is_taken = len(good) == len(tokens)
            data = with_tokens(data, good) if is_taken else b""
        said.append(data)
    return list(_split(b"".join(said))) if is_taken else None


def _split(data: bytes) -> Iterator[bytes]:
    """Whole messages, as many as fit."""
    if len(data) <= SPLIT_BYTES:
        yield data
        return
    start = end = 0
    for after, _ in unpacked(data):
        if after - start > SPLIT_BYTES:
            yield data[start:end]
            start = end
        end = after
    yield data[start:]


def arrived(data: bytes, exchange: Exchange) -> list[int]:
    """The descriptors of a batch, up to the first bad token: the message that has it will lack its own.

    Of more than PENDING_FDS the rest is bad.
    """
    fds: list[int] = []
    if TOKEN_MARK in data:
        for token in tokens_in(data)[:PENDING_FDS]:
            fd = exchange.redeem(token)
            if fd is None:
                break
            fds.append(fd)
    return fds
