"""Any call of the compositor may be refused, at any time: it goes on, and its clients end as they should."""

import asyncio
from typing import Final

import pytest

from syncline.clients.catalogue import DEMOS, run_demo
from syncline.clients.toolkit.loop import ClientError, Context
from syncline.clients.toolkit.options import Options
from syncline.clients.toolkit.report import ClientEvent, Ended
from syncline.compositor.core.policy import Policy
from syncline.compositor.loop import Driver
from syncline.kms_model.device import Device
from syncline.kms_model.faults import parse
from syncline.kms_model.kernel import Kernel
from syncline.kms_model.local import LocalNode
from syncline.kms_model.loops import NS_PER_S, VirtualLoop, run_virtual, sleep_until
from syncline.kms_model.profiles import SYNCLINE
from syncline.protocol.transport.memory import pair

CAST: Final = ("solid", "shm", "subsurfaces", "implicit")
FRAMES: Final = 15
PATIENCE_S: Final = 60
"""Of virtual time: a flip may have to be looked for, and every wait to be asked for again."""

CALLS: Final = (
    "SyncobjTimelineWait",
    "SyncobjEventfd",
    "SyncobjTransfer",
    "SyncobjTimelineSignal",
    "SyncobjQuery",
    "SyncobjQueryType",
    "SyncobjHandleToFd",
    "SyncFileMerge",
    "SyncFileInfo",
    "ModeAtomic",
    "ModeAddFb2",
    "Submit",
    "CreateDumb",
    "PrimeFdToHandle",
    "PrimeHandleToFd",
    "DmaBufExportSyncFile",
    "DmaBufImportSyncFile",
)
"""What it calls while clients come and show something. SyncobjFdToHandle is not here: a timeline that could not be
imported is never reached (S20), and these clients would wait for it."""


async def _show(loop: VirtualLoop, node: LocalNode, driver: Driver, demo: str) -> Ended | None:
    """The demo's own account of its end; None: the compositor threw it out, and said why."""
    ours, theirs = pair(loop)
    driver.server.accept(theirs)
    device = node.open()
    events: list[ClientEvent] = []
    options = DEMOS[demo].complete(Options(frames=FRAMES))
    context = Context(loop=loop, transport=ours, device=device, options=options, emit=events.append)
    try:
        await run_demo(DEMOS[demo], context)
    except ClientError as error:
        if "the compositor refused" not in str(error) or "invalid_timeline" in str(error):  # S20
            raise
        return None
    finally:
        device.close()
    return next(each for each in events if isinstance(each, Ended))


def perform(*faults: str) -> list[Ended | None]:
    async def main(loop: VirtualLoop) -> list[Ended | None]:
        node = LocalNode(Device(SYNCLINE, kernel=Kernel(now_ns=loop.now_ns())), loop)
        driver = Driver(loop, node.open(), policy=Policy(), caps={}, report=lambda _: None)
        await sleep_until(loop, loop.now_ns() + NS_PER_S // 10)
        for fault in faults:
            node.device.inject(parse(fault))
        ends = asyncio.gather(*(_show(loop, node, driver, demo) for demo in CAST))
        ended = await asyncio.wait_for(ends, PATIENCE_S)
        driver.core.check_invariants()
        node.device.kernel.faults.clear()
        driver.close()
        node.close()
        return ended

    return run_virtual(main)


@pytest.mark.requirement("S20", "S70")
@pytest.mark.parametrize("when", ["1:1", "3:2"])
@pytest.mark.parametrize("call", CALLS)
def test_a_refused_call_ends_nobody_but_who_asked(call: str, when: str) -> None:
    ended = perform(f"{call}=ENOMEM:{when}")

    assert all(end is None or end.paid == end.owed for end in ended)
    assert sum(end is None for end in ended) <= 2, "as many as there were refusals"


@pytest.mark.requirement("S70")
@pytest.mark.parametrize(
    "call", ["SyncobjEventfd", "SyncobjTransfer", "SyncobjHandleToFd", "SyncFileMerge", "SyncFileInfo"]
)
def test_what_can_be_done_without_is_done_without(call: str) -> None:
    ended = perform(f"{call}=EMFILE:1:*")

    assert all(end is not None and end.paid == end.owed for end in ended)


@pytest.mark.requirement("S70")
def test_everything_at_once_is_weathered() -> None:
    ended = perform(
        "gpu-reset:30ms:20", "lost-wake:2:3", "lost-flip:3:2", "output-removed:200ms", "output-added:400ms"
    )

    assert all(end is not None and end.paid == end.owed for end in ended)
