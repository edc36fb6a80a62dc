"""One end of a transport, and what it has heard."""

import asyncio
from collections.abc import Callable

from syncline.protocol.transport import Transport


class Ear:
    """What one end has heard."""

    def __init__(self, transport: Transport) -> None:
        self.transport = transport
        self.data = b""
        self.fds: list[int] = []
        self.farewells: list[str] = []
        self._news = asyncio.Event()
        transport.start(self._hear, self._end)

    def _hear(self, data: bytes, fds: list[int]) -> None:
        self.data += data
        self.fds += fds
        self._news.set()

    def _end(self, reason: str) -> None:
        self.farewells.append(reason)
        self._news.set()

    async def until(self, condition: Callable[[], bool]) -> None:
        while not condition():
            self._news.clear()
            await self._news.wait()

    async def farewell(self) -> str:
        await self.until(lambda: bool(self.farewells))
        return self.farewells[0]
