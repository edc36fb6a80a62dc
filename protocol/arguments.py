"""Arguments: what handlers and senders see, and the values that the wire knows instead."""

from collections import deque
from collections.abc import Sequence

from syncline.protocol import schema
from syncline.protocol.dispatch import Particulars
from syncline.protocol.errors import Misuse
from syncline.protocol.fd import ReceivedFd, close_all
from syncline.protocol.object import NewId, Object
from syncline.protocol.schema import Argument, Kind, Message
from syncline.protocol.table import Table
from syncline.protocol.wire import Malformed, Value


def arrived(
    receiver: Object, particulars: Particulars, values: Sequence[Value], *, table: Table, fds: deque[int]
) -> list[object]:
    """The arguments for a handler. Takes descriptors from the queue only if nothing is wrong.

    Raises Malformed on an unknown or wrong object, an id that may not be new, too few descriptors.
    """
    if len(fds) < particulars.fd_count:
        raise Malformed("a descriptor expected, none came")
    arguments: list[object] = list(values)
    for at, argument in particulars.places:
        match argument.kind:
            case Kind.FD:
                arguments.insert(at, fds[0])
            case Kind.OBJECT:
                arguments[at] = _found(arguments[at], argument, table)
            case _:
                arguments[at] = _claimed(arguments[at], argument, receiver, table)
    if particulars.fd_count:
        for at, argument in particulars.places:
            if argument.kind is Kind.FD:
                arguments[at] = ReceivedFd(fds.popleft())
    return arguments


def _found(id: object, argument: Argument, table: Table) -> Object | None:
    assert isinstance(id, int)
    if id == 0 and argument.nullable:
        return None
    found = table.objects.get(id)
    if found is None:
        if id in table.zombies:
            return None  # ended here before the server knew: libwayland's clients get a null as well
        raise Malformed(f"{argument.name}: no object {id}" if id else f"{argument.name} may not be null")
    if argument.interface is not None and found.interface != argument.interface:
        raise Malformed(f"{argument.name}: {found!r} is no {argument.interface}")
    return found


def _claimed(value: object, argument: Argument, receiver: Object, table: Table) -> NewId:
    if isinstance(value, tuple):
        interface, version, id = value
    else:
        assert argument.interface is not None, "only an open new_id says its interface on the wire"
        interface, id = argument.interface, value
        version = min(receiver.version, schema.interface(interface).version)
    table.claim(id)
    return NewId(receiver.connection, id=id, interface=interface, version=version)


def discarded(
    message: Message, values: Sequence[Value], *, table: Table, fds: deque[int]
) -> tuple[object, ...]:
    """Bare numbers, for the record: descriptors are closed, and what would be made is born a zombie.

    Raises Malformed on an id that may not be new, or too few descriptors.
    """
    arguments: list[object] = list(values)
    for at, argument in enumerate(message.arguments):
        if argument.kind is Kind.FD:
            if not fds:
                raise Malformed("a descriptor expected, none came")
            fd = fds.popleft()
            close_all([fd])
            arguments.insert(at, fd)
        elif argument.kind is Kind.NEW_ID and argument.interface is not None:
            id = arguments[at]
            assert isinstance(id, int), "only an open new_id is more than a number"
            table.claim(id)
            table.end(id, argument.interface)
    return tuple(arguments)


def departing(
    sender: Object, particulars: Particulars, arguments: Sequence[object]
) -> tuple[list[object], list[int]]:
    """Values and descriptors (lent) for the wire. Raises Misuse."""
    message = particulars.message
    if len(arguments) != len(message.arguments):
        raise Misuse(f"{message} takes {len(message.arguments)} arguments, not {len(arguments)}")
    values: list[object] = []
    fds: list[int] = []
    for argument, value in zip(message.arguments, arguments, strict=True):
        match argument.kind:
            case Kind.FD:
                fds.append(_descriptor(value))
            case Kind.OBJECT:
                values.append(_referred(value, argument, sender))
            case Kind.NEW_ID:
                values.append(_promised(value, argument))
            case _:
                values.append(value)
    return values, fds


def _descriptor(value: object) -> int:
    if isinstance(value, int):
        return value
    if isinstance(value, ReceivedFd):
        return value.fileno()
    raise Misuse(f"{value!r} is no descriptor")


def _referred(value: object, argument: Argument, sender: Object) -> int:
    if value is None and argument.nullable:
        return 0
    if not isinstance(value, Object) or not value.alive or value.connection is not sender.connection:
        raise Misuse(f"{argument.name}: {value!r} is no living object of this connection")
    if argument.interface not in {None, value.interface}:
        raise Misuse(f"{argument.name}: {value!r} is no {argument.interface}")
    return value.id


def _promised(value: object, argument: Argument) -> object:
    if not isinstance(value, NewId) or argument.interface not in {None, value.interface}:
        raise Misuse(f"{argument.name}: {value!r} is no new id of the right kind")
    return value.id if argument.interface else (value.interface, value.version, value.id)
