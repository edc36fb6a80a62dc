"""`syncline bench`: that it measures and says what; never how much."""

import json

import pytest

from syncline.lab.cli import main


def test_bench_uapi_reports_every_call_the_wake_and_long_timelines(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main(["bench", "uapi", "--json"]) == 0

    report = json.loads(capsys.readouterr().out)
    assert [cost["call"] for cost in report["calls"]] == [
        "signal",
        "query",
        "wait, signalled",
        "transfer",
        "eventfd",
    ]
    assert all("one core" in cost["node"] for cost in report["calls"])
    assert all(pair["ratio"] > 0 for pair in report["wake"].values())
    assert [(cost["points"], cost["held"]) for cost in report["points"]] == [
        (points, held) for points in (10, 1_000, 100_000) for held in (False, True)
    ]


def test_bench_virtual_reports_how_fast_a_session_of_each_kind_is_computed(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main(["bench", "virtual", "--clients", "1", "--json"]) == 0

    costs = json.loads(capsys.readouterr().out)
    assert [(cost["client"], cost["clients"]) for cost in costs] == [
        ("shm", 1),
        ("implicit", 1),
        ("solid", 1),
    ]
    for cost in costs:
        shown_per_s = 1e9 / cost["frame_ns"] / cost["times_real"]
        assert 55 < shown_per_s < 65, "a frame of each refresh, and the two numbers are of the same rounds"


def test_bench_wire_reports_both_wires_a_round_trip_and_every_crowd(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main(["bench", "wire", "--most", "10", "--json"]) == 0

    report = json.loads(capsys.readouterr().out)
    damage = next(each for each in report["messages"] if each["message"] == "wl_surface.damage")
    for costs in (damage["encode_ns"], damage["decode_ns"], damage["deliver_ns"]):
        assert set(costs) == {"wayland", "zmq"}
    assert all(pair["ratio"] > 0 for pair in report["present"].values())
    assert [(each["wire"], each["clients"]) for each in report["crowds"]] == [
        (wire, clients) for wire in ("wayland", "zmq") for clients in (1, 10)
    ]
