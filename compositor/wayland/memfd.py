"""Constant data that clients map: one anonymous file for all of them, or a private copy for old ones."""

import fcntl
import os


class Memfd:
    """Owns a sealed file. What is in it never changes (D3)."""

    def __init__(self, name: str, data: bytes) -> None:
        self._name = name
        self._data = data
        self._fd = _file(name, data)
        seals = fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW | fcntl.F_SEAL_WRITE | fcntl.F_SEAL_SEAL
        fcntl.fcntl(self._fd, fcntl.F_ADD_SEALS, seals)

    @property
    def size(self) -> int:
        return len(self._data)

    def fileno(self) -> int:
        """Lent. A write-sealed file can only be mapped MAP_PRIVATE before Linux 6.7."""
        return self._fd

    def unsealed_copy(self) -> int:
        """A file of its own for one client that may map it MAP_SHARED; the caller closes it."""
        return _file(self._name, self._data)

    def close(self) -> None:
        os.close(self._fd)


def _file(name: str, data: bytes) -> int:
    fd = os.memfd_create(name, os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
    os.write(fd, data)
    return fd
