"""The demos against a compositor that does what the test says."""

from collections.abc import Callable
from itertools import pairwise
from typing import Any

import pytest

from syncline.clients.toolkit.loop import ClientError, Context
from syncline.clients.toolkit.options import Mode, Options
from syncline.clients.toolkit.report import (
    ClientEvent,
    Committed,
    Ended,
    Presented,
    Released,
    Submitted,
    Waited,
)
from syncline.kms_model import tag

MS = 1_000_000
REFRESH_NS = 16 * MS

Play = Callable[..., Any]


def of(kind: type, events: list[ClientEvent]) -> list[Any]:
    return [each for each in events if isinstance(each, kind)]


def ending(events: list[ClientEvent]) -> Ended:
    last = events[-1]
    assert isinstance(last, Ended)
    return last


@pytest.mark.parametrize("demo", ["solid", "hog", "implicit", "shm"])
def test_every_frame_is_presented_and_every_image_comes_back(play: Play, demo: str) -> None:
    world = play(demo, Options(frames=10))

    end = ending(world.events)
    assert (end.committed, end.presented, end.discarded, end.unanswered) == (10, 10, 0, 0)
    assert (end.owed, end.paid, end.reason) == (10, 10, "all frames are drawn")


@pytest.mark.requirement("S57")
def test_solid_commits_in_the_instant_it_submits_long_before_the_gpu_is_done(play: Play) -> None:
    world = play("solid", Options(frames=3, gpu_ms=10.0))

    submitted, committed = of(Submitted, world.events), of(Committed, world.events)
    assert [each.t_ns for each in submitted] == [each.t_ns for each in committed]
    assert [each.acquire_point for each in committed] == [1, 2, 3]


@pytest.mark.requirement("S76")
def test_a_window_has_one_acquire_timeline_and_a_release_timeline_for_each_image(play: Play) -> None:
    world = play("solid", Options(frames=9, buffers=3))

    assert len({commit.acquire[0] for commit in world.commits}) == 1
    release_of = {commit.buffer: commit.release[0] for commit in world.commits}
    assert len(release_of) == len(set(release_of.values())) == 3
    assert all(commit.release[0] is release_of[commit.buffer] for commit in world.commits)


@pytest.mark.requirement("S70", "S86")
@pytest.mark.parametrize("demo", ["solid", "implicit", "shm"])
def test_no_image_is_painted_again_before_it_came_back(play: Play, demo: str) -> None:
    seen: list[Any] = []

    def watch(world: Any, _context: Context) -> None:
        world.hold_ns = 50 * MS  # longer than the client takes to want it back

        def check(commit: Any) -> None:
            out = [each.buffer for each in seen if world.still_out(each)]
            assert commit.buffer not in out
            seen.append(commit)

        world.on_commit = check

    play(demo, Options(frames=12, buffers=2), watch)
    assert len(seen) == 12


def test_a_client_waits_for_an_image_without_painting_into_one_that_is_out(play: Play) -> None:
    def hold_back(world: Any, _context: Context) -> None:
        world.releases = False
        world.loop.call_at_ns(world.loop.now_ns() + 500 * MS, lambda: give_all_back(world))

    def give_all_back(world: Any) -> None:
        assert len(world.commits) == 3, "as many as it has images, and then it waits"
        for commit in world.commits:
            world.give_back(commit)
        world.releases = True

    world = play("solid", Options(frames=8, buffers=3), hold_back)

    end = ending(world.events)
    assert (end.presented, end.owed, end.paid) == (8, 8, 8)
    assert max(each.held_ns for each in of(Released, world.events)) > 400 * MS


@pytest.mark.requirement("REL-30", "S74")
@pytest.mark.parametrize("demo", ["solid", "hog"])
def test_an_image_may_come_back_before_its_gpu_job_is_done(play: Play, demo: str) -> None:
    def give_back_at_once(world: Any, _context: Context) -> None:
        def give_back(commit: Any) -> None:
            timeline, point = commit.acquire
            assert world.value(timeline) < point
            world.give_back(commit)

        world.on_commit = give_back

    world = play(demo, Options(frames=12, buffers=2, gpu_ms=30.0), give_back_at_once)

    end = ending(world.events)
    assert (end.committed, end.owed, end.paid) == (12, 12, 12)


@pytest.mark.requirement("REL-30", "S77")
@pytest.mark.parametrize("demo", ["solid", "hog", "implicit", "shm"])
def test_images_may_come_back_in_another_order_than_they_were_committed(play: Play, demo: str) -> None:
    out: list[Any] = []

    def hold_back(world: Any, _context: Context) -> None:
        world.releases = False
        world.on_commit = lambda commit: out.append(commit) or (len(out) == 3 and give_all_back(world))

    def give_all_back(world: Any) -> None:
        while out:
            world.give_back(out.pop())

    world = play(demo, Options(frames=12, buffers=3), hold_back)

    end = ending(world.events)
    assert (end.committed, end.owed, end.paid) == (12, 12, 12)


def test_images_that_never_come_back_are_given_two_seconds_and_then_counted(play: Play) -> None:
    worlds: list[Any] = []

    def keep(world: Any, _context: Context) -> None:
        world.releases = False
        worlds.append(world)

    with pytest.raises(ClientError, match=r"still holds 3 of our images"):
        play("solid", Options(seconds=0.5, buffers=3, gpu_ms=0.0), keep)

    end = ending(worlds[0].events)
    assert (end.owed, end.paid) == (3, 0)


@pytest.mark.requirement("F27", "F37")
@pytest.mark.parametrize("no_thread", [False, True])
def test_submit_thread_needs_no_timelines_and_commits_only_what_is_finished(
    play: Play, no_thread: bool
) -> None:
    faults: list[tag.Torn] = []

    def watch(world: Any, _context: Context) -> None:
        world.without = {"wp_linux_drm_syncobj_manager_v1"}
        world.on_commit = lambda commit: faults.extend(tag.torn(commit.buffer.pixels))

    world = play("submit-thread", Options(frames=5, gpu_ms=8.0, no_thread=no_thread), watch)

    waits = of(Waited, world.events)
    thread, call = ("main", "SYNCOBJ_TRANSFER") if no_thread else ("submit", "SYNCOBJ_TIMELINE_WAIT")
    assert [(each.frame, each.thread, each.call) for each in waits] == [
        (frame, thread, call) for frame in range(1, 6)
    ]
    assert all(each.waited_ns >= 8 * MS for each in waits)
    assert len(world.commits) == 5
    assert not faults


@pytest.mark.requirement("S56")
def test_solid_is_whole_when_its_acquire_point_says_so(play: Play) -> None:
    faults = look_at_the_acquire_point(play, Options(frames=4, gpu_ms=8.0))
    assert faults == [[], [], [], []]


def test_signalling_early_shows_an_unfinished_image_at_the_acquire_point(play: Play) -> None:
    faults = look_at_the_acquire_point(play, Options(frames=4, gpu_ms=8.0, signal_early=True))
    assert all(len(each) == 1 for each in faults), "a new top over no bottom or an old one"


def look_at_the_acquire_point(play: Play, options: Options) -> list[list[tag.Torn]]:
    """What the tags say of each image half a job after its commit, or as soon as its point is signalled."""
    faults: list[list[tag.Torn]] = []

    def watch(world: Any, _context: Context) -> None:
        def look(commit: Any) -> None:
            timeline, point = commit.acquire
            if world.value(timeline) >= point:
                faults.append(tag.torn(commit.buffer.pixels))
            else:
                world.loop.call_at_ns(world.loop.now_ns() + MS, lambda: look(commit))

        def look_later(commit: Any) -> None:
            world.loop.call_at_ns(commit.t_ns + options.gpu_ns // 2, lambda: look(commit))

        world.on_commit = look_later

    play("solid", options, watch)
    return faults


@pytest.mark.requirement("X2")
def test_a_new_size_is_acknowledged_with_the_first_image_of_that_size(play: Play) -> None:
    def grow(world: Any, _context: Context) -> None:
        def configure(commit: Any) -> None:
            if len(world.commits) == 4:
                world.xdg.configure(9, size=(320, 200))

        world.on_commit = configure

    world = play("solid", Options(frames=8, size=(160, 120)), grow)

    told = [(commit.ack, commit.buffer.size) for commit in world.commits]
    assert told[:5] == [(1, (160, 120)), *[(None, (160, 120))] * 3, (9, (320, 200))]
    assert {size for _, size in told[5:]} == {(320, 200)}
    assert ending(world.events).paid == 8


@pytest.mark.requirement("X2")
def test_a_size_that_comes_while_a_frame_is_begun_is_left_to_the_next_frame(play: Play) -> None:
    def grow(world: Any, _context: Context) -> None:
        world.hold_ns = 100 * MS  # with two images, the third frame is begun and waits for one until then
        world.loop.call_at_ns(world.loop.now_ns() + 80 * MS, lambda: world.xdg.configure(9, size=(320, 200)))

    world = play("solid", Options(frames=5, size=(160, 120), buffers=2), grow)

    told = [(commit.ack, commit.buffer.size) for commit in world.commits]
    assert told[:4] == [(1, (160, 120)), (None, (160, 120)), (None, (160, 120)), (9, (320, 200))]


@pytest.mark.requirement("X5")
def test_a_client_that_waits_for_an_image_still_answers_pings(play: Play) -> None:
    def ping(world: Any, _context: Context) -> None:
        world.releases = False
        world.loop.call_at_ns(world.loop.now_ns() + 200 * MS, lambda: world.shell.send("ping", 77))
        world.loop.call_at_ns(world.loop.now_ns() + 300 * MS, lambda: setattr(world, "releases", True))

    world = play("shm", Options(seconds=0.4), ping)
    assert world.shell.ponged == [77]


def test_closing_the_window_ends_the_client(play: Play) -> None:
    def close(world: Any, _context: Context) -> None:
        world.loop.call_at_ns(world.loop.now_ns() + 100 * MS, lambda: world.xdg.toplevel.send("close"))

    end = ending(play("solid", Options(), close).events)
    assert (end.reason, end.owed) == ("window closed", end.paid)


def test_a_signal_ends_the_client_with_its_releases_collected(play: Play) -> None:
    def interrupt(world: Any, context: Context) -> None:
        world.loop.call_at_ns(world.loop.now_ns() + 100 * MS, lambda: context.stop("SIGTERM"))

    end = ending(play("hog", Options(), interrupt).events)
    assert (end.reason, end.owed) == ("SIGTERM", end.paid)
    assert end.owed > 0


def test_a_refusal_is_told_with_the_name_of_its_code(play: Play) -> None:
    def refuse(world: Any, _context: Context) -> None:
        def post(_commit: Any) -> None:
            world.connection.post_error(world.xdg.error(3, "too soon"))

        world.on_commit = post

    with pytest.raises(ClientError) as failure:
        play("solid", Options(frames=5), refuse)
    assert "error 3 (unconfigured_buffer): too soon" in str(failure.value)
    assert "xdg_surface#" in str(failure.value)


def test_a_compositor_that_goes_away_ends_the_client_with_a_sentence(play: Play) -> None:
    def leave(world: Any, _context: Context) -> None:
        world.on_commit = lambda _: world.link.close()

    with pytest.raises(ClientError, match="the compositor closed the connection"):
        play("solid", Options(frames=5), leave)


def test_a_compositor_without_explicit_sync_is_named_as_the_reason(play: Play) -> None:
    def forget(world: Any, _context: Context) -> None:
        world.without.add("wp_linux_drm_syncobj_manager_v1")

    with pytest.raises(ClientError, match="does not offer wp_linux_drm_syncobj_manager_v1"):
        play("solid", Options(frames=5), forget)


def test_without_presentation_time_frames_are_drawn_and_nothing_is_claimed_of_them(play: Play) -> None:
    def forget(world: Any, _context: Context) -> None:
        world.without.add("wp_presentation")

    end = ending(play("solid", Options(frames=5), forget).events)
    assert (end.committed, end.presented, end.unanswered, end.paid) == (5, 0, 0, 5)


def test_the_five_durations_add_up(play: Play) -> None:
    world = play("solid", Options(frames=5, gpu_ms=1.0))

    frames = of(Presented, world.events)
    assert all(each.f2c_ns + each.c2p_ns == each.f2p_ns for each in frames)
    assert [each.p2p_ns for each in frames] == [None, *[REFRESH_NS] * 4]
    # A frame begins right after the vblank that its callback came with, and makes the next one.
    assert [(each.f2c_ns, each.c2p_ns, each.t2p_ns) for each in frames[1:]] == [(0, REFRESH_NS, 0)] * 4


def test_a_rate_of_its_own_keeps_its_phase_and_is_the_same_for_the_same_seed(play: Play) -> None:
    def commits_ns(seed: int) -> list[int]:
        world = play("shm", Options(frames=6, rate=40.0, seed=seed))
        return [commit.t_ns for commit in world.commits]

    first = commits_ns(1)
    assert {later - earlier for earlier, later in pairwise(first)} == {25 * MS}
    assert commits_ns(1) == first
    assert commits_ns(2) != first


def test_an_idle_client_pauses_a_second_and_a_random_part_of_a_refresh(play: Play) -> None:
    world = play("shm", Options(frames=5, mode=Mode.IDLE))

    frames = of(Presented, world.events)
    pauses_ns = [later.t_ns - later.c2p_ns - earlier.t_ns for earlier, later in pairwise(frames)]
    assert all(1000 * MS <= each < 1000 * MS + REFRESH_NS for each in pauses_ns)
    assert len(set(pauses_ns)) == len(pauses_ns)


def test_at_a_random_phase_commits_fall_all_over_the_refresh_and_alike_for_the_same_seed(play: Play) -> None:
    def phases_ns(seed: int) -> list[int]:
        events = play("shm", Options(frames=40, random_phase=True, seed=seed)).events
        commits = of(Committed, events)
        assert all(each.begun_ns + each.lateness_ns == each.t_ns for each in commits[1:])
        return [each.t_ns % REFRESH_NS for each in commits[1:]]

    first = phases_ns(1)
    assert {4 * phase // REFRESH_NS for phase in first} == {0, 1, 2, 3}
    assert phases_ns(1) == first
    assert phases_ns(2) != first


def test_low_latency_waits_for_the_screen_and_not_for_the_frame_callback(play: Play) -> None:
    def call_back_at_once(world: Any, _context: Context) -> None:
        def call_back(commit: Any) -> None:
            commit.callback.done(0)
            commit.callback = None

        world.on_commit = call_back

    world = play("shm", Options(frames=5, mode=Mode.LOW_LATENCY), call_back_at_once)

    frames = of(Presented, world.events)
    assert [later.frame for later in frames] == [1, 2, 3, 4, 5]
    assert all(commit.t_ns % REFRESH_NS == 0 for commit in world.commits[1:])


def test_low_latency_without_presentation_time_is_refused(play: Play) -> None:
    def forget(world: Any, _context: Context) -> None:
        world.without.add("wp_presentation")

    with pytest.raises(ClientError, match="needs wp_presentation"):
        play("shm", Options(frames=5, mode=Mode.LOW_LATENCY), forget)


def test_the_same_run_gives_the_same_events(play: Play) -> None:
    assert play("solid", Options(frames=20)).events == play("solid", Options(frames=20)).events
