"""`syncline trace`: a recording of messages, a line each in the notation of WAYLAND_DEBUG."""

import sys
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from syncline.lab.exit import FAIL, PASS, Usage
from syncline.protocol.recording import NoRecording, read
from syncline.protocol.trace import Said, line, words


def trace(
    file: Annotated[Path, Parameter(help="What a compositor or client wrote with --record.")],
    /,
    *,
    match: Annotated[
        tuple[str, ...],
        Parameter(
            help="Only messages that look like this: a pattern with * and ? for `wl_surface#7.attach(…)`, "
            "of which the object's number and the arguments may be left out. Repeatable.",
            negative="",
        ),
    ] = (),
    connection: Annotated[
        str, Parameter(help="Only this client's, by the name that the compositor gave it.")
    ] = "",
) -> int:
    """Print a recording of messages. Fails if nothing in it matches."""
    found = False
    try:
        with file.open("rb") as recording:
            for t_ns, said in read(recording):
                if connection in {"", said.connection} and _matches(said, match):
                    found = True
                    sys.stdout.write(line(said, t_ns) + "\n")
    except OSError as error:
        raise Usage(f"cannot read {file}: {error.strerror}") from None
    except NoRecording as error:
        raise Usage(f"{file} is {error}: make one with --record") from None
    return PASS if found else FAIL


def _matches(said: Said, patterns: tuple[str, ...]) -> bool:
    message = said.message
    numbered = f"{message.interface}#{said.object_id}.{message.name}"
    forms = (str(message), numbered, f"{message}({words(said)})", f"{numbered}({words(said)})")
    return not patterns or any(fnmatchcase(form, pattern) for pattern in patterns for form in forms)
