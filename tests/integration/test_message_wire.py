"""The message wire as users have it: real processes, both wires side by side, and a client of somebody else's."""

import ast
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from syncline.lab.cli import main
from syncline.protocol.recording import read

SYNCLINE = [sys.executable, "-m", "syncline"]
FOREIGN_CLIENT = Path(__file__).with_name("foreign_zmq_client.py")
DEMOS = ["solid", "implicit", "shm", "hog", "subsurfaces"]


@dataclass
class Session:
    """A compositor on both wires, in a folder of its own."""

    folder: Path
    compositor: "subprocess.Popen[str]"

    @property
    def endpoint(self) -> str:
        return f"ipc://{self.folder}/syncline/messages"

    @property
    def device(self) -> Path:
        return self.folder / "syncline" / "card0"

    def start(self, *words: str) -> "subprocess.Popen[str]":
        return subprocess.Popen(
            [*SYNCLINE, "client", *words],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=environment(self.folder),
        )

    def events(self, name: str) -> list[dict[str, Any]]:
        return [json.loads(line) for line in (self.folder / name).read_text().splitlines()]


def environment(folder: Path) -> dict[str, str]:
    return os.environ | {"XDG_RUNTIME_DIR": str(folder), "WAYLAND_DISPLAY": "wayland-m"}


@pytest.fixture(scope="module")
def session() -> Iterator[Session]:
    """Shared, and left as it was found."""
    with running() as session:
        yield session


@contextmanager
def running() -> Iterator[Session]:
    folder = Path(tempfile.mkdtemp(prefix="sl-"))
    words = ["compositor", "--socket", "wayland-m", "--zmq", f"ipc://{folder}/syncline/messages"]
    words += ["--output", "640x480@60", "--record", str(folder / "all.rec")]
    words += ["--events", str(folder / "compositor.jsonl")]
    with subprocess.Popen(
        [*SYNCLINE, *words], stdout=subprocess.PIPE, text=True, env=environment(folder)
    ) as compositor:
        try:
            assert compositor.stdout is not None
            assert re.search(r"ready on wayland-m and ipc://\S+messages", compositor.stdout.readline())
            yield Session(folder, compositor)
        finally:
            compositor.terminate()
            compositor.wait()
            shutil.rmtree(folder)


def test_all_demos_run_over_both_wires_side_by_side(session: Session) -> None:
    cast = [(demo, wire) for demo in DEMOS for wire in ("wayland", "zmq")]
    crowd = [
        [demo, "--wire", wire, "--frames", "5", "--events", str(session.folder / f"{demo}-{wire}")]
        for demo, wire in cast
    ]
    words = [sys.executable, "-m", "syncline.lab.present.crowd"]
    run = subprocess.run(
        words,
        input=json.dumps(crowd),
        capture_output=True,
        text=True,
        check=False,
        env=environment(session.folder),
    )

    assert (run.returncode, run.stderr) == (0, "")
    for demo, wire in cast:
        end = session.events(f"{demo}-{wire}")[-1]
        assert end["presented"] + end["discarded"] == end["committed"] > 0
        assert end["owed"] == end["paid"] == end["committed"]


def test_a_client_of_nothing_but_the_documentation_presents_a_frame(session: Session) -> None:
    words = [sys.executable, str(FOREIGN_CLIENT), session.endpoint, str(session.device)]
    run = subprocess.run(words, capture_output=True, text=True, check=False)

    assert (run.returncode, run.stderr) == (0, "")
    outcome = json.loads(run.stdout)
    assert outcome["released"]
    assert outcome["presented_ns"] > 0


def test_that_client_imports_nothing_of_ours() -> None:
    tree = ast.parse(FOREIGN_CLIENT.read_text())
    imports = [each for each in ast.walk(tree) if isinstance(each, ast.Import | ast.ImportFrom)]
    names = {alias.name for each in imports if isinstance(each, ast.Import) for alias in each.names}

    assert not any(isinstance(each, ast.ImportFrom) for each in imports)
    assert names - set(sys.stdlib_module_names) == {"zmq", "msgpack"}


@pytest.mark.requirement("TRN-06", "S89")
def test_a_client_that_is_killed_goes_like_one_whose_socket_closed() -> None:
    with running() as session:
        for wire in ("zmq", "wayland"):
            client = session.start("solid", "--wire", wire, "--events", "/dev/stdout")
            assert client.stdout is not None
            while "client_presented" not in client.stdout.readline():
                pass
            client.send_signal(signal.SIGKILL)
            client.communicate()
        survivor = session.start("solid", "--wire", "zmq", "--frames", "5")
        survivor.communicate()
        assert survivor.returncode == 0
        session.compositor.terminate()
        assert session.compositor.wait() == 0, "nothing of theirs was left to trip over"

        with (session.folder / "all.rec").open("rb") as file:
            connections = {said.connection for _, said in read(file)}
        assert connections == {"client-1", "client-2", "client-3"}


def test_a_client_that_finds_no_compositor_is_told_how_to_start_one(session: Session) -> None:
    client = session.start("solid", "--wire", "zmq", "--endpoint", f"ipc://{session.folder}/nobody")
    _, complaint = client.communicate()

    assert client.returncode == 2
    assert "start one with `syncline compositor --zmq ipc://" in complaint
    assert complaint.count("\n") == 1


@pytest.mark.parametrize("words", [["compositor", "--zmq"], ["client", "shm", "--wire", "zmq", "--endpoint"]])
@pytest.mark.parametrize(
    ("endpoint", "hint"), [("tcp://192.0.2.1:7000", "CURVE keys"), ("nonsense", "try ipc:///")]
)
def test_an_endpoint_that_will_not_do_is_one_sentence(
    tmp_path: Path, words: list[str], endpoint: str, hint: str
) -> None:
    run = subprocess.run(
        [*SYNCLINE, *words, endpoint], capture_output=True, text=True, check=False, env=environment(tmp_path)
    )

    assert run.returncode == 2
    assert run.stderr.count("\n") == 1
    assert hint in run.stderr


def test_the_demo_shows_both_wires_side_by_side(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["demo", "--virtual", "--zmq", "--seconds", "1", "--json"]) == 0

    rows = {row["client"]: row for row in json.loads(capsys.readouterr().out)["rows"]}
    assert rows["solid-zmq"]["sync"] == rows["solid"]["sync"] == "explicit"
    assert rows["solid-zmq"]["releases_owed"] == rows["solid-zmq"]["releases_paid"] > 0
