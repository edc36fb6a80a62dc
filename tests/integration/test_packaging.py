"""The wheel built from the sdist, in an empty environment outside the checkout."""

import json
import os
import subprocess
import sys
import venv
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

pytestmark = pytest.mark.timeout(300)


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("dist")
    # `build` makes the sdist, then the wheel from nothing but that sdist.
    command = [sys.executable, "-m", "build", "--no-isolation", "--outdir", out, ROOT]
    run = subprocess.run(command, capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stdout[-2000:] + run.stderr[-2000:]
    (found,) = out.glob("*.whl")
    return found


def test_the_wheel_holds_every_room_and_the_suite_but_not_the_tests(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
    rooms = {name.split("/")[1] for name in names if name.startswith("syncline/") and name.count("/") >= 2}
    assert rooms == {"kms_model", "protocol", "compositor", "clients", "lab", "conformance"}
    assert "syncline/py.typed" in names
    assert not [name for name in names if name.startswith("tests/")]


def test_installed_in_an_empty_environment_it_runs_the_demo(wheel: Path, tmp_path: Path) -> None:
    venv.create(tmp_path / "env", with_pip=True)
    binaries = tmp_path / "env" / "bin"
    subprocess.run([binaries / "pip", "install", "--quiet", wheel], check=True)
    run = subprocess.run(
        [binaries / "syncline", "demo", "--seconds", "2", "--json", "--output", tmp_path / "out"],
        cwd=tmp_path,
        env={"PATH": os.environ["PATH"], "HOME": str(tmp_path)},
        check=True,
        capture_output=True,
        text=True,
    )
    assert json.loads(run.stdout)
    assert (tmp_path / "out" / "screenshot.png").read_bytes().startswith(b"\x89PNG")
