"""A run as a Perfetto trace: tracks of the clients, the compositor, the GPU engines and the CRTCs; a flow per frame.

The flow of a frame leads from the client's drawing over its GPU job, the compositor's wait and latch and the flip to the
release. Times are those of CLOCK_MONOTONIC, and the first packet says what BOOTTIME was then: without it a viewer drops
every event, and with it the kernel's own traces can be laid beside this one.
"""

import time
from collections import defaultdict
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Final

from perfetto.protos.perfetto.trace.perfetto_trace_pb2 import (
    BUILTIN_CLOCK_BOOTTIME,
    BUILTIN_CLOCK_MONOTONIC,
    Trace,
    TracePacket,
    TrackEvent,
)

from syncline.lab.present.events import Events
from syncline.lab.present.slices import Level, Slice, levels, slices

SEQUENCE: Final = 1
FIRST_PID: Final = 1
"""Numbers of our own: a viewer groups tracks by them."""


def write_trace(path: Path, events: Events) -> None:
    """Everything that is known of the run."""
    with path.open("wb") as file:
        for packet in _packets(slices(events), levels(events)):
            trace = Trace()
            trace.packet.append(packet)
            file.write(trace.SerializeToString())


def _packets(found: Iterable[Slice], counters: Iterable[Level]) -> Iterator[TracePacket]:
    yield _clocks()
    tracks = _Tracks()
    events: list[tuple[int, int, TracePacket]] = []
    for number, each in enumerate(sorted(found, key=lambda each: (each.begin_ns, -each.end_ns))):
        track = tracks.lane(each)
        if each.end_ns == each.begin_ns:
            events.append((each.begin_ns, number, _event(each, track, TrackEvent.TYPE_INSTANT)))
        else:
            events.append((each.begin_ns, number, _event(each, track, TrackEvent.TYPE_SLICE_BEGIN)))
            events.append((each.end_ns, -1, _end(each, track)))  # a slice ends before the next one begins
    for level in counters:
        packet = _packet(level.t_ns, tracks.counter(level), TrackEvent.TYPE_COUNTER)
        packet.track_event.counter_value = level.value_us
        events.append((level.t_ns, 0, packet))
    yield from tracks.descriptors
    events.sort(key=lambda event: event[:2])
    yield from (packet for _, _, packet in events)


def _clocks() -> TracePacket:
    packet = TracePacket(trusted_packet_sequence_id=SEQUENCE)
    packet.sequence_flags = TracePacket.SEQ_INCREMENTAL_STATE_CLEARED
    for number, clock in (
        (BUILTIN_CLOCK_BOOTTIME, time.CLOCK_BOOTTIME),
        (BUILTIN_CLOCK_MONOTONIC, time.CLOCK_MONOTONIC),
    ):
        packet.clock_snapshot.clocks.add(clock_id=number, timestamp=time.clock_gettime_ns(clock))
    return packet


class _Tracks:
    """Tracks as they are needed. Slices that overlap lie on lanes of the same name, which a viewer shows as one."""

    def __init__(self) -> None:
        self.descriptors: list[TracePacket] = []
        self._processes: dict[str, int] = {}
        self._lanes: dict[tuple[str, str], list[tuple[int, int]]] = defaultdict(list)
        self._counters: dict[tuple[str, str], int] = {}

    def lane(self, each: Slice) -> int:
        """The track for it. Slices come in the order of their beginnings."""
        lanes = self._lanes[each.process, each.track]
        for index, (track, busy_until_ns) in enumerate(lanes):
            if busy_until_ns <= each.begin_ns:
                lanes[index] = (track, each.end_ns)
                return track
        track = self._describe(each.process, each.track).track_descriptor.uuid
        lanes.append((track, each.end_ns))
        return track

    def counter(self, level: Level) -> int:
        """The track for it."""
        name = (level.process, level.track)
        if name not in self._counters:
            packet = self._describe(*name)
            packet.track_descriptor.counter.unit_name = "µs"
            self._counters[name] = packet.track_descriptor.uuid
        return self._counters[name]

    def _describe(self, process: str, name: str) -> TracePacket:
        """A new track, in its process."""
        if process not in self._processes:
            parent = self._new()
            parent.track_descriptor.process.pid = FIRST_PID + len(self._processes)
            parent.track_descriptor.process.process_name = process
            self._processes[process] = parent.track_descriptor.uuid
        packet = self._new()
        packet.track_descriptor.parent_uuid = self._processes[process]
        packet.track_descriptor.name = name
        return packet

    def _new(self) -> TracePacket:
        packet = TracePacket(trusted_packet_sequence_id=SEQUENCE)
        packet.track_descriptor.uuid = len(self.descriptors) + 1
        self.descriptors.append(packet)
        return packet


def _event(each: Slice, track: int, kind: TrackEvent.Type) -> TracePacket:
    packet = _packet(each.begin_ns, track, kind)
    packet.track_event.name = each.name
    packet.track_event.flow_ids.extend(each.flows)
    for name, value in each.details.items():
        if isinstance(value, int):
            packet.track_event.debug_annotations.add(name=name, int_value=value)
        else:
            packet.track_event.debug_annotations.add(name=name, string_value=value)
    return packet


def _end(each: Slice, track: int) -> TracePacket:
    return _packet(each.end_ns, track, TrackEvent.TYPE_SLICE_END)


def _packet(t_ns: int, track: int, kind: TrackEvent.Type) -> TracePacket:
    packet = TracePacket(
        trusted_packet_sequence_id=SEQUENCE, timestamp=t_ns, timestamp_clock_id=BUILTIN_CLOCK_MONOTONIC
    )
    packet.track_event.type = kind
    packet.track_event.track_uuid = track
    return packet
