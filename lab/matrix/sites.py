"""Where threads sleep for somebody's work: the thread, the call, and what else has to wait meanwhile."""

from collections.abc import Iterator, Mapping
from typing import Final, NamedTuple

from syncline.clients.toolkit.report import Waited
from syncline.kms_model.kms.point import WAIT_REASON
from syncline.kms_model.trace import WaitTrace
from syncline.lab.matrix.evidence import Evidence


class Site(NamedTuple):
    """`behind` says what waits behind the sleeping thread."""

    thread: str
    call: str
    behind: str


class Sleep(NamedTuple):
    """One time that a thread slept at a site."""

    site: Site
    end_ns: int
    duration_ns: int


COMMIT_WORKER: Final = "kernel commit worker"
IN_KERNEL: Final[Mapping[str, Site]] = {
    "in-fence": Site(COMMIT_WORKER, "wait_for_fences", "every commit of that screen: EBUSY"),
    WAIT_REASON: Site(COMMIT_WORKER, "PENDING_USER", "nothing: a newer commit takes its place"),
}
OF_CLIENT: Final[Mapping[str, tuple[str, str]]] = {
    "main": ("client main", "all that the client does"),
    "submit": ("client submit thread", "the client's next frame, and nothing else"),
}


def sleeps(evidence: Evidence) -> Iterator[Sleep]:
    """In the order in which they ended, part by part."""
    for event in evidence.subject:
        if isinstance(event, Waited):
            thread, behind = OF_CLIENT[event.thread]
            yield Sleep(Site(thread, event.call, behind), event.t_ns, event.waited_ns)
    for trace in evidence.device:
        if isinstance(trace, WaitTrace) and trace.end and trace.reason in IN_KERNEL:
            yield Sleep(IN_KERNEL[trace.reason], trace.t_ns, trace.waited_ns)
