"""What travels on a device node's socket: one MessagePack record in each packet, descriptors beside it.

Records carry descriptors as the sender's own numbers, next to the list of those whose descriptors were really
sent (SCM_RIGHTS, in this order). The receiver puts its own numbers in their place. One that came without a
descriptor becomes `BAD_FD`: a caller's closed or invented number fails in the device as it would in a kernel,
and never names a descriptor of the receiver.
"""

import array
import os
import socket
from collections.abc import Callable, Iterable, Mapping
from functools import reduce
from operator import or_
from typing import Any, Final, Generic, TypeVar, get_args, get_type_hints

import msgspec

from syncline.kms_model import uapi
from syncline.kms_model.uapi import Event, Fd, ModeAtomic, Record, Request

VERSION: Final = 1
PACKET_MAX: Final = 256 * 1024
"""Bytes. Fits a socket buffer at Linux's default limit (wmem_max 208 KiB, which counts twice)."""
FDS_MAX: Final = 64
"""Descriptors beside one packet: an in-fence for every plane of a large display, several times over."""
BATCH_MAX: Final = 64
BAD_FD: Final = (1 << 31) - 1
"""A number that is never open: beyond any RLIMIT_NOFILE, and not -1, which may mean "none"."""

Q = TypeVar("Q")
P = TypeVar("P")


class Hello(msgspec.Struct, frozen=True, array_like=True, tag=0):
    """The caller's first packet: which node it opens, "card" or "render"."""

    version: int
    node: str


class Call(msgspec.Struct, Generic[Q], frozen=True, array_like=True, tag=1):
    """`events_read`: how many the caller has taken since its last packet; that much room is free again."""

    serial: int
    request: Q
    lent: tuple[int, ...] = ()
    events_read: int = 0


class Batch(msgspec.Struct, Generic[Q], frozen=True, array_like=True, tag=2):
    """Calls one after the other; the first that fails is the last."""

    serial: int
    requests: tuple[Q, ...]
    lent: tuple[int, ...] = ()
    events_read: int = 0


class Interrupt(msgspec.Struct, frozen=True, array_like=True, tag=3):
    """A signal for the caller that sleeps in call `serial`."""

    serial: int


class Welcome(msgspec.Struct, frozen=True, array_like=True, tag=0):
    """The node is open. `fence_property`: the KMS property whose value is a descriptor, 0 without KMS."""

    fence_property: int


class Done(msgspec.Struct, Generic[P], frozen=True, array_like=True, tag=1):
    serial: int
    reply: P
    given: tuple[int, ...] = ()


class Failed(msgspec.Struct, frozen=True, array_like=True, tag=2):
    serial: int
    errno: int
    why: str
    writes: tuple[tuple[int, int], ...] = ()


class BatchDone(msgspec.Struct, Generic[P], frozen=True, array_like=True, tag=3):
    """`failed` is what ended the batch early, if anything did."""

    serial: int
    replies: tuple[P, ...]
    failed: Failed | None
    given: tuple[int, ...] = ()


class Events(msgspec.Struct, frozen=True, array_like=True, tag=4):
    events: tuple[Event, ...]


Up = Hello | Call[Any] | Batch[Any] | Interrupt
Down = Welcome | Done[Any] | Failed | BatchDone[Any] | Events


def _all(kind: type) -> tuple[type, ...]:
    found = (thing for thing in vars(uapi).values() if isinstance(thing, type))
    return tuple(thing for thing in found if issubclass(thing, kind) and thing is not kind)


def _union(kinds: Iterable[Any]) -> Any:
    return reduce(or_, kinds)


def _reply_type(request: type) -> Any:
    return get_args(vars(request)["__orig_bases__"][0])[0]


def _of(generic: Any, payload: Any) -> Any:
    return generic[payload]


def _decoder(*kinds: Any) -> Any:
    return msgspec.msgpack.Decoder(_union(kinds)).decode


_REQUEST: Final = _union(_all(Request))
encode: Final[Callable[[Up | Down], bytes]] = msgspec.msgpack.Encoder().encode
decode_up: Final[Callable[[memoryview], Up]] = _decoder(
    Hello, _of(Call, _REQUEST), _of(Batch, _REQUEST), Interrupt
)
decode_down: Final[Callable[[memoryview], Down]] = _decoder(
    Welcome, _of(Done, msgspec.Raw), Failed, _of(BatchDone, msgspec.Raw), Events
)
decode_reply: Final[Mapping[type, Callable[[msgspec.Raw], Any]]] = {
    request: msgspec.msgpack.Decoder(_reply_type(request)).decode for request in _all(Request)
}
"""By the type of the request."""


def _fields(record: type, kind: object) -> tuple[str, ...]:
    return tuple(name for name, hint in get_type_hints(record).items() if hint == kind)


def _fields_by_record(kind: object) -> dict[type, tuple[str, ...]]:
    found = ((record, _fields(record, kind)) for record in (*_all(Request), *_all(Record)))
    return {record: fields for record, fields in found if fields}


_FD_FIELDS: Final = _fields_by_record(Fd)
_PAIR_FIELDS: Final = _fields_by_record(tuple[tuple[int, Fd], ...])
_CARRIERS: Final = frozenset({*_FD_FIELDS, *_PAIR_FIELDS, ModeAtomic})


def descriptors_in(record: object, fence_property: int) -> list[int]:
    """The numbers in `record` that could be descriptors, each once."""
    kind = type(record)
    if kind not in _CARRIERS:
        return []
    numbers: dict[int, None] = {}
    for name in _FD_FIELDS.get(kind, ()):
        numbers[getattr(record, name)] = None
    for name in _PAIR_FIELDS.get(kind, ()):
        for _, number in getattr(record, name):
            numbers[number] = None
    if isinstance(record, ModeAtomic):
        for _, prop, value in record.props:
            if prop == fence_property:
                numbers[value] = None
    return [number for number in numbers if 0 <= number < BAD_FD] if numbers else []


def replace_descriptors(record: object, mine: Mapping[int, int], fence_property: int) -> None:
    """Put the receiver's numbers in the place of the sender's. The record was just decoded: nobody else has it."""
    kind = type(record)
    if kind not in _CARRIERS:
        return
    if isinstance(record, ModeAtomic):
        _replace_in_fences(record, mine, fence_property)
        return
    for name in _FD_FIELDS.get(kind, ()):
        _set(record, name, _translated(getattr(record, name), mine))
    for name in _PAIR_FIELDS.get(kind, ()):
        pairs = getattr(record, name)
        _set(record, name, tuple((pointer, _translated(number, mine)) for pointer, number in pairs))


def _replace_in_fences(commit: ModeAtomic, mine: Mapping[int, int], fence_property: int) -> None:
    props = None
    for at, (obj, prop, value) in enumerate(commit.props):
        if prop == fence_property:
            props = props or list(commit.props)
            props[at] = obj, prop, _translated(value, mine)
    if props:
        _set(commit, "props", tuple(props))


def _set(record: object, name: str, value: object) -> None:
    assert isinstance(record, msgspec.Struct), "records are structs"
    msgspec.structs.force_setattr(record, name, value)


def _translated(number: int, mine: Mapping[int, int]) -> int:
    """Negative and oversized numbers mean what they mean; the device refuses them itself."""
    return mine.get(number, BAD_FD) if 0 <= number < BAD_FD else number


_Ancillary = list[tuple[int, int, bytes]]
ANCILLARY_SIZE: Final = socket.CMSG_SPACE(FDS_MAX * array.array("i").itemsize)


def rights(fds: Iterable[int]) -> list[tuple[int, int, "array.array[int]"]]:
    """The ancillary data that sends `fds`."""
    return [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", fds))]


def received(ancillary: _Ancillary) -> list[int]:
    """The descriptors that came with a packet. They are the receiver's to close."""
    fds: list[int] = []
    for level, kind, data in ancillary:
        if level == socket.SOL_SOCKET and kind == socket.SCM_RIGHTS:
            fds += memoryview(data)[: len(data) & -4].cast("i").tolist()
    return fds


def close_all(fds: Iterable[int]) -> None:
    for fd in fds:
        os.close(fd)
