"""What the help of every verb looks like."""


def shown_default(value: object) -> str | None:
    """A default worth telling: not False, not empty, not absent."""
    if isinstance(value, tuple):
        return " ".join(map(str, value)) or None
    return str(value) if value not in {None, False, ""} else None
