"""`syncline bench present`: that it runs, that its numbers add up, and that every view shows the same ones."""

import csv
import json
import shutil
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from perfetto.protos.perfetto.trace.perfetto_trace_pb2 import (
    BUILTIN_CLOCK_BOOTTIME,
    BUILTIN_CLOCK_MONOTONIC,
    Trace,
    TrackEvent,
)

from syncline.lab.cli import main
from syncline.lab.present.outcome import READINGS
from syncline.lab.present.page import COUNTS

NAMES = {"syncline dma", "syncline shm"}
PARTS = ("commit_to_acquire_ns", "acquire_to_latch_ns", "latch_to_flip_ns")
FAULTS = ("missed_before_arrival", "missed_by_client", "missed_by_compositor", "missed_by_machine")

Outcome = dict[str, Any]


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("bench")


@pytest.fixture(scope="module")
def matrix(place: Path) -> dict[str, Any]:
    """A matrix for the page to show: two rows of it."""
    words = ("--client", "dma", "--client", "user", "--compositor", "dma", "--seconds", "0.2", "--json")
    run = subprocess.run(
        [sys.executable, "-m", "syncline", "matrix", *words], capture_output=True, check=True
    )
    (place / "matrix.json").write_bytes(run.stdout)
    matrix: dict[str, Any] = json.loads(run.stdout)
    return matrix


@pytest.fixture(scope="module")
def outcome(place: Path, matrix: dict[str, Any]) -> Outcome:
    """One run of two clients in two ways, with everything written that can be."""
    told = subprocess.run(
        [
            *(
                sys.executable,
                "-m",
                "syncline",
                "bench",
                "present",
                "--sync",
                "dma",
                "--sync",
                "shm",
                "--clients",
                "2",
                "--frames",
                "40",
            ),
            *("--rounds", "2", "--seed", "5", "--random-phase", "--json", "--csv", "frames.csv"),
            *("--report", "report.html", "--matrix", "matrix.json", "--trace", "run.pftrace"),
        ],
        cwd=place,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (told.returncode, told.stderr) == (0, "")
    outcome: Outcome = json.loads(told.stdout)
    return outcome


def shown(outcome: Outcome) -> list[dict[str, Any]]:
    return [row for row in outcome["rows"] if row["presented_ns"] is not None]


# -- the numbers ---------------------------------------------------------------------------------


def test_everybody_takes_turns_and_draws_what_was_ordered(outcome: Outcome) -> None:
    assert {(row["name"], row["round"], row["client"]) for row in outcome["rows"]} == {
        (name, turn, client) for name in NAMES for turn in (0, 1) for client in (1, 2)
    }
    assert [(each["name"], each["committed"]) for each in outcome["results"]] == [
        ("syncline dma", 80),
        ("syncline shm", 80),
    ]
    assert (outcome["schema"], outcome["seed"], outcome["turns"]) == (2, 5, 2)


def test_the_parts_sum_to_the_whole_in_every_frame(outcome: Outcome) -> None:
    rows = shown(outcome)

    assert len(rows) == sum(each["shown"] for each in outcome["results"]) > 0
    for row in rows:
        assert sum(row[part] for part in PARTS) == row["c2p_ns"]
        assert row["f2c_ns"] + row["c2p_ns"] == row["f2p_ns"]
        assert row["commit_ns"] + row["c2p_ns"] == row["presented_ns"]


def test_every_missed_vblank_is_laid_at_one_door(outcome: Outcome) -> None:
    for told in (*shown(outcome), *outcome["results"]):
        if told["missed_vblanks"] is not None:
            assert sum(told[fault] or 0 for fault in FAULTS) == told["missed_vblanks"]


@pytest.mark.requirement("TRN-09")
def test_what_the_wire_costs_is_told_apart_from_what_was_waited_for(outcome: Outcome) -> None:
    for row in shown(outcome):
        assert 0 < row["commit_to_received_ns"] < row["c2p_ns"]
    assert "commit_to_received_ns" not in PARTS, (
        "whoever waits for a GPU meanwhile does not wait for the wire"
    )


def test_what_a_gpu_paints_is_waited_for_and_what_the_cpu_painted_is_not(outcome: Outcome) -> None:
    waits = {
        name: {row["commit_to_acquire_ns"] > 0 for row in shown(outcome) if row["name"] == name}
        for name in NAMES
    }

    assert True in waits["syncline dma"]  # a busy machine may send a commit later than its GPU is done
    assert waits["syncline shm"] == {False}


def test_statistics_are_those_of_the_rows(outcome: Outcome) -> None:
    for result in outcome["results"]:
        rows = [row for row in shown(outcome) if row["name"] == result["name"] and not row["warm_up"]]
        assert result["counted"] == len(rows)
        for column, spread in result["columns"].items():
            values = sorted(row[column] for row in rows if row[column] is not None)
            assert (spread["count"], spread["max"]) == (len(values), values[-1])
            assert spread["p50"] == values[-(-len(values) // 2) - 1]


def test_the_run_states_its_own_error(outcome: Outcome) -> None:
    machine = outcome["machine"]

    assert machine["ticks"] > 0
    assert machine["lateness_p50_ns"] <= machine["lateness_p99_ns"] <= machine["lateness_max_ns"]
    assert "CLOCK_MONOTONIC" in machine["clock"]
    witness = outcome["witness"]
    assert witness["priority"] or not witness["standstills"]
    for ratio in outcome["ratios"]:
        assert (ratio["ratio"] is None) == bool(ratio["refused"])


def test_the_csv_has_the_same_frames(outcome: Outcome, place: Path) -> None:
    with (place / "frames.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))

    def cell(value: object) -> str:
        return "" if value is None else str(int(value)) if isinstance(value, bool) else str(value)

    assert rows == [{column: cell(value) for column, value in row.items()} for row in outcome["rows"]]


def test_every_column_is_documented(outcome: Outcome) -> None:
    documented = (Path(__file__).parents[2] / "docs/bench.md").read_text()

    assert [column for column in outcome["rows"][0] if f"`{column}`" not in documented] == []


# -- the page ------------------------------------------------------------------------------------


class Cells(HTMLParser):
    """The texts of the cells that say whose and which column they are."""

    def __init__(self) -> None:
        super().__init__()
        self.found: dict[tuple[str, str], str] = {}
        self._open: tuple[str, str] | None = None

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        said = dict(attrs)
        if tag == "td" and said.get("data-column"):
            self._open = (said["data-name"] or "", said["data-column"] or "")
            self.found[self._open] = ""

    def handle_endtag(self, tag: str) -> None:
        if tag == "td":
            self._open = None

    def handle_data(self, data: str) -> None:
        if self._open is not None:
            self.found[self._open] += data.strip()


def expected_cells(outcome: Outcome) -> dict[tuple[str, str], str]:
    def ms(value_ns: int) -> str:
        return f"{value_ns / 1e6:.2f}"

    told = {column for result in outcome["results"] for column in result["columns"]}
    cells = {}
    for result in outcome["results"]:
        for column in READINGS.keys() & told:
            spread = result["columns"].get(column)
            text = " / ".join(ms(spread[each]) for each in ("p50", "p99", "max")) if spread else ""
            cells[result["name"], column] = text
        for count in COUNTS:
            value = result[count]
            cells[result["name"], count] = (
                "" if value is None else ms(value) if count.endswith("_ns") else str(value)
            )
    return cells


def test_the_numbers_on_the_page_are_those_of_the_json(outcome: Outcome, place: Path) -> None:
    cells = Cells()
    page = (place / "report.html").read_text()
    cells.feed(page)

    assert cells.found == expected_cells(outcome)
    assert outcome["command"] in page
    assert "<script" not in page
    assert "http://" not in page.replace("http://www.w3.org/", "").replace("http://purl.org/", "").replace(
        "http://creativecommons.org/", ""
    )


def test_the_page_shows_the_matrix_that_it_was_given(
    outcome: Outcome, place: Path, matrix: dict[str, Any]
) -> None:
    assert outcome["results"]
    page = (place / "report.html").read_text()

    assert matrix["command"] in page
    stalls = [stall for cell in matrix["cells"] for stall in cell["stalls"]]
    assert stalls
    for stall in stalls:
        told = stall["durations"]
        assert f"{stall['call']} {told['p50'] / 1e6:.1f}/{told['p99'] / 1e6:.1f}" in page


OVERFLOWING = """<pre id="verdict"></pre><script>addEventListener("load", () => {
  const beyond = [...document.querySelectorAll("body *")].filter(
    each => !each.closest(".wide, svg") && each.getBoundingClientRect().right > innerWidth + 1);
  const cut = [...document.querySelectorAll("svg text")].filter(each => {
    const text = each.getBoundingClientRect(), picture = each.ownerSVGElement.getBoundingClientRect();
    return text.left < picture.left - 1 || text.right > picture.right + 1 ||
      text.top < picture.top - 1 || text.bottom > picture.bottom + 1; });
  document.getElementById("verdict").textContent = JSON.stringify({
    texts: document.querySelectorAll("svg text").length, scrolls: document.body.scrollWidth > innerWidth,
    beyond: beyond.map(each => each.outerHTML.slice(0, 80)), cut: cut.map(each => each.textContent)});
})</script></body>"""


@pytest.mark.parametrize("width", [1280, 600])
def test_in_a_browser_nothing_overflows(outcome: Outcome, place: Path, tmp_path: Path, width: int) -> None:
    if shutil.which("chromium") is None:
        pytest.skip("chromium is not installed (see .ci/packages)")
    looked_at = tmp_path / "report.html"
    looked_at.write_text((place / "report.html").read_text().replace("</body>", OVERFLOWING))

    dumped = subprocess.run(
        [
            *("chromium", "--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking"),
            *(f"--user-data-dir={tmp_path / 'profile'}", f"--window-size={width},900", "--dump-dom"),
            looked_at.as_uri(),
        ],
        capture_output=True,
        text=True,
        check=True,
    ).stdout

    verdict = json.loads(dumped.partition('<pre id="verdict">')[2].partition("</pre>")[0])
    assert verdict.pop("texts") > 20
    assert verdict == {"scrolls": False, "beyond": [], "cut": []}


# -- the trace -----------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def trace(outcome: Outcome, place: Path) -> Trace:
    trace = Trace()
    trace.ParseFromString((place / "run.pftrace").read_bytes())
    return trace


def test_the_trace_begins_with_both_clocks(trace: Trace) -> None:
    clocks = trace.packet[0].clock_snapshot.clocks

    assert [clock.clock_id for clock in clocks] == [BUILTIN_CLOCK_BOOTTIME, BUILTIN_CLOCK_MONOTONIC]
    assert {each.timestamp_clock_id for each in trace.packet if each.HasField("track_event")} == {
        BUILTIN_CLOCK_MONOTONIC
    }


def test_the_trace_has_a_track_for_everybody(outcome: Outcome, trace: Trace) -> None:
    descriptors = [each.track_descriptor for each in trace.packet if each.HasField("track_descriptor")]
    processes = {each.uuid: each.process.process_name for each in descriptors if each.HasField("process")}

    assert len(processes) == len(set(processes.values()))
    clients = {f"{sync}-{turn}-{client}" for sync in ("dma", "shm") for turn in (0, 1) for client in (1, 2)}
    found = {name.partition(":")[0] for name in processes.values()}
    assert found - {"machine"} == clients | {"compositor", "GPU", "KMS"}
    assert ("machine" in found) == bool(outcome["witness"]["standstills"])
    assert all("missed of" in name for name in processes.values() if "-" in name)
    tracks = {(processes[each.parent_uuid], each.name.split()[0]) for each in descriptors if each.parent_uuid}
    assert ("GPU", "engine") in tracks
    assert ("KMS", "CRTC") in tracks


def test_slices_on_a_track_end_before_the_next_begins(trace: Trace) -> None:
    begun: dict[int, int] = {}
    last_ns = 0
    for packet in trace.packet:
        if not packet.HasField("track_event"):
            continue
        assert packet.timestamp >= last_ns
        last_ns = packet.timestamp
        track = packet.track_event.track_uuid
        if packet.track_event.type == TrackEvent.TYPE_SLICE_BEGIN:
            assert track not in begun
            begun[track] = packet.timestamp
        elif packet.track_event.type == TrackEvent.TYPE_SLICE_END:
            assert begun.pop(track) <= packet.timestamp
    assert not begun


def test_the_latency_is_a_counter_in_microseconds(outcome: Outcome, trace: Trace) -> None:
    counters = {
        each.track_descriptor.uuid for each in trace.packet if each.track_descriptor.counter.unit_name == "µs"
    }
    told = [each.track_event for each in trace.packet if each.track_event.type == TrackEvent.TYPE_COUNTER]

    assert {each.track_uuid for each in told} == counters
    assert sorted(each.counter_value for each in told) == sorted(
        row["c2p_ns"] // 1000 for row in shown(outcome)
    )


def test_a_flow_leads_from_the_commit_to_the_release(outcome: Outcome, trace: Trace) -> None:
    """For a frame of the explicit client: its drawing, job, wait, latch, vblank, feedback and release."""
    names: dict[int, str] = {}
    for each in trace.packet:
        if each.HasField("track_descriptor"):
            parent = names.get(each.track_descriptor.parent_uuid, "")
            descriptor = each.track_descriptor
            names[descriptor.uuid] = descriptor.process.process_name or f"{parent}: {descriptor.name}"
    stations: dict[int, set[str]] = {}
    for each in trace.packet:
        for flow in each.track_event.flow_ids:
            stations.setdefault(flow, set()).add(names[each.track_event.track_uuid])

    title = "dma-0-1"
    journeys = [
        found
        for found in stations.values()
        if any(name.startswith(f"{title}: ") and name.endswith(": draw, commit") for name in found)
    ]
    assert len(journeys) == 20
    screens = [
        {"engine", "commit", "latch", "CRTC", "feedback", "release"}
        <= {word for place in found for word in place.replace(":", " ").split()}
        for found in journeys
    ]
    assert all(screens)


# -- others --------------------------------------------------------------------------------------


def test_weston_is_measured_in_turns_and_is_not_asked_what_it_cannot_know(
    capsys: pytest.CaptureFixture[str],
) -> None:
    if shutil.which("weston") is None:
        pytest.skip("weston is not installed (see .ci/packages)")

    assert main(["bench", "present", "--against", "weston", "--frames", "20", "--rounds", "2", "--json"]) == 0

    outcome = json.loads(capsys.readouterr().out)
    ours, theirs = outcome["results"]
    assert (ours["name"], theirs["name"]) == ("syncline shm", "weston shm")
    assert theirs["version"].startswith("weston ")
    assert outcome["scheduling"]["syncline"] == outcome["scheduling"]["weston"]
    assert "latch_to_flip_ns" in ours["columns"]
    assert "c2p_ns" in theirs["columns"]
    assert not theirs["columns"].keys() & {*PARTS, "commit_to_received_ns", "latch_margin_ns"}
    assert [theirs[fault] for fault in FAULTS] == [None] * 4
    assert {row[fault] for row in outcome["rows"] if row["compositor"] == "weston" for fault in FAULTS} == {
        None
    }
    assert [row["name"] for row in outcome["rows"]] == [
        name for _ in range(2) for name in ("syncline shm", "weston shm") for _ in range(10)
    ]


def test_a_compositor_that_does_not_start_is_one_sentence(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["bench", "present", "--against", "mute=false", "--frames", "20"]) == 2

    said = capsys.readouterr()
    assert said.out == ""
    assert said.err == "syncline: mute ended with exit code 1: without a word\n"


def test_a_person_gets_a_histogram_a_sentence_per_number_and_the_way_to_repeat_it(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main(["bench", "present", "--sync", "implicit", "--frames", "40"]) == 0

    told = " ".join(capsys.readouterr().out.split())
    assert "syncline implicit: commit to presented, 36 frames" in told
    assert all(told.count(f" {word}: ") == 1 for word in ("f2c", "c2p", "f2p", "p2p", "t2p", "latch to flip"))
    assert "Repeat: syncline bench present --sync implicit --mode feedback --clients 1 --frames 40" in told


def test_scale_tells_what_one_more_client_costs(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    rows, page = tmp_path / "scale.csv", tmp_path / "scale.html"
    files = ["--csv", str(rows), "--report", str(page)]
    assert main(["bench", "scale", "--most", "2", "--seconds", "0.5", "--json", *files]) == 0

    outcome = json.loads(capsys.readouterr().out)
    one, two = outcome["steps"]
    assert (one["clients"], two["clients"]) == (1, 2)
    assert all(0 < step["counted"] < step["shown"] <= step["committed"] for step in (one, two))
    assert all(
        (step["missed_by_machine"] is None) == (not step["witness"]["priority"]) for step in (one, two)
    )
    for figure in ("compositor_cpu_ns", "device_cpu_ns", "memory_bytes"):
        assert min(one[figure], two[figure]) > 0
    grown_mib = (two["memory_bytes"] - one["memory_bytes"]) / 2**20
    assert outcome["slopes"]["MiB"] == pytest.approx(grown_mib)
    with rows.open() as file:
        told = list(csv.DictReader(file))
    assert [int(row["memory_bytes"]) for row in told] == [step["memory_bytes"] for step in (one, two)]
    assert [int(row["c2p_p50_ns"]) for row in told] == [step["c2p_ns"]["p50"] for step in (one, two)]
    mib = f"{two['memory_bytes'] / 2**20:.2f}"
    assert f'<td data-clients="2" data-figure="MiB">{mib}</td>' in page.read_text()
    assert page.read_text().count("<svg") == 1
    assert outcome["command"].startswith("syncline bench scale --most 2 ")
