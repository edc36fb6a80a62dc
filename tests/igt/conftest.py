"""Every subtest runs in this process and through a device node."""

import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Protocol

import pytest
from igt.local import run_local
from igt.machine import Story
from igt.remote import run_remote


class Machines(Protocol):
    """The fixture `machine`: where stories are played."""

    def run(self, story: Story) -> None: ...


class InProcess:
    def run(self, story: Story) -> None:
        run_local(story)


class ThroughNode:
    def __init__(self, path: Path) -> None:
        self._path = path

    def run(self, story: Story) -> None:
        run_remote(self._path, story)


@pytest.fixture(scope="session")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A device node in a process of its own, one for all: where it listens."""
    path = tmp_path_factory.mktemp("igt") / "card0"
    words = [sys.executable, "-m", "syncline.kms_model", "--socket", str(path), "--ready", "fd:1"]
    with subprocess.Popen(words, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"ready\n"
        yield path
        process.terminate()
        assert process.wait(10) in {0, -signal.SIGTERM}


@pytest.fixture(params=["inprocess", "node"])
def machine(request: Any) -> Machines:
    return InProcess() if request.param == "inprocess" else ThroughNode(request.getfixturevalue("node"))


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """A test of one `subtest` is run for each that its module's program has."""
    if "subtest" in metafunc.fixturenames:
        metafunc.parametrize("subtest", metafunc.module.program.stories)
