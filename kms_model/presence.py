"""Whether anybody is behind a socket: a device node, or any other program that was started just now."""

import socket
from pathlib import Path


def answers(path: Path, kind: socket.SocketKind = socket.SOCK_SEQPACKET) -> bool:
    """Between bind and listen there is a socket that nobody answers at. A device node's `kind` unless told."""
    with socket.socket(socket.AF_UNIX, kind) as probe:
        return path.is_socket() and probe.connect_ex(str(path)) == 0
