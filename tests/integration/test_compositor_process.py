"""The compositor as a process: how it begins, how it ends, and what it says when it cannot begin."""

import json
import os
import re
import select
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


class Process:
    """`python -m syncline.compositor` with a runtime directory of its own."""

    def __init__(self, runtime_dir: Path, *words: str, pass_fds: tuple[int, ...] = ()) -> None:
        self.runtime_dir = runtime_dir
        self.popen = subprocess.Popen(
            [sys.executable, "-m", "syncline.compositor", *words],
            env=os.environ | {"XDG_RUNTIME_DIR": str(runtime_dir)},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            pass_fds=pass_fds,
            cwd=ROOT,
        )

    def ready(self) -> str:
        """The line that says so."""
        return self.popen.stdout.readline()

    def end(self, number: int = signal.SIGTERM) -> tuple[int, str, str]:
        """Exit status, rest of stdout, stderr."""
        self.popen.send_signal(number)
        return self.wait()

    def wait(self) -> tuple[int, str, str]:
        out, err = self.popen.communicate()
        return self.popen.returncode, out, err

    def kill(self) -> None:
        if self.popen.returncode is None:
            self.popen.kill()
            self.popen.communicate()


@pytest.fixture
def run(tmp_path: Path) -> Iterator[object]:
    processes = []

    def start(*words: str, **others: object) -> Process:
        processes.append(Process(tmp_path, *words, **others))
        return processes[-1]

    yield start
    for process in processes:
        process.kill()


def files(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if not path.is_dir())


def test_it_says_when_it_is_ready_and_leaves_nothing_behind(run, tmp_path) -> None:
    compositor = run("--output", "320x240@60")
    line = compositor.ready()
    assert re.match(r"syncline compositor: ready on wayland-1 \(Virtual-1 320x240; device .*/card0\)\n", line)
    assert "wayland-1" in files(tmp_path)

    assert compositor.end() == (0, "", "")
    assert files(tmp_path) == []


def test_ctrl_c_is_an_end_like_any_other(run, tmp_path) -> None:
    compositor = run()
    compositor.ready()

    assert compositor.end(signal.SIGINT) == (0, "", "")
    assert files(tmp_path) == []


def test_it_ends_by_itself_after_so_many_seconds(run, tmp_path) -> None:
    compositor = run("--seconds", "0.2", "--socket", "named")
    assert "ready on named" in compositor.ready()

    assert compositor.wait() == (0, "", "")
    assert files(tmp_path) == []


def test_its_events_are_lines_of_json(run, tmp_path) -> None:
    reader, writer = os.pipe()
    compositor = run("--events", f"fd:{writer}", pass_fds=(writer,))
    os.close(writer)
    with os.fdopen(reader) as stream:
        first = json.loads(stream.readline())  # the screen has been lit
        compositor.end()
        rest = [json.loads(line) for line in stream]

    assert first["ev"] == "flip"
    assert first["output"] == "Virtual-1"
    assert all(event["t_ns"] > 0 for event in rest)


def test_a_killed_compositor_takes_its_own_device_along(run, tmp_path) -> None:
    compositor = run()
    compositor.ready()
    children = Path(f"/proc/{compositor.popen.pid}/task/{compositor.popen.pid}/children").read_text().split()
    assert len(children) == 1
    device = os.pidfd_open(int(children[0]))

    compositor.kill()

    assert select.select([device], [], [], 10)[0], "the device has ended too"
    os.close(device)


def test_without_its_device_it_ends_with_one_sentence(run, tmp_path) -> None:
    compositor = run()
    compositor.ready()
    children = Path(f"/proc/{compositor.popen.pid}/task/{compositor.popen.pid}/children").read_text().split()

    os.kill(int(children[0]), signal.SIGKILL)

    status, _, err = compositor.wait()
    assert status == 1
    assert err == "syncline compositor: the device is lost: No such device\n"


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["--cap", "wl_shell=1"], "no global 'wl_shell'"),
        (["--cap", "wl_compositor=99"], "goes from 0 (hidden) to 7"),
        (["--device", "/nonexistent/card0"], "no device node at /nonexistent/card0"),
        (["--output", "large"], "is no screen"),
        (["--device", "card0", "--output", "640x480@60"], "--output is for a device of our own"),
        (["--acquire", "never"], "never"),
        (["--sync", "dma", "--acquire", "user-forward"], "--acquire user-forward needs --sync user"),
        (["--fault", "rain"], "--fault rain: no such fault"),
        (["--fault", "output-removed=DP-1"], "there is no output DP-1, of Virtual-1, Virtual-2"),
        (["--events", "/nonexistent/events"], "cannot write events"),
        (["--socket", "/nonexistent/socket"], "cannot listen on /nonexistent/socket"),
    ],
)
def test_what_it_cannot_do_is_said_and_nothing_is_left(run, tmp_path, words, sentence) -> None:
    status, out, err = run(*words).wait()

    assert status == 2
    assert out == ""
    assert sentence in err
    assert "Traceback" not in err
    assert files(tmp_path) == []


@pytest.mark.parametrize("sink", ["events", "record"])
def test_a_full_disk_ends_the_record_and_not_the_show(run, tmp_path, sink) -> None:
    compositor = run(f"--{sink}", "/dev/full")
    compositor.ready()
    shown = subprocess.run(
        [sys.executable, "-m", "syncline.clients", "shm", "--socket", "wayland-1", "--frames", "40"],
        env=os.environ | {"XDG_RUNTIME_DIR": str(tmp_path)},
        capture_output=True, text=True, cwd=ROOT, check=False,
    )  # fmt: skip

    assert (shown.returncode, shown.stderr) == (0, "")
    status, _, err = compositor.end()
    what = {"events": "events", "record": "messages"}[sink]
    assert err == f"syncline compositor: no more {what} are written to /dev/full: No space left on device\n"
    assert status == 1


def test_faults_of_its_own_device_begin_once_the_screens_are_lit(run) -> None:
    compositor = run("--fault", "ModeAtomic=EBUSY:1:3", "--fault", "gpu-reset:50ms:3", "--seconds", "0.4")
    assert "ready" in compositor.ready()
    assert compositor.wait() == (0, "", "")


def test_an_unplugged_device_is_the_end_in_one_sentence(run) -> None:
    compositor = run("--fault", "unplug:200ms")
    compositor.ready()
    assert compositor.wait() == (1, "", "syncline compositor: the device is lost: No such device\n")


STORM = (
    "gpu-reset:150ms:6",
    "lost-wake:5:2",
    "lost-flip:20",
    "ModeAtomic=EBUSY:30:3",
    "SyncobjEventfd=EMFILE:9:3",
)
CABLE = ("output-removed=Virtual-1:400ms", "output-added=Virtual-1:900ms")


@pytest.mark.parametrize("faults", [STORM, CABLE], ids=["storm", "cable"])
def test_real_clients_get_what_they_are_owed_in_bad_weather(run, tmp_path, faults) -> None:
    compositor = run(*(word for fault in faults for word in ("--fault", fault)))
    compositor.ready()
    clients = [
        subprocess.Popen(
            [sys.executable, "-m", "syncline.clients", demo, "--socket", "wayland-1", "--frames", "60"],
            env=os.environ | {"XDG_RUNTIME_DIR": str(tmp_path)}, text=True, cwd=ROOT,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        )
        for demo in ("solid", "subsurfaces", "shm")
    ]  # fmt: skip
    for client in clients:
        out, err = client.communicate()
        assert (client.returncode, err) == (0, ""), out + err

    assert compositor.end() == (0, "", "")


def test_somebody_else_s_device_has_to_allow_faults(run, tmp_path) -> None:
    node = tmp_path / "card0"
    words = [sys.executable, "-m", "syncline.kms_model", "--socket", str(node), "--ready", "fd:1"]
    with subprocess.Popen(words, stdout=subprocess.PIPE, cwd=ROOT) as device:
        device.stdout.readline()

        status, _, err = run("--device", str(node), "--fault", "lost-wake").wait()

        device.terminate()
    assert status == 2
    assert err == (
        f"syncline compositor: the device at {node} lets nobody inject faults: start it with --allow-faults\n"
    )


def test_a_taken_name_is_said(run, tmp_path) -> None:
    first = run("--socket", "taken")
    first.ready()
    device = str(tmp_path / "syncline" / "card0")

    status, _, err = run("--socket", "taken", "--device", device).wait()

    assert status == 2
    assert err.count("\n") == 1
    first.end()


def test_a_device_has_one_compositor(run, tmp_path) -> None:
    first = run("--socket", "first")
    first.ready()
    device = str(tmp_path / "syncline" / "card0")

    status, _, err = run("--socket", "second", "--device", device).wait()

    assert status == 2
    assert "another compositor" in err
    assert first.end()[0] == 0


def test_where_a_device_is_already_it_starts_none_and_takes_none_unasked(run, tmp_path) -> None:
    first = run("--socket", "first")
    first.ready()

    status, _, err = run("--socket", "second").wait()

    assert status == 2
    assert f"a device already serves {tmp_path / 'syncline' / 'card0'}" in err
    assert err.count("\n") == 1
    assert first.end()[0] == 0


def test_without_a_runtime_directory_it_says_so(tmp_path) -> None:
    environment = {name: value for name, value in os.environ.items() if name != "XDG_RUNTIME_DIR"}
    result = subprocess.run(
        [sys.executable, "-m", "syncline.compositor"],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )

    assert result.returncode == 2
    assert "XDG_RUNTIME_DIR" in result.stderr
    assert result.stderr.count("\n") == 1


def test_it_runs_from_the_bare_folder_too(tmp_path) -> None:
    result = subprocess.run(
        [sys.executable, "-m", "compositor", "--help"], cwd=ROOT, capture_output=True, text=True, check=False
    )

    assert result.returncode == 0
    assert "--socket" in result.stdout
