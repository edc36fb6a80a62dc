"""The house rules that a program can check."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
ROOMS = ("kms_model", "protocol", "compositor", "clients", "lab")
LINES_MAX = 330  # about 300 is the rule; a tenth more is a table that would be worse in two files
TABLES = {"protocol/enums.py", "kms_model/uapi/__init__.py"}  # values only, checked against their sources


def _sources() -> list[Path]:
    return sorted(path for room in ROOMS for path in (ROOT / room).rglob("*.py"))


def test_the_layers_hold() -> None:
    run = subprocess.run(
        [Path(sys.executable).parent / "lint-imports"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert run.returncode == 0, run.stdout


@pytest.mark.parametrize("path", _sources(), ids=lambda path: str(path.relative_to(ROOT)))
def test_a_file_can_be_read_in_one_sitting_and_opens_with_a_sentence(path: Path) -> None:
    text = path.read_text()
    if str(path.relative_to(ROOT)) not in TABLES:
        assert text.count("\n") <= LINES_MAX
    assert text.startswith('"""'), "a module says what it is"


def test_no_file_hides_what_it_is_behind_a_vague_word() -> None:
    vague = re.compile(r"(utils?|helpers?|common|misc|base|managers?|types|constants)\.py")
    assert [path for path in _sources() if vague.fullmatch(path.name)] == []


def test_no_class_is_a_manager_but_where_the_xml_says_so() -> None:
    named = re.compile(r"^class (\w*(?:Manager|Helper|Util)\w*)", re.MULTILINE)
    rooms = (ROOT / "kms_model", ROOT / "compositor" / "core")
    found = {
        name for room in rooms for path in room.rglob("*.py") for name in named.findall(path.read_text())
    }
    assert found == set()


def test_the_rooms_stand_at_the_top_and_the_namespace_points_to_them() -> None:
    for room in ROOMS:
        link = ROOT / "src" / "syncline" / room
        assert link.is_symlink()
        assert link.resolve() == (ROOT / room).resolve()
