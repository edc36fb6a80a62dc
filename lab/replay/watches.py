"""What woke first: one epoll over everything watched, whose ready list is in the order of the wake-ups."""

import os
import select
from collections.abc import Callable
from typing import Final, Literal, NamedTuple

from syncline.lab.replay.threads import NS_PER_MS, Threads

BATCH: Final = 64
ONCE: Final = select.EPOLLIN | select.EPOLLONESHOT

Kind = Literal["sync_file", "eventfd", "drm", "thread"]


class Watch(NamedTuple):
    """`symbol` names the descriptor that was given, `label` what to call it."""

    label: str
    kind: Kind
    symbol: str


class Watches:
    """Events and counts are watched on after they were read; a fence or a thread ends only once."""

    def __init__(self, threads: Threads, read_events: Callable[[str], list[dict[str, object]]]) -> None:
        self._threads = threads
        self._read_events = read_events
        self._epoll = select.epoll()
        self._woken = select.poll()
        self._woken.register(self._epoll, select.POLLIN)
        self._watched: dict[int, Watch] = {}

    def add(self, fd: int, watch: Watch) -> None:
        self._epoll.register(fd, ONCE)
        self._watched[fd] = watch

    async def collect(self, *, expect: int, timeout_ms: float) -> list[str]:
        """Labels in wake order, until `expect` were seen or the time is over. Other threads run meanwhile."""
        seen: list[str] = []
        end_ns = self._threads.now_ns + round(timeout_ms * NS_PER_MS)
        while len(seen) < expect and (left_ns := end_ns - self._threads.now_ns) > 0:
            await self._threads.until(self._has_woken, timeout_ms=left_ns / NS_PER_MS)
            for fd, _ in self._epoll.poll(0, BATCH):
                seen += self._labels(fd, self._watched[fd])
        return seen

    def close(self) -> None:
        self._epoll.close()

    def _has_woken(self) -> bool:
        return bool(self._woken.poll(0))

    def _labels(self, fd: int, watch: Watch) -> list[str]:
        if watch.kind in {"sync_file", "thread"}:
            return [watch.label]
        if watch.kind == "drm":
            events = self._read_events(watch.symbol)
            labels = [f"{watch.label}:{event['type']}:{event['user_data']}" for event in events]
        else:
            labels = [f"{watch.label}:{os.eventfd_read(fd)}"]
        self._epoll.modify(fd, ONCE)
        return labels
