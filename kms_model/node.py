"""The device node: one `Device` behind a socket, a process of its own. This process is "the kernel".

Every connection is one open of the node. Packets and their descriptors are in `packet`, what a connection may
do in `peer`; here is what they share: the device, its clock, the socket, and an orderly beginning and end.
"""

import asyncio
import fcntl
import logging
import os
import resource
import signal
import socket
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from syncline.kms_model.checker import Policy
from syncline.kms_model.checker.watch import Rules, close_books, watch, watch_buffers
from syncline.kms_model.device import Device
from syncline.kms_model.faults import Fault
from syncline.kms_model.journal import Journal, open_sink
from syncline.kms_model.local import LocalNode
from syncline.kms_model.loops import DEVICE_PRIORITY, Loop, RealLoop, be_prompt, run_real
from syncline.kms_model.packet import PACKET_MAX
from syncline.kms_model.peer import Peer
from syncline.kms_model.profiles import SYNCLINE, Profile
from syncline.kms_model.uapi import DeviceError

PEERS_MAX: Final = 256
"""Connections at once. The next one waits in the socket's backlog until another has gone."""
_BACKLOG: Final = 64


class NodeError(Exception):
    """The node cannot be served. The text is one sentence that says what would help."""


def default_path(runtime_dir: str | None) -> Path:
    """Where the node is if nobody says otherwise, given $XDG_RUNTIME_DIR. Raises NodeError."""
    if not runtime_dir:
        raise NodeError("XDG_RUNTIME_DIR is not set: set it, or say where the device is")
    return Path(runtime_dir, "syncline", "card0")


@contextmanager
def claimed(path: Path) -> Iterator[socket.socket]:
    """Listen at `path` (mode 0600) and unlink it in the end. Raises NodeError if somebody lives there.

    A socket that nobody listens on is the rest of a killed node and is taken over.
    """
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise NodeError(f"cannot make the folder {path.parent}: {error.strerror}") from error
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as sock:
        sock.setblocking(False)  # noqa: FBT003  socket has it positional
        os.fchmod(sock.fileno(), 0o600)  # what bind creates has this mode from its first instant
        with _alone_in(path.parent):
            _remove_stale(path)
            try:
                sock.bind(str(path))
            except OSError as error:
                raise NodeError(f"cannot make the socket {path}: {error.strerror or error}") from error
            sock.listen(_BACKLOG)
            inode = path.stat().st_ino
        try:
            yield sock
        finally:
            with _alone_in(path.parent):
                if path.exists() and path.stat().st_ino == inode:
                    path.unlink()


@contextmanager
def _alone_in(directory: Path) -> Iterator[None]:
    """Two nodes that start at once must not both find the same socket stale."""
    fd = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX)
        yield
    finally:
        os.close(fd)


def _remove_stale(path: Path) -> None:
    if not path.is_socket():
        return
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as probe:
        probe.setblocking(False)  # noqa: FBT003  socket has it positional
        try:
            probe.connect(str(path))
        except ConnectionRefusedError:
            path.unlink()
            return
        except OSError:
            pass  # a full backlog, or a socket of another kind: somebody lives there
    raise NodeError(f"a device already serves {path}: stop it, or choose another socket")


class Node:
    """Serves a device to whoever connects. Owns the connections; device and listening socket are lent."""

    def __init__(self, device: Device, loop: Loop, listener: socket.socket) -> None:
        self.device = device
        self.loop = loop
        self.fence_property = device.kms.display.catalogue.in_fence_fd.id if device.profile.crtcs else 0
        self.scratch = memoryview(bytearray(PACKET_MAX))
        self._listener = listener
        self._clock = LocalNode(device, loop)
        self.arm = self._clock.arm
        self._peers: set[Peer] = set()
        self._listen()

    def forget(self, peer: Peer) -> None:
        self._peers.remove(peer)
        self._listen()

    def close(self) -> None:
        """Hang up on everybody. Their files close as they would without the node."""
        self.loop.remove_reader(self._listener.fileno())
        for peer in tuple(self._peers):
            peer.close()
        self.loop.remove_reader(self._listener.fileno())
        self._clock.close()

    def _listen(self) -> None:
        self.loop.add_reader(self._listener.fileno(), self._accept)

    def _accept(self) -> None:
        if len(self._peers) >= PEERS_MAX:
            self.loop.remove_reader(self._listener.fileno())
            return
        try:
            sock, _ = self._listener.accept()
        except BlockingIOError:
            return
        except OSError as error:
            logging.getLogger(__name__).warning("cannot take a connection: %s", error.strerror)
            self.loop.remove_reader(self._listener.fileno())
            return
        self._peers.add(Peer(self, sock))


async def serve(
    loop: RealLoop, device: Device, path: Path, *, ready: Callable[[], None] = lambda: None
) -> None:
    """Serve `device` at `path` until SIGTERM or SIGINT; `ready` is called once callers may connect."""
    end = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, end.set)
    with claimed(path) as listener:
        node = Node(device, loop, listener)
        try:
            ready()
            await end.wait()
        finally:
            node.close()


def run(
    path: Path,
    *,
    profile: Profile = SYNCLINE,
    faults: Sequence[Fault] = (),
    allow_faults: bool = False,
    events: str | None = None,
    check: Policy | None = None,
    rules: Rules = Rules.ALL,
    say: Callable[[str], None] = lambda _: None,
    ready: Callable[[], None] = lambda: None,
) -> bool:
    """A device node as a whole process. Raises NodeError before it has begun, Violation as `check` wants.

    `say` is told what the fence checker finds, and in the end how often. Returns whether all events were written.
    """
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))  # buffers and fences are descriptors here

    def give_up(error: OSError) -> None:
        say(f"syncline device: no more events are written to {events}: {error.strerror}")

    async def main(loop: RealLoop) -> bool:
        be_prompt(DEVICE_PRIORITY)
        if events is None:
            device = Device(profile, allows_faults=allow_faults)
            _inject(device, faults, loop.now_ns())
            await _serve_watched(loop, device, path, check, rules, say, ready)
            return True
        try:
            journal = Journal(loop, open_sink(events), failed=give_up)
        except OSError as error:
            raise NodeError(f"cannot write events to {events}: {error.strerror}") from error
        try:
            device = Device(profile, trace=journal.write, allows_faults=allow_faults)
            _inject(device, faults, loop.now_ns())
            await _serve_watched(loop, device, path, check, rules, say, ready)
        finally:
            journal.close()
        return not journal.is_broken

    return run_real(main)


def _inject(device: Device, faults: Iterable[Fault], now_ns: int) -> None:
    device.advance(now_ns)
    for fault in faults:
        try:
            device.inject(fault)
        except DeviceError as refusal:
            raise NodeError(refusal.why) from refusal


async def _serve_watched(
    loop: RealLoop,
    device: Device,
    path: Path,
    check: Policy | None,
    rules: Rules,
    say: Callable[[str], None],
    ready: Callable[[], None],
) -> None:
    if check is None:
        await serve(loop, device, path, ready=ready)
        return
    checker = watch(device.kernel, check, say=say) if rules is Rules.ALL else None
    ledger = watch_buffers(device.kernel, check, say=say) if checker is None else checker.ledger
    try:
        await serve(loop, device, path, ready=ready)
        if checker is not None:
            close_books(checker, device.kernel, (device,), alone=False)
    finally:
        for line in ledger.summary():
            say(f"checker: {line}")
