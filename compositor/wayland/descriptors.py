"""The descriptors that one client makes us hold: counted, because a process has few and everybody needs some."""

import os
from typing import Final

from syncline.compositor.wayland.blame import no_memory
from syncline.protocol.fd import ReceivedFd

MAX_HELD: Final = 1024
"""Pools and dma-bufs of one client. A large application has dozens."""


class Descriptors:
    """One client's account."""

    def __init__(self) -> None:
        self._held = 0

    def take(self, fd: ReceivedFd) -> int:
        """Keep it, until `close` or `leave`. Raises ProtocolError: no_memory."""
        if self._held >= MAX_HELD:
            raise no_memory(f"{MAX_HELD} descriptors are held")
        self._held += 1
        return fd.take()

    def close(self, fd: int) -> None:
        os.close(fd)
        self._held -= 1

    def leave(self) -> None:
        """One that was taken has been closed by somebody else."""
        self._held -= 1
