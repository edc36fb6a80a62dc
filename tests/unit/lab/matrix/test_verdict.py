"""What events come to: only those in the window, each at its site, and nothing of anybody else's."""

from syncline.clients.toolkit.report import Presented, Waited
from syncline.compositor.core.journal import LOOP
from syncline.compositor.core.policy import AcquireMode
from syncline.compositor.core.report import FrameReport, Wait
from syncline.kms_model.syncobj.find import STALL_USER
from syncline.kms_model.trace import WaitTrace, Warn
from syncline.lab.matrix.evidence import WARM_UP_NS, Evidence
from syncline.lab.matrix.plan import Client, Compositor, Kms, Options, Place
from syncline.lab.matrix.verdict import Cell, judge

MS = 1_000_000
PLACE = Place(Client.DMA, Compositor.USER, AcquireMode.SIGNAL_WAIT, Kms.USER)
DEBUT_NS = 1000 * MS
BEGIN_NS = DEBUT_NS + WARM_UP_NS
END_NS = BEGIN_NS + 1000 * MS
INSIDE_NS = BEGIN_NS + 100 * MS


def shown(at_ns: int, *, client: int = 1, c2p_ns: int = 10 * MS) -> Presented:
    return Presented(
        t_ns=at_ns, client=client, surface=1, frame=1, presented_ns=at_ns, sequence=1, refresh_ns=16 * MS, flags=0,
        f2c_ns=0, c2p_ns=c2p_ns, f2p_ns=c2p_ns + MS, p2p_ns=None, t2p_ns=None,
    )  # fmt: skip


def frame(
    at_ns: int, *, client: str = "bystander", us: int = 0, others: int = 0, is_shown: bool = True
) -> FrameReport:
    return FrameReport(
        t_ns=at_ns, client=client, surface=1, update=1, sync="copied", output="Virtual-1", committed_ns=0,
        ready_ns=0, latched_ns=0, target_ns=0, presented_ns=at_ns if is_shown else None, sequence=1,
        zero_copy=False, waited_for="", missed_by_client=0, missed_by_others=others, missed_by_us=us,
    )  # fmt: skip


def evidence() -> Evidence:
    """Both have shown a first frame, and one that counts."""
    return Evidence(
        subject=[shown(DEBUT_NS - 500 * MS), shown(INSIDE_NS)],
        bystander=[shown(DEBUT_NS, client=2), shown(INSIDE_NS, client=2)],
    )


def judged(found: Evidence) -> Cell:
    return judge(PLACE, found, Options(seconds=1.0))


def test_time_begins_a_while_after_the_last_debut_and_is_as_long_as_asked_for() -> None:
    found = evidence()
    for at_ns in (BEGIN_NS - 1, BEGIN_NS, END_NS - 1, END_NS):
        found.subject.append(Waited(t_ns=at_ns, client=1, frame=1, thread="submit", call="X", waited_ns=MS))

    (stall,) = judged(found).stalls

    assert (stall.thread, stall.call, stall.durations.count) == ("client submit thread", "X", 2)
    assert stall.share == 0.002


def test_the_site_that_took_the_longest_in_all_comes_first() -> None:
    found = evidence()
    found.subject.append(Waited(t_ns=INSIDE_NS, client=1, frame=1, thread="main", call="X", waited_ns=5 * MS))
    for waited_ms in (3, 4):
        found.device.append(WaitTrace(INSIDE_NS, "plane 30", "in-fence", end=True, waited_ns=waited_ms * MS))
    found.device.append(WaitTrace(INSIDE_NS, "CRTC 31", "user-fence", end=True, waited_ns=6 * MS))

    cell = judged(found)

    assert [(stall.thread, stall.call) for stall in cell.stalls] == [
        ("kernel commit worker", "wait_for_fences"),
        ("kernel commit worker", "PENDING_USER"),
        ("client main", "X"),
    ]
    assert (
        cell.why
        == "the kernel commit worker sleeps in wait_for_fences; behind it: every commit of that screen: EBUSY"
    )


def test_what_the_compositors_loop_is_told_of_is_no_stall() -> None:
    thread, call = LOOP
    found = evidence()
    for whom, why, sleeper in (
        ("subject", "acquire-point", thread),
        ("bystander", "acquire-point", thread),
        ("subject", "user-fence", "kernel commit worker"),
        ("subject", "fifo", ""),
    ):
        found.compositor.append(
            Wait(
                t_ns=INSIDE_NS, edge="end", who=f"{whom}/1", whom=whom, why=why, update=1, thread=sleeper,
                call=call, waited_ns=24 * MS,
            )
        )  # fmt: skip

    cell = judged(found)

    assert cell.stalls == ()
    assert [(hold.why, hold.durations.p50) for hold in cell.holds] == [("acquire-point", 24 * MS)]


def test_a_frame_that_was_never_shown_is_a_vblank_lost_and_so_is_each_by_which_one_came_late() -> None:
    found = evidence()
    found.compositor += [
        frame(INSIDE_NS),
        frame(INSIDE_NS, us=1, others=2),
        frame(INSIDE_NS, is_shown=False),
        frame(INSIDE_NS, client="subject", us=9),
        frame(BEGIN_NS - 1, us=9),
    ]

    beside = judged(found).bystander

    assert beside is not None
    assert (beside.frames, beside.late, beside.missed_vblanks) == (3, 2, 4)


def test_last_resorts_and_broken_rules_are_counted() -> None:
    found = evidence()
    found.device += [
        WaitTrace(INSIDE_NS - MS, "", STALL_USER, end=False),
        WaitTrace(INSIDE_NS, "", STALL_USER, end=True, waited_ns=MS),
        Warn(INSIDE_NS, "K21", "read before it was written"),
        Warn(INSIDE_NS, "K21", "and again"),
    ]

    cell = judged(found)

    assert (cell.last_resort_stalls, cell.warnings) == (1, {"K21": 2})


def test_a_client_that_gave_up_has_no_numbers_however_far_it_came() -> None:
    found = evidence()
    found.objection = "the compositor said no"

    cell = judged(found)

    assert (cell.works, cell.why, cell.c2p, cell.bystander) == (False, "the compositor said no", None, None)


def test_a_client_that_nobody_saw_does_not_work_either() -> None:
    found = evidence()
    found.subject.clear()

    assert judged(found).why == "nothing of it reaches the screen"
