"""`syncline demo`: everything at once, as processes and on virtual time, and what happens when a part dies."""

import json
import os
import select
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest

SYNCLINE = [sys.executable, "-m", "syncline"]
PATIENCE = 3_000
"""Looks, 10 ms apart, before a test gives up on what it waits for."""


@pytest.fixture
def place() -> Iterator[Path]:
    """Where a demo's sockets live, with a short name: socket paths may have 107 bytes, pytest's are longer."""
    with TemporaryDirectory(prefix="demo-") as name:
        (Path(name) / "run").mkdir()
        yield Path(name)


def environment(place: Path) -> dict[str, str]:
    return os.environ | {"TMPDIR": str(place / "run"), "COLUMNS": "160"}


def play(place: Path, *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*SYNCLINE, "demo", *words],
        capture_output=True,
        text=True,
        check=False,
        cwd=place,
        env=environment(place),
    )


def processes(place: Path) -> dict[str, int]:
    """The living parts of the demo in `place`, by name."""
    found = {}
    for entry in Path("/proc").iterdir():
        try:
            words = (entry / "cmdline").read_bytes().decode().split("\0")
        except (OSError, UnicodeDecodeError):
            continue
        if any(str(place) in word for word in words) and "syncline" in words:
            name = (
                words[words.index("--title") + 1]
                if "--title" in words
                else words[words.index("syncline") + 1]
            )
            found[name] = int(entry.name)
    return found


def until(condition: Callable[[], bool]) -> None:
    for _ in range(PATIENCE):
        if condition():
            return
        select.select([], [], [], 0.01)
    raise AssertionError("what the test waits for never came")


def nothing_is_left(place: Path) -> bool:
    return not processes(place) and not list((place / "run").iterdir())


def by_client(report: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {row["client"]: row for row in report["rows"]}


# -- as processes ------------------------------------------------------------------------------


def test_a_demo_ends_by_itself_with_a_table_a_screenshot_and_every_event(place: Path) -> None:
    done = play(place, "--seconds", "3", "--json", "--output", "out")

    report = json.loads(done.stdout)
    assert (done.returncode, done.stderr, report["notes"]) == (0, "", [])
    clients = by_client(report)
    assert clients.keys() == {"solid", "implicit", "shm", "hog", "subsurfaces"}
    assert all(row["frames"] > 0 for row in clients.values())
    assert {name: row["sync"] for name, row in clients.items()} == {
        "solid": "explicit", "hog": "explicit", "subsurfaces": "explicit", "implicit": "implicit", "shm": "copied",
    }  # fmt: skip
    assert report["tears"] == []
    assert json.loads((place / "out/report.json").read_text()) == report
    assert (place / "out/screenshot.png").read_bytes().startswith(b"\x89PNG")
    events = [json.loads(line) for line in (place / "out/events.jsonl").read_text().splitlines()]
    assert {event["source"] for event in events} == clients.keys() | {"device", "compositor"}
    assert [event["t_ns"] for event in events] == sorted(event["t_ns"] for event in events)
    assert nothing_is_left(place)


def test_the_time_begins_when_every_client_is_on_the_screen(place: Path) -> None:
    done = play(place, "--seconds", "0.1", "--json")

    report = json.loads(done.stdout)
    assert (done.returncode, done.stderr, report["notes"]) == (0, "", [])
    assert set(by_client(report)) == {"solid", "implicit", "shm", "hog", "subsurfaces"}
    assert all(row["frames"] for row in report["rows"])


def test_a_promise_broken_is_seen_in_the_screenshot(place: Path) -> None:
    done = play(place, "--seconds", "3", "--broken", "--json", "--output", "out")

    report = json.loads(done.stdout)
    assert done.returncode == 0, report
    assert {tear["client"] for tear in report["tears"]} == {"liar"}
    assert "shown unfinished" in by_client(report)["liar"]["why"]
    assert not any(row["torn"] for name, row in by_client(report).items() if name != "liar")
    assert_only_the_liar_races(report["races"])


def assert_only_the_liar_races(races: list[str]) -> None:
    """Each report has the path, and the edge that is missing in it."""
    assert races
    for race in races:
        assert "K21 error" in race
        assert "a read before its producer's fence: job" in race
        assert "(liar " in race.splitlines()[0]
        assert "[missing] nothing makes it wait for this" in race


@pytest.fixture
def playing(place: Path) -> Iterator[subprocess.Popen[str]]:
    """A demo that would go on for a minute, with everybody on the stage."""
    demo = subprocess.Popen(
        [*SYNCLINE, "demo", "--seconds", "60", "--json"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=place,
        env=environment(place),
    )
    until(lambda: len(processes(place)) == 7)
    yield demo
    demo.kill()
    demo.communicate()
    until(lambda: not processes(place))


def test_ctrl_c_ends_it_cleanly_with_what_there_is_to_report(
    place: Path, playing: subprocess.Popen[str]
) -> None:
    playing.send_signal(signal.SIGINT)

    told, complaints = playing.communicate()
    assert (playing.returncode, complaints) == (0, "")
    assert json.loads(told)["notes"] == []
    assert nothing_is_left(place)


def test_a_client_killed_costs_the_others_nothing(place: Path, playing: subprocess.Popen[str]) -> None:
    hog = processes(place)["hog"]
    os.kill(hog, signal.SIGKILL)
    until(lambda: not Path(f"/proc/{hog}").exists())  # the demo has taken note: it is no zombie any more
    playing.send_signal(signal.SIGINT)

    told, complaints = playing.communicate()
    report = json.loads(told)
    assert (playing.returncode, complaints) == (1, "")
    assert report["notes"] == ["The client hog was ended by SIGKILL; the others went on."]
    assert nothing_is_left(place)


@pytest.mark.parametrize("part", ["compositor", "device"])
def test_when_a_server_is_killed_the_demo_says_so_and_ends(
    place: Path, playing: subprocess.Popen[str], part: str
) -> None:
    os.kill(processes(place)[part], signal.SIGKILL)

    told, complaints = playing.communicate()
    report = json.loads(told)
    assert (playing.returncode, complaints) == (1, "")
    assert report["notes"] == [f"The {part} was ended by SIGKILL; the demo ended there."]
    assert report["screenshot"] is None
    assert nothing_is_left(place)


def test_anybody_can_photograph_the_running_compositor(place: Path, playing: subprocess.Popen[str]) -> None:
    (socket,) = (place / "run").glob("*/wayland-syncline")
    words = ["screenshot", "now.png", "--socket", str(socket)]

    done = subprocess.run([*SYNCLINE, *words], capture_output=True, text=True, check=False, cwd=place)

    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert (place / "now.png").read_bytes().startswith(b"\x89PNG")
    assert playing.poll() is None


def test_no_part_outlives_a_killed_demo(place: Path, playing: subprocess.Popen[str]) -> None:
    playing.kill()

    until(lambda: not processes(place))


# -- on virtual time ---------------------------------------------------------------------------


def test_the_same_seed_gives_the_same_bytes(place: Path) -> None:
    runs = []
    for name, hash_seed in (("one", "1"), ("two", "2")):
        where = place / name
        where.mkdir()
        words = ["demo", "--virtual", "--seed", "7", "--seconds", "2", "--output", "out"]
        done = subprocess.run(
            [*SYNCLINE, *words],
            capture_output=True,
            check=True,
            cwd=where,
            env=environment(place) | {"PYTHONHASHSEED": hash_seed},
        )
        runs.append((done.stdout, {file.name: file.read_bytes() for file in (where / "out").iterdir()}))

    one, two = runs
    assert one[0] == two[0]
    assert one[1].keys() == two[1].keys() == {"report.json", "screenshot.png", "events.jsonl"}
    assert all(one[1][name] == two[1][name] for name in one[1])
    elsewhere = play(place, "--virtual", "--seed", "7", "--seconds", "2", "--output", "elsewhere", "--json")
    assert elsewhere.stdout.encode() == one[1]["report.json"]


@pytest.mark.parametrize(
    ("words", "liars"),
    [
        (["--broken", "--zmq"], {"liar"}),
        (["--zmq", "--output-mode", "696x464@60"], set()),
        (["--output-mode", "640x480@23.976", "--output-mode", "640x480@144"], set()),
    ],
)
def test_windows_never_hide_each_other_s_frame_tags(place: Path, words: list[str], liars: set[str]) -> None:
    done = play(place, "--virtual", "--seconds", "1", "--json", *words)

    report = json.loads(done.stdout)
    assert (done.returncode, done.stderr, report["notes"]) == (0, "", [])
    assert {tear["client"] for tear in report["tears"]} == liars


def test_a_full_disk_is_one_sentence(place: Path) -> None:
    (place / "out").mkdir()
    (place / "out" / "events.jsonl").symlink_to("/dev/full")

    done = play(place, "--virtual", "--seconds", "0.2", "--output", "out")

    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == "syncline: cannot write to out: No space left on device\n"


def test_on_virtual_time_nothing_is_late_by_us(place: Path) -> None:
    done = play(place, "--virtual", "--seconds", "10", "--json")

    report = json.loads(done.stdout)
    assert (done.returncode, done.stderr) == (0, "")
    assert all(row["missed_by_us"] == 0 for row in report["rows"])
    assert by_client(report)["shm"]["frames"] >= 590
    assert report["tears"] == []
    assert report["races"] == []


def test_a_broken_promise_is_seen_on_virtual_time_too(place: Path) -> None:
    done = play(place, "--virtual", "--seconds", "2", "--broken", "--json")

    assert done.returncode == 0, done.stdout + done.stderr
    assert {tear["client"] for tear in json.loads(done.stdout)["tears"]} == {"liar"}
    assert_only_the_liar_races(json.loads(done.stdout)["races"])
