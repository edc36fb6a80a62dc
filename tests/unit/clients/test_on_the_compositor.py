"""The demos on the real compositor and device, in one process on virtual time, watched from the far side."""

import asyncio
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import pytest

from syncline.clients.catalogue import DEMOS, POLITE, run_demo
from syncline.clients.toolkit.loop import Context
from syncline.clients.toolkit.options import Mode, Options
from syncline.clients.toolkit.report import ClientEvent, Committed, Ended, Presented, Submitted
from syncline.compositor.core.policy import Policy
from syncline.compositor.loop import Driver
from syncline.kms_model import tag
from syncline.kms_model.checker import Ledger, Policy as Findings, Severity
from syncline.kms_model.checker.watch import watch_buffers
from syncline.kms_model.command import with_outputs
from syncline.kms_model.device import Device
from syncline.kms_model.kernel import Kernel
from syncline.kms_model.kms.scanout import compose
from syncline.kms_model.local import LocalNode
from syncline.kms_model.loops import VirtualLoop, run_virtual, sleep_until
from syncline.kms_model.profiles import SYNCLINE
from syncline.protocol.transport.memory import pair

MS = 1_000_000
REFRESH_NS = 16_666_667
LOOK_EVERY_NS = 3 * MS  # no divisor of the refresh: every phase of it is seen


@dataclass
class Run:
    """What the clients said, and what somebody in front of the screen saw."""

    events: list[list[ClientEvent]] = field(default_factory=list)
    torn: list[tag.Torn] = field(default_factory=list)
    races: Ledger = field(default_factory=Ledger)
    frames_seen: dict[int, list[int]] = field(default_factory=lambda: defaultdict(list))

    def of(self, kind: type, client: int = 0) -> list[Any]:
        return [each for each in self.events[client] if isinstance(each, kind)]

    def end(self, client: int = 0) -> Ended:
        last = self.events[client][-1]
        assert isinstance(last, Ended)
        return last


Stage = Callable[..., Run]


@pytest.fixture
def stage() -> Stage:
    """`stage(("solid", Options(…)), …)`: all of them at once on one screen, until all have ended."""

    def stage(*cast: tuple[str, Options]) -> Run:
        return run_virtual(lambda loop: perform(loop, cast))

    return stage


async def perform(loop: VirtualLoop, cast: tuple[tuple[str, Options], ...]) -> Run:
    run = Run()
    kernel = Kernel(now_ns=loop.now_ns())
    run.races = watch_buffers(kernel, Findings.COLLECT, say=lambda _: None)
    node = LocalNode(Device(with_outputs(SYNCLINE, ["640x480@60"]), kernel=kernel), loop)
    file = node.open()
    driver = Driver(loop, file, policy=Policy(), caps={}, report=lambda _: None)
    watching = asyncio.create_task(watch(loop, node.device, run))
    await asyncio.gather(*(act(loop, node, driver, run, *role) for role in cast))
    watching.cancel()
    driver.close()
    file.close()
    node.close()
    kernel.descriptors.close()
    return run


async def act(
    loop: VirtualLoop, node: LocalNode, driver: Driver, run: Run, demo: str, options: Options
) -> None:
    events: list[ClientEvent] = []
    run.events.append(events)
    ours, theirs = pair(loop)
    driver.server.accept(theirs)
    file = node.open()
    complete = DEMOS[demo].complete(options)
    await run_demo(
        DEMOS[demo],
        Context(loop=loop, transport=ours, device=file, options=complete, emit=events.append),
    )
    file.close()


async def watch(loop: VirtualLoop, device: Device, run: Run) -> None:
    """Look at the screen every few milliseconds, as it is being scanned out."""
    while True:
        for crtc in device.kms.view():
            if crtc.showing is not None:
                pixels = compose(crtc.showing)
                run.torn += tag.torn(pixels)
                for found in tag.find_tags(pixels):
                    run.frames_seen[found.client].append(found.frame)
        await sleep_until(loop, loop.now_ns() + LOOK_EVERY_NS)


@pytest.mark.parametrize("demo", POLITE)
def test_every_demo_is_shown_whole_and_gets_every_image_back(stage: Stage, demo: str) -> None:
    run = stage((demo, Options(frames=10)))

    end = run.end()
    assert end.committed == end.presented > 0
    assert (end.discarded, end.unanswered, end.reason) == (0, 0, "all frames are drawn")
    assert end.owed == end.paid == end.committed
    assert run.torn == []
    assert run.races.summary() == []
    assert set(run.frames_seen[1]) >= set(range(1, 10))


@pytest.mark.parametrize("demo", ["solid", "implicit"])
def test_a_job_longer_than_a_refresh_is_late_and_never_torn(stage: Stage, demo: str) -> None:
    run = stage((demo, Options(frames=8, gpu_ms=25.0)))

    assert run.torn == []
    assert run.frames_seen[1] == sorted(run.frames_seen[1])
    assert all(each.c2p_ns >= 25 * MS for each in run.of(Presented))


def test_signalling_early_puts_an_unfinished_image_on_the_screen(stage: Stage) -> None:
    run = stage(("solid", Options(frames=8, gpu_ms=25.0, signal_early=True)))

    assert run.torn != []
    assert {each.client for each in run.torn} == {1}
    assert run.races.verdict() == {("K21", Severity.ERROR)}
    assert run.end().owed == run.end().paid, "the compositor is not to blame and pays as ever"


@pytest.mark.requirement("S61")
def test_a_hog_costs_its_neighbour_no_frame(stage: Stage) -> None:
    typist = Options(frames=30, gpu_ms=0.5, client_id=1)
    alone = stage(("shm", typist))
    beside_a_hog = stage(("shm", typist), ("hog", Options(frames=8, client_id=2)))

    latencies = [[each.c2p_ns for each in run.of(Presented)] for run in (alone, beside_a_hog)]
    assert latencies[0][1:] == latencies[1][1:], "after the first, which waits for the screen to be lit"
    assert beside_a_hog.end(1).presented == 8
    assert beside_a_hog.torn == []


@pytest.mark.requirement("C5", "U1")
def test_parent_and_synchronized_child_are_presented_in_the_same_refresh(stage: Stage) -> None:
    run = stage(("subsurfaces", Options(frames=6, gpu_ms=6.0)))

    together, parent, _alone = dict.fromkeys(each.surface for each in run.of(Committed))
    presented = {(each.surface, each.frame): each.sequence for each in run.of(Presented)}
    for frame in range(1, 7):
        assert presented[parent, frame] == presented[together, frame]


def test_a_fullscreen_window_has_the_size_of_the_screen_and_is_scanned_out_itself(stage: Stage) -> None:
    run = stage(("solid", Options(frames=10, fullscreen=True)))

    zero_copy = 8
    assert all(each.flags & zero_copy for each in run.of(Presented)[2:])
    assert run.torn == []


def test_low_latency_commits_when_the_frame_before_is_on_the_screen(stage: Stage) -> None:
    run = stage(("solid", Options(frames=10, mode=Mode.LOW_LATENCY)))

    shown_ns = [each.presented_ns for each in run.of(Presented)]
    assert [each.t_ns for each in run.of(Submitted)[1:]] == shown_ns[:-1]


def test_a_client_faster_than_the_screen_is_told_which_frames_nobody_saw(stage: Stage) -> None:
    run = stage(("solid", Options(frames=30, rate=150.0, gpu_ms=0.5)))

    end = run.end()
    assert end.presented + end.discarded == 30
    assert end.discarded > 10
    assert end.owed == end.paid == 30


@pytest.mark.requirement("S71", "S76")
@pytest.mark.parametrize("demo", ["solid", "implicit"])
def test_two_images_are_enough_and_never_painted_while_they_are_shown(stage: Stage, demo: str) -> None:
    run = stage((demo, Options(frames=30, rate=150.0, gpu_ms=5.0, buffers=2)))

    assert run.end().owed == run.end().paid == 30
    assert run.torn == []


@pytest.mark.requirement("S57", "C5")
def test_a_pipelined_client_shows_more_frames_of_the_same_jobs_and_skips_none(stage: Stage) -> None:
    ends = {demo: stage((demo, Options(seconds=2.0, gpu_ms=20.0))).end() for demo in ("solid", "pipelined")}

    assert ends["pipelined"].presented > 1.6 * ends["solid"].presented, "50 a second against 30"
    assert ends["pipelined"].discarded <= 2, "what is under way at the end may not be shown"


def test_the_same_cast_gives_the_same_events(stage: Stage) -> None:
    cast = (("solid", Options(frames=12, client_id=1)), ("implicit", Options(frames=12, client_id=2)))
    assert stage(*cast).events == stage(*cast).events
