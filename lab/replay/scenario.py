"""The scenario file: every operation by name, and what makes a file of the format."""

from pathlib import Path
from typing import Final, TypeVar

import msgspec

from syncline.lab.exit import Usage
from syncline.lab.replay import control_ops, fence_ops, kms_ops, syncobj_ops
from syncline.lab.replay.operation import Op
from syncline.lab.replay.perform import perform
from syncline.lab.replay.process import Process
from syncline.lab.replay.result import Result, Results

DEFAULT_SETTLE_MS: Final = 30
DEFAULT_LIMIT_S: Final = 40
FORMAT: Final = 1


class Async(Op, frozen=True, kw_only=True, tag="async"):
    """Run `do` in a thread, and give it a moment to get where it blocks."""

    name: str
    do: "AnyOp"
    settle_ms: float = DEFAULT_SETTLE_MS

    async def run(self, process: Process) -> None:
        process.start_background(self.name, lambda: self._perform(process))
        await process.threads.sleep(self.settle_ms)

    async def _perform(self, process: Process) -> Result:
        result = await perform(self.do, process)
        result.out.pop("slept", None)  # how long it slept is others' doing
        return result


AnyOp = (
    Async
    | control_ops.Open
    | control_ops.Close
    | control_ops.Dup
    | control_ops.OpenDevnull
    | control_ops.Sleep
    | control_ops.AsyncState
    | control_ops.AsyncJoin
    | control_ops.Interrupt
    | control_ops.WatchFd
    | control_ops.Collect
    | syncobj_ops.GetCap
    | syncobj_ops.SetClientCap
    | syncobj_ops.Create
    | syncobj_ops.Destroy
    | syncobj_ops.HandleToFd
    | syncobj_ops.FdToHandle
    | syncobj_ops.Reset
    | syncobj_ops.Signal
    | syncobj_ops.TimelineSignal
    | syncobj_ops.Query
    | syncobj_ops.Wait
    | syncobj_ops.TimelineWait
    | syncobj_ops.Transfer
    | syncobj_ops.Eventfd
    | fence_ops.EventfdCreate
    | fence_ops.EventfdRead
    | fence_ops.Poll
    | fence_ops.Merge
    | fence_ops.Info
    | fence_ops.SetDeadline
    | fence_ops.SwTimeline
    | fence_ops.SwFence
    | fence_ops.SwInc
    | fence_ops.SwGetDeadline
    | fence_ops.VgemAttach
    | fence_ops.VgemSignal
    | fence_ops.DumbCreate
    | fence_ops.GemExport
    | fence_ops.GemImport
    | fence_ops.DmaBufExport
    | fence_ops.DmaBufImport
    | kms_ops.KmsOpen
    | kms_ops.FbCreate
    | kms_ops.FbRemove
    | kms_ops.PageFlip
    | kms_ops.Atomic
    | kms_ops.KmsGet
    | kms_ops.DrmRead
    | kms_ops.TimeCompare
)


class Scenario(msgspec.Struct, frozen=True):
    """Runs once per device, each time in a fresh process on a fresh machine."""

    id: str
    devices: tuple[str, ...]
    ops: tuple[AnyOp, ...]
    title: str = ""
    limit_s: float = DEFAULT_LIMIT_S


class ScenarioFile(msgspec.Struct, frozen=True):
    format: int
    scenarios: tuple[Scenario, ...]

    def __post_init__(self) -> None:
        if self.format != FORMAT:
            raise ValueError(f"format {self.format} is not known, only {FORMAT}")


def read_scenarios(path: Path) -> tuple[Scenario, ...]:
    """Raises Usage."""
    return _read(path, ScenarioFile).scenarios


def read_results(path: Path) -> Results:
    """Raises Usage."""
    return _read(path, Results)


FileType = TypeVar("FileType", ScenarioFile, Results)


def _read(path: Path, kind: type[FileType]) -> FileType:
    try:
        return msgspec.json.decode(path.read_bytes(), type=kind)
    except OSError as error:
        raise Usage(f"cannot read {path}: {error.strerror}") from None
    except msgspec.MsgspecError as error:
        raise Usage(f"{path} is not a file of the format: {error}") from None
