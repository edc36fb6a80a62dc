"""The real machine under the fence checker: recorded scenarios in process, and a node that others use."""

import json
import os
import select
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from syncline.kms_model.checker import Ledger, Severity
from syncline.kms_model.checker.known import UPSTREAM
from syncline.kms_model.remote import RemoteFile
from syncline.kms_model.uapi import (
    CreateDumb,
    DeviceError,
    HandleFlag,
    Priority,
    Submit,
    SwSyncCreateFence,
    SwSyncCreateTimeline,
    SwSyncInc,
    SyncobjCreate,
    SyncobjFdToHandle,
    SyncobjHandleToFd,
    SyncobjTransfer,
)
from syncline.lab.cli import main
from syncline.lab.replay.machine import KERNELS, KernelName
from syncline.lab.replay.run import run_scenario
from syncline.lab.replay.scenario import read_scenarios

TRUTH = Path(__file__).parents[1] / "truth"
POINT = HandleFlag.SYNC_FILE | HandleFlag.TIMELINE

EXPECTED = {
    "sw_sync is for tests, and may break every promise",
    "H3: IN_FENCE_FD on a plane without a framebuffer",
    "H6: unordered points are allowed, and QUERY goes back",
    "the allocator warns of absurd counts",
}


@pytest.mark.parametrize("kernel", KERNELS)
def test_recorded_scenarios_break_rules_only_where_it_is_known_why(kernel: KernelName) -> None:
    ledger = Ledger(known=UPSTREAM)

    for scenario in read_scenarios(TRUTH / "scenarios.json"):
        for device in scenario.devices:
            run_scenario(scenario, device, kernel, ledger=ledger)

    assert ledger.verdict() == {("K13", Severity.INFO)}, "sleeps of the listed kinds are told, and allowed"
    assert set(ledger.suppressed) == EXPECTED


def test_what_a_real_kernel_warned_of_is_reported() -> None:
    """A WARN in a recording's kernel log is a quirk, and a finding."""
    recording = json.loads((TRUTH / "linux-7.2.json").read_text())["results"]
    warned = {name for name, run in recording.items() if run.get("kernel_log")}
    found = set()
    for scenario in read_scenarios(TRUTH / "scenarios.json"):
        for device in scenario.devices:
            ledger = Ledger()
            run_scenario(scenario, device, "linux-7.2", ledger=ledger)
            if {rule for rule, _ in ledger.verdict()} & {"H3", "K9"}:
                found.add(f"{scenario.id}@{device}")

    assert warned
    assert found == warned


NESTED = [
    {"op": "open", "as": "d"},
    {"op": "sw_timeline", "as": "tl"},
    {"op": "syncobj_create", "dev": "d", "as": "a"},
    {"op": "syncobj_create", "dev": "d", "as": "b"},
    {"op": "sw_fence", "timeline": "tl", "value": 1, "as": "f"},
    {"op": "syncobj_fd_to_handle", "dev": "d", "handle": "a", "fd": "f", "flags": ["IMPORT_SYNC_FILE"]},
    {"op": "syncobj_transfer", "dev": "d", "src": "a", "src_point": 0, "dst": "b", "dst_point": 1},
    {"op": "syncobj_handle_to_fd", "dev": "d", "handle": "b", "flags": ["EXPORT_SYNC_FILE"], "as": "g"},
    {"op": "syncobj_fd_to_handle", "dev": "d", "handle": "a", "fd": "g",
     "flags": ["IMPORT_SYNC_FILE", "TIMELINE"], "point": 5},
]  # fmt: skip


def replay(tmp_path: Path, ops: list[dict[str, object]], *words: str) -> int:
    file = tmp_path / "scenarios.json"
    story = {"id": "ours", "title": "a story", "devices": ["virtio_gpu"], "ops": ops}
    file.write_text(json.dumps({"format": 1, "scenarios": [story]}))
    return main(["replay", str(file), *words])


def test_replay_counts_a_known_hazard_by_its_name(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert replay(tmp_path, NESTED, "--check") == 0

    assert capsys.readouterr().out.splitlines() == [
        "linux-7.2: 1 runs: 1 ran",
        "checker: 1 x suppressed: sw_sync is for tests, and may break every promise",
        "checker: 1 x suppressed: H1: IMPORT_SYNC_FILE at a point does not unwrap",
    ]


def test_replay_without_findings_says_so(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert replay(tmp_path, NESTED[:1], "--check") == 0

    assert capsys.readouterr().out.splitlines()[-1] == "checker: nothing"


def test_the_json_of_a_replay_holds_the_findings(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    replay(tmp_path, NESTED, "--check", "--json")

    checker = json.loads(capsys.readouterr().out)["checker"]
    assert checker["reports"] == []
    assert sum(checker["suppressed"].values()) == 2


# -- a node ------------------------------------------------------------------------------------------


@contextmanager
def node(tmp_path: Path, *words: str) -> Iterator[tuple[RemoteFile, "subprocess.Popen[str]"]]:
    reader, writer = os.pipe()
    path = tmp_path / "card0"
    command = [sys.executable, "-m", "syncline.kms_model", "--socket", str(path), "--ready", f"fd:{writer}"]
    process = subprocess.Popen([*command, *words], pass_fds=[writer], stderr=subprocess.PIPE, text=True)
    os.close(writer)
    assert os.read(reader, 100) == b"ready\n"
    os.close(reader)
    file = RemoteFile(path)
    try:
        yield file, process
    finally:
        file.close()
        process.kill()
        process.communicate()


def nest_a_chain(file: RemoteFile) -> None:
    """H1, the one error that a program can provoke."""
    timeline = file.call(SwSyncCreateTimeline()).fd
    fence = file.call(SwSyncCreateFence(timeline, 1)).fd
    carrier, target = (file.call(SyncobjCreate()).handle for _ in range(2))
    file.call(SyncobjFdToHandle(fence, carrier, HandleFlag.SYNC_FILE))
    file.call(SyncobjTransfer(carrier, 0, target, 1))
    chain = file.call(SyncobjHandleToFd(target, POINT, point=1)).fd
    file.call(SwSyncInc(timeline, 0))
    try:
        file.call(SyncobjFdToHandle(chain, carrier, POINT, point=2))
    finally:
        for fd in (timeline, fence, chain):
            os.close(fd)


def test_a_node_that_collects_tells_on_stderr_and_in_its_events(tmp_path: Path) -> None:
    with node(tmp_path, "--check", "collect", "--events", str(tmp_path / "events")) as (file, process):
        nest_a_chain(file)
        file.close()
        process.terminate()
        _, told = process.communicate(timeout=20)

    assert process.returncode == 0
    assert "K9 error at " in told
    assert "  by: " in told
    assert "checker: 1 x K9 error: chain inside chain" in told.splitlines()
    events = [json.loads(line) for line in (tmp_path / "events").read_text().splitlines()]
    assert [event["rule"] for event in events if event["ev"] == "warn"] == ["K2", "H1", "K9"]


def test_a_node_that_raises_ends_at_the_first_error_and_says_why(tmp_path: Path) -> None:
    with node(tmp_path, "--check", "raise") as (file, process):
        with pytest.raises(DeviceError):
            nest_a_chain(file)
        _, told = process.communicate(timeout=20)

    assert process.returncode == 1
    assert "K9 error at " in told
    assert "Traceback" not in told


def test_a_node_may_look_at_buffers_alone(tmp_path: Path) -> None:
    """Two queues paint one buffer, which is a race; a chain in a chain is none."""
    with node(tmp_path, "--check", "collect", "--rules", "buffers") as (file, process):
        nest_a_chain(file)
        handle = file.call(CreateDumb(64, 64)).handle
        for priority in (Priority.LOW, Priority.NORMAL):
            file.call(Submit(handle, (64, 64), 256, (), 1_000_000, priority=priority, label=priority.name))
        fence = file.call(
            Submit(handle, (64, 64), 256, (), 0, priority=Priority.LOW, out_fence=True)
        ).out_fence
        assert select.select([fence], [], [], 20)[0]
        os.close(fence)
        file.close()
        process.terminate()
        _, told = process.communicate(timeout=20)

    assert process.returncode == 0
    assert "K21 error at " in told
    assert "two writers at once" in told
    assert f"pid {os.getpid()}: submits job" in told
    assert "K9" not in told


def test_an_unknown_policy_is_one_sentence(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "syncline.kms_model", "--check", "perhaps"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)

    assert done.returncode == 2
    assert done.stderr.count("\n") == 1
