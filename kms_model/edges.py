"""Where a real loop sleeps: descriptors whose callbacks are called right when the sleep ends.

asyncio packs every wake-up into a Handle, queues it, and runs the queue: some forty calls around one. A device or a
compositor wakes five times for a frame with cold caches, and what it does not execute it does not have to fetch. So
the loop stays in here, from one sleep to the next, until somebody asks asyncio for something: a task is to go on, a
signal has come. Then asyncio has its turn as always. Everything used of asyncio is public: a selector is its user's
to choose.
"""

import select
import selectors
from collections.abc import Callable
from typing import Final

_FOR_EVER: Final = -1.0
_TO_READ: Final = ~select.EPOLLOUT
_TO_WRITE: Final = ~select.EPOLLIN
"""Hang-ups and errors are told to both."""


class Edge:
    """One descriptor, and who wants to hear of it."""

    __slots__ = ("read", "write")

    def __init__(self) -> None:
        self.read: Callable[[], object] | None = None
        self.write: Callable[[], object] | None = None

    @property
    def mask(self) -> int:
        return (select.EPOLLIN if self.read else 0) | (select.EPOLLOUT if self.write else 0)


class Edges(selectors.EpollSelector):
    """asyncio's own descriptors are in its selector, and that is one of ours."""

    def __init__(self, *, tidy: Callable[[], None], failed: Callable[[Exception], None]) -> None:
        """`tidy` is called before every sleep, `failed` with what a callback raised."""
        super().__init__()
        self._tidy = tidy
        self._failed = failed
        self._edges: dict[int, Edge] = {}
        self._epoll = select.epoll()
        self._heard: list[tuple[selectors.SelectorKey, int]] = []
        self.is_wanted = False
        """Somebody has asked asyncio for something since its last turn, or one of its own descriptors has news."""
        self.set_reader(self.fileno(), self._hear)

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        """Sleep and call back, again and again, until asyncio is to have a turn."""
        self.is_wanted = False
        while True:
            self._tidy()
            wait_s = 0.0 if self.is_wanted else _FOR_EVER if timeout is None else timeout
            found = [(self._edges[fd], mask) for fd, mask in self._epoll.poll(wait_s)]
            for edge, mask in found:  # whoever was called before may have taken its own interest back
                try:
                    if mask & _TO_READ and edge.read is not None:
                        edge.read()
                    if mask & _TO_WRITE and edge.write is not None:
                        edge.write()
                except Exception as fault:  # noqa: BLE001  every one of them is the loop's to report
                    self._failed(fault)
            if self.is_wanted or timeout is not None:
                heard, self._heard = self._heard, []
                return heard

    def _hear(self) -> None:
        self._heard = super().select(0)
        self.is_wanted = True

    def watch_timer(self, fd: int, rung: Callable[[], None]) -> None:
        """Call back once for every expiry, so that nobody needs to read the timer."""
        self._edges[fd] = edge = Edge()
        edge.read = rung
        self._epoll.register(fd, select.EPOLLIN | select.EPOLLET)

    def set_reader(self, fd: int, callback: Callable[[], object] | None) -> bool:
        """None: nobody wants to read any more. Returns whether somebody did before."""
        edge = self._edges.get(fd)
        before = edge.read if edge is not None else None
        if edge is not None or callback is not None:
            edge = edge or Edge()
            edge.read = callback
            self._follow(fd, edge)
        return before is not None

    def set_writer(self, fd: int, callback: Callable[[], object] | None) -> bool:
        """As `set_reader`."""
        edge = self._edges.get(fd)
        before = edge.write if edge is not None else None
        if edge is not None or callback is not None:
            edge = edge or Edge()
            edge.write = callback
            self._follow(fd, edge)
        return before is not None

    def _follow(self, fd: int, edge: Edge) -> None:
        if not edge.mask:
            del self._edges[fd]
            self._epoll.unregister(fd)
        elif fd in self._edges:
            self._epoll.modify(fd, edge.mask)
        else:
            self._epoll.register(fd, edge.mask)
            self._edges[fd] = edge

    def close(self) -> None:
        self._epoll.close()
        super().close()
