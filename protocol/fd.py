"""Descriptors that travel: each has one owner at any time, and none is forgotten."""

import os
from collections.abc import Iterable


class ReceivedFd:
    """A descriptor lent to a handler. The connection closes it when the handler returns, unless taken."""

    __slots__ = ("_number",)

    def __init__(self, number: int) -> None:
        self._number = number

    def __repr__(self) -> str:
        return f"fd {self._number}" if self._number >= 0 else "fd gone"

    def fileno(self) -> int:
        """Its number, still the connection's to close: for calls that only borrow."""
        assert self._number >= 0, "this descriptor has been taken"
        return self._number

    def take(self) -> int:
        """Its number; from now on the caller closes it."""
        number, self._number = self.fileno(), -1
        return number

    def close(self) -> None:
        """Close it now, unless taken or closed before."""
        if self._number >= 0:
            os.close(self.take())


def duplicate_all(fds: Iterable[int]) -> list[int]:
    """New descriptors for the same files, all or none. Raises OSError."""
    copies: list[int] = []
    try:
        copies.extend(os.dup(each) for each in fds)
    except OSError:
        close_all(copies)
        raise
    return copies


def close_all(fds: Iterable[int]) -> None:
    for each in fds:
        os.close(each)
