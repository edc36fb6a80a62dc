"""K13 to K15: what the checker says of commits, and of a machine that breaks their promises."""

import pytest
from display import COMMIT_RULES, World

from syncline.kms_model.checker import Severity
from syncline.kms_model.fences.fence import Fence
from syncline.kms_model.kms import atomic, tail
from syncline.kms_model.kms.point import PointWait, UserPoint
from syncline.kms_model.observer import Accepted
from syncline.kms_model.profiles import SYNCLINE
from syncline.kms_model.quirks import UPSTREAM
from syncline.kms_model.uapi import AtomicFlag as Flag, GemAttachUserFence, ModePageFlip
from syncline.kms_model.user_fence.user_fence import UserSyncobj

ASK = Flag.NONBLOCK | Flag.PAGE_FLIP_EVENT
ERROR, WARN, INFO = Severity.ERROR, Severity.WARN, Severity.INFO


@pytest.fixture
def world():
    """Its promises are broken here, so nobody looks in the end whether they were kept."""
    world = World(SYNCLINE, UPSTREAM)
    yield world
    world.close()


@pytest.fixture
def verdict(world):
    """Of the rules of commits; what a toy fence does is another's (K2)."""
    return lambda: {each for each in world.ledger.verdict() if each[0] in COMMIT_RULES}


@pytest.fixture
def checker(world):
    return world.checker


def found(checker):
    return [report for report in checker.ledger.reports.values() if report.rule in COMMIT_RULES]


# -- K13 ---------------------------------------------------------------------------------------


@pytest.mark.requirement("K13")
@pytest.mark.parametrize("call", ["commit", "flip", "test"])
def test_a_sleep_behind_a_blocking_commit_is_told_with_reason_and_length(client, world, checker, call):
    fb, timeline = client.light_up(), client.timeline()
    late = client.start_commit(
        0, ("primary0", "FB_ID", fb), ("primary0", "IN_FENCE_FD", client.fence(timeline))
    )
    change = ("primary0", "FB_ID", fb)
    requests = {
        "commit": client.request(ASK, change),
        "flip": ModePageFlip(client.ids["crtc0"], fb, 0),
        "test": client.request(Flag.TEST_ONLY, change),
    }
    pending = client.start(requests[call])
    world.run_ms(30)
    client.signal(timeline)
    began_ns = world.now_ns - 30_000_000
    world.run_until_done(late)
    world.run_until_done(pending)

    (report,) = found(checker)
    assert (report.rule, report.severity) == ("K13", INFO)
    assert report.what.endswith(f"slept {report.t_ns - began_ns} ns for lock modeset")
    world.run_ms(20)


@pytest.mark.requirement("K13")
@pytest.mark.parametrize("who", ["dma", "user"])
def test_nothing_is_told_of_commits_that_leave_their_waiting_to_others(client, world, verdict, who):
    fb, timeline, fence = client.light_up(), client.timeline(), client.user_fence()
    wait = (
        ("primary0", "IN_FENCE_FD", client.fence(timeline)) if who == "dma" else client.waits_for((fence, 1))
    )
    client.commit(ASK, ("primary0", "FB_ID", fb), wait)
    world.run_ms(50)
    client.signal(timeline)
    client.reach(fence)
    world.run_ms(20)
    blocking = client.start_commit(0, ("primary0", "FB_ID", fb), client.waits_for((fence, 2)))
    client.reach(fence, 2)
    world.run_until_done(blocking)

    assert verdict() == set()


@pytest.mark.requirement("K13")
@pytest.mark.parametrize("thing", ["a fence", "a user point", "flip_done"])
def test_a_nonblock_ioctl_that_does_sleep_for_them_is_an_error(client, world, checker, monkeypatch, thing):
    """A machine with a fault: something waits between parse and commit."""
    fb = client.light_up()
    kernel = world.device.kernel
    dma = Fence(kernel.new_context(), 1, "test", "test")
    handle = client.user_fence()
    syncobj = client.file.syncobjs.get(handle)
    assert isinstance(syncobj, UserSyncobj)
    point = UserPoint(syncobj.slot, 1)
    client.commit(ASK, ("primary0", "FB_ID", fb))
    flip = world.device.kms.display.crtcs[0].commits[0].flip_done
    sleeps = {
        "a fence": lambda: kernel.wait(dma),
        "a user point": lambda: PointWait(kernel, "", [point]).sleep(None),
        "flip_done": lambda: kernel.wait(flip),
    }
    sound = atomic.check

    async def faulty(*arguments):
        await sleeps[thing]()
        await sound(*arguments)

    monkeypatch.setattr(atomic, "check", faulty)
    pending = client.start_commit(Flag.NONBLOCK, ("crtc1", "VRR_ENABLED", 0))
    dma.signal(world.now_ns)
    client.reach(handle)
    world.run_until_done(pending)

    reports = found(checker)
    assert [(report.rule, report.severity) for report in reports] == [("K13", ERROR)]
    assert reports[0].what.endswith(f"sleeps for {thing}")


# -- K14 ---------------------------------------------------------------------------------------


@pytest.mark.requirement("K14")
def test_a_commit_that_fails_after_the_swap_is_an_error(client, world, checker, monkeypatch):
    fb = client.light_up()

    async def faulty(self):
        await sound(self)
        raise atomic.DeviceError(5, "too late")

    sound = tail.Tail.run
    monkeypatch.setattr(tail.Tail, "run", faulty)
    with pytest.raises(atomic.DeviceError):
        client.commit(0, ("primary0", "FB_ID", fb))

    assert [(report.rule, report.severity) for report in found(checker)] == [("K14", ERROR)]


@pytest.mark.requirement("K14")
@pytest.mark.parametrize(
    ("errno", "written", "reply"),
    [(5, (1,), ((1, 7),)), (0, (1, 2), ((1, 7),)), (5, (1,), ())],
    ids=["a descriptor of a failed commit", "a stale pointer", "a stale pointer of a failed one"],
)
def test_pointers_and_descriptors_agree_with_the_outcome(checker, errno, written, reply):
    checker.commit_returns(errno, written, reply)

    assert {(report.rule, report.severity) for report in found(checker)} == {("K14", ERROR)}


@pytest.mark.requirement("K14")
def test_one_flip_for_a_crtc_and_one_time_for_its_fence_and_event(checker):
    first, second = object(), object()
    fence = Fence(1, 1, "test", "test")
    checker.flip_told(1, first, 100, fence, 100)
    checker.flip_told(2, first, 100, fence, 100)
    checker.flip_told(1, second, 200, None, 200)
    assert found(checker) == []

    checker.flip_told(1, second, 300, None, 300)
    checker.flip_told(2, second, 300, fence, 299)

    assert [report.signature for report in found(checker)] == ["K14 two flips", "K14 event and out-fence"]


# -- K15 ---------------------------------------------------------------------------------------


@pytest.mark.requirement("K15")
@pytest.mark.parametrize("kind", ["UR1", "UR3", "UR15"])
def test_who_asks_for_fences_that_do_not_mix_is_refused_and_told(client, world, verdict, kind):
    """L7, and its kin."""
    fb, fence = client.light_up(), client.user_fence()
    out = ("crtc0", "OUT_FENCE_PTR", client.pointer())
    if kind == "UR15":
        client.call(GemAttachUserFence(client.handle, fence, 1))
    others = {"UR1": [client.waits_for((fence, 1))], "UR3": [client.owes(fence, 1)], "UR15": []}

    client.refused(Flag.NONBLOCK, ("primary0", "FB_ID", fb), *others[kind], out)

    assert verdict() == {("K15", WARN)}


@pytest.mark.requirement("K15")
@pytest.mark.parametrize(
    "wrong",
    [{"waits_for_user": True}, {"user_outs": 1}, {"implicit_user": True}, {"parked": True}],
    ids=["UR1", "UR3", "UR15", "parked"],
)
def test_a_machine_that_accepts_it_is_at_fault(checker, wrong):
    right = {
        "crtc_ids": (1,),
        "parked": False,
        "waits_for_user": False,
        "user_outs": 0,
        "implicit_user": False,
    }
    fence = Fence(1, 1, "test", "test")
    checker.commit_accepted(Accepted(**right, dma_outs=[fence]))
    checker.commit_accepted(Accepted(**right | wrong, dma_outs=[]))
    assert found(checker) == []

    checker.commit_accepted(Accepted(**right | wrong, dma_outs=[fence]))

    assert [(report.rule, report.severity) for report in found(checker)] == [("K15", ERROR)]


@pytest.mark.requirement("K15")
def test_a_parked_commit_that_keeps_a_lock_is_an_error(client, world, checker, monkeypatch):
    fb, fence = client.light_up(), client.user_fence()
    display = world.device.kms.display
    context = display.acquire_context(interruptible=False)
    sound = PointWait.sleep

    async def faulty(self, deadline_ns):
        await context.lock(display.crtcs[1].lock)
        return await sound(self, deadline_ns)

    monkeypatch.setattr(PointWait, "sleep", faulty)
    client.commit(ASK, ("primary0", "FB_ID", fb), client.waits_for((fence, 1)))
    context.release()

    assert [(report.rule, report.severity) for report in found(checker)] == [("K15", ERROR)]
    client.reach(fence)
    world.run_ms(20)
