"""The core's diary: turns what happens into report events."""

from typing import Final

from syncline.compositor.core.errors import Violation
from syncline.compositor.core.loan import Loan
from syncline.compositor.core.report import (
    Commit,
    DeviceRefusal,
    Drop,
    Flip,
    FrameReport,
    Latch,
    Ready,
    Release,
    ReportEvent,
    ViolationEvent,
    Wait,
)
from syncline.compositor.core.surface import Client, ContentUpdate
from syncline.kms_model.uapi import DeviceError

LOOP: Final = ("compositor loop", "epoll_wait")
SLEEPERS: Final = {
    "acquire-point": LOOP,
    "implicit-fence": LOOP,
    "user-fence": ("kernel commit worker", "PENDING_USER"),
}
"""By why an update waits: the thread that sleeps for it, and the call. For time nobody does."""


class Journal:
    """Written by every part of the core, taken away by the driver."""

    def __init__(self) -> None:
        self._events: list[ReportEvent] = []
        self._waiting_since_ns: dict[tuple[int, str], int] = {}
        """By update and why."""

    def take(self) -> list[ReportEvent]:
        events, self._events = self._events, []
        return events

    def committed(self, update: ContentUpdate) -> None:
        loan = update.loan
        self._events.append(
            Commit(
                t_ns=update.committed_ns,
                client=update.surface.client.name,
                surface=update.surface.number,
                update=update.number,
                sync=update.sync,
                acquire=loan.acquire.value if loan is not None and loan.acquire is not None else None,
                release=loan.release.value if loan is not None and loan.release is not None else None,
            )
        )

    def ready(self, update: ContentUpdate, now_ns: int) -> None:
        client = update.surface.client.name
        self._events.append(
            Ready(t_ns=now_ns, client=client, surface=update.surface.number, update=update.number)
        )

    def _wait(self, edge: str, update: ContentUpdate, why: str, now_ns: int, *, waited_ns: int = 0) -> None:
        who = f"{update.surface.client.name}/{update.surface.number}"
        whom = update.surface.client.name
        thread, call = SLEEPERS.get(why, ("", ""))
        self._events.append(
            Wait(
                t_ns=now_ns, edge=edge, who=who, whom=whom, why=why, update=update.number, thread=thread,
                call=call, waited_ns=waited_ns,
            )
        )  # fmt: skip

    def wait_begins(self, update: ContentUpdate, why: str, now_ns: int) -> None:
        self._waiting_since_ns[update.number, why] = now_ns
        self._wait("begin", update, why, now_ns)

    def wait_ends(self, update: ContentUpdate, why: str, now_ns: int) -> None:
        since_ns = self._waiting_since_ns.pop((update.number, why))
        self._wait("end", update, why, now_ns, waited_ns=now_ns - since_ns)

    def latched(
        self, output: str, frame: int, *, target_ns: int, margin_ns: int, how: str, updates: tuple[int, ...],
        now_ns: int,
    ) -> None:  # fmt: skip
        self._events.append(
            Latch(
                t_ns=now_ns, output=output, frame=frame, target_ns=target_ns, margin_ns=margin_ns, how=how,
                updates=updates,
            )
        )  # fmt: skip

    def flipped(self, output: str, frame: int, *, sequence: int, target_ns: int, time_ns: int) -> None:
        self._events.append(
            Flip(t_ns=time_ns, output=output, frame=frame, sequence=sequence, target_ns=target_ns)
        )

    def dropped(self, output: str, frame: int, update: int, *, errno: int, now_ns: int) -> None:
        self._events.append(Drop(t_ns=now_ns, output=output, frame=frame, update=update, errno=errno))

    def released(self, loan: Loan, how: str, now_ns: int) -> None:
        self._events.append(
            Release(t_ns=now_ns, client=loan.client, surface=loan.surface, update=loan.update, how=how)
        )

    def violated(self, client: Client, violation: Violation, now_ns: int) -> None:
        code = f"{type(violation.code).__qualname__}.{violation.code.name}"
        self._events.append(ViolationEvent(t_ns=now_ns, client=client.name, code=code, text=violation.text))

    def refused(self, refusal: DeviceError, what: str, now_ns: int) -> None:
        self._events.append(DeviceRefusal(t_ns=now_ns, errno=refusal.errno, what=what))

    def framed(self, report: FrameReport) -> None:
        self._events.append(report)
