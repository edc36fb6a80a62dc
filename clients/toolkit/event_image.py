"""An image that comes back by wl_buffer.release, whatever its storage."""

from collections.abc import Callable
from typing import Generic, Protocol, TypeVar

from syncline.clients.toolkit.display import Display
from syncline.clients.toolkit.loan import Loan
from syncline.clients.toolkit.options import Size
from syncline.clients.toolkit.proxies import Buffer


class Storage(Protocol):
    """What lies behind the image."""

    @property
    def wl(self) -> Buffer: ...

    def destroy(self) -> None: ...


StorageT = TypeVar("StorageT", bound=Storage)


class EventImage(Generic[StorageT]):
    """`make` is the storage's class; a subclass names it."""

    make: Callable[[Display, Size], StorageT]  # a class, so it does not bind

    def __init__(self, display: Display, *, index: int, size: Size) -> None:
        self.size = size
        self.loan = Loan(display.context, image=index)
        self._display = display
        self.buffer = self._allocate(size)

    def _allocate(self, size: Size) -> StorageT:
        buffer = self.make(self._display, size)
        buffer.wl.on_release = self.loan.end
        return buffer

    def resize(self, size: Size) -> None:
        self.buffer.destroy()
        self.buffer = self._allocate(size)
        self.size = size

    def destroy(self) -> None:
        self.buffer.destroy()
