"""The command `syncline`: its verbs, its manners, and how quick it is to say what it can do."""

import subprocess
import sys
from importlib import import_module
from pathlib import Path

import pytest

from syncline.lab.cli import PARTS, VERBS, main

ROOT = Path(__file__).parents[3]
TOOL = [sys.executable, "-m", "syncline"]


WHERE = [verb.where for verb in VERBS.values()] + [where for where, _ in PARTS.values()]


@pytest.mark.parametrize("where", WHERE)
def test_every_verb_leads_to_a_function(where: str) -> None:
    module, _, function = where.partition(":")

    assert callable(getattr(import_module(f"syncline.{module}"), function))


def test_help_names_every_verb_and_the_exit_codes(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--help"]) == 0

    told = capsys.readouterr().out
    assert all(verb in told for words in (*VERBS, *PARTS) for verb in words.split()[:1])
    assert "77" in told


@pytest.mark.parametrize("verb", VERBS)
def test_every_verbs_help_has_an_example(verb: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*verb.split(), "--help"]) == 0

    assert f"Example: syncline {verb}" in capsys.readouterr().out


def test_help_imports_no_part_of_the_machine() -> None:
    script = "import sys, syncline.lab.cli as c; c.main(['--help']); print(*sys.modules, file=sys.stderr)"

    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)

    imported = set(done.stderr.split())
    assert not {"numpy", "msgspec", "pywayland", "asyncio", "rich.live"} & imported
    assert {name for name in imported if name.startswith("syncline")} == {
        "syncline", "syncline.lab", "syncline.lab.cli", "syncline.lab.exit",
    }  # fmt: skip


USAGE = [
    (["juggle"], "juggle"),
    (["demo", "--loud"], "--loud"),
    (["demo", "--seconds", "soon"], "soon"),
    (["demo", "--seconds", "0"], "try 4"),
    (["demo", "--seconds", "nan"], "try 4"),
    (["demo", "--output-mode", "9x"], "9x is no screen"),
    (["demo", "--output-mode", "640x480"], "no room for 5 windows: try 696x464"),
    (
        ["demo", "--virtual", "--broken", "--zmq", "--output-mode", "640x800"],
        "no room for 7 windows: try 696x696",
    ),
    (["demo", "--seconds", "inf"], "try 4"),
    (["demo", "--output", "/dev/null/out"], "cannot write to /dev/null/out"),
    (["screenshot"], "requires an argument"),
    (
        ["screenshot", "x.png", "--socket", "/nowhere/wayland-9"],
        "no compositor answers at /nowhere/wayland-9",
    ),
]


@pytest.mark.parametrize(("words", "complaint"), USAGE)
def test_bad_usage_is_one_sentence_on_stderr_and_exit_code_2(
    words: list[str], complaint: str, capsys: pytest.CaptureFixture[str]
) -> None:
    code = main(words)

    told = capsys.readouterr()
    assert (code, told.out) == (2, "")
    assert complaint in told.err
    assert told.err.startswith("syncline: ")
    assert told.err.count("\n") == 1


@pytest.mark.parametrize("words", ["--help", "replay tests/truth/scenarios.json --json"])
def test_a_reader_that_has_seen_enough_is_no_traceback(words: str) -> None:
    script = f"{sys.executable} -m syncline {words} | head -c 10"

    done = subprocess.run(["bash", "-c", script], capture_output=True, text=True, check=True, cwd=ROOT)

    assert len(done.stdout) == 10
    assert done.stderr == ""


@pytest.mark.parametrize("environment", [{"NO_COLOR": "1"}, {}])
def test_without_a_terminal_or_with_no_color_there_is_no_escape(environment: dict[str, str]) -> None:
    done = subprocess.run([*TOOL, "--help"], capture_output=True, text=True, check=True, env=environment)

    assert "\x1b" not in done.stdout
