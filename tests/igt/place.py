"""Where subtests are run: in this process, or through a device node."""

from pathlib import Path
from typing import Protocol

from igt.local import run_local
from igt.program import Program
from igt.remote import run_remote, run_together


class Place(Protocol):
    """What the fixture `machine` is."""

    def run(self, program: Program, subtest: str) -> None: ...


class InProcess:
    def run(self, program: Program, subtest: str) -> None:
        run_local(program.stories[subtest])


class ThroughNode:
    """Subtests that only the clock ends take their time all at once, and are judged one by one."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._ends: dict[str, dict[str, BaseException | None]] = {}

    def run(self, program: Program, subtest: str) -> None:
        timeouts = program.timeouts()
        if subtest not in timeouts:
            run_remote(self._path, program.stories[subtest])
            return
        if program.name not in self._ends:
            self._ends[program.name] = run_together(self._path, timeouts)
        fault = self._ends[program.name][subtest]
        if fault is not None:
            raise fault
