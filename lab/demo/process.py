"""One part of the demo as a process of its own: started, listened to, stopped, and buried."""

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from typing import Final

from syncline.kms_model.child import die_with_parent

READ_SIZE: Final = 1 << 16
STOP_S: Final = 3.0
"""A part that has not stopped by then is killed: its own deadlines are shorter."""
LAST_WORDS_MAX: Final = 4096


class Pipe:
    """Lines from a child, as they come, until it closes its end."""

    def __init__(self, on_line: Callable[[bytes], None]) -> None:
        self.reader, self.writer = os.pipe2(os.O_CLOEXEC)
        os.set_blocking(self.reader, False)  # the writer blocks: a part waits for us, it does not lose events
        self.drained = asyncio.Event()
        self._on_line = on_line
        self._rest = b""
        asyncio.get_running_loop().add_reader(self.reader, self._read)

    def _read(self) -> None:
        data = os.read(self.reader, READ_SIZE)
        *lines, self._rest = (self._rest + data).split(b"\n")
        for line in lines:
            self._on_line(line)
        if not data:
            asyncio.get_running_loop().remove_reader(self.reader)
            os.close(self.reader)
            self.drained.set()


class Part:
    """A child process, its events and its last words.

    It has a session of its own: Ctrl-C reaches the demo alone, which then stops its parts in order.
    """

    def __init__(
        self,
        name: str,
        words: Sequence[str],
        environment: Mapping[str, str],
        *,
        on_event: Callable[[str, bytes], None],
        on_end: "Callable[[Part], None]",
    ) -> None:
        """Run `syncline WORDS --events fd:N`; `on_event(name, line)` and once `on_end`, in the loop."""
        self.name = name
        self.stopping = False
        self._last_words = b""
        self._on_end = on_end
        self._ended = asyncio.Event()
        self._events = Pipe(lambda line: on_event(name, line))
        self._output = Pipe(self._hear)
        command = [sys.executable, "-m", "syncline", *words, "--events", f"fd:{self._events.writer}"]
        self._process = subprocess.Popen(
            command,
            env=environment,
            pass_fds=(self._events.writer,),
            stdin=subprocess.DEVNULL,
            stdout=self._output.writer,
            stderr=self._output.writer,
            start_new_session=True,
            preexec_fn=die_with_parent,  # noqa: PLW1509 - there are no threads here
        )
        os.close(self._events.writer)
        os.close(self._output.writer)
        self._pidfd = os.pidfd_open(self._process.pid)
        asyncio.get_running_loop().add_reader(self._pidfd, self._bury)

    @property
    def ended(self) -> bool:
        return self._ended.is_set()

    @property
    def is_well(self) -> bool:
        """It ended as it should."""
        return self._process.returncode == 0

    @property
    def obituary(self) -> str:
        """How it ended, in half a sentence."""
        code = self._process.returncode
        if code is not None and code < 0:
            return f"was ended by {signal.Signals(-code).name}"
        *_, last = (self._last_words.decode(errors="replace").strip() or "without a word").splitlines()
        return f"ended with exit code {code}: {last}"

    async def wait(self) -> None:
        """Until it has ended and everything it said was heard."""
        await self._ended.wait()
        await self._events.drained.wait()
        await self._output.drained.wait()

    async def stop(self) -> None:
        """SIGTERM, and SIGKILL for the deaf."""
        self.stopping = True
        if not self.ended:
            self._process.terminate()
        try:
            await asyncio.wait_for(self.wait(), STOP_S)
        except TimeoutError:
            self._process.kill()
            await self.wait()

    def _hear(self, line: bytes) -> None:
        self._last_words = (self._last_words + line + b"\n")[-LAST_WORDS_MAX:]

    def _bury(self) -> None:
        asyncio.get_running_loop().remove_reader(self._pidfd)
        os.close(self._pidfd)
        self._process.wait()
        self._ended.set()
        self._on_end(self)
