"""Targets that are processes: a Syncline of our own, or whatever a command starts."""

import os
import shlex
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

from syncline.conformance.provider import Modelled, provider_at
from syncline.conformance.target import SocketTarget
from syncline.kms_model.exchange import Exchange
from syncline.kms_model.loops import RealLoop
from syncline.kms_model.remote import RemoteFile
from syncline.lab.exit import Usage
from syncline.protocol.transport import Transport, zmq
from syncline.protocol.transport.listener import socket_path
from syncline.protocol.wire import Wire
from syncline.protocol.wire.msgpack import MsgpackWire
from syncline.protocol.wire.wayland import MESSAGE_BYTES_MAX

READY_S: Final = 15.0
LOOK_AGAIN_S: Final = 0.02
STOP_S: Final = 5.0

Process = subprocess.Popen[bytes]


@contextmanager
def running(name: str, *, device: Path | None) -> Iterator[SocketTarget]:
    """A compositor that somebody else started. Raises Usage."""
    try:
        path = socket_path(name, os.environ)
    except KeyError:
        raise Usage("XDG_RUNTIME_DIR is not set: set it, or give --socket an absolute path") from None
    yield _introduced(SocketTarget(path, provider=provider_at(device)))


@contextmanager
def started(command: str, *, device: Path | None) -> Iterator[SocketTarget]:
    """A compositor that lives as long as the run, in a runtime directory of its own. Raises Usage."""
    try:
        words = shlex.split(command)
    except ValueError as error:
        raise Usage(f"--command {command!r}: {error}") from None
    with _folder() as folder, ExitStack() as owned:
        path = _served(words, folder, owned, lambda: _display_in(folder))
        yield _introduced(SocketTarget(path, provider=provider_at(device)))


class MessageTarget(SocketTarget):
    """The same compositor by its other door: MessagePack over ZeroMQ, descriptors by the device node."""

    def __init__(self, path: Path, *, device: Path, endpoint: str) -> None:
        super().__init__(path, provider=Modelled(device))
        self._node = device
        self._endpoint = endpoint

    def dial(self, loop: RealLoop) -> Transport:
        return zmq.connect(loop, self._endpoint, Exchange(RemoteFile(self._node, "render")))

    def new_wire(self) -> Wire:
        return MsgpackWire(message_bytes=MESSAGE_BYTES_MAX)


@contextmanager
def own(*, with_messages: bool = False) -> Iterator[SocketTarget]:
    """Device and compositor of this project as processes. Raises Usage."""
    syncline = [sys.executable, "-m", "syncline"]
    with _folder() as folder, ExitStack() as owned:
        node = folder / "card0"
        _served(
            [*syncline, "device", "--allow-faults", "--socket", str(node)],
            folder,
            owned,
            lambda: _socket(node),
        )
        endpoint = f"ipc://{folder}/messages"
        messages = ["--zmq", endpoint] if with_messages else []
        compositor = [*syncline, "compositor", "--device", str(node), *messages]
        path = _served(compositor, folder, owned, lambda: _display_in(folder))
        if with_messages:
            yield _introduced(MessageTarget(path, device=node, endpoint=endpoint), "syncline over ZeroMQ")
        else:
            yield _introduced(SocketTarget(path, provider=Modelled(node)), "syncline")


@contextmanager
def _folder() -> Iterator[Path]:
    with TemporaryDirectory(prefix="syncline-conform-") as name:
        yield Path(name)


def _introduced(target: SocketTarget, name: str = "") -> SocketTarget:
    """With the name of the process behind the socket."""
    try:
        pid = target.find_pid()
    except OSError as error:
        raise Usage(
            f"nobody answers at {target.path} ({error.strerror}): start the compositor first"
        ) from None
    target.name = f"{name or _command_of(pid)} (pid {pid})"
    return target


def _command_of(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/comm").read_text().strip()
    except OSError:
        return "compositor"


def _served(words: Sequence[str], folder: Path, owned: ExitStack, find: Callable[[], Path | None]) -> Path:
    """Start a process and wait for the socket it makes. Raises Usage."""
    environment = {
        key: value for key, value in os.environ.items() if key not in {"WAYLAND_DISPLAY", "DISPLAY"}
    }
    try:
        process: Process = subprocess.Popen(
            words, env=environment | {"XDG_RUNTIME_DIR": str(folder)}, stdout=subprocess.DEVNULL
        )
    except OSError as error:
        raise Usage(f"cannot start {words[0]}: {error.strerror}") from None
    owned.callback(_stop, process)
    give_up_s = time.monotonic() + READY_S
    while (path := find()) is None:
        if process.poll() is not None:
            raise Usage(f"{words[0]} ended with status {process.returncode} before it had a socket")
        if time.monotonic() > give_up_s:
            raise Usage(f"{words[0]} made no socket in $XDG_RUNTIME_DIR within {READY_S:.0f} s")
        time.sleep(LOOK_AGAIN_S)
    return path


def _display_in(folder: Path) -> Path | None:
    return next((each for each in sorted(folder.glob("wayland-*")) if each.is_socket()), None)


def _socket(path: Path) -> Path | None:
    return path if path.is_socket() else None


def _stop(process: Process) -> None:
    process.terminate()
    try:
        process.wait(STOP_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
