"""The MessagePack wire: the same messages as arrays `[object, opcode, arguments…]`, a batch of them at a time.

A batch is what one flush has to say: arrays one behind the other. Each argument of the
XML is one element: integers as integers, `fixed` as a number that is a multiple of 1/256, a 64-bit value
as one integer, strings as str (null: nil), arrays as bin, objects and new ids as their number (null: 0),
the open new_id of wl_registry.bind as `[interface, version, id]`. A descriptor is an extension of type 1
with 16 bytes, a token that whoever carries the batch exchanges for the descriptor; between ends that can
pass descriptors themselves it stays blank.

Nothing is forgiven that the Wayland wire would not take: elements too few or too many, of another type or
out of range, are no message of this kind.
"""

import struct
from collections.abc import Callable, Iterator, Sequence
from functools import cache
from struct import Struct
from typing import ClassVar, Final

import msgpack  # type: ignore[import-untyped]  # it comes without stubs
import msgspec

from syncline.protocol.errors import Misuse
from syncline.protocol.schema import Argument, Kind, Message
from syncline.protocol.wire import Body, Decoder, Encoder, Malformed, Value
from syncline.protocol.wire.wayland import MESSAGE_BYTES

ARGUMENTS_MAX: Final = 32
"""Elements of one array; no message has half as many."""
TOKEN_BYTES: Final = 16
TOKEN_TYPE: Final = 1

_UINT_MAX: Final = (1 << 32) - 1
_INT_MIN: Final = -(1 << 31)
_INT_MAX: Final = (1 << 31) - 1
_U64_MAX: Final = (1 << 64) - 1
_FIXED_ONE: Final = 256
_PLAIN: Final = {Kind.INT: "i", Kind.UINT: "I", Kind.OBJECT: "I", Kind.NEW_ID: "I"}
_BLANK: Final = msgspec.msgpack.Ext(TOKEN_TYPE, bytes(TOKEN_BYTES))

_encode: Final = msgspec.msgpack.Encoder().encode

Check = Callable[[object], Value]
"""An element to the value it stands for, or back. Raises Malformed."""


class Token(bytes):
    """What stands for a descriptor."""


class MsgpackWire:
    """The message protocol. `message_bytes` bounds a message as on the Wayland wire."""

    refusals: ClassVar[tuple[type[Exception], ...]] = (Malformed, struct.error)

    def __init__(self, *, message_bytes: int = MESSAGE_BYTES) -> None:
        self._limit = message_bytes
        self._rest = b""

    def frames(self, data: bytes) -> Iterator[tuple[int, int, Body]]:
        """(object id, opcode, arguments) of every message now complete. Raises Malformed."""
        if self._rest:
            data = self._rest + data
        start = 0
        for end, message in _values(data):
            if end - start > self._limit:
                raise Malformed(f"message length {end - start} exceeds {self._limit}")
            start = end
            if type(message) is not tuple or len(message) < 2:
                raise Malformed("a message is an array of object, opcode and arguments")
            object_id, opcode = message[:2]
            if type(object_id) is not int or type(opcode) is not int or opcode < 0:
                raise Malformed("object and opcode are numbers")
            yield object_id, opcode, message[2:]
        self._rest = data[start:]
        if len(self._rest) > self._limit:
            raise Malformed(f"an unfinished message exceeds {self._limit}")

    @staticmethod
    def decoder(message: Message) -> Decoder:
        return _decoder(message)

    @staticmethod
    def encoder(message: Message) -> Encoder:
        return _encoder(message)

    def frame(self, object_id: int, opcode: int, body: Body) -> bytes:
        return _encode((object_id, opcode, *body))


def unpacked(data: bytes) -> Iterator[tuple[int, object]]:
    """The values of a whole batch, each with the offset of its end. Raises Malformed."""
    end = 0
    for end, value in _values(data):
        yield end, value
    if end != len(data):
        raise Malformed("a batch that ends inside a message")


def _values(data: bytes) -> Iterator[tuple[int, object]]:
    """As far as they are complete."""
    unpacker = msgpack.Unpacker(
        use_list=False,
        ext_hook=_extension,
        max_buffer_size=max(len(data), 1),
        max_array_len=ARGUMENTS_MAX,
        max_map_len=0,
        max_ext_len=TOKEN_BYTES,
    )
    try:
        unpacker.feed(data)
        for value in unpacker:
            yield unpacker.tell(), value
    except (ValueError, msgpack.UnpackException) as why:
        raise Malformed(f"not MessagePack: {why or type(why).__name__}") from why


def tokens_in(data: bytes) -> list[bytes]:
    """The tokens of a batch in order, as far as it can be read."""
    found: list[bytes] = []
    try:
        for _, message in unpacked(data):
            if isinstance(message, tuple):
                found += [bytes(each) for each in message if type(each) is Token]
    except Malformed:
        return found  # whoever decodes the batch says what is wrong with it
    return found


def with_tokens(data: bytes, tokens: Sequence[bytes]) -> bytes:
    """A batch of ours with its blanks filled in."""
    rest = iter(tokens)
    pieces = []
    start = 0
    for end, message in unpacked(data):
        if isinstance(message, tuple) and any(type(each) is Token for each in message):
            pieces.append(_encode([_filled(each, rest) for each in message]))
        else:
            pieces.append(data[start:end])
        start = end
    return b"".join(pieces)


def _filled(element: object, tokens: Iterator[bytes]) -> object:
    return msgspec.msgpack.Ext(TOKEN_TYPE, next(tokens)) if type(element) is Token else element


def _extension(code: int, data: bytes) -> object:
    if code == TOKEN_TYPE and len(data) == TOKEN_BYTES:
        return Token(data)
    return msgpack.ExtType(code, data)


@cache
def _decoder(message: Message) -> Decoder:
    plain = _plain_format(message)
    if plain is not None:
        return _decode_plain(plain)
    steps = [_check(each) for each in message.arguments]
    tokens = [at for at, each in enumerate(message.arguments) if each.kind is Kind.FD][::-1]

    def decode(body: Body) -> Sequence[Value]:
        if len(body) != len(steps):
            raise Malformed(f"{len(body)} arguments, not {len(steps)}")
        values = [check(element) for check, element in zip(steps, body, strict=True)]
        for at in tokens:
            del values[at]
        return values

    return decode


def _decode_plain(plain: str) -> Decoder:
    """Plain numbers stay as they came; packing them tells in one call whether they are the right ones."""
    pack = Struct("=" + plain).pack

    def decode(body: Body) -> Sequence[Value]:
        try:
            pack(*body)
        except struct.error as why:
            raise Malformed(str(why)) from why
        if bool in map(type, body):
            raise Malformed("a truth value is no number")
        numbers: Sequence[Value] = body
        return numbers

    return decode


def _plain_format(message: Message) -> str | None:
    """The struct format of a message of plain numbers; None if there is more to it."""
    if any(each.kind not in _PLAIN or _is_untyped(each) for each in message.arguments):
        return None
    return "".join(_PLAIN[each.kind] for each in message.arguments)


def _is_untyped(argument: Argument) -> bool:
    return argument.kind is Kind.NEW_ID and argument.interface is None


@cache
def _encoder(message: Message) -> Encoder:
    opcode = message.opcode
    arguments = message.arguments
    blanks = [at for at, each in enumerate(arguments) if each.kind is Kind.FD]
    steps = [_check(each, rounded=True) for each in arguments if each.kind is not Kind.FD]

    def encode(object_id: int, values: Sequence[object]) -> bytes:
        try:
            elements: list[object] = [check(value) for check, value in zip(steps, values, strict=True)]
        except ValueError as error:
            raise Misuse(f"{message}{tuple(values)}: {error}") from error
        for at in blanks:
            elements.insert(at, _BLANK)
        return _encode((object_id, opcode, *elements))

    plain = _plain_format(message)
    return encode if plain is None else _encode_plain(message, plain)


def _encode_plain(message: Message, plain: str) -> Encoder:
    pack = Struct("=" + plain).pack
    opcode = message.opcode

    def encode(object_id: int, values: Sequence[object]) -> bytes:
        try:
            pack(*values)
        except struct.error as error:
            raise Misuse(f"{message}{tuple(values)}: {error}") from error
        return _encode((object_id, opcode, *values))

    return encode


def _check(argument: Argument, *, rounded: bool = False) -> Check:
    if _is_untyped(argument):
        return _untyped
    if argument.kind is Kind.STRING:
        return _string if argument.nullable else _text
    if argument.kind is Kind.FIXED:
        return _to_fixed if rounded else _fixed
    return _CHECKS[argument.kind]


def _integer(least: int, most: int, what: str) -> Check:
    def check(value: object) -> Value:
        if isinstance(value, int) and type(value) is not bool and least <= value <= most:
            return value
        raise Malformed(f"{value!r} is no {what}")

    return check


def _fixed(value: object) -> Value:
    if not isinstance(value, int | float) or type(value) is bool:
        raise Malformed(f"{value!r} is no number")
    units = value * _FIXED_ONE
    if not _INT_MIN <= units <= _INT_MAX or units != int(units):
        raise Malformed(f"{value!r} is no multiple of 1/256 below 2^23")
    return float(value)


def _to_fixed(value: object) -> Value:
    if not isinstance(value, int | float) or type(value) is bool:
        raise Malformed(f"{value!r} is no number")
    return _fixed(round(value * _FIXED_ONE) / _FIXED_ONE)


def _text(value: object) -> Value:
    if type(value) is not str:
        raise Malformed("no string where one must be")
    if "\0" in value:
        raise Malformed("a string with a NUL inside")
    return value


def _string(value: object) -> Value:
    return None if value is None else _text(value)


def _array(value: object) -> Value:
    if type(value) is Token or not isinstance(value, bytes | bytearray | memoryview):
        raise Malformed("no bytes where an array must be")
    return bytes(value)


def _token(value: object) -> Value:
    if type(value) is not Token:
        raise Malformed("no token where a descriptor must be")
    return None


def _untyped(value: object) -> Value:
    if type(value) is not tuple or len(value) != 3:
        raise Malformed("an open new id is [interface, version, id]")
    interface, version, new_id = value
    _text(interface), _uint(version), _uint(new_id)
    return interface, version, new_id


_uint: Final = _integer(0, _UINT_MAX, "uint")
_CHECKS: Final[dict[Kind, Check]] = {
    Kind.INT: _integer(_INT_MIN, _INT_MAX, "int"),
    Kind.UINT: _uint,
    Kind.OBJECT: _uint,
    Kind.NEW_ID: _uint,
    Kind.U64_HI_LO: _integer(0, _U64_MAX, "64-bit uint"),
    Kind.U64_LO_HI: _integer(0, _U64_MAX, "64-bit uint"),
    Kind.ARRAY: _array,
    Kind.FD: _token,
}
