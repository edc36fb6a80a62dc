"""`syncline conform` on compositors that are processes: ours by both wires, and somebody else's."""

import shutil
from pathlib import Path

import pytest

from syncline.lab.cli import main

BASELINES = Path(__file__).parents[1] / "conformance" / "baselines"


@pytest.mark.parametrize("wire", ["wayland", "zmq"])
@pytest.mark.parametrize("case", ["obj-02", "rel-09", "val-29"])
def test_our_own_processes_are_judged_by_either_wire(wire: str, case: str, capsys) -> None:
    code = main(["conform", "--wire", wire, "-k", case])
    told = capsys.readouterr()
    assert code == 0, told.out + told.err
    assert "1 pass" in told.out


def test_weston_is_as_its_baseline_says(capsys) -> None:
    if shutil.which("weston") is None:
        pytest.skip("weston is not installed (see .ci/packages)")
    weston = "weston --backend=headless-backend.so"
    baseline = BASELINES / "weston-10-fails.txt"
    code = main(["conform", "--command", weston, "-k", "class:S", "--baseline", str(baseline)])
    told = capsys.readouterr().out
    assert code == 0, told
    assert "3 fail" in told
    assert "0 unexpected" in told


def test_where_nothing_can_be_judged_the_run_says_so(capsys) -> None:
    if shutil.which("weston") is None:
        pytest.skip("weston is not installed (see .ci/packages)")
    assert main(["conform", "--command", "weston --backend=headless-backend.so", "-k", "obj-0"]) == 77
    assert capsys.readouterr().out.count("needs ") == 1


def test_a_command_that_makes_no_socket_is_a_sentence(capsys) -> None:
    assert main(["conform", "--command", "false", "-k", "cor-05"]) == 2
    assert "false ended with status 1 before it had a socket" in capsys.readouterr().err
