"""The Wayland wire: native-endian 32-bit words behind an 8-byte header.

A codec is compiled once per message and process. A message of plain numbers, which most are, is a
single `struct` format; any other is a row of steps, each of which reads or writes one argument.

`fixed` is a float: every 24.8 number is one exactly, so decoding and encoding again gives the same bits.
What is accepted is what libwayland accepts: bytes behind the last argument are ignored, a string has no
NUL inside, and a message is no longer than the receiver's buffer, 4096 bytes unless it was told otherwise
(libwayland 1.23). Two things it lets pass are refused: a length that is not in whole words, and a string
that is not UTF-8.
"""

import struct
from collections.abc import Callable, Iterator, Sequence
from functools import cache
from struct import Struct
from typing import ClassVar, Final

from syncline.protocol.errors import Misuse
from syncline.protocol.schema import Argument, Kind, Message
from syncline.protocol.wire import Decoder, Encoder, Malformed, Value

MESSAGE_BYTES: Final = 4096  # libwayland's WL_BUFFER_DEFAULT_MAX_SIZE
MESSAGE_BYTES_MAX: Final = 0xFFFC  # what the header's 16 bits can say, in whole words

_HEADER: Final = Struct("=II")
_WORD: Final = Struct("=I")
_INT: Final = Struct("=i")
_FIXED_ONE: Final = 256

_PLAIN: Final = {Kind.INT: "i", Kind.UINT: "I", Kind.OBJECT: "I", Kind.NEW_ID: "I"}

Read = Callable[[bytes, int], tuple[Value, int]]
"""Body and offset to value and next offset."""
Write = Callable[[object], bytes]


class WaylandWire:
    """The binary format of libwayland."""

    refusals: ClassVar[tuple[type[Exception], ...]] = (Malformed, struct.error)

    def __init__(self, *, message_bytes: int = MESSAGE_BYTES) -> None:
        self._limit = message_bytes
        self._rest = b""

    def frames(self, data: bytes) -> Iterator[tuple[int, int, bytes]]:
        """(object id, opcode, body) of every message now complete. Raises Malformed on an impossible size."""
        if self._rest:
            data = self._rest + data
        at, end = 0, len(data)
        read_header = _HEADER.unpack_from
        while end - at >= 8:
            object_id, word = read_header(data, at)
            size = word >> 16
            if size < 8 or size & 3:
                raise Malformed(f"message length {size} is not that of whole words")
            if size > self._limit:
                raise Malformed(f"message length {size} exceeds {self._limit}")
            after = at + size
            if after > end:
                break
            yield object_id, word & 0xFFFF, data[at + 8 : after]
            at = after
        self._rest = data[at:]

    @staticmethod
    def decoder(message: Message) -> Decoder:
        return _decoder(message)

    @staticmethod
    def encoder(message: Message) -> Encoder:
        return _encoder(message)

    def frame(self, object_id: int, opcode: int, body: bytes) -> bytes:
        return _HEADER.pack(object_id, (8 + len(body)) << 16 | opcode) + body


def _in_body(message: Message) -> list[Argument]:
    return [each for each in message.arguments if each.kind is not Kind.FD]


def _plain_format(message: Message) -> str | None:
    """The struct format of a message of plain numbers; None if there is more to it."""
    arguments = _in_body(message)
    if any(each.kind not in _PLAIN or _is_untyped(each) for each in arguments):
        return None
    return "".join(_PLAIN[each.kind] for each in arguments)


def _is_untyped(argument: Argument) -> bool:
    return argument.kind is Kind.NEW_ID and argument.interface is None


@cache
def _decoder(message: Message) -> Decoder:
    plain = _plain_format(message)
    if plain is not None:
        return Struct("=" + plain).unpack_from
    steps = [_reader(each) for each in _in_body(message)]

    def decode(body: bytes) -> Sequence[Value]:
        values = []
        at = 0
        for read in steps:
            value, at = read(body, at)
            values.append(value)
        return values

    return decode


def _reader(argument: Argument) -> Read:
    if _is_untyped(argument):
        return _read_untyped
    if argument.kind is Kind.STRING and not argument.nullable:
        return _read_text
    return _READ[argument.kind]


def _read_uint(body: bytes, at: int) -> tuple[int, int]:
    return _WORD.unpack_from(body, at)[0], at + 4


def _read_int(body: bytes, at: int) -> tuple[int, int]:
    return _INT.unpack_from(body, at)[0], at + 4


def _read_fixed(body: bytes, at: int) -> tuple[float, int]:
    return _INT.unpack_from(body, at)[0] / _FIXED_ONE, at + 4


def _read_hi_lo(body: bytes, at: int) -> tuple[int, int]:
    hi, lo = _HEADER.unpack_from(body, at)
    return hi << 32 | lo, at + 8


def _read_lo_hi(body: bytes, at: int) -> tuple[int, int]:
    lo, hi = _HEADER.unpack_from(body, at)
    return hi << 32 | lo, at + 8


def _read_array(body: bytes, at: int) -> tuple[bytes, int]:
    start = at + 4
    end = start + _WORD.unpack_from(body, at)[0]
    after = end + 3 & ~3
    if after > len(body):
        raise Malformed("an argument longer than its message")
    return body[start:end], after


def _read_string(body: bytes, at: int) -> tuple[str | None, int]:
    """Length counts the closing NUL; length 0 is null."""
    raw, after = _read_array(body, at)
    if not raw:
        return None, after
    if raw[-1]:
        raise Malformed("a string without its NUL")
    if raw.find(0) != len(raw) - 1:
        raise Malformed("a string with a NUL inside")
    try:
        return raw[:-1].decode(), after
    except UnicodeDecodeError as error:
        raise Malformed("a string that is not UTF-8") from error


def _read_text(body: bytes, at: int) -> tuple[str, int]:
    text, after = _read_string(body, at)
    if text is None:
        raise Malformed("a null string where none may be")
    return text, after


def _read_untyped(body: bytes, at: int) -> tuple[tuple[str, int, int], int]:
    interface, at = _read_text(body, at)
    version, new_id = _HEADER.unpack_from(body, at)
    return (interface, version, new_id), at + 8


_READ: Final[dict[Kind, Read]] = {
    Kind.INT: _read_int,
    Kind.UINT: _read_uint,
    Kind.OBJECT: _read_uint,
    Kind.NEW_ID: _read_uint,
    Kind.FIXED: _read_fixed,
    Kind.U64_HI_LO: _read_hi_lo,
    Kind.U64_LO_HI: _read_lo_hi,
    Kind.ARRAY: _read_array,
    Kind.STRING: _read_string,
}


@cache
def _encoder(message: Message) -> Encoder:
    plain = _plain_format(message)
    return _encode_steps(message) if plain is None else _encode_plain(message, plain)


def _encode_plain(message: Message, plain: str) -> Encoder:
    layout = Struct("=II" + plain)
    pack = layout.pack
    word = layout.size << 16 | message.opcode

    def encode(object_id: int, values: Sequence[object]) -> bytes:
        try:
            return pack(object_id, word, *values)
        except struct.error as error:
            raise Misuse(f"{message}{tuple(values)}: {error}") from error

    return encode


def _encode_steps(message: Message) -> Encoder:
    steps = [_writer(each) for each in _in_body(message)]
    opcode = message.opcode

    def encode(object_id: int, values: Sequence[object]) -> bytes:
        try:
            body = b"".join([write(value) for write, value in zip(steps, values, strict=True)])
        except (struct.error, TypeError, ValueError, OverflowError, AssertionError) as error:
            raise Misuse(f"{message}{tuple(values)}: {error}") from error
        size = 8 + len(body)
        if size > MESSAGE_BYTES_MAX:
            raise Misuse(f"{message}: {size} bytes do not fit in one message")
        return _HEADER.pack(object_id, size << 16 | opcode) + body

    return encode


def _writer(argument: Argument) -> Write:
    if _is_untyped(argument):
        return _write_untyped
    if argument.kind is Kind.STRING and argument.nullable:
        return _write_string
    return _WRITE[argument.kind]


def _write_fixed(value: object) -> bytes:
    assert isinstance(value, int | float)
    return _INT.pack(round(value * _FIXED_ONE))


def _write_hi_lo(value: object) -> bytes:
    assert isinstance(value, int)
    return _HEADER.pack(value >> 32, value & 0xFFFFFFFF)


def _write_lo_hi(value: object) -> bytes:
    assert isinstance(value, int)
    return _HEADER.pack(value & 0xFFFFFFFF, value >> 32)


def _write_array(value: object) -> bytes:
    assert isinstance(value, bytes | bytearray | memoryview)
    return _WORD.pack(len(value)) + value + bytes(-len(value) & 3)


def _write_text(value: object) -> bytes:
    assert isinstance(value, str)
    if "\0" in value:
        raise ValueError("a NUL would end the string")
    return _write_array(value.encode() + b"\0")


def _write_string(value: object) -> bytes:
    return _WORD.pack(0) if value is None else _write_text(value)


def _write_untyped(value: object) -> bytes:
    assert isinstance(value, tuple)
    interface, version, new_id = value
    return _write_text(interface) + _HEADER.pack(version, new_id)


_WRITE: Final[dict[Kind, Write]] = {
    Kind.INT: _INT.pack,
    Kind.UINT: _WORD.pack,
    Kind.OBJECT: _WORD.pack,
    Kind.NEW_ID: _WORD.pack,
    Kind.FIXED: _write_fixed,
    Kind.U64_HI_LO: _write_hi_lo,
    Kind.U64_LO_HI: _write_lo_hi,
    Kind.ARRAY: _write_array,
    Kind.STRING: _write_text,
}
