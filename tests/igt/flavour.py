"""The two kinds of wait on syncobjs: all that syncobj_wait and syncobj_timeline do not have in common."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final

from syncline.kms_model.uapi import Request, SyncobjTimelineWait, SyncobjWait, WaitFlag

U64_MAX: Final = (1 << 64) - 1


@dataclass(frozen=True, kw_only=True)
class Flavour:
    """Where fences go (`point`), and how they are waited for."""

    program: str
    point: int
    flags: tuple[WaitFlag, ...]
    """What the wait knows."""
    mixed: tuple[int, ...]
    """The points of a multi-wait, one of each syncobj."""
    names_timeouts: bool
    """Subtests of the matrix that end with -ETIME are called so."""
    call: Callable[[tuple[int, ...], tuple[int, ...], int, int], Request[Any]]

    def wait(
        self, handles: Sequence[int], timeout_ns: int = 0, flags: int = 0, points: Sequence[int] = ()
    ) -> Request[Any]:
        return self.call(tuple(handles), tuple(points) or (self.point,) * len(handles), timeout_ns, flags)


BINARY: Final = Flavour(
    program="syncobj_wait",
    point=0,
    flags=(WaitFlag.ALL, WaitFlag.FOR_SUBMIT),
    mixed=(0, 0, 0),
    names_timeouts=False,
    call=lambda handles, _, timeout_ns, flags: SyncobjWait(handles, timeout_ns, flags),
)
TIMELINE: Final = Flavour(
    program="syncobj_timeline",
    point=1,
    flags=(WaitFlag.ALL, WaitFlag.FOR_SUBMIT, WaitFlag.AVAILABLE),
    mixed=(384, 0, 887, 778, 0),  # binary syncobjs among timelines
    names_timeouts=True,
    call=SyncobjTimelineWait,
)
