"""What a cell came to: whether it works, who slept where for how long, and what it cost a bystander."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence

import msgspec

from syncline.clients.toolkit.report import ClientEvent, Presented
from syncline.compositor.core.journal import LOOP
from syncline.compositor.core.report import FrameReport, Wait
from syncline.kms_model.syncobj.find import STALL_USER
from syncline.kms_model.trace import WaitTrace, Warn
from syncline.lab.matrix.cast import BYSTANDER, SUBJECT
from syncline.lab.matrix.evidence import Evidence, Window
from syncline.lab.matrix.plan import ISOLATING, Options, Place
from syncline.lab.matrix.sites import Site, sleeps
from syncline.lab.spread import Spread, spread


class Stall(msgspec.Struct, frozen=True, kw_only=True):
    """A thread that slept in a call until somebody's work was done. `behind`: what else had to wait for it."""

    thread: str
    call: str
    behind: str
    durations: Spread
    share: float
    """Of the time that was measured."""


class Hold(msgspec.Struct, frozen=True, kw_only=True):
    """Updates that were held back while no thread slept for them: the compositor watches an eventfd."""

    why: str
    durations: Spread


class Bystander(msgspec.Struct, frozen=True, kw_only=True):
    """The light client beside: its frames, and by how many vblanks they came later than the first they were ready for.

    A frame that was never shown counts as one vblank. `late`: frames with any.
    """

    frames: int
    late: int
    missed_vblanks: int
    c2p: Spread


class Cell(msgspec.Struct, frozen=True, kw_only=True):
    """One combination. `why`: why it cannot work, or else what happens, in one sentence.

    `c2p` is commit to presented, `f2p` begun to presented: whoever waits before the commit pays there.
    """

    client: str
    compositor: str
    acquire: str
    kms: str
    works: bool
    why: str
    claims_isolation: bool
    stalls: tuple[Stall, ...] = ()
    holds: tuple[Hold, ...] = ()
    c2p: Spread | None = None
    f2p: Spread | None = None
    bystander: Bystander | None = None
    last_resort_stalls: int = 0
    warnings: dict[str, int] = {}
    """How often the machine or its checker found a rule broken, races on buffers (K21) among them; by rule."""
    command: str


def judge(place: Place, evidence: Evidence, options: Options) -> Cell:
    """By what the machine, the compositor and both clients told."""
    window = evidence.window(options.length_ns)
    frames = _presented(evidence.subject, window)
    cell = Cell(
        client=place.client.value,
        compositor=place.compositor.value,
        acquire=place.acquire.value,
        kms=place.kms.value,
        works=bool(frames) and not evidence.objection,
        why=evidence.objection or "nothing of it reaches the screen",
        claims_isolation=place.acquire in ISOLATING,
        command=options.command(place),
    )
    if not cell.works:
        return cell
    stalls, holds = _stalls(evidence, window), _holds(evidence, window)
    return msgspec.structs.replace(
        cell,
        why=_what_happens(stalls, holds),
        stalls=stalls,
        holds=holds,
        c2p=spread(frame.c2p_ns for frame in frames),
        f2p=spread(frame.f2p_ns for frame in frames),
        bystander=_bystander(evidence, window),
        last_resort_stalls=_last_resort(evidence, window),
        warnings=dict(Counter(event.rule for event in evidence.device if isinstance(event, Warn))),
    )


def _presented(events: Iterable[ClientEvent], window: Window) -> list[Presented]:
    return [event for event in events if isinstance(event, Presented) and window.covers(event.presented_ns)]


def _stalls(evidence: Evidence, window: Window) -> tuple[Stall, ...]:
    """The longest in all first."""
    found: dict[Site, list[int]] = defaultdict(list)
    for sleep in sleeps(evidence):
        if window.covers(sleep.end_ns):
            found[sleep.site].append(sleep.duration_ns)
    stalls = [_stall(site, durations, window) for site, durations in found.items()]
    return tuple(sorted(stalls, key=lambda stall: (-stall.share, stall.thread, stall.call)))


def _stall(site: Site, durations_ns: Sequence[int], window: Window) -> Stall:
    durations = spread(durations_ns)
    assert durations is not None, "a site is there because somebody slept at it"
    share = round(sum(durations_ns) / window.length_ns, 4)
    return Stall(thread=site.thread, call=site.call, behind=site.behind, durations=durations, share=share)


def _holds(evidence: Evidence, window: Window) -> tuple[Hold, ...]:
    """What the compositor's loop is told of: it sleeps for that as for everything else."""
    found: dict[str, list[int]] = defaultdict(list)
    for event in evidence.compositor:
        if not isinstance(event, Wait) or event.whom != SUBJECT or (event.thread, event.call) != LOOP:
            continue
        if event.edge == "end" and window.covers(event.t_ns):
            found[event.why].append(event.waited_ns)
    holds = [(why, spread(durations)) for why, durations in sorted(found.items())]
    return tuple(Hold(why=why, durations=durations) for why, durations in holds if durations is not None)


def _last_resort(evidence: Evidence, window: Window) -> int:
    """Whenever the machine was asked for a dma_fence of a user point, and slept for want of one (F25)."""
    return sum(
        event.end and event.reason == STALL_USER and window.covers(event.t_ns)
        for event in evidence.device
        if isinstance(event, WaitTrace)
    )


def _bystander(evidence: Evidence, window: Window) -> Bystander | None:
    c2p = spread(frame.c2p_ns for frame in _presented(evidence.bystander, window))
    if c2p is None:
        return None
    missed = [
        1 if event.presented_ns is None else event.missed_by_us + event.missed_by_others
        for event in evidence.compositor
        if isinstance(event, FrameReport) and event.client == BYSTANDER and window.covers(event.t_ns)
    ]
    late = sum(count > 0 for count in missed)
    return Bystander(frames=len(missed), late=late, missed_vblanks=sum(missed), c2p=c2p)


def _what_happens(stalls: Sequence[Stall], holds: Sequence[Hold]) -> str:
    if stalls:
        first = stalls[0]
        return f"the {first.thread} sleeps in {first.call}; behind it: {first.behind}"
    if holds:
        return f"held back by its {holds[0].why}, which the compositor watches; no thread sleeps"
    return "ready at its commit: there is nothing to wait for"
