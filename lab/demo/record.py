"""events.jsonl: every event of every part as a JSON line that says who told it, in the order of time."""

from pathlib import Path
from typing import Final

import msgspec

from syncline.clients.toolkit.report import ClientEvent
from syncline.compositor.core.report import ReportEvent
from syncline.kms_model.trace import TraceEvent

SOURCE: Final = b'{"source":'

AnyEvent = ClientEvent | ReportEvent | TraceEvent


class When(msgspec.Struct):
    """The one field that every event has."""

    t_ns: int


class Record:
    """Collects; `write` puts it in order. Events at the same instant keep the order in which they were told."""

    def __init__(self) -> None:
        self._lines: list[tuple[int, bytes]] = []
        self._encode = msgspec.json.Encoder().encode
        self._when = msgspec.json.Decoder(When)

    def add(self, source: str, event: AnyEvent) -> None:
        self._keep(source, event.t_ns, self._encode(event))

    def add_line(self, source: str, line: bytes) -> None:
        """An event that came as a JSON line from another process. Raises msgspec.MsgspecError if it is none."""
        self._keep(source, self._when.decode(line).t_ns, line.strip())

    def write(self, path: Path) -> None:
        self._lines.sort(key=lambda line: line[0])
        path.write_bytes(b"".join(line + b"\n" for _, line in self._lines))

    def _keep(self, source: str, t_ns: int, line: bytes) -> None:
        assert line.startswith(b"{"), "an event is a JSON object"
        self._lines.append((t_ns, SOURCE + self._encode(source) + b"," + line[1:]))
