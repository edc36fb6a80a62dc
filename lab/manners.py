"""What the help of every verb looks like."""

from enum import Enum


def shown_default(value: object) -> str | None:
    """A default worth telling: not False, not empty, not absent."""
    if isinstance(value, tuple):
        return " ".join(map(str, value)) or None
    if isinstance(value, Enum):
        return str(value.value)
    return str(value) if value not in {None, False, ""} else None
