"""The programs of IGT and their subtests by name: what there should be, and what is here."""

from collections.abc import Callable
from errno import EINVAL, ETIME
from pathlib import Path
from typing import Any, Final

from igt.machine import Machine, Story

from syncline.kms_model.uapi import Request

COUNTS: Final = {
    "syncobj_basic": 12,
    "syncobj_wait": 69,
    "syncobj_timeline": 121,
    "syncobj_eventfd": 10,
    "sw_sync": 18,
    "dmabuf_sync_file": 7,
}
"""How many subtests each program has (kernel.md 5.1): 237 in all."""

_ERRNO: Final = {"0": 0, "EINVAL": EINVAL, "ETIME": ETIME}


def _core_set() -> dict[str, dict[str, int | None]]:
    programs: dict[str, dict[str, int | None]] = {name: {} for name in COUNTS}
    for line in Path(__file__).with_name("core_set.txt").read_text().splitlines():
        if not line.startswith("#"):
            program, subtest, *end = line.split()
            assert subtest not in programs[program]
            programs[program][subtest] = _ERRNO[end[0]] if end else None
    return programs


CORE_SET: Final = _core_set()
"""By program and subtest. In the wait matrices (kernel.md, appendix A) how every wait ends, otherwise None."""


class Program:
    """The subtests of one program, as they are written down."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.stories: dict[str, Story] = {}

    def add(self, name: str, story: Story) -> None:
        assert name not in self.stories, f"{self.name} has a second {name}"
        self.stories[name] = story

    def subtest(self, name: str) -> Callable[[Story], Story]:
        def enter(story: Story) -> Story:
            self.add(name, story)
            return story

        return enter

    def refuses(self, errno: int, requests: dict[str, Request[Any]]) -> None:
        """Subtests of one call each, which ends with `errno`."""
        for name, request in requests.items():
            self.add(name, _refused(request, errno))

    def timeouts(self) -> dict[str, Story]:
        """Those of the wait matrices that end with -ETIME."""
        ends = CORE_SET[self.name]
        return {name: story for name, story in self.stories.items() if ends.get(name) == ETIME}

    def assert_complete(self) -> None:
        """Every subtest that IGT has, none that it has not, and as many as the spec counts."""
        assert set(self.stories) == set(CORE_SET[self.name])
        assert len(self.stories) == COUNTS[self.name]


def _refused(request: Request[Any], errno: int) -> Story:
    async def story(machine: Machine) -> None:
        assert machine.errno(request) == errno

    return story
