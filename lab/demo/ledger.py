"""What the streams add up to: frames, waits, misses and debts of every client."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

from syncline.compositor.core import report
from syncline.kms_model.trace import Warn

NS_PER_MS: Final = 1_000_000
ON_TIME_NS: Final = 1 * NS_PER_MS
"""A flip this near to its target hit it: the next vblank is many times as far away."""
RACE: Final = "K21"
NO_BUFFER: Final = "none"
"""The sync mode of a commit that brought no image: it is no frame."""


@dataclass(frozen=True, slots=True)
class Waiting:
    """Somebody waits right now. `why` is the constraint that holds the update back."""

    since_ns: int
    who: str
    whom: str
    why: str


@dataclass(slots=True)
class Account:
    """One client in one sync mode. Latencies are commit to presented, waits commit to ready; in ns."""

    client: str
    sync: str
    presented: int = 0
    discarded: int = 0
    missed_by_us: int = 0
    overran: int = 0
    """Of these, vblanks lost by frames that were latched, but not finished for the vblank they aimed at."""
    missed_by_client: int = 0
    zero_copy: int = 0
    owed: int = 0
    paid: int = 0
    latencies_ns: list[int] = field(default_factory=list)
    waits_ns: list[int] = field(default_factory=list)
    waited_for: Counter[str] = field(default_factory=Counter)


class Ledger:
    """Feed it the compositor's events in their order."""

    def __init__(self) -> None:
        self.accounts: dict[tuple[str, str], Account] = {}
        self.violations: list[report.ViolationEvent] = []
        self.refusals: Counter[str] = Counter()
        self.races: list[str] = []
        """K21: one report for each kind, for people."""
        self._waiting: dict[tuple[str, str, str, int], Waiting] = {}
        self._modes: dict[int, Account] = {}

    def feed(self, event: report.ReportEvent) -> None:
        match event:
            case report.Commit():
                self._committed(event)
            case report.Release():
                self._released(event)
            case report.Wait():
                self._waited(event)
            case report.FrameReport():
                self._framed(event)
            case report.ViolationEvent():
                self.violations.append(event)
            case report.DeviceRefusal():
                self.refusals[event.what] += 1
            case report.Ready() | report.Latch() | report.Flip() | report.Drop():
                pass

    def feed_warning(self, warning: Warn) -> None:
        """Of the device's checker."""
        if warning.rule == RACE:
            self.races.append(warning.report)

    @property
    def waiting(self) -> Sequence[Waiting]:
        """Longest first."""
        return sorted(self._waiting.values(), key=lambda waiting: waiting.since_ns)

    def account(self, client: str, sync: str) -> Account:
        return self.accounts.setdefault((client, sync), Account(client, sync))

    def _committed(self, event: report.Commit) -> None:
        if event.sync == NO_BUFFER:
            return
        account = self._modes[event.update] = self.account(event.client, event.sync)
        account.owed += 1

    def _released(self, event: report.Release) -> None:
        account = self._modes.pop(event.update, None)
        if account is not None:
            account.paid += 1

    def _waited(self, event: report.Wait) -> None:
        key = (event.who, event.whom, event.why, event.update)
        if event.edge == "begin":
            self._waiting[key] = Waiting(event.t_ns, event.who, event.whom, event.why)
        else:
            self._waiting.pop(key, None)

    def _framed(self, event: report.FrameReport) -> None:
        if event.sync == NO_BUFFER:
            return
        account = self.account(event.client, event.sync)
        if event.presented_ns is None:
            account.discarded += 1
            return
        account.presented += 1
        account.missed_by_us += event.missed_by_us
        if event.target_ns is not None and event.presented_ns > event.target_ns + ON_TIME_NS:
            account.overran += event.missed_by_us
        account.missed_by_client += event.missed_by_client
        account.zero_copy += event.zero_copy
        account.latencies_ns.append(event.presented_ns - event.committed_ns)
        account.waits_ns.append((event.ready_ns or event.committed_ns) - event.committed_ns)
        account.waited_for[event.waited_for] += 1
