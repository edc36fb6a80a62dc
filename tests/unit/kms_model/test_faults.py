"""When there is no memory: -ENOMEM, nothing to be seen of the call, and the one that leaks (H2)."""

import gc
from collections.abc import Callable
from errno import ENOMEM
from pathlib import Path
from typing import Any

import pytest

from syncline.kms_model.checker import Checker, Severity
from syncline.kms_model.checker.watch import close_books
from syncline.kms_model.faults import parse
from syncline.kms_model.quirks import REPAIRED
from syncline.kms_model.trace import Warn
from syncline.kms_model.uapi import (
    CreateFlag,
    DeviceError,
    HandleFlag,
    QueryFlag,
    SyncobjCreate,
    SyncobjDestroy,
    SyncobjEventfd,
    SyncobjFdToHandle,
    SyncobjSignal,
    SyncobjTimelineSignal,
    SyncobjTransfer,
    WaitFlag,
)

POINT_FILE = HandleFlag.SYNC_FILE | HandleFlag.TIMELINE


def open_descriptors() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


class Scene:
    """A timeline at 1 with a pending point 2, a binary syncobj with the same fence, and who watches the timeline."""

    def __init__(self, rig: Any) -> None:
        gc.collect()  # other tests' descriptors are not ours to count
        self.rig = rig
        self.sw_sync = rig.timeline()
        self.fence = rig.fence(self.sw_sync)
        self.timeline, self.other, self.binary = rig.create(), rig.create(), rig.create()
        rig.signal(self.timeline, 1)
        rig.put(self.timeline, self.fence, 2)
        rig.put(self.binary, self.fence)
        self.watcher, self.eventfd = rig.eventfd(), rig.eventfd()
        for handle in (self.timeline, self.other):
            rig.call(SyncobjEventfd(handle, 5, self.watcher, WaitFlag.AVAILABLE))

    def state(self) -> object:
        """All that a program can see."""
        handles = (self.timeline, self.other, self.binary)
        return (
            [self.rig.query(handle) for handle in handles],
            [self.rig.query(handle, QueryFlag.LAST_SUBMITTED) for handle in handles],
            [
                self.rig.poll_point(handle, point, WaitFlag.FOR_SUBMIT)
                for handle in handles
                for point in (0, 5)
            ],
            [self.rig.count(fd) for fd in (self.watcher, self.eventfd)],
            len(self.rig.file.syncobjs),
            open_descriptors(),
        )


CALLS: dict[str, tuple[int, Callable[[Scene], Any]]] = {
    "create": (1, lambda _: SyncobjCreate()),
    "create signalled": (2, lambda _: SyncobjCreate(CreateFlag.SIGNALED)),
    "signal": (1, lambda scene: SyncobjSignal((scene.other,))),
    "timeline signal": (2, lambda scene: SyncobjTimelineSignal((scene.timeline, scene.other), (5, 5))),
    "transfer": (2, lambda scene: SyncobjTransfer(scene.binary, 0, scene.timeline, 5)),
    "import at a point": (
        1,
        lambda scene: SyncobjFdToHandle(scene.fence, scene.timeline, POINT_FILE, point=5),
    ),
    "eventfd, due": (1, lambda scene: SyncobjEventfd(scene.timeline, 1, scene.eventfd)),
    "eventfd, pending": (1, lambda scene: SyncobjEventfd(scene.timeline, 2, scene.eventfd)),
    "eventfd, to come": (1, lambda scene: SyncobjEventfd(scene.other, 7, scene.eventfd)),
}
"""And how many allocations each makes."""


@pytest.mark.parametrize("name", CALLS)
def test_a_call_without_memory_leaves_nothing_behind_whichever_allocation_fails(rig: Any, name: str) -> None:
    allocations, call = CALLS[name]
    scene = Scene(rig)
    before = scene.state()

    for nth in range(1, allocations + 1):
        rig.device.inject(parse(f"memory:{nth}"))
        assert rig.errno(call(scene)) == ENOMEM
        assert scene.state() == before
        assert not rig.kernel.faults.armed, "it fails once"

    rig.device.inject(parse(f"memory:{allocations + 1}"))
    rig.call(call(scene))
    assert rig.kernel.faults.strikes("memory"), "these are all of its allocations"


def test_a_transfer_that_waited_for_its_fence_leaves_nothing_behind_either(rig: Any) -> None:
    source, target = rig.create(), rig.create()
    transfer = rig.start(SyncobjTransfer(source, 1, target, 1, WaitFlag.FOR_SUBMIT))
    rig.device.inject(parse("memory:3"))  # the signal's node, the merged fence, the node
    rig.signal(source, 1)

    with pytest.raises(DeviceError) as refusal:
        transfer.result()
    assert refusal.value.errno == ENOMEM
    assert rig.query(target, QueryFlag.LAST_SUBMITTED) == 0


def test_a_binary_signal_keeps_what_it_has_done_when_memory_runs_out(rig: Any) -> None:
    """drm_syncobj_signal_ioctl makes one stub after the other."""
    first, second = rig.create(), rig.create()
    rig.device.inject(parse("memory:2"))

    assert rig.errno(SyncobjSignal((first, second))) == ENOMEM
    assert rig.poll_point(first, 0) == 0
    assert rig.poll_point(second, 0) != 0


# -- H2 ----------------------------------------------------------------------------------------------


def failed_import(rig: Any) -> bool:
    """Is the syncobj of a failed import still there when its last handle is gone?"""
    handle, eventfd = rig.create(), rig.eventfd()
    fence = rig.fence(rig.timeline())
    before = open_descriptors()
    rig.call(SyncobjEventfd(handle, 9, eventfd))
    rig.device.inject(parse("memory"))
    assert rig.errno(SyncobjFdToHandle(fence, handle, POINT_FILE, point=1)) == ENOMEM
    assert rig.query(handle, QueryFlag.LAST_SUBMITTED) == 0
    rig.call(SyncobjDestroy(handle))
    return open_descriptors() > before


@pytest.mark.requirement("H2")
def test_a_failed_import_at_a_point_leaks_as_upstream(rig: Any) -> None:
    checker = Checker(rig.kernel)

    assert failed_import(rig)
    assert [event.rule for event in rig.events if isinstance(event, Warn)] == ["H2"]

    rig.device.close(rig.file, rig.now_ns)
    close_books(checker, rig.kernel, (rig.device,), alone=False)
    assert ("K24", Severity.ERROR) in checker.ledger.verdict()
    assert checker.ledger.counts["K24 a reference is leaked"] == 2, "of the fence and of the syncobj"


@pytest.mark.requirement("H2")
def test_a_failed_import_at_a_point_leaks_nothing_when_repaired(make_rig: Any) -> None:
    rig = make_rig(quirks=REPAIRED)

    assert not failed_import(rig)
    assert rig.kernel.leaked == []
