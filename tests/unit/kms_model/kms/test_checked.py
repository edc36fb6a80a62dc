"""The display under the fence checker: what its fences depend on, what its locks do, and a stamp that lies."""

from errno import ENOMEM

import pytest
from display import Client

from syncline.kms_model.checker import Severity
from syncline.kms_model.checker.known import STAMPS
from syncline.kms_model.uapi import AtomicFlag as Flag, SyncobjQuery

ASK = Flag.NONBLOCK | Flag.PAGE_FLIP_EVENT
TOY = ("K2", Severity.WARN)  # sw_sync


@pytest.fixture
def checker(world):
    return world.checker


@pytest.mark.requirement("K3")
def test_an_out_fence_depends_on_the_commit_and_that_on_its_in_fences(client, world, checker):
    fb = client.light_up()
    timeline = client.timeline()
    client.commit(
        ASK,
        ("primary0", "FB_ID", fb),
        ("primary0", "IN_FENCE_FD", client.fence(timeline)),
        ("crtc0", "OUT_FENCE_PTR", client.pointer()),
    )

    steps = [edge.step() for edge in checker.edges()]

    out, into = (next(step for step in steps if step.why.startswith(why)) for why in ("out-f", "in-f"))
    assert (out.target, into.source) == (f"commit on CRTC {client.ids['crtc0']}",) * 2
    assert "sw_sync" in into.target
    client.signal(timeline)
    world.run_ms(50)
    assert list(checker.edges()) == []
    assert checker.ledger.verdict() == {TOY}


@pytest.mark.requirement("K3")
def test_a_blocking_commit_stalls_others_and_is_no_deadlock(client, world, checker):
    """L14: the test's sleep is told, with its reason (K13)."""
    fb = client.light_up()
    timeline = client.timeline()
    late = client.start_commit(
        0, ("primary0", "FB_ID", fb), ("primary0", "IN_FENCE_FD", client.fence(timeline))
    )
    test = client.start_commit(Flag.TEST_ONLY, ("primary0", "FB_ID", fb))

    waits = [edge.step() for edge in checker.edges()]
    assert [step.why for step in waits if step.source.startswith("lock modeset")] == ["holds it"]
    assert {step.locks for step in waits if "sw_sync" in step.target} == {("modeset",) * 2}

    client.signal(timeline)
    world.run_until_done(late)
    world.run_until_done(test)
    assert checker.ledger.verdict() == {TOY, ("K13", Severity.INFO)}


@pytest.mark.requirement("K7")
@pytest.mark.parametrize("known", [(), (STAMPS,)])
def test_a_crtc_that_goes_off_stamps_its_fence_before_it_was_made(make_world, known):
    """As the kernel does: there is no other vblank to tell. Known, and counted where it would disturb."""
    world = make_world(known=known)
    client = Client(world)
    client.light_up()
    world.run_ms(5)

    client.commit(Flag.ALLOW_MODESET, *client.off(0), ("crtc0", "OUT_FENCE_PTR", client.pointer()))

    assert world.ledger.verdict() == (set() if known else {("K7", Severity.ERROR)})
    assert list(world.ledger.suppressed.values()) == ([1] if known else [])


@pytest.mark.requirement("H3")
def test_what_the_kernel_itself_warns_of_is_a_finding(make_world):
    """A fence on a plane without a framebuffer is a hazard with a name; other warnings have none."""
    world = make_world(known=())
    client = Client(world)
    client.light_up()
    timeline = client.timeline()
    fence = client.fence(timeline)
    client.signal(timeline)
    client.commit(0, ("overlay0", "IN_FENCE_FD", fence))
    assert ("H3", Severity.WARN) in world.ledger.verdict()
    assert ("WARN", Severity.WARN) not in world.ledger.verdict()

    assert client.errno(SyncobjQuery(handles=(), count=1 << 21)) == ENOMEM
    assert ("WARN", Severity.WARN) in world.ledger.verdict()
