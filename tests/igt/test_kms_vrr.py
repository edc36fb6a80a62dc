"""kms_vrr: a screen between 48 and 60 Hz that waits for its flips, or does not."""

from itertools import pairwise

from igt.kms import ASK, MS, KmsProgram, next_flip, show

program = KmsProgram("kms_vrr")

SHORTEST_NS, LONGEST_NS = 1_000_000_000 // 60, 1_000_000_000 // 48


def test_subtest(subtest):
    program.run(subtest)


def test_every_subtest_is_here():
    program.assert_complete()


def frame_times(client, pace_ns, frames=30):
    """Times between flips of a client that commits every `pace_ns`, if it is let."""
    fbs = client.framebuffer(), client.framebuffer()
    client.commit(ASK, show(fbs[1]))
    times = [next_flip(client).time_ns]
    due_ns = times[0]
    for number in range(frames):
        due_ns += pace_ns
        client.world.device.advance(max(due_ns, client.world.now_ns))
        client.commit(ASK, show(fbs[number % 2]))
        times.append(next_flip(client).time_ns)
    return [later - earlier for earlier, later in pairwise(times)]


def vary(client, *, on):
    client.commit(0, ("crtc0", "VRR_ENABLED", int(on)))
    assert client.read("crtc0", "VRR_ENABLED") == on


@program.subtest("flip-basic")
def flip_basic(client):
    """With VRR a flip inside the window is on the screen at once, so frames keep the client's pace."""
    client.light_up()
    assert client.read("conn0", "vrr_capable") == 1
    vary(client, on=True)
    for pace_ns in (18 * MS, 19 * MS, 20 * MS):
        assert all(abs(time - pace_ns) <= 1 for time in frame_times(client, pace_ns))


@program.subtest("negative-basic")
def negative_basic(client):
    """Without it every frame is a whole number of refreshes."""
    client.light_up()
    for pace_ns in (18 * MS, 20 * MS):
        for time in frame_times(client, pace_ns):
            refreshes = round(time / client.mode.refresh_ns)
            assert refreshes in (1, 2)
            assert abs(time - refreshes * client.mode.refresh_ns) <= 2
    vary(client, on=True)
    vary(client, on=False)
    times = frame_times(client, 18 * MS)
    assert all(min(time % client.mode.refresh_ns, -time % client.mode.refresh_ns) <= 2 for time in times)


@program.subtest("flipline")
def flipline(client):
    """At the fastest refresh, above it, and below the slowest, where frames are repeated in between."""
    client.light_up()
    vary(client, on=True)
    at_most = client.mode.refresh_ns
    assert all(abs(time - at_most) <= 2 for time in frame_times(client, at_most))
    assert all(abs(time - at_most) <= 2 for time in frame_times(client, at_most // 2))
    for time in frame_times(client, 30 * MS):
        assert SHORTEST_NS <= time <= LONGEST_NS + SHORTEST_NS + MS
