"""What can be asked for, what cannot, and the command that repeats it."""

import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from syncline.lab.cli import main
from syncline.lab.exit import Usage
from syncline.lab.present.plan import Options, Sync
from syncline.lab.present.stage import contender

COMPLAINTS = [
    (["--sync", "dma", "--against", "weston"], "no other compositor takes buffers of the modelled GPU"),
    (["--wire", "zmq", "--against", "weston"], "no other compositor speaks MessagePack"),
    (["--against", "weston", "--against", "weston"], "two compositors of one name"),
    (["--sync", "shm", "--gpu-time", "3"], "has no GPU"),
    (["--seconds", "0"], "needs some time"),
    (["--against", "weston=no-such-command"], "there is no command no-such-command"),
    (["--against", "kwin"], "say kwin=COMMAND"),
    (["--against", "=weston"], "say NAME=COMMAND"),
    (["--matrix", "m.json"], "say --report FILE, too"),
    (["--matrix", "/nowhere/m.json", "--report", "x.html"], "cannot read /nowhere/m.json"),
    (["--csv", "/dev/null/x.csv"], "cannot write to /dev/null/x.csv"),
]


@pytest.mark.parametrize(("words", "complaint"), COMPLAINTS)
def test_what_cannot_be_measured_is_one_sentence(
    words: list[str], complaint: str, capsys: pytest.CaptureFixture[str]
) -> None:
    code = main(["bench", "present", *words])

    said = capsys.readouterr()
    assert (code, said.out, said.err.count("\n")) == (2, "", 1)
    assert complaint in said.err


@pytest.mark.parametrize(
    ("flag", "file", "library", "extra"),
    [("--report", "x.html", "matplotlib", "report"), ("--trace", "x.pftrace", "perfetto", "trace")],
)
def test_a_library_that_is_missing_is_missed_before_anything_is_measured(
    tmp_path: Path, flag: str, file: str, library: str, extra: str
) -> None:
    words = ["bench", "present", flag, str(tmp_path / file)]
    script = f"import sys; sys.modules[{library!r}] = None; import syncline.lab.cli as c; sys.exit(c.main({words}))"

    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)

    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == (
        f"syncline: {flag} needs {library}, which is not installed: pip install 'syncline[{extra}]'\n"
    )
    assert list(tmp_path.iterdir()) == []


def test_turns_are_taken_when_there_is_somebody_to_take_them_with() -> None:
    assert Options().turns == 1
    assert Options(sync=(Sync.DMA, Sync.IMPLICIT)).turns == 4
    assert Options(against=("weston",), rounds=6, frames=60).frames_a_turn == 10


def test_the_command_to_repeat_names_everything_that_was_asked() -> None:
    options = Options(sync=(Sync.DMA,), gpu_time=2.5, clients=3, frames=40, random_phase=True, seed=9)

    words = shlex.split(options.command())
    assert words[:3] == ["syncline", "bench", "present"]
    assert " ".join(words[3:]) == (
        "--sync dma --mode feedback --clients 3 --random-phase --gpu-time 2.5 --frames 40 --rounds 1 "
        "--output-mode 1280x720@60 --seed 9"
    )


def test_a_contender_is_any_command() -> None:
    made = contender("mine=sleep 1", output_mode="640x480@60")

    assert (made.name, made.command) == ("mine", ("sleep", "1"))


def test_nobody_may_be_called_like_us() -> None:
    with pytest.raises(Usage, match="NAME=COMMAND"):
        contender("syncline=sleep 1", output_mode="640x480@60")


def test_the_help_names_defaults_as_they_are_typed(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["bench", "present", "--help"]) == 0

    told = capsys.readouterr().out
    assert "[default: feedback]" in told
    assert "Mode." not in told
