"""What one cell left behind: the events of all parts, and which stretch of them is judged."""

from dataclasses import dataclass, field
from typing import Final

from syncline.clients.toolkit.report import ClientEvent, Presented
from syncline.compositor.core.report import ReportEvent
from syncline.kms_model.loops import NS_PER_S
from syncline.kms_model.trace import TraceEvent

WARM_UP_NS: Final = NS_PER_S // 2
"""From the first frame on: windows open, the compositor learns its margin."""


@dataclass(frozen=True, slots=True)
class Window:
    """The stretch of time that counts."""

    begin_ns: int
    end_ns: int

    def covers(self, t_ns: int) -> bool:
        return self.begin_ns <= t_ns < self.end_ns

    @property
    def length_ns(self) -> int:
        return self.end_ns - self.begin_ns


@dataclass(kw_only=True, slots=True)
class Evidence:
    """Filled while a cell is performed. `objection`: why it could not be, or why its client gave up."""

    subject: list[ClientEvent] = field(default_factory=list)
    bystander: list[ClientEvent] = field(default_factory=list)
    compositor: list[ReportEvent] = field(default_factory=list)
    device: list[TraceEvent] = field(default_factory=list)
    objection: str = ""

    def window(self, length_ns: int) -> Window:
        """From some time after everybody who shows anything has begun to."""
        debuts = [
            next((event.presented_ns for event in events if isinstance(event, Presented)), 0)
            for events in (self.subject, self.bystander)
        ]
        begin_ns = max(debuts) + WARM_UP_NS
        return Window(begin_ns, begin_ns + length_ns)
