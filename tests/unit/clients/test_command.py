"""The command line's answers to what is wrong: one sentence that helps, and exit status 2."""

from pathlib import Path

import pytest

from syncline.clients.command import EXIT_USAGE, main


@pytest.fixture(autouse=True)
def empty_runtime_dir(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Nobody listens here."""
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    monkeypatch.delenv("WAYLAND_DISPLAY", raising=False)
    return tmp_path


@pytest.mark.parametrize(
    ("arguments", "hint"),
    [
        pytest.param(["solid", "--socket", "w"], "syncline device", id="no device node"),
        pytest.param(["shm", "--socket", "w"], "syncline compositor", id="no compositor"),
        pytest.param(["shm"], "WAYLAND_DISPLAY", id="no socket named"),
        pytest.param(["shm", "--signal-early"], "solid, hog do", id="nothing to signal"),
        pytest.param(["rude"], "early-reuse, missing-acquire", id="no rule to break"),
        pytest.param(["solid", "--breaks", "floods"], "solid keeps the rules", id="not that rude"),
        pytest.param(["rude", "--breaks", "wind"], "wind", id="unknown rule"),
        pytest.param(["resize", "--fullscreen"], "its own sizes", id="no size of its own"),
        pytest.param(["solid", "--buffers", "1"], "needs 2 buffers", id="too few images"),
        pytest.param(["solid", "--no-thread"], "submit-thread has", id="no thread to do without"),
        pytest.param(["solid", "--size", "wide"], "WIDTHxHEIGHT", id="bad value"),
        pytest.param(["solid", "--size", "99999x9"], "a side of more than 8192 pixels", id="too wide"),
        pytest.param(["solid", "--title", "x" * 513], "513 characters, and 512 are drawn", id="too long"),
        pytest.param(["solid", "--colour", "red"], "--colour", id="unknown flag"),
        pytest.param(["liquid"], "solid", id="unknown demo"),
        pytest.param(["shm", "--socket", "w", "--events", "fd:nine"], "fd:nine", id="bad descriptor"),
        pytest.param(["shm", "--socket", "w", "--events", "no/where"], "no/where", id="bad path"),
    ],
)
def test_what_is_wrong_is_said_in_one_sentence(
    arguments: list[str], hint: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(arguments) == EXIT_USAGE

    said = capsys.readouterr()
    assert said.out == ""
    assert said.err.count("\n") == 1
    assert hint in said.err


def test_help_is_no_error(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["solid", "--help"]) == 0
    assert "--gpu-ms" in capsys.readouterr().out
