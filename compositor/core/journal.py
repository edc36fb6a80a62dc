"""The core's diary: turns what happens into report events."""

from syncline.compositor.core.errors import Violation
from syncline.compositor.core.loan import Loan
from syncline.compositor.core.report import (
    Commit,
    DeviceRefusal,
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


class Journal:
    """Written by every part of the core, taken away by the driver."""

    def __init__(self) -> None:
        self._events: list[ReportEvent] = []

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

    def _wait(self, edge: str, update: ContentUpdate, why: str, now_ns: int) -> None:
        who = f"{update.surface.client.name}/{update.surface.number}"
        whom = update.surface.client.name
        self._events.append(Wait(t_ns=now_ns, edge=edge, who=who, whom=whom, why=why, update=update.number))

    def wait_begins(self, update: ContentUpdate, why: str, now_ns: int) -> None:
        self._wait("begin", update, why, now_ns)

    def wait_ends(self, update: ContentUpdate, why: str, now_ns: int) -> None:
        self._wait("end", update, why, now_ns)

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
