"""A program beside us that nobody listens to while it runs: what it says goes to a file, or to the terminal."""

import os
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Final, Self

from syncline.kms_model.child import die_with_parent
from syncline.kms_model.presence import answers
from syncline.lab.exit import Usage

READY_S: Final = 15.0
LOOK_AGAIN_S: Final = 0.01
STOP_S: Final = 3.0
NOBODY: Final = 65534


class Process:
    """Enter it to start it, leave it to stop it: SIGTERM, and SIGKILL for the deaf."""

    def __init__(
        self,
        command: Sequence[str],
        environment: Mapping[str, str],
        log: Path | None,
        *,
        stdin: bytes = b"",
        as_nobody: bool = False,
    ) -> None:
        """`log` None: errors to our standard error, the rest nowhere. `as_nobody`: without the rights of root.

        Raises OSError if there is no such command.
        """
        self._log = log
        user = NOBODY if as_nobody else None
        with Path(log or os.devnull).open("wb") as output:
            self._process = subprocess.Popen(
                command,
                env=environment,
                stdin=subprocess.PIPE if stdin else subprocess.DEVNULL,
                stdout=output,
                stderr=output if log is not None else None,
                start_new_session=True,
                user=user,
                group=user,
                extra_groups=None if user is None else [],
                preexec_fn=die_with_parent,  # noqa: PLW1509 - there are no threads here
            )
        if self._process.stdin is not None:
            with self._process.stdin as pipe:
                pipe.write(stdin)
        self.pid = self._process.pid

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.end()

    def end(self) -> None:
        """As its user would end it, and wait. It may have ended before."""
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
        if self._log is None:
            return f"ended with exit code {code}; if it gave a reason, that is above"
        said = self._log.read_text(errors="replace").strip() or "without a word"
        return f"ended with exit code {code}: {said.splitlines()[-1]}"


def answering(paths: Iterable[Path]) -> Path | None:
    """The first socket of a compositor among them that somebody answers at."""
    return next((each for each in sorted(paths) if answers(each, socket.SOCK_STREAM)), None)


def appears(name: str, process: Process, look: Callable[[], Path | None]) -> Path:
    """Look until there is what the process makes when it is ready. Raises Usage."""
    end_s = time.monotonic() + READY_S
    while (found := look()) is None:
        if process.ended:
            raise Usage(f"{name} {process.obituary}")
        if time.monotonic() > end_s:
            raise Usage(f"{name} was not ready within {READY_S:.0f} s: try its command by hand")
        time.sleep(LOOK_AGAIN_S)
    return found
