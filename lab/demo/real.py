"""The demo as real processes: device, compositor and clients, each with a pipe for its events."""

import asyncio
import os
import signal
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

import msgspec
from rich.console import Console
from rich.live import Live

from syncline.clients.toolkit.loop import ClientError, Context
from syncline.clients.toolkit.options import Options
from syncline.compositor.core.report import ReportEvent
from syncline.kms_model.loops import RealLoop
from syncline.lab.demo.cast import Role, words
from syncline.lab.demo.ledger import Ledger
from syncline.lab.demo.process import Part
from syncline.lab.demo.record import Record
from syncline.lab.demo.stage import Show
from syncline.lab.demo.table import live_table
from syncline.lab.screenshot import Pixels, photograph
from syncline.protocol.transport.unix import connect

DEVICE: Final = "device"
COMPOSITOR: Final = "compositor"
READY_S: Final = 10.0
LOOK_AGAIN_S: Final = 0.005
FRAME_S: Final = 0.1
SOCKET: Final = "wayland-syncline"


class CannotStart(Exception):
    """A part ended before it was ready; the text is one sentence."""


class Company:
    """The running parts, and what is heard of them."""

    def __init__(self, runtime_dir: Path) -> None:
        self.runtime_dir = runtime_dir
        self.ledger = Ledger()
        self.record = Record()
        self.notes: list[str] = []
        self.over = asyncio.Event()
        self._parts: list[Part] = []
        self._decode = msgspec.json.Decoder(ReportEvent)
        self._environment = os.environ | {"XDG_RUNTIME_DIR": str(runtime_dir), "WAYLAND_DISPLAY": SOCKET}

    @property
    def node(self) -> Path:
        return self.runtime_dir / "syncline" / "card0"

    @property
    def socket(self) -> Path:
        return self.runtime_dir / SOCKET

    def start(self, name: str, words: Sequence[str]) -> Part:
        part = Part(name, words, self._environment, on_event=self._hear, on_end=self._mourn)
        self._parts.append(part)
        return part

    async def start_server(self, name: str, words: Sequence[str], socket: Path) -> None:
        """Start a part that others connect to, and wait until they can. Raises CannotStart."""
        part = self.start(name, words)
        async with asyncio.timeout(READY_S):
            while not socket.exists():
                if part.ended:
                    raise CannotStart(f"the {name} {part.obituary}")
                await asyncio.sleep(LOOK_AGAIN_S)

    async def stop(self) -> None:
        """The last to start is the first to go; clients go together."""
        servers = [part for part in self._parts if part.name in {DEVICE, COMPOSITOR}]
        await asyncio.gather(*(part.stop() for part in self._parts if part not in servers))
        for part in reversed(servers):
            await part.stop()
        self.notes += [
            f"the {part.name} did not end well: it {part.obituary}"
            for part in self._parts
            if part.stopping and not part.is_well
        ]

    def _hear(self, name: str, line: bytes) -> None:
        self.record.add_line(name, line)
        if name == COMPOSITOR:
            self.ledger.feed(self._decode.decode(line))

    def _mourn(self, part: Part) -> None:
        if part.stopping or self.over.is_set():
            return
        if part.name in {DEVICE, COMPOSITOR}:
            self.notes.append(f"the {part.name} {part.obituary}, and with it the demo")
            self.over.set()
        else:
            self.notes.append(f"the client {part.name} {part.obituary}; the others went on")
