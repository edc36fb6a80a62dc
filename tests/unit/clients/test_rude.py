"""One rule broken, one report, and nobody else's frame lost: `rude` beside a client that keeps all rules."""

from dataclasses import dataclass, field

import pytest

from syncline.clients.catalogue import DEMOS
from syncline.clients.mistakes import MISTAKES
from syncline.clients.rude import PRANKS
from syncline.clients.toolkit.breach import Breach
from syncline.clients.toolkit.options import Options, Wire
from syncline.clients.toolkit.report import ClientEvent, Ended, Presented
from syncline.compositor.core.policy import Policy
from syncline.compositor.core.report import ReportEvent, ViolationEvent
from syncline.kms_model.command import with_outputs
from syncline.kms_model.loops import VirtualLoop, run_virtual, sleep_until
from syncline.kms_model.profiles import SYNCLINE
from syncline.kms_model.trace import TraceEvent, Warn
from syncline.lab.virtual import Guest, House

MS = 1_000_000
REFRESH_NS = 16_666_667
LONG_NS = 500 * MS


@dataclass
class Evening:
    """What was told."""

    machine: list[Warn] = field(default_factory=list)
    compositor: list[ReportEvent] = field(default_factory=list)
    bystander: list[ClientEvent] = field(default_factory=list)
    rude: list[ClientEvent] = field(default_factory=list)
    complaints: list[str] = field(default_factory=list)

    def hear_machine(self, event: TraceEvent) -> None:
        if isinstance(event, Warn):
            self.machine.append(event)

    @property
    def rules(self) -> set[str]:
        """That the race detector found broken."""
        return {warning.rule for warning in self.machine}

    @property
    def violations(self) -> list[ViolationEvent]:
        return [event for event in self.compositor if isinstance(event, ViolationEvent)]

    @property
    def end(self) -> Ended:
        (end,) = (event for event in self.rude if isinstance(event, Ended))
        return end

    def assert_nobody_else_was_disturbed(self) -> None:
        shown = [event for event in self.bystander if isinstance(event, Presented)]
        assert len(shown) > LONG_NS // REFRESH_NS - 5
        assert {event.p2p_ns - REFRESH_NS for event in shown if event.p2p_ns} <= {0, -1}, "every refresh"
        (end,) = (event for event in self.bystander if isinstance(event, Ended))
        assert end.owed == end.paid
        assert self.complaints[0] == ""


def spend(demo: str, breach: Breach | None, wire: Wire = Wire.WAYLAND) -> Evening:
    evening = Evening()

    async def host(loop: VirtualLoop) -> None:
        house = House(
            loop,
            profile=with_outputs(SYNCLINE, ["640x480@60"]),
            policy=Policy(),
            hear_device=evening.hear_machine,
            hear_compositor=evening.compositor.extend,
        )
        await house.light()
        bystander = Options(title="bystander", client_id=1, size=(64, 64))
        other = Options(title=demo, client_id=2, size=(128, 96), breaks=breach, wire=wire)
        guests = [
            Guest(house, DEMOS["solid"], bystander, evening.bystander.append),
            Guest(house, DEMOS[demo], other, evening.rude.append),
        ]
        await sleep_until(loop, loop.now_ns() + LONG_NS)
        evening.complaints = [await guest.leave("the evening is over") for guest in guests]
        house.close()

    run_virtual(host)
    return evening


def test_every_breach_is_a_prank_or_a_mistake() -> None:
    assert set(Breach) == {*PRANKS, *MISTAKES}
    assert {breach for breach in Breach if breach.is_protocol_error} == set(MISTAKES)


RACE = "a read before its producer's fence: job", "(rude "
REUSE = "reuse before the out-fence of the commit that replaced the buffer", "(rude "
OVERSYNC = "was held up for", "(rude distraction)"


@pytest.mark.parametrize("wire", Wire)
@pytest.mark.parametrize(
    ("breach", "rule", "words"),
    [
        pytest.param(Breach.EARLY_REUSE, "K21", REUSE, marks=pytest.mark.requirement("K21")),
        pytest.param(Breach.MISSING_ACQUIRE, "K21", RACE, marks=pytest.mark.requirement("K21")),
        pytest.param(Breach.OVERSYNC, "K22", OVERSYNC, marks=pytest.mark.requirement("K22")),
    ],
)
def test_a_broken_rule_of_synchronisation_is_found_by_the_machine(
    breach: Breach, rule: str, words: tuple[str, ...], wire: Wire
) -> None:
    evening = spend("rude", breach, wire)

    assert evening.rules == {rule}
    for warning in evening.machine:
        assert all(each in warning.what for each in words), warning.report
        assert "solid" not in warning.what
    assert evening.violations == []
    assert evening.end.owed == evening.end.paid, "the compositor pays as ever"
    assert evening.complaints[1] == ""
    evening.assert_nobody_else_was_disturbed()


@pytest.mark.requirement("S61")
@pytest.mark.parametrize("wire", Wire)
@pytest.mark.parametrize(
    ("breach", "reason"),
    [
        (Breach.NEVER_SIGNALS, "the evening is over"),
        (Breach.FLOODS, "the evening is over"),
        (Breach.DIES, "died in frame 4"),
        (Breach.NEVER_READS, "the compositor closed the connection (the peer hung up)"),
    ],
)
def test_bad_manners_break_no_rule_and_cost_nobody_a_frame(breach: Breach, reason: str, wire: Wire) -> None:
    evening = spend("rude", breach, wire)

    assert evening.rules == set()
    assert evening.violations == []
    assert evening.end.reason == reason
    evening.assert_nobody_else_was_disturbed()


@pytest.mark.parametrize("wire", Wire)
@pytest.mark.parametrize("breach", MISTAKES)
def test_a_mistake_is_answered_with_the_error_of_its_name(breach: Breach, wire: Wire) -> None:
    evening = spend("rude", breach, wire)

    assert f"({breach.error}): " in evening.end.reason
    (violation,) = evening.violations
    assert violation.client == "rude"
    assert evening.rules == set()
    assert evening.complaints[1] == "", "it was refused as it wanted to be"
    evening.assert_nobody_else_was_disturbed()


def test_images_of_old_sizes_come_back_while_it_resizes() -> None:
    evening = spend("resize", None)

    assert evening.rules == set()
    assert evening.end.presented > 20
    assert evening.end.owed == evening.end.paid == evening.end.committed
    evening.assert_nobody_else_was_disturbed()
