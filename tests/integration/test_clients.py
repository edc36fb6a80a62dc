"""The demo clients and a foreign one as real processes: real sockets, a real device node, a real compositor."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from syncline.clients.toolkit.loop import Context
from syncline.clients.toolkit.options import Options
from syncline.kms_model import tag
from syncline.kms_model.loops import RealLoop, run_real
from syncline.lab.screenshot import Pixels, photograph
from syncline.protocol.transport.unix import connect

SYNCLINE = [sys.executable, "-m", "syncline"]
FOREIGN_CLIENT = Path(__file__).with_name("pywayland_client.py")
SOCKET = "wayland-t"


@dataclass
class Session:
    """A compositor with a device of its own, in a folder of its own."""

    folder: Path
    compositor: subprocess.Popen[str]
    device: Path

    @property
    def environment(self) -> dict[str, str]:
        return os.environ | {"XDG_RUNTIME_DIR": str(self.folder), "WAYLAND_DISPLAY": SOCKET}

    def start(self, demo: str, *words: str) -> subprocess.Popen[str]:
        command = [*SYNCLINE, "client", demo, "--device", str(self.device), *words]
        return subprocess.Popen(
            command,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=self.environment,
        )

    def run(self, demo: str, *words: str) -> tuple[int, str, list[dict[str, Any]]]:
        """Exit status, what it said on stderr, and its events."""
        target = self.folder / f"{demo}.jsonl"
        client = self.start(demo, "--events", str(target), *words)
        _, complaint = client.communicate()
        return client.returncode, complaint, [json.loads(line) for line in target.read_text().splitlines()]

    def photograph(self) -> Pixels:
        async def main(loop: RealLoop) -> Pixels:
            transport = connect(loop, self.folder / SOCKET)
            return await photograph(Context(loop=loop, transport=transport, device=None, options=Options()))

        return run_real(main)


@pytest.fixture
def session() -> Iterator[Session]:
    folder = Path(tempfile.mkdtemp(prefix="sl-"))  # a socket's path may have 107 bytes: tmp_path is too long
    words = [*SYNCLINE, "compositor", "--socket", SOCKET, "--output", "640x480@60"]
    environment = os.environ | {"XDG_RUNTIME_DIR": str(folder)}
    with subprocess.Popen(words, stdout=subprocess.PIPE, text=True, env=environment) as compositor:
        try:
            assert compositor.stdout is not None
            ready = compositor.stdout.readline()
            device = re.search(r"device (\S+)\)", ready)
            assert device is not None, ready
            yield Session(folder, compositor, Path(device[1]))
        finally:
            compositor.terminate()
            compositor.wait()
            shutil.rmtree(folder)


@pytest.mark.parametrize("demo", ["solid", "implicit", "shm", "hog", "subsurfaces"])
def test_every_demo_gets_every_frame_answered_and_every_image_back(session: Session, demo: str) -> None:
    status, complaint, events = session.run(demo, "--frames", "15")

    assert (status, complaint) == (0, "")
    end = events[-1]
    assert end["ev"] == "client_ended"
    assert end["presented"] + end["discarded"] == end["committed"] > 0
    assert end["owed"] == end["paid"] == end["committed"]


@pytest.mark.requirement("S1")
def test_libwaylands_own_client_walks_the_whole_explicit_path(session: Session) -> None:
    words = [sys.executable, str(FOREIGN_CLIENT), SOCKET, str(session.device), "12"]
    run = subprocess.run(words, capture_output=True, text=True, check=False, env=session.environment)

    assert (run.returncode, run.stderr) == (0, "")
    outcome = json.loads(run.stdout)
    assert outcome["error"] is None
    assert outcome["gave_up"] is None
    assert [each["frame"] for each in outcome["presented"]] == list(range(1, 13))
    assert len(outcome["released"]) == outcome["owed"] == 12
    for image in range(3):
        points = [each["point"] for each in outcome["released"] if each["image"] == image]
        assert points == list(range(1, len(points) + 1)), (
            "each timeline is advanced to the points it was given"
        )


def test_a_screenshot_of_an_early_signal_shows_an_unfinished_image(session: Session) -> None:
    client = session.start("solid", "--signal-early", "--gpu-ms", "40")
    looks = (tag.torn(session.photograph()) for _ in range(100))
    torn = next((faults for faults in looks if faults), [])
    client.terminate()
    _, complaint = client.communicate()

    assert (client.returncode, complaint) == (0, "")
    assert torn, "the image is unfinished for most of its time on the screen"
    assert all(fault.bottom_frame != fault.frame for fault in torn)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_a_client_cleanly(session: Session, number: signal.Signals) -> None:
    client = session.start("solid", "--gpu-ms", "10", "--events", "/dev/stdout")
    assert client.stdout is not None
    while "client_presented" not in client.stdout.readline():
        pass
    client.send_signal(number)
    said, complaint = client.communicate()

    assert (client.returncode, complaint) == (0, "")
    end = json.loads(said.splitlines()[-1])
    assert (end["reason"], end["owed"]) == (number.name, end["paid"])


def test_a_compositor_that_dies_ends_its_client_with_one_sentence(session: Session) -> None:
    client = session.start("solid", "--events", "/dev/stdout")
    assert client.stdout is not None
    while "client_presented" not in client.stdout.readline():
        pass
    session.compositor.kill()
    _, complaint = client.communicate()

    assert client.returncode == 1
    assert complaint.startswith("solid: ")
    assert complaint.count("\n") == 1
