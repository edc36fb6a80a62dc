"""A process of the run: it writes to files, so that nobody has to listen to it while it is measured."""

import ctypes
import os
import signal
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final, Self

STOP_S: Final = 3.0
PR_SET_PDEATHSIG: Final = 1
NOBODY: Final = 65534

_libc = ctypes.CDLL(None)


def _die_with_parent() -> None:
    """In the child: whatever ends the run ends its parts."""
    _libc.prctl(PR_SET_PDEATHSIG, signal.SIGTERM)


class Process:
    """Enter it to start it, leave it to stop it: SIGTERM, and SIGKILL for the deaf."""

    def __init__(
        self,
        command: Sequence[str],
        environment: Mapping[str, str],
        log: Path,
        *,
        stdin: bytes = b"",
        as_nobody: bool = False,
    ) -> None:
        """`as_nobody`: without the rights of root. Raises OSError if there is no such command."""
        self._log = log
        user = NOBODY if as_nobody else None
        with log.open("wb") as output:
            self._process = subprocess.Popen(
                command,
                env=environment,
                stdin=subprocess.PIPE if stdin else subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
                user=user,
                group=user,
                extra_groups=None if user is None else [],
                preexec_fn=_die_with_parent,  # noqa: PLW1509 - there are no threads here
            )
        if self._process.stdin is not None:
            with self._process.stdin as pipe:
                pipe.write(stdin)
        self.pid = self._process.pid

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if not self.ended:
            self._process.terminate()
        try:
            self._process.wait(STOP_S)
        except subprocess.TimeoutExpired:
            os.killpg(self.pid, signal.SIGKILL)
            self._process.wait()

    @property
    def ended(self) -> bool:
        return self._process.poll() is not None

    @property
    def is_well(self) -> bool:
        """It ended as it should."""
        return self._process.poll() == 0

    @property
    def obituary(self) -> str:
        """How it ended, in half a sentence."""
        code = self._process.poll()
        if code is not None and code < 0:
            return f"was ended by {signal.Signals(-code).name}"
        said = self._log.read_text(errors="replace").strip() or "without a word"
        return f"ended with exit code {code}: {said.splitlines()[-1]}"
