"""The event stream for a person: one line when the run ends."""

from collections.abc import Callable
from math import ceil

from syncline.clients.toolkit.report import ClientEvent, Ended, Presented, Started


class Summary:
    def __init__(self, write: Callable[[str], object]) -> None:
        self._write = write
        self._title = ""
        self._c2p_ns: list[int] = []

    def __call__(self, event: ClientEvent) -> None:
        match event:
            case Started(title=title):
                self._title = title
            case Presented(c2p_ns=c2p_ns):
                self._c2p_ns.append(c2p_ns)
            case Ended():
                self._write(self._line(event))
            case _:
                pass

    def _line(self, end: Ended) -> str:
        latency = ""
        if self._c2p_ns:
            in_order = sorted(self._c2p_ns)
            p50, p99 = (in_order[ceil(len(in_order) * share) - 1] / 1e6 for share in (0.5, 0.99))
            latency = f", c2p p50 {p50:.2f} ms p99 {p99:.2f} ms"
        return (
            f"{self._title}: {end.committed} commits, {end.presented} presented, {end.discarded} discarded, "
            f"{end.unanswered} unanswered{latency}; {end.paid} of {end.owed} images came back ({end.reason})\n"
        )
