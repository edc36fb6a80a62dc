"""What a suite can be pointed at. The suite knows a compositor only by what is here."""

import asyncio
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Protocol

from syncline.conformance.provider import NOTHING, Provider
from syncline.conformance.verdict import Skip
from syncline.kms_model.loops import RealLoop, VirtualLoop
from syncline.kms_model.uapi import DeviceFile
from syncline.protocol.transport import Transport
from syncline.protocol.transport.unix import connect
from syncline.protocol.wire import Wire

TestLoop = RealLoop | VirtualLoop

REAL_ENDURANCE: Final = 0.2
NOT_OURS: Final = "a compositor that may be ended (not --socket)"


class Line(Protocol):
    """One way to reach a compositor."""

    def connect(self) -> Transport:
        """A new client. Raises OSError when nobody answers."""
        ...

    def new_wire(self) -> Wire | None:
        """How its connections spell messages; None: as Wayland does."""
        ...


class Stand(Line, Protocol):
    """A compositor for the duration of one case: a loop, and ways to reach it."""

    @property
    def loop(self) -> TestLoop: ...

    @property
    def endurance(self) -> float:
        """How much of the time that a long case may take it gets: 1 where time costs nothing."""
        ...

    def other_line(self) -> Line | None:
        """To the same compositor by another wire; None: there is one only."""
        ...

    def open_device(self, node: str) -> DeviceFile | None:
        """A file of the tester's own: "card" or "render", whose syncobjs the compositor imports, "debug", or
        "other", which is another GPU of the same machine; or None."""
        ...

    def fd_count(self) -> int | None:
        """How many descriptors the compositor has open; None when that cannot be seen."""
        ...

    def pointer(self) -> "Pointer | None":
        """The seat's pointer in the tester's hand; None: nobody moves it."""
        ...

    def eye(self) -> "Eye | None":
        """Somebody in front of the screens; None: nobody looks at them."""
        ...

    def end(self) -> None:
        """End the compositor as its user would, for good. Raises Skip when it is not ours to end."""
        ...


class Pointer(Protocol):
    """An input device."""

    def move(self, *, x: int, y: int) -> None:
        """To this pixel of the whole desktop."""
        ...

    def press(self, button: int, *, pressed: bool) -> None:
        """A button of linux/input-event-codes.h goes down or up."""
        ...


class Eye(Protocol):
    """Sees what the display scans out, which no capture tells."""

    def count(self, colour: int) -> int:
        """How many pixels of all screens have that colour, XRGB8888 without the X."""
        ...


class Target(Protocol):
    """Something to be judged, once per case."""

    @property
    def name(self) -> str: ...

    def stand(self) -> AbstractContextManager[Stand]: ...


@dataclass(frozen=True, slots=True)
class Detour:
    """A stand by another line: all of a case's clients take it."""

    stand: Stand
    line: Line

    @property
    def loop(self) -> TestLoop:
        return self.stand.loop

    @property
    def endurance(self) -> float:
        return self.stand.endurance

    def connect(self) -> Transport:
        return self.line.connect()

    def new_wire(self) -> Wire | None:
        return self.line.new_wire()

    def other_line(self) -> Line | None:
        return self.stand

    def open_device(self, node: str) -> DeviceFile | None:
        return self.stand.open_device(node)

    def fd_count(self) -> int | None:
        return self.stand.fd_count()

    def pointer(self) -> "Pointer | None":
        return self.stand.pointer()

    def eye(self) -> "Eye | None":
        return self.stand.eye()

    def end(self) -> None:
        self.stand.end()


@dataclass(frozen=True, slots=True)
class DialledLine:
    """A line that somebody knows how to dial."""

    loop: RealLoop
    dial: Callable[[RealLoop], Transport]
    spell: Callable[[], Wire | None]

    def connect(self) -> Transport:
        return self.dial(self.loop)

    def new_wire(self) -> Wire | None:
        return self.spell()


@dataclass(frozen=True, slots=True)
class _SocketStand:
    loop: RealLoop
    target: "SocketTarget"
    pid: int | None
    endurance: float = REAL_ENDURANCE

    def connect(self) -> Transport:
        return self.target.dial(self.loop)

    def new_wire(self) -> Wire | None:
        return self.target.new_wire()

    def other_line(self) -> Line | None:
        return self.target.other_line(self.loop)

    def open_device(self, node: str) -> DeviceFile | None:
        return self.target.provider.open(node)

    def fd_count(self) -> int | None:
        return None if self.pid is None else count_fds(self.pid)

    def pointer(self) -> Pointer | None:
        return None

    def eye(self) -> Eye | None:
        return None

    def end(self) -> None:
        self.target.end()


def count_fds(pid: int) -> int | None:
    """The open descriptors of a process, if we may look."""
    try:
        return sum(1 for _ in Path(f"/proc/{pid}/fd").iterdir())
    except OSError:
        return None


class SocketTarget:
    """A compositor behind a Wayland socket, whoever made it; `provider` opens a device that both it and we know."""

    def __init__(self, path: Path, *, provider: Provider = NOTHING, name: str = "") -> None:
        self.path = path
        self.provider = provider
        self.name = name or path.name
        self._pid: int | None = None

    def dial(self, loop: RealLoop) -> Transport:
        """A connection. Raises OSError."""
        return connect(loop, self.path)

    def new_wire(self) -> Wire | None:
        """For one connection."""
        return None

    def other_line(self, _loop: RealLoop) -> Line | None:
        """By its other wire."""
        return None

    def end(self) -> None:
        """Raises Skip: whoever started it wants to keep it."""
        raise Skip(NOT_OURS)

    def find_pid(self) -> int:
        """Whose socket it is. Raises OSError when nobody answers."""
        loop = RealLoop()
        try:
            transport = connect(loop, self.path)
            self._pid = transport.peer_pid()
            transport.close()
        finally:
            loop.close()
        return self._pid

    @contextmanager
    def stand(self) -> Iterator[Stand]:
        loop = RealLoop()
        asyncio.set_event_loop(loop)
        try:
            yield _SocketStand(loop, self, self._pid)
        finally:
            asyncio.set_event_loop(None)
            loop.close()
