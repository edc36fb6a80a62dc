"""Where the message protocol is spoken: which addresses are safe as they are, and which need keys."""

import fcntl
import os
import re
import socket
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

IPC: Final = "ipc://"
TCP: Final = "tcp://"
PATH_BYTES: Final = 107  # what sockaddr_un holds
_HOST_PORT: Final = re.compile(r"(?P<host>\[[0-9a-fA-F:.]+\]|[\w.-]+|\*):(?P<port>\d{1,5}|\*)")
_LOOPBACK: Final = frozenset({"127.0.0.1", "[::1]"})


class EndpointError(Exception):
    """Nothing may be served or reached there. The text is one sentence that says what would help."""


@dataclass(frozen=True, slots=True)
class Endpoint:
    """A parsed ZeroMQ endpoint; `path` is that of an ipc one."""

    text: str
    path: Path | None = None
    host: str = ""
    port: int = 0

    @property
    def is_local(self) -> bool:
        """Nobody outside this machine can reach it."""
        return self.path is not None or self.host in _LOOPBACK


def parse(text: str) -> Endpoint:
    """`ipc:///absolute/path` or `tcp://host:port`. Raises EndpointError."""
    if text.startswith(IPC):
        path = Path(text.removeprefix(IPC))
        if not path.is_absolute() or len(os.fsencode(path)) > PATH_BYTES:
            raise EndpointError(
                f"{text} is not ipc:// and an absolute path of at most {PATH_BYTES} bytes: "
                "try ipc:///run/user/1000/syncline/messages"
            )
        return Endpoint(text, path=path)
    found = _HOST_PORT.fullmatch(text.removeprefix(TCP)) if text.startswith(TCP) else None
    if found is None:
        raise EndpointError(f"{text!r} is no endpoint: try ipc:///absolute/path or tcp://127.0.0.1:7000")
    port = 0 if found["port"] == "*" else int(found["port"])
    return Endpoint(text, host=found["host"], port=port)


def allowed(text: str, *, has_keys: bool) -> Endpoint:
    """The endpoint, unless others can reach it and it would be in the clear. Raises EndpointError."""
    endpoint = parse(text)
    if not endpoint.is_local and not has_keys:
        raise EndpointError(
            f"{endpoint.text} is no address of this machine alone: name a folder of CURVE keys, "
            "or use ipc:// or tcp://127.0.0.1"
        )
    return endpoint


def probe(endpoint: Endpoint) -> None:
    """Whether anybody listens there, which ZeroMQ does not tell. Raises OSError."""
    if endpoint.path is not None:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as trial:
            trial.connect(os.fspath(endpoint.path))
    else:
        with socket.create_connection((endpoint.host.strip("[]"), endpoint.port)):
            pass


@contextmanager
def private_socket(path: Path) -> Iterator[None]:
    """Bind an ipc socket inside this block: its mode is 0600 from its first instant, in a folder of ours alone.

    Raises EndpointError when the folder is open to others, or somebody serves there.
    """
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    folder = path.parent.stat()
    if folder.st_uid != os.geteuid() or stat.S_IMODE(folder.st_mode) & 0o077:
        raise EndpointError(
            f"others may enter {path.parent}: serve in a folder of your own with mode 0700, "
            "such as one in $XDG_RUNTIME_DIR"
        )
    directory = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        fcntl.flock(directory, fcntl.LOCK_EX)  # two that start at once must not both find the place free
        _require_free(path)
        mask = os.umask(0o177)
        try:
            yield
        finally:
            os.umask(mask)
    finally:
        os.close(directory)


def _require_free(path: Path) -> None:
    """ZeroMQ would take the place of whoever serves there without a word."""
    try:
        probe(Endpoint(f"{IPC}{path}", path=path))
    except (FileNotFoundError, ConnectionRefusedError):
        return
    except OSError as error:
        raise EndpointError(f"cannot serve at {path}: {error.strerror}") from error
    raise EndpointError(f"somebody serves at {path} already: choose another endpoint")
