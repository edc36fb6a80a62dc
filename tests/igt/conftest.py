"""Every subtest runs in this process and through a device node."""

import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest
from igt.place import InProcess, Place, ThroughNode


@pytest.fixture(scope="session")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ThroughNode]:
    """A device node in a process of its own, one for all."""
    path = tmp_path_factory.mktemp("igt") / "card0"
    words = [sys.executable, "-m", "syncline.kms_model", "--socket", str(path), "--ready", "fd:1"]
    with subprocess.Popen(words, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"ready\n"
        yield ThroughNode(path)
        process.terminate()
        assert process.wait(10) == 0


@pytest.fixture(params=["inprocess", "node"])
def machine(request: Any) -> Place:
    local: Place = InProcess()
    return local if request.param == "inprocess" else request.getfixturevalue("node")


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """A test of one `subtest` is run for each that its module's program has."""
    if "subtest" in metafunc.fixturenames:
        metafunc.parametrize("subtest", metafunc.module.program.stories)
