"""A case: one entry of the catalogue (protocol.md 5), the statements it judges, and what it needs to run."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from typing import Final

from syncline.conformance.trial import Trial

Body = Callable[[Trial], None]

SYNCOBJ: Final = "wp_linux_drm_syncobj_manager_v1"
DMABUF: Final = "zwp_linux_dmabuf_v1"
PRESENTATION: Final = "wp_presentation"

_NAME: Final = re.compile(r"test_([a-z]{3})_(\d\d)_(\w+)")


class RunClass(Enum):
    """What a case asks of target and machine (protocol.md 5)."""

    S = "any compositor"
    D = "explicit sync, and a device for the tester"
    T = "explicit sync, and a live output with presentation feedback"
    M = "faults that only the model can have"
    X = "two wires to the same compositor"


@dataclass(frozen=True, slots=True)
class Case:
    """`needs` are globals, `interface` or `interface:version`; with `device`, syncobjs and dma-bufs too."""

    id: str
    title: str
    statements: tuple[str, ...]
    run_class: RunClass
    priority: int
    needs: tuple[str, ...]
    device: bool
    practice: bool
    body: Body

    @property
    def name(self) -> str:
        """As in reports and baselines: `OBJ-02/a-second-get-surface-…`."""
        return f"{self.id}/{self.title}"

    @property
    def intent(self) -> str:
        """The sentence it is about."""
        return " ".join((self.body.__doc__ or "").split())


def case(
    statements: str,
    run_class: RunClass,
    *,
    priority: int = 1,
    needs: tuple[str, ...] = (),
    device: bool | None = None,
    practice: bool = False,
) -> Callable[[Body], Body]:
    """Mark `test_obj_02_words(trial)` as case OBJ-02; `statements` are ids with spaces between them.

    Classes D and T bring their own needs; `device=False` says that a T case does without (SHM). `practice`:
    no statement in the text stands behind it, so that failing it fails a run only when asked.
    """
    has_device = run_class in {RunClass.D, RunClass.T} if device is None else device
    globals_: tuple[str, ...] = (SYNCOBJ, DMABUF) if has_device else ()
    if run_class is RunClass.T:
        globals_ += (PRESENTATION,)

    def mark(body: Body) -> Body:
        match = _NAME.fullmatch(body.__name__)
        assert match is not None, f"{body.__name__} has no id"
        body.__dict__["case"] = Case(
            id=f"{match[1].upper()}-{match[2]}",
            title=match[3].replace("_", "-"),
            statements=tuple(statements.split()),
            run_class=run_class,
            priority=priority,
            needs=globals_ + needs,
            device=has_device,
            practice=practice,
            body=body,
        )
        return body

    return mark


def case_of(body: object) -> Case | None:
    """The case that a function is, if it is one."""
    found = getattr(body, "case", None)
    return found if isinstance(found, Case) else None
