"""`syncline replay`: the model against recordings of real kernels, and the command around it."""

import gc
import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import msgspec
import pytest

from syncline.lab.cli import main
from syncline.lab.replay.explained import alternatives
from syncline.lab.replay.machine import KernelName
from syncline.lab.replay.run import run_scenario
from syncline.lab.replay.scenario import read_scenarios

TRUTH = Path(__file__).parent.parent / "truth"
SCENARIOS = TRUTH / "scenarios.json"


@pytest.mark.parametrize("kernel", ["linux-7.2", "linux-6.12"])
def test_the_model_does_what_the_kernel_was_recorded_doing(
    kernel: KernelName, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["--expect", str(TRUTH / f"{kernel}.json"), "--profile", kernel, "--json"]
    assert main(["replay", str(SCENARIOS), *words]) == 0

    told = json.loads(capsys.readouterr().out)
    assert len(told["results"]) == 266
    assert set(told["counts"]) <= {"agree", "explained", "skipped"}
    assert all(alternatives(kernel, name) for name in told["differences"])


def test_a_replay_leaves_no_descriptor_behind() -> None:
    main(["replay", str(SCENARIOS), "--only", "create-*"])
    before = open_descriptors()

    main(["replay", str(SCENARIOS), "--only", "sync-file-*,eventfd-*,kms-in-fence-*"])

    assert open_descriptors() == before


def open_descriptors() -> set[str]:
    gc.collect()  # a scenario may end in the middle of a commit, whose coroutines hold each other
    return {path.name for path in Path("/proc/self/fd").iterdir()}


# -- scenarios of our own ----------------------------------------------------------------------


def scenario(*ops: dict[str, Any], id: str = "ours", devices: tuple[str, ...] = ("-",)) -> dict[str, Any]:
    return {"id": id, "title": "a story", "devices": devices, "ops": ops}


def outcomes(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], *ops: dict[str, Any], device: str = "-"
) -> Any:
    """What the model did, as (ok or errno, out) per operation."""
    file = tmp_path / "scenarios.json"
    file.write_text(json.dumps({"format": 1, "scenarios": [scenario(*ops, devices=(device,))]}))
    assert main(["replay", str(file), "--json"]) == 0
    run = json.loads(capsys.readouterr().out)["results"][f"ours@{device}"]
    assert run["status"] == "ok"
    return [(op.get("errno", "ok"), op.get("out")) for op in run["ops"]]


FENCE = (
    {"op": "sw_timeline", "as": "tl"},
    {"op": "sw_fence", "timeline": "tl", "value": 1, "as": "f"},
)
WAITER = (
    {"op": "open", "as": "d"},
    {"op": "syncobj_create", "dev": "d", "as": "a"},
    {"op": "async", "name": "w", "do": {"op": "syncobj_wait", "dev": "d", "handles": ["a"], "flags": ["FOR_SUBMIT"],
                                        "timeout_rel_ms": 500}},
)  # fmt: skip


def test_a_poll_wakes_in_model_time_when_a_thread_signals(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    poll = {"op": "poll", "fd": "f", "timeout_ms": 35_000}
    signal = {"op": "sw_inc", "timeline": "tl"}

    *_, polled, _, joined = outcomes(
        tmp_path,
        capsys,
        *FENCE,
        {"op": "async", "name": "patient", "do": poll},
        {"op": "sleep", "ms": 30_000},
        {"op": "async_state", "name": "patient"},
        signal,
        {"op": "async_join", "name": "patient"},
    )

    assert polled == ("ok", {"state": "blocked"})
    assert joined == ("ok", {"state": "done", "result": {"op": "poll", "ok": True, "out": {"ready": ["IN"]}}})


def test_a_call_under_way_holds_a_device_that_was_closed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    close, state = {"op": "close", "fd": "d"}, {"op": "async_state", "name": "w"}

    *_, closed, meanwhile, joined, gone = outcomes(
        tmp_path, capsys, *WAITER, close, state, {"op": "async_join", "name": "w"}, close, device="virtio_gpu"
    )

    assert (closed, gone) == (("ok", None), ("EBADF", None))
    assert meanwhile == ("ok", {"state": "blocked"})
    assert joined[1]["result"]["errno"] == "ETIME"


@pytest.mark.parametrize("op", [{"op": "poll", "fd": -1}, {"op": "drm_read", "dev": -1}])
def test_a_number_that_nobody_can_poll_is_the_scenarios_fault(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], op: dict[str, Any]
) -> None:
    file = tmp_path / "scenarios.json"
    file.write_text(json.dumps({"format": 1, "scenarios": [scenario(op)]}))

    main(["replay", str(file), "--json"])

    run = json.loads(capsys.readouterr().out)["results"]["ours@-"]
    assert run["status"] == "runner error: -1 cannot be polled"


@pytest.mark.parametrize(("count", "errno"), [(2, "ENOENT"), (1 << 31, "ENOMEM")])
def test_a_count_beyond_the_array_reads_zeros_after_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], count: int, errno: str
) -> None:
    ask = {"op": "syncobj_query", "dev": "d", "handles": ["a"], "count": count}

    *_, asked = outcomes(tmp_path, capsys, *WAITER[:2], ask, device="virtio_gpu")

    assert asked == (errno, None)


@pytest.mark.parametrize(("restart", "ending"), [(False, "EINTR"), (True, "ETIME")])
def test_a_signal_ends_a_wait_or_has_it_made_again(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], restart: bool, ending: str
) -> None:
    interrupt = {"op": "interrupt", "name": "w", "restart": restart}

    *_, joined = outcomes(
        tmp_path, capsys, *WAITER, interrupt, {"op": "async_join", "name": "w"}, device="virtio_gpu"
    )

    assert joined[1]["result"]["errno"] == ending


def test_slept_means_that_more_than_60_ms_of_model_time_passed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    wait = {"op": "syncobj_wait", "dev": "d", "handles": ["a"], "flags": ["FOR_SUBMIT"]}

    *_, short, long = outcomes(
        tmp_path,
        capsys,
        *WAITER[:2],
        wait | {"timeout_rel_ms": 60},
        wait | {"timeout_rel_ms": 61},
        device="virtio_gpu",
    )

    assert (short, long) == (("ETIME", {"slept": False}), ("ETIME", {"slept": True}))


def test_what_wakes_is_collected_in_the_order_of_waking(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    *_, collected = outcomes(
        tmp_path,
        capsys,
        *FENCE,
        {"op": "sw_fence", "timeline": "tl", "value": 2, "as": "g"},
        {"op": "watch", "fd": "g", "kind": "sync_file"},
        {"op": "watch", "fd": "f", "kind": "sync_file", "label": "first"},
        {"op": "async", "name": "p", "do": {"op": "poll", "fd": "g", "timeout_ms": 100}},
        {"op": "sw_inc", "timeline": "tl"},
        {"op": "sw_inc", "timeline": "tl"},
        {"op": "collect", "expect": 3},
    )

    assert collected == ("ok", {"order": ["first", "g", "done:p"]})


def test_an_operand_of_a_failed_operation_is_unbound(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    sick = {"op": "sync_file_merge", "fd1": -1, "fd2": -1, "as": "m"}

    merged, asked = outcomes(tmp_path, capsys, sick, {"op": "sync_file_info", "fd": "m"})

    assert merged[0] != "ok"
    assert asked == ("unbound: m", None)


def test_a_scenario_that_would_never_end_is_reported_as_killed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "scenarios.json"
    forever = scenario(*FENCE, {"op": "poll", "fd": "f", "timeout_ms": -1})
    file.write_text(json.dumps({"format": 1, "scenarios": [forever]}))

    main(["replay", str(file), "--json"])

    run = json.loads(capsys.readouterr().out)["results"]["ours@-"]
    assert run["status"] == "killed: no answer within the limit"


# -- what no kernel repeats --------------------------------------------------------------------

BACK_TO_BACK = "kms-back-to-back-nonblock@virtio_gpu"


def old_recording(tmp_path: Path, *, user_data: int) -> Path:
    """What 6.12 did with BACK_TO_BACK, whose event carried `user_data`."""
    run = json.loads((TRUTH / "linux-6.12.json").read_text())["results"][BACK_TO_BACK]
    run["ops"][8]["out"]["events"][0]["user_data"] = user_data
    file = tmp_path / "recorded.json"
    file.write_text(json.dumps({"environment": {"kernel": "6.12.107"}, "results": {BACK_TO_BACK: run}}))
    return file


def test_a_run_that_no_kernel_repeats_is_explained_when_it_went_the_known_other_way(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    only = ["--only", "kms-back-to-back-nonblock", "--device", "virtio_gpu"]

    assert main(["replay", str(SCENARIOS), "--expect", str(old_recording(tmp_path, user_data=1)), *only]) == 0
    assert capsys.readouterr().out.endswith("linux-6.12: 1 runs: 1 explained\n")
    assert main(["replay", str(SCENARIOS), "--expect", str(old_recording(tmp_path, user_data=2)), *only]) == 1
    assert capsys.readouterr().out.endswith("linux-6.12: 1 runs: 1 differ\n")


def two_screens(tmp_path: Path) -> Path:
    """One commit on two CRTCs that asks for events."""
    lit = [
        change
        for n in (0, 1)
        for change in (
            [f"conn{n}", "CRTC_ID", {"obj": f"crtc{n}"}], [f"crtc{n}", "MODE_ID", "@MODE"], [f"crtc{n}", "ACTIVE", 1],
            [f"primary{n}", "FB_ID", "fb"], [f"primary{n}", "CRTC_ID", {"obj": f"crtc{n}"}],
            [f"primary{n}", "SRC_W", "@W16"], [f"primary{n}", "SRC_H", "@H16"],
            [f"primary{n}", "CRTC_W", "@W"], [f"primary{n}", "CRTC_H", "@H"],
        )
    ]  # fmt: skip
    read = {"op": "drm_read", "dev": "d", "timeout_ms": 100}
    commit = {"op": "atomic", "dev": "d", "flags": ["NONBLOCK", "EVENT"]}
    ops = (
        {"op": "kms_open", "as": "d"},
        {"op": "fb_create", "dev": "d", "as": "fb"},
        {"op": "atomic", "dev": "d", "flags": ["ALLOW_MODESET"], "props": lit},
        commit | {"props": [["primary0", "FB_ID", "fb"], ["primary1", "FB_ID", "fb"]]},
        read,
        read,
    )
    story = scenario(*ops, id="kms-two-crtcs-one-commit", devices=("vkms-rig2",))
    file = tmp_path / "scenarios.json"
    file.write_text(json.dumps({"format": 1, "scenarios": [story]}))
    return file


@pytest.mark.parametrize("first", ["crtc0", "crtc1"])
def test_either_event_of_two_crtcs_may_come_first(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], first: str
) -> None:
    file = two_screens(tmp_path)
    (story,) = read_scenarios(file)
    name = "kms-two-crtcs-one-commit@vkms-rig2"
    others = [alternative.machine for alternative in alternatives("linux-7.2", name)]
    runs = [run_scenario(story, "vkms-rig2", "linux-7.2", other=other) for other in others]
    (went,) = [run for run in runs if run.ops[4].out["events"][0]["crtc"] == first]
    assert [len(read.out["events"]) for read in went.ops[4:]] == [1, 1]
    recorded = tmp_path / "recorded.json"
    recorded.write_bytes(msgspec.json.encode({"results": {name: went}}))

    assert main(["replay", str(file), "--expect", str(recorded)]) == 0
    assert capsys.readouterr().out.endswith("linux-7.2: 1 runs: 1 explained\n")


# -- the command -------------------------------------------------------------------------------


@pytest.fixture
def one_op(tmp_path: Path) -> Path:
    file = tmp_path / "one.json"
    file.write_text(json.dumps({"format": 1, "scenarios": [scenario({"op": "sw_timeline", "as": "tl"})]}))
    return file


def results(path: Path, *, errno: str | None = None, kernel: str = "7.2.13") -> Path:
    op = {"op": "sw_timeline", "ok": errno is None} | ({"errno": errno} if errno else {})
    run = {"status": "ok", "ops": [op]}
    path.write_text(json.dumps({"environment": {"kernel": kernel}, "results": {"ours@-": run}}))
    return path


def test_a_difference_is_printed_with_the_scenarios_name_and_fails(
    one_op: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code = main(["replay", str(one_op), "--expect", str(results(tmp_path / "r.json", errno="ENOENT"))])

    assert code == 1
    assert capsys.readouterr().out.splitlines() == [
        "ours@-: a story",
        '  op 0 {"op":"sw_timeline","as":"tl"}',
        "    kernel ENOENT",
        "    model  ok",
        "linux-7.2: 1 runs: 1 differ",
    ]


def test_the_kernel_to_be_is_the_one_that_was_recorded(
    one_op: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    main(["replay", str(one_op), "--expect", str(results(tmp_path / "r.json", kernel="6.12.107"))])

    assert capsys.readouterr().out == "linux-6.12: 1 runs: 1 agree\n"


def test_without_a_recording_a_replay_writes_one(
    one_op: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["replay", str(one_op), "--json"]) == 0
    recorded = tmp_path / "recorded.json"
    recorded.write_text(capsys.readouterr().out)

    assert main(["replay", str(one_op), "--expect", str(recorded)]) == 0
    assert capsys.readouterr().out == "linux-7.2: 1 runs: 1 agree\n"


def test_a_device_that_this_kernel_does_not_have_is_skipped(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "s.json"
    file.write_text(json.dumps({"format": 1, "scenarios": [scenario({"op": "open"}, devices=("nouveau",))]}))

    assert main(["replay", str(file)]) == 77
    assert capsys.readouterr().out == "linux-7.2: 1 runs: 1 skipped\n"


USAGE = [
    (["nowhere.json"], "No such file"),
    (["{file}", "--only", "nothing-like-it"], "no scenario was chosen"),
    (["{file}", "--profile", "linux-2.4"], "linux-7.2"),
    (["{file}", "--expect", "{file}"], "not a file of the format"),
    (["{file}", "--bogus"], "--bogus"),
    ([], "requires an argument"),
]


@pytest.mark.parametrize(("words", "complaint"), USAGE)
def test_bad_usage_is_one_sentence_and_exit_code_2(
    one_op: Path, words: list[str], complaint: str, capsys: pytest.CaptureFixture[str]
) -> None:
    code = main(["replay", *(word.format(file=one_op) for word in words)])

    told = capsys.readouterr()
    assert (code, told.out) == (2, "")
    assert complaint in told.err
    assert told.err.count("\n") == 1


def test_the_module_runs_as_the_command_does(one_op: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "syncline", "replay", str(one_op)], capture_output=True, text=True, check=False
    )

    assert (done.returncode, done.stdout, done.stderr) == (0, "linux-7.2: 1 runs: 1 ran\n", "")


def test_a_scenario_can_close_only_what_is_its_own(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    close = {"op": "close", "fd": "n"}

    outcome = outcomes(
        tmp_path, capsys, {"op": "open_devnull", "as": "n"}, close, close, {"op": "close", "fd": 1}
    )

    assert [verdict for verdict, _ in outcome] == ["ok", "ok", "EBADF", "EBADF"]
    assert os.fstat(1)


def test_the_example_of_the_documentation_runs(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    page = (Path(__file__).parents[2] / "docs/scenarios.md").read_text()
    example = re.search(r"```json\n(.*?)```", page, re.DOTALL)
    assert example is not None
    file = tmp_path / "example.json"
    file.write_text(example[1])

    assert main(["replay", str(file)]) == 0
    assert capsys.readouterr().out == "linux-7.2: 1 runs: 1 ran\n"
