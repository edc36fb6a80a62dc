"""One part of the demo as a process of its own: started, listened to, stopped, and buried."""

import asyncio
import ctypes
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from typing import Final

PIPE_READ: Final = 1 << 16
STOP_S: Final = 3.0
"""A part that does not stop within this is killed: its own deadlines are shorter."""
LAST_WORDS: Final = 4096
PR_SET_PDEATHSIG: Final = 1

_libc = ctypes.CDLL(None)


def _die_with_parent() -> None:
    """In the child: whatever ends the demo ends its parts."""
    _libc.prctl(PR_SET_PDEATHSIG, signal.SIGTERM)


class Part:
    """A child process whose events come through a pipe, line by line.

    It has a session of its own: Ctrl-C reaches the demo alone, which then stops its parts in order.
    """

    def __init__(self, name: str, on_line: Callable[[str, bytes], None]) -> None:
        self.name = name
        self.stopping = False
        self._on_line = on_line
        self._process: asyncio.subprocess.Process | None = None
        self._pipe = -1
        self._rest = b""
        self._ended = asyncio.Event()

    async def start(self, words: Sequence[str], environment: Mapping[str, str]) -> None:
        """Run `syncline WORDS --events fd:N`."""
        reader, writer = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
        os.set_blocking(writer, True)  # a part waits for a slow reader; it does not lose events
        try:
            self._process = await asyncio.create_subprocess_exec(
                sys.executable,
                "-m",
                "syncline",
                *words,
                "--events",
                f"fd:{writer}",
                env=environment,
                pass_fds=(writer,),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                preexec_fn=_die_with_parent,  # noqa: PLW1509 - no threads here, and prctl allocates nothing
            )
        finally:
            os.close(writer)
        self._pipe = reader
        asyncio.get_running_loop().add_reader(reader, self._read)
