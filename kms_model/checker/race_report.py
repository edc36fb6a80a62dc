"""A race in words, and as a path: how each side came about, from where they part, and the edge that is missing."""

from collections import deque
from collections.abc import Callable, Collection, Iterator, Sequence
from itertools import zip_longest

from syncline.kms_model.checker.access import Access, Buffer
from syncline.kms_model.checker.moment import Cause, Moment, Thread
from syncline.kms_model.checker.report import Report, Severity, Step

MISSING = "missing"
"""The kind of the step that should be there."""


def clause(old: Access, new: Access) -> str:
    """Which part of K21 it is. A read that knew of the job but did not wait for it is the reader's mistake.

    Who did not know of it, and had waited for an earlier one, was painted over.
    """
    if old.writes and new.writes:
        return "two writers at once"
    reader, writer = (old, new) if new.writes else (new, old)
    had_waited = writer.thread.number in reader.begin.vector
    if _was_submitted_before(writer, reader) or (reader is new and not had_waited):
        return "a read before its producer's fence"
    if reader.thread.kind == "scanout":
        return "reuse before the out-fence of the commit that replaced the buffer"
    return "a write before the reader's release"


def signature(old: Access, new: Access) -> str:
    sides = (f"{each.thread.kind} of {each.thread.name}" for each in (old, new))
    return f"K21 {clause(old, new)}: {' / '.join(sides)}"


def race(buffer: Buffer, old: Access, new: Access, *, now_ns: int) -> Report:
    """`new` begins now, and does not come after `old`."""
    if old.ended_ns is None:
        timing = f"they overlap: the first has been going on for {now_ns - old.begun_ns} ns"
    else:
        timing = f"this time the first had ended {now_ns - old.ended_ns} ns before"
    first, second = _deed(old), _deed(new)
    return Report(
        rule="K21",
        severity=Severity.ERROR,
        t_ns=now_ns,
        signature=signature(old, new),
        what=f"{clause(old, new)}: {first} {buffer.name}, {second} it, and nothing orders them; {timing}",
        objects=(buffer.name, str(old.begin), str(new.begin)),
        path=path(old, new),
    )


def path(old: Access, new: Access) -> tuple[Step, ...]:
    """The missing edge, then the way back from either side to the last thing that both come after."""
    first, second = old.begin, new.begin
    missing = Step(
        str(second),
        f"the end of {first}",
        "nothing makes it wait for this",
        MISSING,
        new.thread.kind,
        new.begun_ns,
    )
    authors = {cause.moment.thread for cause in first.causes if cause.moment.thread.kind == "process"}
    way = _way(second, first.knows, authors)
    if not way:
        return (missing,)
    common = way[-1].moment
    back = _way(first, lambda moment: moment is common)
    return (missing, *_steps(second, way), *_steps(first, back))


def _deed(access: Access) -> str:
    what = f"scanout from {access.begin} on" if access.thread.kind == "scanout" else str(access.begin)
    return f"{what} {'writes' if access.writes else 'reads'}"


def _was_submitted_before(writer: Access, reader: Access) -> bool:
    """The reader's side knows that the job was queued."""
    return writer.thread.kind == "job" and any(
        cause.moment.thread.kind == "process" and reader.begin.knows(cause.moment)
        for cause in writer.begin.causes
    )


def _way(start: Moment, is_end: Callable[[Moment], bool], authors: Collection[Thread] = ()) -> list[Cause]:
    """From `start` back to a moment that `is_end`, from thread to thread as seldom as can be.

    The newest of one of `authors`, if there is one. Empty if the way is forgotten.
    """
    came: dict[Moment, tuple[Moment, Cause]] = {}
    ends: list[Moment] = []
    queue = deque([start])
    while queue:
        moment = queue.popleft()
        for cause in moment.causes:
            if cause.moment in came:
                continue
            came[cause.moment] = moment, cause
            if is_end(cause.moment):
                ends.append(cause.moment)
            elif cause.moment.thread is moment.thread:
                queue.appendleft(cause.moment)
            else:
                queue.append(cause.moment)
    if not ends:
        return []
    best = max(ends, key=lambda moment: (moment.thread in authors, moment.t_ns))
    return _back(start, best, came)


def _back(start: Moment, end: Moment, came: dict[Moment, tuple[Moment, Cause]]) -> list[Cause]:
    way: list[Cause] = []
    while end is not start:
        end, cause = came[end]
        way.append(cause)
    return way[::-1]


def _steps(start: Moment, way: Sequence[Cause]) -> Iterator[Step]:
    """Steps on one thread are one."""
    for cause, after in zip_longest(way, way[1:]):
        goes_on = after is not None and after.moment.thread is cause.moment.thread is start.thread
        if not goes_on:
            yield Step(str(start), str(cause.moment), cause.why, "and", start.thread.kind, start.t_ns)
            start = cause.moment
