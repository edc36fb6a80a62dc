"""Needless waits (K22): a wait that orders nothing of what its waiter touches, and what it cost."""

from collections.abc import Iterator, Sequence

from syncline.kms_model.accesses import Reservation, Wait
from syncline.kms_model.checker.access import Buffer
from syncline.kms_model.checker.moment import Moment, merge
from syncline.kms_model.checker.report import Report, Severity, Step
from syncline.kms_model.observer import AwaitedPoint


class Hold:
    """Something that a job or a commit waits for, and what is behind it."""

    __slots__ = ("moments", "wait", "was_pending")

    def __init__(self, wait: Wait, moments: tuple[Moment, ...]) -> None:
        self.wait = wait
        self.moments = moments
        self.was_pending = wait.fence is not None and not wait.fence.told

    @property
    def why(self) -> str:
        match self.wait.carrier:
            case AwaitedPoint(point=point, is_user=is_user):
                return f"waits for {'user ' if is_user else ''}point {point}"
            case Reservation():
                return "waits for the fences in the buffer"
            case _:
                return "waits for a sync_file"

    @property
    def signalled_ns(self) -> int:
        """Of one that was waited for; it is signalled now."""
        return 0 if self.wait.fence is None or not self.was_pending else self.wait.fence.timestamp_ns

    @property
    def touched(self) -> frozenset[int] | None:
        """Numbers of the buffers it is about. None: nobody can tell."""
        touched: frozenset[int] = frozenset()
        for moment in self.moments:
            if moment.buffers is None:
                return None
            touched |= moment.buffers
        return touched or None


def needless(
    moment: Moment,
    holds: Sequence[Hold],
    accesses: Sequence[tuple[Buffer, bool]],
    since_ns: int,
    now_ns: int,
) -> Iterator[Report]:
    """The waits of `moment`, which begins now, that had nothing to do with its `accesses` and held it up."""
    own = frozenset(buffer.number for buffer, _ in accesses)
    for hold in holds:
        touched = hold.touched
        if not hold.was_pending or touched is None or touched & own:
            continue
        others = [other for other in holds if other is not hold]
        free_ns = max([since_ns, *(other.signalled_ns for other in others)])
        cost_ns = hold.signalled_ns - free_ns
        if cost_ns > 0 and not _orders_anything(moment, others, accesses):
            yield _report(moment, hold, own, touched, cost_ns, now_ns)


def _orders_anything(moment: Moment, others: Sequence[Hold], accesses: Sequence[tuple[Buffer, bool]]) -> bool:
    """Without this wait, would anything that is ordered now be a race?"""
    vector = {moment.thread.number: moment.tick}
    given = (cause.moment for cause in moment.causes)
    known = [one for one in given if one.thread is moment.thread or one.thread.kind == "process"]
    for each in (*known, *(one for other in others for one in other.moments)):
        merge(vector, each.vector)
    for buffer, writes in accesses:
        for old in buffer.accesses:
            conflicts = (old.writes or writes) and old.thread is not moment.thread
            if conflicts and old.is_before(moment) and vector.get(old.thread.number, 0) < (old.end_tick or 0):
                return True
    return False


def _report(
    moment: Moment, hold: Hold, own: frozenset[int], touched: frozenset[int], cost_ns: int, now_ns: int
) -> Report:
    waited = ", ".join(str(each) for each in hold.moments)
    step = Step(str(moment), waited, hold.why, "and", moment.thread.kind, now_ns)
    return Report(
        rule="K22",
        severity=Severity.INFO,
        t_ns=now_ns,
        signature=f"K22 {moment.thread.kind} of {moment.thread.name} {hold.why.rstrip('0123456789 ')}",
        what=f"{moment} touches {_names(own)}, and was held up for {cost_ns} ns by {waited}, which touches "
        f"{_names(touched)}",
        objects=(str(moment), waited),
        path=(step,),
    )


def _names(buffers: frozenset[int]) -> str:
    return ", ".join(f"buffer {number}" for number in sorted(buffers))
