"""Where in the machine something happened: cheap to note, put into words only for a report."""

import inspect
from collections.abc import Coroutine
from types import CodeType, FrameType
from typing import Any, Final, NamedTuple

_ROOT: Final = "syncline.kms_model."
_CHECKER: Final = f"{_ROOT}checker."
_PLUMBING: Final = frozenset(
    f"{_ROOT}{name}"
    for name in (
        "buffers.resv",
        *(f"fences.{name}" for name in ("array", "chain", "fence", "merge", "sync_file")),
        "kernel",
        "syncobj.syncobj",
        "task",
    )
)


class Site(NamedTuple):
    code: CodeType | None
    module: str
    line: int

    def __str__(self) -> str:
        if self.code is None:
            return "outside"
        return f"{self.module.removeprefix(_ROOT)}:{self.line} {self.code.co_qualname}"

    @property
    def function(self) -> str:
        return "outside" if self.code is None else self.code.co_qualname


OUTSIDE: Final = Site(None, "", 0)


def here() -> Site:
    """The innermost frame that is nobody's plumbing."""
    frame = inspect.currentframe()
    while frame is not None:
        module = str(frame.f_globals.get("__name__", ""))
        if module not in _PLUMBING and not module.startswith(_CHECKER):
            return _of(frame)
        frame = frame.f_back
    return OUTSIDE


def asleep(coroutine: Coroutine[Any, Any, Any]) -> Site:
    """Where a suspended task sleeps: its innermost coroutine."""
    inner: Any = coroutine
    while inspect.iscoroutine(inner.cr_await):
        inner = inner.cr_await
    frame: FrameType | None = inner.cr_frame
    return OUTSIDE if frame is None else _of(frame)


def _of(frame: FrameType) -> Site:
    return Site(frame.f_code, str(frame.f_globals.get("__name__", "")), frame.f_lineno)
