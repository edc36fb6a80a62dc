"""A Wayland socket in the file system, with the lock file that keeps two compositors off one name."""

import errno
import fcntl
import os
import socket
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final

from syncline.protocol.transport import Loop
from syncline.protocol.transport.unix import UnixTransport

BACKLOG: Final = 128  # as libwayland
_FREE_NAMES: Final = range(1, 33)  # wayland-1 … wayland-32, as libwayland; wayland-0 is what clients assume


class NameTaken(Exception):
    """Another process is listening on that name."""


class Listener:
    """Accepts clients until closed; then the socket and its lock are gone from the file system."""

    def __init__(self, loop: Loop, path: Path, on_client: Callable[[UnixTransport], None]) -> None:
        self.path = path
        self._loop = loop
        self._on_client = on_client
        self._lock_path = path.with_name(f"{path.name}.lock")
        self._lock_fd = _lock(self._lock_path)
        try:
            self._socket = _bound(path)
        except OSError:
            self._lock_path.unlink()
            os.close(self._lock_fd)
            raise
        self._spare_fd = _spare()
        loop.add_reader(self._socket.fileno(), self._accept)

    def _accept(self) -> None:
        try:
            sock, _ = self._socket.accept()
        except BlockingIOError:
            return
        except OSError as error:
            if error.errno not in {errno.EMFILE, errno.ENFILE}:
                raise
            self._turn_away()
        else:
            self._on_client(UnixTransport(self._loop, sock))

    def _turn_away(self) -> None:
        """No descriptor left: spend the spare one on hanging up, or the loop would spin on this client."""
        os.close(self._spare_fd)
        try:
            self._socket.accept()[0].close()
        finally:
            self._spare_fd = _spare()

    def close(self) -> None:
        self._loop.remove_reader(self._socket.fileno())
        self._socket.close()
        self.path.unlink(missing_ok=True)
        self._lock_path.unlink(missing_ok=True)
        os.close(self._lock_fd)
        os.close(self._spare_fd)


def listen(loop: Loop, path: Path, on_client: Callable[[UnixTransport], None]) -> Listener:
    """Listen on exactly this path. Raises NameTaken, or OSError."""
    return Listener(loop, path, on_client)


def listen_anywhere(loop: Loop, folder: Path, on_client: Callable[[UnixTransport], None]) -> Listener:
    """Listen on the first free of wayland-1 … wayland-32 in the folder. Raises NameTaken, or OSError."""
    for number in _FREE_NAMES:
        try:
            return Listener(loop, folder / f"wayland-{number}", on_client)
        except NameTaken:
            continue
    raise NameTaken(f"every name from wayland-1 to wayland-32 in {folder} is taken")


def socket_path(name: str, environ: Mapping[str, str]) -> Path:
    """Where the socket of that name is: an absolute path is itself, any other lives in XDG_RUNTIME_DIR.

    An empty name means WAYLAND_DISPLAY, or wayland-0. Raises KeyError("XDG_RUNTIME_DIR") if unset.
    """
    path = Path(name or environ.get("WAYLAND_DISPLAY", "wayland-0"))
    return path if path.is_absolute() else Path(environ["XDG_RUNTIME_DIR"]) / path


def _lock(path: Path) -> int:
    fd = os.open(path, os.O_CREAT | os.O_CLOEXEC | os.O_RDWR, 0o660)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(fd)
        raise NameTaken(f"{path} is locked: another compositor runs there") from None
    return fd


def _bound(path: Path) -> socket.socket:
    path.unlink(missing_ok=True)  # the lock is ours, so whoever made this is dead
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
    try:
        sock.bind(os.fspath(path))
        sock.listen(BACKLOG)
    except OSError:
        sock.close()
        raise
    return sock


def _spare() -> int:
    return os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC)
