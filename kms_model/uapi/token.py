"""Descriptors for those whom no socket reaches that could pass one: a token now, the descriptor for it later.

None of this is in a kernel, where SCM_RIGHTS does it; see docs/decisions/0004-tokens.md.
"""

from syncline.kms_model.uapi.door import Fd, Record, Request
from syncline.kms_model.uapi.syncobj import FdReply


class TokenAddressReply(Record, frozen=True):
    address: int


class TokenAddress(Request[TokenAddressReply], frozen=True):
    """The number by which others mean this open file. Never used again for another."""


class TokenReply(Record, frozen=True):
    """16 bytes that nobody can guess."""

    token: bytes


class TokenExport(Request[TokenReply], frozen=True):
    """Keep `fd`, of whatever kind, for the open file of that address."""

    fd: Fd
    address: int


class TokenRedeem(Request[FdReply], frozen=True):
    """Get the descriptor. A token is good once, for a while, and for the open file it is addressed to."""

    token: bytes
