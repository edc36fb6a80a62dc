"""What one open file may cost the machine in descriptors and memory, so that no client can starve the others."""

from errno import EMFILE, ENOMEM
from typing import Final

from syncline.kms_model.uapi import DeviceError

MAX_DESCRIPTORS: Final = 4096
"""Buffers, sync_files and eventfds that a file has at a time, each a descriptor of the machine's own."""
MAX_BYTES: Final = 4 << 30


class Budget:
    """Charged by whoever makes something on behalf of a file, and given back when that thing goes."""

    __slots__ = ("_bytes", "_descriptors")

    def __init__(self) -> None:
        self._descriptors = MAX_DESCRIPTORS
        self._bytes = MAX_BYTES

    def charge(self, size: int = 0) -> None:
        """One descriptor and `size` bytes. EMFILE, ENOMEM: that is more than is left."""
        if not self._descriptors:
            raise DeviceError(EMFILE, "the file has MAX_DESCRIPTORS objects")
        if size > self._bytes:
            raise DeviceError(ENOMEM, "the file has MAX_BYTES of buffers")
        self._descriptors -= 1
        self._bytes -= size

    def refund(self, size: int = 0) -> None:
        self._descriptors += 1
        self._bytes += size
