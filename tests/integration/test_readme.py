"""Every command in the README runs, in the order in which a reader would type them."""

import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text()
BLOCKS = [block.strip().splitlines() for block in re.findall(r"```sh\n(.*?)```", README, re.DOTALL)]
VERBS = (
    "demo",
    "device",
    "compositor",
    "client",
    "screenshot",
    "trace",
    "replay",
    "conform",
    "matrix",
    "bench",
)

pytestmark = pytest.mark.timeout(180)


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    return os.environ | {
        "XDG_RUNTIME_DIR": str(tmp_path),
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
    }


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A directory in which the README's relative paths mean the same, and in which commands may write."""
    (tmp_path / "tests").symlink_to(ROOT / "tests")
    return tmp_path


def _commands(first_word: str) -> list[list[str]]:
    return [shlex.split(line) for block in BLOCKS for line in block if line.startswith(first_word)]


def test_there_is_no_command_that_nobody_runs() -> None:
    assert {line.split()[0] for block in BLOCKS for line in block} == {"make", "syncline"}


@pytest.mark.parametrize("command", _commands("make"), ids=" ".join)
def test_make_knows_the_target(command: list[str]) -> None:
    # `make test` is what runs this very test; here it is enough that the rule resolves.
    subprocess.run([*command, "--dry-run"], cwd=ROOT, check=True, capture_output=True)


@pytest.mark.parametrize(
    "command",
    [c for c in _commands("syncline") if c[1] in {"demo", "replay", "conform", "matrix"}],
    ids=" ".join,
)
def test_a_command_that_stands_alone_passes(
    command: list[str], environment: dict[str, str], checkout: Path
) -> None:
    run = subprocess.run(command, cwd=checkout, env=environment, capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stdout + run.stderr


@pytest.fixture
def compositor(environment: dict[str, str], checkout: Path) -> Iterator[subprocess.Popen[str]]:
    (command,) = [command for command in _commands("syncline") if command[1] == "compositor"]
    assert command.pop() == "&"
    process = subprocess.Popen(command, cwd=checkout, env=environment, stdout=subprocess.PIPE, text=True)
    assert "ready" in process.stdout.readline()
    yield process
    process.terminate()
    assert process.wait() == 0
    process.stdout.close()


@pytest.mark.usefixtures("compositor")
def test_the_parts_run_as_one_would_type_them(environment: dict[str, str], checkout: Path) -> None:
    for command in _commands("syncline"):
        if command[1] in {"client", "screenshot"}:
            run = subprocess.run(
                command, cwd=checkout, env=environment, capture_output=True, text=True, check=False
            )
            assert run.returncode == 0, run.stdout + run.stderr
    assert (checkout / "now.png").exists()


@pytest.mark.parametrize("verb", VERBS)
def test_every_verb_of_the_table_has_help(verb: str, environment: dict[str, str]) -> None:
    assert f"| `{verb}" in README
    run = subprocess.run(
        ["syncline", verb, "--help"], env=environment, capture_output=True, text=True, check=True
    )
    assert "Usage: syncline" in run.stdout


def test_every_link_leads_somewhere() -> None:
    for target in re.findall(r"\]\(([^)#:]+)\)", README):
        assert (ROOT / target).exists(), target
