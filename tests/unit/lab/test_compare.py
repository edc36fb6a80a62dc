"""The judgement: what counts as a difference between the model and a recording."""

from typing import Any

from syncline.lab.replay.compare import STATUS, differences
from syncline.lab.replay.control_ops import Sleep
from syncline.lab.replay.result import Result, Run
from syncline.lab.replay.scenario import Scenario

THREE = Scenario(id="three", devices=("-",), ops=(Sleep(ms=1), Sleep(ms=2), Sleep(ms=3)))


def ran(*outs: dict[str, Any], status: str = "ok") -> Run:
    return Run(status, [Result("sleep", ok=True, out=out) for out in outs])


def test_times_are_not_compared_at_any_depth() -> None:
    kernel = ran(
        {"t": {"ms": 1}}, {"result": {"op": "sleep", "ok": True, "out": {}, "t": 5}}, {"a": 1, "b": 2}
    )
    model = ran({}, {"result": {"op": "sleep", "ok": True}}, {"b": 2, "a": 1})

    assert differences(THREE, expected=kernel, model=model) == []


def test_the_kernel_log_is_not_compared() -> None:
    kernel, model = ran({}, {}, {}), ran({}, {}, {})
    kernel.kernel_log.append("WARNING: somewhere")

    assert differences(THREE, expected=kernel, model=model) == []


def test_a_difference_names_the_operation_and_both_outcomes() -> None:
    kernel, model = ran({}, {}, {"order": ["a", "b"]}), ran({}, {}, {"order": ["b", "a"]})
    model.ops[1] = Result("sleep", ok=False, errno="EINVAL")

    second, third = differences(THREE, expected=kernel, model=model)

    assert (second.step, second.expected, second.model) == (1, "ok", "EINVAL")
    assert (third.step, third.expected, third.model) == (
        2,
        'ok {"order":["a","b"]}',
        'ok {"order":["b","a"]}',
    )
    assert third.op == '{"op":"sleep","ms":3}'


def test_a_run_that_ended_otherwise_differs_as_a_whole() -> None:
    kernel = ran({}, {}, {})
    killed = Run("killed: no answer within the limit")

    (difference,) = differences(THREE, expected=kernel, model=killed)

    assert (difference.step, difference.expected, difference.model) == (STATUS, "ok", killed.status)


def test_an_operation_that_one_side_never_reached_differs() -> None:
    kernel, model = ran({}, {}), ran({}, status="ok")

    (difference,) = differences(THREE, expected=kernel, model=model)

    assert (difference.step, difference.model) == (1, "not reached")
