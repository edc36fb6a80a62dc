"""`syncline conform` on compositors that are processes: ours by both wires, and somebody else's."""

import shlex
import shutil
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from syncline.conformance.catalogue import cases
from syncline.lab.cli import main
from syncline.lab.conform.verb import Options, repeat
from syncline.lab.present.stage import contender, foreign

BASELINES = Path(__file__).parents[1] / "conformance" / "baselines"


@pytest.mark.parametrize("wire", ["wayland", "zmq"])
@pytest.mark.parametrize("case", ["obj-02", "rel-09", "val-29"])
def test_our_own_processes_are_judged_by_either_wire(wire: str, case: str, capsys) -> None:
    code = main(["conform", "--wire", wire, "-k", case])
    told = capsys.readouterr()
    assert code == 0, told.out + told.err
    assert "1 pass" in told.out


@pytest.mark.parametrize(
    "options", [Options(seed=3), Options(virtual=True, practice=True, seed=4), Options(wire="zmq")], ids=str
)
def test_the_command_to_repeat_a_case_judges_it_alone_on_the_same_target(
    options: Options, tmp_path: Path, monkeypatch, capsys
) -> None:
    monkeypatch.chdir(tmp_path)
    case = next(each for each in cases() if each.id == "REL-08")
    program, *words = shlex.split(repeat(options, case))
    assert program == "syncline"
    assert main(words) == 0
    told = capsys.readouterr().out
    where = "(virtual)" if options.virtual else "over ZeroMQ" if options.wire == "zmq" else "syncline (pid"
    assert where in told.splitlines()[0]
    assert [line.split()[0] for line in told.splitlines()[2:-1]] == [case.name]
    assert "1 pass" in told


def test_what_is_printed_below_a_failure_repeats_it_and_its_messages_are_kept(
    tmp_path: Path, monkeypatch, capsys
) -> None:
    if shutil.which("weston") is None:
        pytest.skip("weston is not installed (see .ci/packages)")
    monkeypatch.chdir(tmp_path)
    weston = "weston --backend=headless-backend.so"
    assert main(["conform", "--command", weston, "-k", "cor-09"]) == 1
    first = capsys.readouterr().out
    words = shlex.split(first.partition("repeat: ")[2].splitlines()[0])
    assert main(words[1:]) == 1
    again = capsys.readouterr().out
    assert again.splitlines()[2:] == first.splitlines()[2:]
    assert "set_buffer_scale(2)" in (tmp_path / "out" / "cor-09.txt").read_text()


def test_weston_is_as_its_baseline_says(capsys) -> None:
    if shutil.which("weston") is None:
        pytest.skip("weston is not installed (see .ci/packages)")
    weston = "weston --backend=headless-backend.so"
    baseline = BASELINES / "weston-10-fails.txt"
    code = main(["conform", "--command", weston, "-k", "class:S", "--baseline", str(baseline)])
    told = capsys.readouterr().out
    assert code == 0, told
    assert "7 fail" in told
    assert "0 unexpected" in told


def test_sway_is_as_its_baseline_says(capsys) -> None:
    if shutil.which("sway") is None:
        pytest.skip("sway is not installed (see .ci/packages)")
    baseline = BASELINES / "sway-1.7-fails.txt"
    with (
        TemporaryDirectory(prefix="syncline-") as folder,
        foreign(contender("sway", output_mode="640x480@60"), Path(folder, "sway")) as stage,
    ):
        code = main(["conform", "--socket", str(stage.socket), "-k", "class:S", "--baseline", str(baseline)])
    told = capsys.readouterr().out
    assert code == 0, told
    assert "8 fail" in told
    assert "0 unexpected" in told


def test_where_nothing_can_be_judged_the_run_says_so(capsys) -> None:
    if shutil.which("weston") is None:
        pytest.skip("weston is not installed (see .ci/packages)")
    assert main(["conform", "--command", "weston --backend=headless-backend.so", "-k", "obj-0"]) == 77
    assert capsys.readouterr().out.count("needs ") == 1


def test_a_command_that_makes_no_socket_is_a_sentence(capsys) -> None:
    assert main(["conform", "--command", "false", "-k", "cor-05"]) == 2
    assert "false ended with exit code 1" in capsys.readouterr().err
