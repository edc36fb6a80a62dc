"""docs/frame.md tells what the golden stories tell."""

import re
from pathlib import Path
from textwrap import dedent

ROOT = Path(__file__).parents[2]


def test_the_page_shows_the_golden_timelines_word_for_word() -> None:
    page = (ROOT / "docs" / "frame.md").read_text()
    stories = (ROOT / "tests" / "scenarios" / "test_one_frame.py").read_text()
    golden = [dedent(story) for story in re.findall(r'dedent\("""\\\n(.*?)"""\)', stories, re.DOTALL)]
    assert re.findall(r"```text\n(.*?)\n```", page, re.DOTALL) == golden
