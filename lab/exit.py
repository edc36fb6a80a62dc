"""How every verb ends: the four exit codes, and the error that is one sentence."""

from typing import Final

PASS: Final = 0
FAIL: Final = 1
USAGE: Final = 2
ALL_SKIPPED: Final = 77


class Usage(Exception):
    """The caller can put it right: one sentence that says what is wrong and what would help. Exit code 2."""
