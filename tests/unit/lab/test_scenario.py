"""The scenario format: what is accepted, and what is said about the rest."""

import json
from pathlib import Path
from typing import Any

import pytest

from syncline.lab.exit import Usage
from syncline.lab.replay.scenario import read_results, read_scenarios


def write(path: Path, *ops: dict[str, Any], **changes: Any) -> Path:
    scenario = {"id": "one", "title": "", "devices": ["-"], "ops": list(ops)}
    path.write_text(json.dumps({"format": 1, "scenarios": [scenario]} | changes))
    return path


def test_flags_are_numbers_or_names_or_both(tmp_path: Path) -> None:
    wait = {"op": "syncobj_wait", "dev": "d", "handles": ["a", 7]}
    file = write(tmp_path / "s.json", wait | {"flags": ["ALL", 256]}, wait | {"flags": 3}, wait)

    (scenario,) = read_scenarios(file)

    assert [op.bits for op in scenario.ops if hasattr(op, "bits")] == [257, 3, 0]


def test_fields_that_nobody_knows_are_remarks(tmp_path: Path) -> None:
    file = write(tmp_path / "s.json", {"op": "sleep", "ms": 1, "note": "why"})

    assert len(read_scenarios(file)[0].ops) == 1


MALFORMED = [
    ({"op": "frobnicate"}, "frobnicate"),
    ({"ms": 1}, "`op`"),
    ({"op": "sleep"}, "`ms`"),
    ({"op": "sleep", "ms": "long"}, "$.scenarios[0].ops[0].ms"),
    ({"op": "syncobj_wait", "dev": "d", "handles": [], "flags": ["SOON"]}, "unknown flag 'SOON'"),
    ({"op": "syncobj_timeline_signal", "dev": "d", "handles": [], "points": [], "flags": ["ALL"]}, "'ALL'"),
    ({"op": "get_cap", "dev": "d", "cap": "TIME_TRAVEL"}, "TIME_TRAVEL"),
    ({"op": "atomic", "dev": "d", "props": [["a", "b", {}]]}, "exactly one of"),
    ({"op": "async", "name": "x", "do": {"op": "sleep"}}, "$.scenarios[0].ops[0].do"),
    ({"op": "watch", "fd": "f", "kind": "carrier pigeon"}, "carrier pigeon"),
]


@pytest.mark.parametrize(("op", "complaint"), MALFORMED)
def test_a_malformed_operation_is_named_with_its_place(
    tmp_path: Path, op: dict[str, Any], complaint: str
) -> None:
    file = write(tmp_path / "s.json", op)

    with pytest.raises(Usage) as refusal:
        read_scenarios(file)

    assert complaint in str(refusal.value)
    assert "s.json" in str(refusal.value)
    assert "\n" not in str(refusal.value)


@pytest.mark.parametrize(
    "content", ["", "{", "[]", '{"scenarios": []}', '{"format": 2, "scenarios": []}', "\udcff"]
)
def test_a_file_of_another_kind_is_refused(tmp_path: Path, content: str) -> None:
    file = tmp_path / "s.json"
    file.write_text(content, errors="surrogateescape")

    with pytest.raises(Usage, match=r"s\.json"):
        read_scenarios(file)


def test_results_know_the_kernel_they_came_from(tmp_path: Path) -> None:
    file = tmp_path / "r.json"
    run = {"status": "ok", "ops": [{"op": "sleep", "ok": True, "t": {"elapsed_ms": 1.5}}]}
    file.write_text(json.dumps({"environment": {"kernel": "6.12.107"}, "results": {"one@-": run}}))

    results = read_results(file)

    assert results.environment.kernel == "6.12.107"
    assert results.results["one@-"].ops[0].ok


def test_a_missing_file_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(Usage, match="No such file"):
        read_results(tmp_path / "nowhere.json")
