"""A finding says everything at once: to people, to programs, and as a picture; and only once for each class."""

import re
from typing import Any

import msgspec
import pytest

from syncline.kms_model.buffers.resv import Resv, Usage
from syncline.kms_model.checker import (
    Checker,
    Known,
    Ledger,
    Policy,
    Report,
    Severity,
    Violation,
    as_dot,
    as_json,
    as_text,
    report_as_dot,
)
from syncline.kms_model.checker.rule import LATER, RULES
from syncline.kms_model.fences.fence import Fence
from syncline.kms_model.observer import Awaited, Exporter
from syncline.kms_model.syncobj.find import find_fence_waiting
from syncline.kms_model.task import Completion, Task
from syncline.kms_model.uapi import SyncobjTransfer, WaitFlag

TIMER = Exporter(name="timer", bound_ns=10**9)
HOPE = Exporter(name="hope", bounded=False)


class For:
    """What a completion stands for."""

    def __init__(self, *things: Any) -> None:
        self._things = things

    def awaited(self) -> Awaited:
        return Awaited(self._things)


def exported(checker: Checker, rig: Any, exporter: Exporter = TIMER, **more: Any) -> Fence:
    fence = Fence(rig.kernel.new_context(), 1, exporter.name, "ring")
    checker.exported(fence, exporter, **more)
    return fence


def published(checker: Checker, rig: Any, exporter: Exporter = TIMER) -> Fence:
    fence = exported(checker, rig, exporter)
    Resv().add(fence, Usage.WRITE)
    return fence


def circle(rig: Any, checker: Checker, length: int) -> list[Task[Any]]:
    """Tasks that wait for one another, round and round, the first with a lock."""
    tasks: list[Task[Any]] = []
    gate = Completion()

    async def member(number: int) -> None:
        await rig.kernel.wait(gate)
        if number == 0:
            checker.lock_taken("ring lock", "ring lock")
        await rig.kernel.wait(Completion(For(tasks[(number + 1) % length])))

    tasks += [rig.kernel.spawn(member(number)) for number in range(length)]
    rig.kernel.settle()
    gate.complete()
    rig.kernel.settle()
    return tasks


def only(checker: Checker) -> Report:
    (report,) = checker.ledger.reports.values()
    return report


def test_a_report_has_every_part(rig: Any) -> None:
    checker = Checker(rig.kernel)
    circle(rig, checker, 3)

    report = only(checker)
    lines = as_text(report).splitlines()

    assert lines[0] == "K3 error at 1.000000000 s: a circle of waits"
    assert [line.split(":")[0].strip() for line in lines[1:] if not line.startswith("    ")] == [
        "rule", "by", "at", "object", "object", "object", "shortest cycle", "by class", "consequence", "repair", "read",
    ]  # fmt: skip
    assert f"  rule: {RULES['K3'].text}" in lines
    assert len(report.cycle) == 3
    first = next(step for step in report.cycle if step.locks)
    assert first.locks == ("ring lock",)
    assert re.search(r"test_report:\d+ circle\.<locals>\.member$", first.site)
    assert [step.target for step in report.cycle] == [
        step.source for step in (*report.cycle[1:], report.cycle[0])
    ]


def test_the_shortest_of_two_circles_is_shown(rig: Any) -> None:
    checker = Checker(rig.kernel)
    tasks: list[Task[Any]] = []
    gates = [Completion() for _ in range(4)]
    waits = {0: (1, 2), 1: (0,), 2: (3,), 3: (0,)}

    async def member(number: int) -> None:
        await rig.kernel.wait(gates[number])
        await rig.kernel.wait(Completion(For(*(tasks[other] for other in waits[number]))))

    tasks += [rig.kernel.spawn(member(number)) for number in range(4)]
    rig.kernel.settle()
    for number in (1, 2, 3, 0):
        gates[number].complete()
        rig.kernel.settle()

    assert len(only(checker).cycle) == 2


def test_a_call_and_a_point_have_the_names_that_user_space_knows(rig: Any) -> None:
    checker = Checker(rig.kernel)
    rig.file.label = "client 7"
    rig.create()
    source, target = rig.create(), rig.create()
    checker.lock_taken("A", "A")

    async def worker() -> None:
        checker.lock_taken("crtc", "modeset")
        await find_fence_waiting(rig.file, source, 3)

    rig.start(SyncobjTransfer(source, 3, target, 0, WaitFlag.FOR_SUBMIT))
    rig.kernel.spawn(worker())
    rig.kernel.settle()

    report = only(checker)
    assert report.objects == (f"unsubmitted point syncobj#{source}@3",)
    (step,) = report.path
    assert (step.locks, step.kind) == (("modeset",), "and, timeout")
    assert step.source == (
        "task test_a_call_and_a_point_have_the_names_that_user_space_knows.<locals>.worker"
    )
    assert re.fullmatch(r"syncobj\.find:\d+ _find_fence_waiting", step.site)
    rig.signal(source, 3)


def test_a_fence_is_named_by_context_seqno_exporter_and_state(rig: Any) -> None:
    checker = Checker(rig.kernel)
    rig.file.label = "client 7"

    rig.fence(rig.timeline())

    report = only(checker)
    assert re.fullmatch(r"\d+:1 sw_sync/client 7 pending", report.objects[0])
    assert report.actors == ("client 7", "SwSyncCreateFence")


def test_one_full_report_for_each_class_and_a_count_of_all(rig: Any) -> None:
    told: list[Report] = []
    checker = Checker(rig.kernel, Ledger(tell=told.append))

    for exporter in (HOPE, HOPE, Exporter(name="faith", bounded=False)):
        published(checker, rig, exporter)

    assert [report.signature for report in told] == ["K2 hope unbounded", "K2 faith unbounded"]
    assert checker.ledger.counts["K2 hope unbounded"] == 2
    assert [line[:8] for line in checker.ledger.summary()] == ["2 x K2 e", "1 x K2 e"]


@pytest.mark.parametrize(
    ("policy", "raises"),
    [(Policy.COLLECT, set()), (Policy.RAISE, {"hope"}), (Policy.RAISE_ON_WARN, {"hope", "toy"})],
)
def test_the_policy_decides_what_ends_the_run(rig: Any, policy: Policy, raises: set[str]) -> None:
    checker = Checker(rig.kernel, Ledger(policy))

    raised = set()
    for exporter in (HOPE, Exporter(name="toy", bounded=False, test=True)):
        for _ in range(2):
            try:
                published(checker, rig, exporter)
            except Violation as violation:
                raised.add(violation.report.signature.split()[1])

    assert raised == raises
    assert len(checker.ledger.reports) == 2


def test_what_is_found_as_an_object_dies_is_raised_at_the_next_call(rig: Any) -> None:
    checker = Checker(rig.kernel, Ledger(Policy.RAISE))
    exported(checker, rig).add_callback(lambda _: None)

    with pytest.raises(Violation, match="K11"):
        rig.create()

    assert rig.create()


def test_a_finding_is_suppressed_only_by_a_named_reason_and_is_counted(rig: Any) -> None:
    known = Known("its driver is being repaired", "K2 hope *")
    checker = Checker(rig.kernel, Ledger(Policy.RAISE, known=[known]))

    for _ in range(3):
        published(checker, rig, HOPE)
    with pytest.raises(Violation):
        published(checker, rig, Exporter(name="faith", bounded=False))

    assert checker.ledger.summary()[-1] == "3 x suppressed: its driver is being repaired"


def test_json_is_the_whole_report(rig: Any) -> None:
    checker = Checker(rig.kernel)
    circle(rig, checker, 2)

    assert msgspec.json.decode(as_json(only(checker)), type=Report) == only(checker)


def test_dot_has_an_arrow_for_each_edge(rig: Any) -> None:
    checker = Checker(rig.kernel)
    circle(rig, checker, 3)

    picture = report_as_dot(only(checker))
    everything = as_dot(edge.step() for edge in checker.edges())

    assert picture.startswith('digraph "K3 ')
    assert picture.count(" -> ") == 3
    assert everything.count(" -> ") >= 3
    assert picture.endswith("}\n")


def test_what_is_pending_is_forgotten_when_it_is_done(rig: Any) -> None:
    """The checker keeps no fence, syncobj or task alive, and no edge longer than its reason."""
    checker = Checker(rig.kernel)
    source, target = rig.create(), rig.create()
    pending = rig.start(SyncobjTransfer(source, 1, target, 0, WaitFlag.FOR_SUBMIT))
    timeline = rig.timeline()
    rig.put(target, rig.fence(timeline), point=4)
    assert len(list(checker.edges())) == 1

    rig.signal(source, 1)
    rig.inc(timeline)

    assert pending.done
    assert list(checker.edges()) == []
    checker.end()
    assert {rule for rule, severity in checker.ledger.verdict() if severity is Severity.ERROR} == set()


def test_nothing_is_built_without_a_checker(rig: Any) -> None:
    timeline = rig.timeline()
    rig.fence(timeline)

    assert rig.kernel.observer is None
    (awaited,) = next(thing for thing in rig.kernel.descriptors.known() if hasattr(thing, "awaited")).awaited
    assert awaited.observer is None


def test_the_rules_of_the_table_are_here_or_announced() -> None:
    numbered = {f"K{number}" for number in range(1, 25)}
    assert {rule for rule in RULES if rule.startswith("K")} | set(LATER) == numbered
    assert not set(RULES) & set(LATER)
