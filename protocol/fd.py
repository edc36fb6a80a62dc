"""Descriptors that came in a message: each has one owner, and none is forgotten."""

import os


class ReceivedFd:
    """A descriptor lent to a handler. The connection closes it when the handler returns, unless taken."""

    __slots__ = ("_number",)

    def __init__(self, number: int) -> None:
        self._number = number

    def __repr__(self) -> str:
        return f"fd {self._number}" if self._number >= 0 else "fd gone"

    def fileno(self) -> int:
        """Its number, still ours to close: for calls that only borrow."""
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
