"""A device file that fails on demand: what class M asks of the machine under the compositor."""

import os
from errno import ENOMEM
from typing import Any, TypeVar

import msgspec

from syncline.kms_model.uapi import DeviceError, DeviceFile, Fd, Request, SyncobjEventfd

R = TypeVar("R")


class FaultyFile:
    """The compositor's open of the device; `refuse`, `lose_wakes` and `ring` are the tester's."""

    def __init__(self, file: DeviceFile) -> None:
        self._file = file
        self._refused: dict[str, tuple[int, int]] = {}
        self._loses_wakes = False
        self._unheard: list[int] = []
        self._latest = -1

    # What the tester asks for.

    def refuse(self, request: str, *, times: int, errno: int = ENOMEM) -> None:
        """The next so many calls of that name end with this errno."""
        self._refused[request] = times, errno

    def lose_wakes(self, *, lost: bool) -> None:
        """Eventfds registered from now on are not rung."""
        self._loses_wakes = lost

    def ring(self) -> None:
        """Ring the eventfd that was registered last, for no reason; the point may not have been reached yet."""
        os.eventfd_write(self._latest, 1)

    # What the compositor sees.

    def call(self, request: Request[R]) -> R:
        name = type(request).__name__
        times, errno = self._refused.get(name, (0, 0))
        if times:
            self._refused[name] = times - 1, errno
            raise DeviceError(errno, "as the tester asked")
        if isinstance(request, SyncobjEventfd):
            reply: R = self._register(request)
            return reply
        return self._file.call(request)

    def _register(self, request: Any) -> Any:
        """Under another eventfd if its wake is to be lost."""
        self._latest = request.fd
        if self._loses_wakes:
            self._unheard.append(os.eventfd(0, os.EFD_CLOEXEC | os.EFD_NONBLOCK))
            request = msgspec.structs.replace(request, fd=Fd(self._unheard[-1]))
        return self._file.call(request)

    async def wait(self, request: Request[R]) -> R:
        return await self._file.wait(request)

    def read_events(self) -> list[Any]:
        return self._file.read_events()

    def fileno(self) -> int:
        return self._file.fileno()

    def close_fd(self, fd: Fd) -> None:
        self._file.close_fd(fd)

    def close(self) -> None:
        self._file.close()

    def forget(self) -> None:
        """The trial is over."""
        for fd in self._unheard:
            os.close(fd)
        self._unheard.clear()
