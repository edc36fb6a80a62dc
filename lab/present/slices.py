"""The events of a run as slices on named tracks, each with the frames that it belongs to."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from syncline.clients.toolkit.report import ClientEvent, Committed, Discarded, Presented, Released
from syncline.compositor.core import report
from syncline.kms_model.trace import FlipTrace, JobTrace
from syncline.lab.present.events import DeviceEvent, Events, updates_of
from syncline.lab.present.plan import OURS
from syncline.lab.present.rows import missed_vblanks
from syncline.lab.present.standstill import Statement


@dataclass(frozen=True, kw_only=True, slots=True)
class Slice:
    """Something that took from `begin_ns` to `end_ns`, or happened if they are the same. `flows`: frames, by number."""

    process: str
    track: str
    name: str
    begin_ns: int
    end_ns: int
    flows: Sequence[int] = ()
    details: Mapping[str, int | str] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True, slots=True)
class Level:
    """A counter in µs that has had `value_us` from `t_ns` on."""

    process: str
    track: str
    t_ns: int
    value_us: int


class Flows:
    """A number for every frame, found by what each part calls it."""

    def __init__(self, events: Events) -> None:
        self.of_frame: dict[tuple[str, str, int], int] = {}
        self.of_update: dict[int, int] = {}
        self.of_job: dict[str, int] = {}
        for (compositor, title), mine in events.clients.items():
            commits = [event for event in mine if isinstance(event, Committed)]
            updates = updates_of(title, events.compositor) if compositor == OURS else []
            for index, commit in enumerate(commits):
                flow = self.of_frame[compositor, title, commit.frame] = len(self.of_frame) + 1
                if compositor == OURS:
                    self.of_job[f"{title} {commit.frame}"] = flow
                if index < len(updates):
                    self.of_update[updates[index].update] = flow

    def updates(self, numbers: Iterable[int]) -> list[int]:
        return [self.of_update[number] for number in numbers if number in self.of_update]


def slices(events: Events) -> Iterator[Slice]:
    """In no order."""
    flows = Flows(events)
    for (compositor, title), mine in events.clients.items():
        yield from _client(compositor, title, mine, flows)
    yield from _compositor(events.compositor, flows)
    yield from _engines(events.device, flows)
    yield from _screens(events, flows)
    yield from _standstills(events.witness)


def levels(events: Events) -> Iterator[Level]:
    """Every client's latency, frame by frame in the order in which they were shown."""
    for (compositor, title), mine in events.clients.items():
        process = _process(compositor, title, mine)
        for event in mine:
            if isinstance(event, Presented):
                value_us = event.c2p_ns // 1000
                yield Level(process=process, track="latency", t_ns=event.presented_ns, value_us=value_us)


def _process(compositor: str, title: str, events: Iterable[ClientEvent]) -> str:
    """Groups open collapsed in a viewer, their names cut in the middle: what matters is in them, and they are short."""
    shown = [event for event in events if isinstance(event, Presented)]
    missed = sum(missed_vblanks(event) or 0 for event in shown)
    where = "" if compositor == OURS else f" on {compositor}"
    return f"{title}{where}: {missed} missed of {len(shown)}"


def _client(compositor: str, title: str, events: Sequence[ClientEvent], flows: Flows) -> Iterator[Slice]:
    process = _process(compositor, title, events)
    out: dict[int, int] = {}
    last_ns = 0

    def happened(track: str, name: str, t_ns: int, frame: int) -> Slice:
        flow = flows.of_frame[compositor, title, frame]
        return Slice(process=process, track=track, name=name, begin_ns=t_ns, end_ns=t_ns, flows=(flow,))

    for event in events:
        match event:
            case Committed():
                out[event.image] = event.frame
                yield Slice(
                    process=process,
                    track="draw, commit",
                    name=f"frame {event.frame}",
                    begin_ns=min(max(event.begun_ns, last_ns), event.t_ns),
                    end_ns=event.t_ns,
                    flows=(flows.of_frame[compositor, title, event.frame],),
                    details={"image": event.image, "acquire point": event.acquire_point},
                )
                last_ns = event.t_ns
            case Presented():
                yield happened("feedback", f"presented {event.frame}", event.t_ns, event.frame)
            case Discarded():
                yield happened("feedback", f"discarded {event.frame}", event.t_ns, event.frame)
            case Released() if event.image in out:
                frame = out.pop(event.image)
                yield happened("release", f"image {event.image} of frame {frame} is back", event.t_ns, frame)
            case _:
                pass


def _compositor(events: Sequence[report.ReportEvent], flows: Flows) -> Iterator[Slice]:
    received: dict[int, report.Commit] = {}
    latches = {(event.output, event.frame): event for event in events if isinstance(event, report.Latch)}
    for event in events:
        match event:
            case report.Commit():
                received[event.update] = event
            case report.Ready() if event.update in received:
                commit = received[event.update]
                yield Slice(
                    process="compositor",
                    track=f"{event.client}: commit to ready",
                    name=f"update {event.update}, {commit.sync}",
                    begin_ns=commit.t_ns,
                    end_ns=max(commit.t_ns, event.t_ns),
                    flows=flows.updates([event.update]),
                )
            case report.Flip() if (event.output, event.frame) in latches:
                latch = latches[event.output, event.frame]
                yield Slice(
                    process="compositor",
                    track=f"{event.output}: latch to flip",
                    name=f"frame {event.frame}, {latch.how}",
                    begin_ns=latch.t_ns,
                    end_ns=max(latch.t_ns, event.t_ns),
                    flows=flows.updates(latch.updates),
                    details={"margin ns": latch.margin_ns, "target ns": latch.target_ns},
                )
            case report.Release():
                yield Slice(
                    process="compositor",
                    track=f"{event.client}: release",
                    name=f"update {event.update} by {event.how}",
                    begin_ns=event.t_ns,
                    end_ns=event.t_ns,
                    flows=flows.updates([event.update]),
                )
            case _:
                pass


def _engines(events: Iterable[DeviceEvent], flows: Flows) -> Iterator[Slice]:
    running: dict[tuple[str, int, int], JobTrace] = {}
    for event in events:
        if not isinstance(event, JobTrace):
            continue
        job = (event.engine, event.context, event.seqno)
        if event.stage == "run":
            running[job] = event
        elif event.stage == "done" and job in running:
            flow = flows.of_job.get(event.label)
            yield Slice(
                process="GPU",
                track=f"engine {event.engine}",
                name=event.label or "job",
                begin_ns=running.pop(job).t_ns,
                end_ns=event.t_ns,
                flows=() if flow is None else (flow,),
                details={"context": event.context, "seqno": event.seqno, "error": event.error},
            )


def _screens(events: Events, flows: Flows) -> Iterator[Slice]:
    """What each CRTC shows, from one flip to the next."""
    updates = {
        (event.output, event.frame): event.updates
        for event in events.compositor
        if isinstance(event, report.Latch)
    }
    shown = {
        event.t_ns: flows.updates(updates.get((event.output, event.frame), ()))
        for event in events.compositor
        if isinstance(event, report.Flip)
    }
    on_screen: dict[int, FlipTrace] = {}
    for event in events.device:
        if not isinstance(event, FlipTrace):
            continue
        before = on_screen.get(event.crtc_id)
        if before is not None:
            yield _scanout(before, event.t_ns, shown)
        on_screen[event.crtc_id] = event
    for last in on_screen.values():
        yield _scanout(last, last.t_ns, shown)


def _scanout(flip: FlipTrace, until_ns: int, shown: Mapping[int, Sequence[int]]) -> Slice:
    return Slice(
        process="KMS",
        track=f"CRTC {flip.crtc_id}",
        name=f"vblank {flip.sequence}",
        begin_ns=flip.t_ns,
        end_ns=until_ns,
        flows=shown.get(flip.t_ns, ()),
        details={"sequence": flip.sequence, "framebuffers": " ".join(map(str, flip.fb_ids))},
    )


def _standstills(witness: Statement) -> Iterator[Slice]:
    for each in witness.standstills:
        yield Slice(
            process="machine",
            track=f"core {each.core}",
            name="stands still",
            begin_ns=each.from_ns,
            end_ns=each.to_ns,
        )
