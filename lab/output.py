"""Files that a verb writes: whatever is wrong with them is found out before anything runs."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from syncline.lab.exit import Usage


def check_writable(path: Path) -> None:
    """Raises Usage. A file that was not there is not there afterwards."""
    is_new = not path.exists()
    try:
        path.open("ab").close()
        if is_new:
            path.unlink()
    except OSError as error:
        raise Usage(f"cannot write to {path}: {error.strerror}") from None


@contextmanager
def needing(extra: str, *, flag: str) -> Iterator[None]:
    """Imports inside may fail for want of a library of that extra. Raises Usage."""
    try:
        yield
    except ModuleNotFoundError as missing:
        library = (missing.name or "").partition(".")[0]
        raise Usage(
            f"{flag} needs {library}, which is not installed: pip install 'syncline[{extra}]'"
        ) from None
