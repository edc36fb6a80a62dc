"""Every breach of `rude` as a process of its own, over both wires: what the node finds, and what the others notice."""

import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from syncline.clients.toolkit.breach import Breach
from syncline.clients.toolkit.options import Wire

SYNCLINE = [sys.executable, "-m", "syncline"]
SECONDS = "3"
STOPPED = {Breach.NEVER_SIGNALS, Breach.NEVER_READS}
"""Those that might never come to their last frame."""
ENDS_BY_ITSELF = {
    (Breach.DIES, Wire.WAYLAND): "died in frame 4",
    (Breach.DIES, Wire.ZMQ): "died in frame 4",
    (Breach.NEVER_READS, Wire.WAYLAND): "closed the connection",
}
FOUND = {Breach.EARLY_REUSE: "K21", Breach.MISSING_ACQUIRE: "K21", Breach.OVERSYNC: "K22"}


@dataclass
class House:
    """A node that looks for races, a compositor on both wires, and a neighbour."""

    folder: Path
    device: subprocess.Popen[str]
    neighbour: subprocess.Popen[str]

    def words(self, breach: Breach, wire: Wire) -> list[str]:
        """Of `syncline client`."""
        is_stopped = breach in STOPPED and (breach, wire) not in ENDS_BY_ITSELF
        end = ["--seconds", SECONDS] if is_stopped else ["--frames", "12"]
        orders = ["--title", breach.value, *end, "--size", "64x64", "--gpu-ms", "0.5"]
        events = ["--events", str(self.folder / f"{breach.value}.jsonl")]
        return ["rude", "--breaks", breach.value, "--wire", wire.value, *orders, *events]

    def events(self, name: str) -> list[dict[str, Any]]:
        return [json.loads(line) for line in (self.folder / f"{name}.jsonl").read_text().splitlines()]


def environment(folder: Path) -> dict[str, str]:
    return os.environ | {"XDG_RUNTIME_DIR": str(folder), "WAYLAND_DISPLAY": "wayland-r"}


def start(folder: Path, *words: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [*SYNCLINE, *words],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environment(folder),
    )


def stop(part: subprocess.Popen[str]) -> None:
    part.terminate()
    part.communicate()


@pytest.fixture
def house() -> Iterator[House]:
    folder = Path(tempfile.mkdtemp(prefix="sl-"))
    messages = f"ipc://{folder}/syncline/messages"
    device_words = ["--check", "collect", "--rules", "buffers", "--events", str(folder / "device.jsonl")]
    with ExitStack() as owned:
        owned.callback(shutil.rmtree, folder)
        device = start(
            folder, "device", *device_words, "--ready", str(folder / "ready"), "--output", "1280x720@60"
        )
        owned.callback(stop, device)
        while not (folder / "ready").exists():
            assert device.poll() is None
        compositor = start(
            folder,
            "compositor",
            "--device",
            str(folder / "syncline" / "card0"),
            "--zmq",
            messages,
            "--socket",
            "wayland-r",
        )
        owned.callback(stop, compositor)
        assert compositor.stdout is not None
        assert re.search("ready on", compositor.stdout.readline())
        neighbour = start(
            folder, "client", "solid", "--events", str(folder / "solid.jsonl"), "--size", "64x64"
        )
        owned.callback(stop, neighbour)
        yield House(folder, device, neighbour)


@pytest.mark.parametrize("wire", Wire)
def test_each_breach_gets_its_report_and_its_neighbour_nothing(house: House, wire: Wire) -> None:
    crowd = subprocess.run(
        [sys.executable, "-m", "syncline.lab.present.crowd"],
        input=json.dumps([house.words(breach, wire) for breach in Breach]),
        capture_output=True,
        text=True,
        check=False,
        env=environment(house.folder),
    )
    house.neighbour.terminate()
    told = house.neighbour.communicate()

    assert (crowd.returncode, crowd.stderr) == (0, "")
    assert (house.neighbour.returncode, *told) == (0, "", "")
    neighbour = house.events("solid")[-1]
    assert neighbour["owed"] == neighbour["paid"] > 0
    warnings = [event for event in house.events("device") if event["ev"] == "warn"]
    assert not [warning for warning in warnings if "(solid " in warning["what"]]
    for breach in Breach:
        end = house.events(breach.value)[-1]
        assert f"({breach.error})" in end["reason"] or not breach.is_protocol_error
        assert ENDS_BY_ITSELF.get((breach, wire), "") in end["reason"]
        found = {warning["rule"] for warning in warnings if f"({breach.value} " in warning["what"]}
        assert found == ({FOUND[breach]} if breach in FOUND else set()), breach
