"""Many clients at once: imported once, forked at the same moment, each a process of its own.

`python -m syncline.lab.present.crowd` reads a JSON array of command lines from standard input. Sixty-four interpreters
that start one after the other would take their imports' time from those that are already being measured.
"""

import os
import signal
import sys
from collections.abc import Sequence

import msgspec

from syncline.clients.command import main


def launch(commands: Sequence[Sequence[str]]) -> int:
    """Run every command line of `syncline client`; returns the exit status of the first that failed, or 0."""
    pids = [_fork(words) for words in commands]
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda number, _: _pass_on(pids, number))
    statuses = [os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) for pid in pids]
    return next((abs(status) for status in statuses if status), 0)


def _fork(words: Sequence[str]) -> int:
    pid = os.fork()
    if pid == 0:
        status = 1
        try:
            status = main(words)
        finally:
            sys.stdout.flush()
            os._exit(status)
    return pid


def _pass_on(pids: Sequence[int], number: int) -> None:
    for pid in pids:
        os.kill(pid, number)


if __name__ == "__main__":
    raise SystemExit(launch(msgspec.json.decode(sys.stdin.buffer.read(), type=list[list[str]])))
