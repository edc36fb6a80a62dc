"""Targets that are processes: a Syncline of our own, or whatever a command starts, or what runs already."""

import os
import shlex
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from syncline.conformance.provider import Modelled, Provider, provider_at
from syncline.conformance.target import DialledLine, Line, SocketTarget, Stand
from syncline.kms_model.exchange import Exchange
from syncline.kms_model.loops import RealLoop
from syncline.kms_model.presence import answers
from syncline.kms_model.remote import RemoteFile
from syncline.lab.exit import Usage
from syncline.lab.process import Process, answering, appears
from syncline.protocol.transport import Transport, zmq
from syncline.protocol.transport.listener import socket_path
from syncline.protocol.wire import Wire
from syncline.protocol.wire.msgpack import MsgpackWire
from syncline.protocol.wire.wayland import MESSAGE_BYTES_MAX


@contextmanager
def running(name: str, *, device: Path | None) -> Iterator[SocketTarget]:
    """A compositor that somebody else started. Raises Usage."""
    try:
        path = socket_path(name, os.environ)
    except KeyError:
        raise Usage("XDG_RUNTIME_DIR is not set: set it, or give --socket an absolute path") from None
    target = SocketTarget(path, provider=provider_at(device))
    try:
        pid = target.find_pid()
    except OSError as error:
        raise Usage(f"nobody answers at {path} ({error.strerror}): start the compositor first") from None
    target.name = f"{_command_of(pid)} (pid {pid})"
    yield target


@contextmanager
def started(command: str, *, device: Path | None) -> Iterator[SocketTarget]:
    """A compositor that lives as long as the run, in a runtime directory of its own. Raises Usage."""
    try:
        words = shlex.split(command)
    except ValueError as error:
        raise Usage(f"--command {command!r}: {error}") from None

    def start(owned: ExitStack) -> Place:
        folder = owned.enter_context(_folder())
        compositor = _served(words, folder, owned, lambda: _display_in(folder))
        return Place(*compositor, provider_at(device))

    with ExitStack() as owned:
        target = StartedTarget(start, owned)
        target.name = f"{_command_of(target.find_pid())} (pid {target.find_pid()})"
        yield target


@contextmanager
def own(*, with_messages: bool = False) -> Iterator[SocketTarget]:
    """Device and compositor of this project as processes. Raises Usage."""
    with ExitStack() as owned:
        kind = MessageTarget if with_messages else OwnTarget
        target = kind(_start_syncline, owned)
        kinship = "syncline over ZeroMQ" if with_messages else "syncline"
        target.name = f"{kinship} (pid {target.find_pid()})"
        yield target


def _start_syncline(owned: ExitStack) -> "Place":
    folder = owned.enter_context(_folder())
    node, syncline = folder / "card0", [sys.executable, "-m", "syncline"]
    device = [*syncline, "device", "--allow-faults", "--socket", str(node)]
    _served(device, folder, owned, lambda: node if answers(node) else None)
    compositor = [*syncline, "compositor", "--device", str(node), "--zmq", _endpoint(node)]
    return Place(*_served(compositor, folder, owned, lambda: _display_in(folder)), Modelled(node))


def _endpoint(node: Path) -> str:
    return f"ipc://{node.parent}/messages"


@dataclass(frozen=True, slots=True)
class Place:
    """Where a compositor that was started can be reached."""

    process: Process
    path: Path
    provider: Provider


class StartedTarget(SocketTarget):
    """A compositor of ours to end: the next case gets another one, and so it does after a crash."""

    def __init__(self, start: Callable[[ExitStack], Place], owned: ExitStack) -> None:
        self._start = start
        self._parts = owned.enter_context(ExitStack())
        self._place = start(self._parts)
        super().__init__(self._place.path, provider=self._place.provider)

    @contextmanager
    def stand(self) -> Iterator[Stand]:
        if self._place.process.ended:
            self._parts.close()
            self._place = self._start(self._parts)
            self.path, self.provider = self._place.path, self._place.provider
            self.find_pid()
        with super().stand() as stand:
            yield stand

    def end(self) -> None:
        """As its user would end it."""
        self._place.process.end()


class OwnTarget(StartedTarget):
    """A Syncline, which has another door: MessagePack over ZeroMQ, descriptors by the device node."""

    def dial_messages(self, loop: RealLoop) -> Transport:
        provider = self.provider
        assert isinstance(provider, Modelled), "a Syncline of our own"
        return zmq.connect(loop, _endpoint(provider.path), Exchange(RemoteFile(provider.path, "render")))

    def other_line(self, loop: RealLoop) -> Line:
        return DialledLine(loop, self.dial_messages, _message_wire)


class MessageTarget(OwnTarget):
    """The same by that door."""

    def dial(self, loop: RealLoop) -> Transport:
        return self.dial_messages(loop)

    def new_wire(self) -> Wire:
        return _message_wire()

    def other_line(self, loop: RealLoop) -> Line:
        return DialledLine(loop, super().dial, lambda: None)


def _message_wire() -> Wire:
    return MsgpackWire(message_bytes=MESSAGE_BYTES_MAX)


@contextmanager
def _folder() -> Iterator[Path]:
    with TemporaryDirectory(prefix="syncline-conform-") as name:
        yield Path(name)


def _command_of(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/comm").read_text().strip()
    except OSError:
        return "compositor"


def _served(
    words: Sequence[str], folder: Path, owned: ExitStack, find: Callable[[], Path | None]
) -> tuple[Process, Path]:
    """Start a process and wait until its socket answers. Raises Usage."""
    environment = {
        key: value for key, value in os.environ.items() if key not in {"WAYLAND_DISPLAY", "DISPLAY"}
    }
    try:
        process = Process(words, environment | {"XDG_RUNTIME_DIR": str(folder)}, None)
    except OSError as error:
        raise Usage(f"cannot start {words[0]}: {error.strerror}") from None
    owned.enter_context(process)
    return process, appears(words[0], process, find)


def _display_in(folder: Path) -> Path | None:
    return answering(folder.glob("wayland-*"))
