"""Tokens: descriptors that the node keeps for somebody who will come for them (docs/decisions/0004-tokens.md)."""

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from errno import EBADF, EMFILE, ENOENT, ESRCH
from itertools import count
from typing import Any, Final

from syncline.kms_model.deadlines import Deadline
from syncline.kms_model.descriptors import is_open
from syncline.kms_model.file import File
from syncline.kms_model.kernel import Kernel
from syncline.kms_model.loops import NS_PER_S
from syncline.kms_model.uapi import (
    DeviceError,
    Fd,
    FdReply,
    Request,
    TokenAddress,
    TokenAddressReply,
    TokenExport,
    TokenRedeem,
    TokenReply,
)

TOKEN_BYTES: Final = 16
LIFETIME_NS: Final = 5 * NS_PER_S
"""A message takes microseconds; who has not come by then will not."""
TOKENS_MAX: Final = 128
"""Descriptors that one file may have waiting for one other."""


@dataclass(eq=False, slots=True)
class _Deposit:
    """A descriptor of the machine's own until somebody redeems it."""

    fd: int
    giver: File
    taker: File
    expiry: Deadline


class Tokens:
    """Everything deposited and not yet redeemed. `draw(n)` gives n bytes that nobody can foresee."""

    def __init__(self, kernel: Kernel, *, draw: Callable[[int], bytes] = os.urandom) -> None:
        self._kernel = kernel
        self._draw = draw
        self._addresses: dict[File, int] = {}
        self._files: dict[int, File] = {}
        self._numbers = count(1)
        self._deposits: dict[bytes, _Deposit] = {}

    def ioctls(self) -> Mapping[type[Request[Any]], Callable[[File, Any], Any]]:
        return {TokenAddress: self.address, TokenExport: self.export, TokenRedeem: self.redeem}

    def file_opened(self, file: File) -> None:
        address = next(self._numbers)
        self._addresses[file] = address
        self._files[address] = file

    def file_closed(self, file: File) -> None:
        """What was meant for it is closed; what it gave to others is theirs to fetch."""
        del self._files[self._addresses.pop(file)]
        for token, deposit in list(self._deposits.items()):
            if deposit.taker is file:
                os.close(self._withdraw(token))

    def address(self, file: File, _request: TokenAddress) -> TokenAddressReply:
        return TokenAddressReply(self._addresses[file])

    def export(self, file: File, request: TokenExport) -> TokenReply:
        """ESRCH: no open file has that address. EBADF: no descriptor. EMFILE: TOKENS_MAX wait there, or no budget."""
        taker = self._files.get(request.address)
        if taker is None:
            raise DeviceError(ESRCH, "no open file has that address")
        if not is_open(request.fd):
            raise DeviceError(EBADF, "not a descriptor")
        waiting = sum(each.giver is file and each.taker is taker for each in self._deposits.values())
        if waiting >= TOKENS_MAX:
            raise DeviceError(EMFILE, "TOKENS_MAX descriptors are waiting to be fetched")
        fd = os.dup(request.fd)
        try:
            file.budget.charge()
        except DeviceError:
            os.close(fd)
            raise
        token = self._draw(TOKEN_BYTES)
        expiry = self._kernel.call_at(self._kernel.now_ns + LIFETIME_NS, lambda: self._expire(token))
        self._deposits[token] = _Deposit(fd, file, taker, expiry)
        return TokenReply(token)

    def redeem(self, file: File, request: TokenRedeem) -> FdReply:
        """ENOENT: unknown, used, expired or somebody else's, which look alike from here."""
        deposit = self._deposits.get(request.token)
        if deposit is None or deposit.taker is not file:
            raise DeviceError(ENOENT, "no such token for this file")
        return FdReply(Fd(self._withdraw(request.token)))

    def _withdraw(self, token: bytes) -> int:
        deposit = self._deposits.pop(token)
        deposit.expiry.cancel()
        deposit.giver.budget.refund()
        return deposit.fd

    def _expire(self, token: bytes) -> None:
        os.close(self._withdraw(token))
