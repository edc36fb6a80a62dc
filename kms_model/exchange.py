"""An open file as an exchange of descriptors and tokens: what a carrier of messages needs of the device."""

from errno import EMFILE, ENOENT, ESRCH

from syncline.kms_model.uapi import (
    DeviceError,
    DeviceFile,
    Fd,
    TokenAddress,
    TokenExport,
    TokenRedeem,
)


class Exchange:
    """Owns the device file, which others know by `address`."""

    def __init__(self, file: DeviceFile) -> None:
        self._file = file
        self.address = file.call(TokenAddress()).address

    def deposit(self, fd: int, address: int) -> bytes | None:
        """A token for `fd`, which is lent, good at that address. None: nobody there fetches what is sent."""
        try:
            return self._file.call(TokenExport(fd=Fd(fd), address=address)).token
        except DeviceError as refusal:
            if refusal.errno in {ESRCH, EMFILE}:
                return None
            raise

    def redeem(self, token: bytes) -> int | None:
        """The descriptor, ours from here on. None: forged, used, too late, or meant for another."""
        try:
            return self._file.call(TokenRedeem(token=token)).fd
        except DeviceError as refusal:
            if refusal.errno == ENOENT:
                return None
            raise

    def close(self) -> None:
        self._file.close()
