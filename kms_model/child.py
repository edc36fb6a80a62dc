"""A device node as a child process: started, waited for, and ended with its parent, however that ends."""

import ctypes
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from syncline.kms_model.loops import NS_PER_S, RealLoop, sleep_until
from syncline.kms_model.node import NodeError
from syncline.kms_model.presence import answers

READY_NS: Final = 15 * NS_PER_S
LOOK_AGAIN_NS: Final = NS_PER_S // 200
_PR_SET_PDEATHSIG: Final = 1

_libc = ctypes.CDLL(None)  # before any fork: a child should not have to load anything


class Child:
    """`end` it when its users are gone."""

    def __init__(self, path: Path, words: Sequence[str]) -> None:
        """`words` are those of its command line beside --socket. Raises NodeError: somebody serves `path` already."""
        if answers(path):
            raise NodeError(f"a device already serves {path}: stop it, or use it with --device {path}")
        self._path = path
        self._process = subprocess.Popen(  # noqa: S603  this interpreter, our own module
            [sys.executable, "-m", "syncline.kms_model", "--socket", str(path), *words],
            stdout=subprocess.DEVNULL,
            start_new_session=True,  # Ctrl-C is for the parent
            preexec_fn=die_with_parent,  # noqa: PLW1509  there are no threads here
        )

    async def ready(self, loop: RealLoop) -> None:
        """Until callers may connect. Raises NodeError."""
        deadline_ns = loop.now_ns() + READY_NS
        while not answers(self._path):
            if self._process.poll() is not None:
                raise NodeError("the device of our own did not start; its reason is above")
            if loop.now_ns() > deadline_ns:
                raise NodeError(f"the device did not start within {READY_NS // NS_PER_S} s")
            await sleep_until(loop, loop.now_ns() + LOOK_AGAIN_NS)

    def end(self) -> None:
        self._process.terminate()
        self._process.wait()


def die_with_parent() -> None:
    """In a child, before its program begins: even SIGKILL of the parent ends it."""
    _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
