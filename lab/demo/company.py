"""The running parts of the demo, and what is heard of them."""

import asyncio
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import msgspec

from syncline.compositor.core.report import ReportEvent
from syncline.kms_model.trace import Warn
from syncline.lab.demo.ledger import Ledger
from syncline.lab.demo.process import Part
from syncline.lab.demo.record import Record

DEVICE: Final = "device"
COMPOSITOR: Final = "compositor"
SOCKET: Final = "wayland-syncline"
MESSAGES: Final = "messages"
WARNING: Final = b'{"ev":"warn"'
READY_S: Final = 10.0
LOOK_AGAIN_S: Final = 0.005


class CannotStart(Exception):
    """A part ended before others could connect to it; the text is one sentence."""


class Company:
    """Parts run in a directory of their own, so that no two demos meet. `over` is set when nothing can go on."""

    def __init__(self, directory: Path) -> None:
        self.ledger = Ledger()
        self.record = Record()
        self.notes: list[str] = []
        self.over = asyncio.Event()
        self.node = directory / "card0"
        self.socket = directory / SOCKET
        self.messages = directory / MESSAGES
        self._parts: list[Part] = []
        self._lost: Part | None = None
        self._decode = msgspec.json.Decoder(ReportEvent)
        self._decode_warning = msgspec.json.Decoder(Warn)
        self._environment = os.environ | {"XDG_RUNTIME_DIR": str(directory)}

    def start(self, name: str, words: Sequence[str]) -> Part:
        """Start `syncline WORDS`."""
        part = Part(name, words, self._environment, on_event=self._hear, on_end=self._mourn)
        self._parts.append(part)
        return part

    async def start_server(self, name: str, words: Sequence[str], socket: Path) -> None:
        """Start a part that others connect to, and wait until they can. Raises CannotStart."""
        part = self.start(name, words)
        try:
            async with asyncio.timeout(READY_S):
                while not os.path.exists(socket):  # noqa: ASYNC240, PTH110 - a directory of our own, in memory
                    if part.ended:
                        raise CannotStart(f"the {name} {part.obituary}")
                    await asyncio.sleep(LOOK_AGAIN_S)
        except TimeoutError:
            raise CannotStart(f"the {name} was not ready within {READY_S:.0f} s") from None

    async def all_on_screen(self) -> None:
        """Until every client that still runs has shown a frame, or it is over. Who takes too long gets a note."""
        try:
            async with asyncio.timeout(READY_S):
                while not self.over.is_set():
                    if not self._unseen():
                        return
                    await asyncio.sleep(LOOK_AGAIN_S)
        except TimeoutError:
            self.notes += [
                f"The client {name} showed nothing within {READY_S:.0f} s." for name in self._unseen()
            ]

    def _unseen(self) -> list[str]:
        seen = {account.client for account in self.ledger.accounts.values() if account.presented}
        seen |= {part.name for part in self._parts if part.ended}
        return [part.name for part in self._parts if part.name not in seen | {DEVICE, COMPOSITOR}]

    async def stop(self) -> None:
        """Clients first, together; then the compositor, then the device."""
        servers = [part for part in self._parts if part.name in {DEVICE, COMPOSITOR}]
        await asyncio.gather(*(part.stop() for part in self._parts if part not in servers))
        for part in reversed(servers):
            await part.stop()
        if (
            self._lost is not None
        ):  # a dying device hangs up before it is dead: its compositor's end is heard first
            cause = next((part for part in servers if not part.is_well), self._lost)
            self.notes.append(f"The {cause.name} {cause.obituary}; the demo ended there.")

    def _hear(self, name: str, line: bytes) -> None:
        self.record.add_line(name, line)
        if name == COMPOSITOR:
            self.ledger.feed(self._decode.decode(line))
        elif name == DEVICE and line.startswith(WARNING):
            self.ledger.feed_warning(self._decode_warning.decode(line))

    def _mourn(self, part: Part) -> None:
        """Somebody has ended. After a server's end the others end too, and need no word."""
        if self.over.is_set() or (part.stopping and part.is_well):
            return
        if part.name in {DEVICE, COMPOSITOR}:
            self._lost = part
            self.over.set()
        else:
            self.notes.append(f"The client {part.name} {part.obituary}; the others went on.")
