"""CURVE keys: who we are, and whom we talk to.

A folder of keys holds `identity.key_secret` (mode 0600) and, in `trusted/`, the public `*.key` files of the
other side: a compositor's clients, or a client's one compositor. All are ZeroMQ certificates, as
`zmq.auth.create_certificates` makes them.
"""

import stat
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import zmq
import zmq.auth

from syncline.protocol.transport.endpoint import EndpointError

_ZAP_ENDPOINT: Final = "inproc://zeromq.zap.01"
_ZAP_VERSION: Final = b"1.0"
_ZAP_FRAMES: Final = 7
"""Version, request, domain, address, identity, mechanism, and CURVE's one credential."""


@dataclass(frozen=True, slots=True)
class Keys:
    """In Z85, as ZeroMQ takes them."""

    public: bytes
    secret: bytes
    trusted: tuple[bytes, ...]

    def guard(self, socket: "zmq.Socket[bytes]") -> None:
        """Make a socket that will bind speak CURVE only. Whom to trust is the doorkeeper's."""
        socket.curve_server = True
        socket.curve_secretkey = self.secret
        socket.zap_domain = b"syncline"

    def address(self, socket: "zmq.Socket[bytes]") -> None:
        """Make a socket that will connect speak CURVE with the one it trusts."""
        socket.curve_publickey = self.public
        socket.curve_secretkey = self.secret
        socket.curve_serverkey = self.trusted[0]


def load(folder: Path) -> Keys:
    """Raises EndpointError."""
    own = folder / "identity.key_secret"
    try:
        mode = own.stat().st_mode
        public, secret = zmq.auth.load_certificate(own)
        trusted = [zmq.auth.load_certificate(each)[0] for each in sorted((folder / "trusted").glob("*.key"))]
    except (OSError, ValueError) as error:
        raise EndpointError(f"no CURVE keys in {folder} ({error})") from error
    if secret is None or not trusted:
        what = f"no secret key in {own}" if secret is None else f"no public *.key in {folder / 'trusted'}"
        raise EndpointError(f"{what}: make keys with zmq.auth.create_certificates")
    if stat.S_IMODE(mode) & 0o077:
        raise EndpointError(f"others may read {own}: chmod 600 it")
    return Keys(public, secret, tuple(trusted))


class Doorkeeper:
    """Answers ZeroMQ's question (ZAP, rfc 27) who may come in: those whose key is trusted, nobody else."""

    def __init__(self, context: "zmq.Context[zmq.Socket[bytes]]", keys: Keys) -> None:
        self.socket = context.socket(zmq.REP)
        self.socket.linger = 0
        self.socket.bind(_ZAP_ENDPOINT)
        self._trusted = frozenset(keys.trusted)

    def answer(self) -> bool:
        """One question. False: there is none. Raises zmq.Again never."""
        try:
            frames = self.socket.recv_multipart(zmq.DONTWAIT)
        except zmq.Again:
            return False
        request = frames[1] if len(frames) > 1 else b""
        is_welcome = (
            len(frames) == _ZAP_FRAMES
            and frames[0] == _ZAP_VERSION
            and frames[5] == b"CURVE"
            and _z85(frames[6]) in self._trusted
        )
        verdict = (b"200", b"OK") if is_welcome else (b"400", b"not a trusted key")
        self.socket.send_multipart([_ZAP_VERSION, request, *verdict, b"", b""])
        return True


_z85: Final[Callable[[bytes], bytes]] = zmq.utils.z85.encode
