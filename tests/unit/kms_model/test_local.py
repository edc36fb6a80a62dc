"""The device node inside the process, on a loop."""

import asyncio
import os
import select

import pytest

from syncline.kms_model.device import Device
from syncline.kms_model.local import LocalNode
from syncline.kms_model.loops import VirtualLoop, run_virtual, sleep_until
from syncline.kms_model.uapi import (
    DeviceError,
    Fd,
    FlipComplete,
    HandleFlag,
    SwSyncCreateFence,
    SwSyncCreateTimeline,
    SwSyncInc,
    SyncFileInfo,
    SyncobjCreate,
    SyncobjEventfd,
    SyncobjFdToHandle,
    SyncobjHandleToFd,
    SyncobjSignal,
    SyncobjWait,
    WaitFlag,
)

MS = 1_000_000


def test_a_call_that_sleeps_is_awaited_in_model_time() -> None:
    async def main(loop: VirtualLoop) -> int:
        node = LocalNode(Device(), loop)
        file = node.open()
        handle = file.call(SyncobjCreate()).handle
        began_ns = loop.now_ns()
        with pytest.raises(DeviceError):
            await file.wait(SyncobjWait((handle,), began_ns + 40 * MS, WaitFlag.FOR_SUBMIT))
        file.close()
        node.close()
        return loop.now_ns() - began_ns

    assert run_virtual(main) == 40 * MS


def test_a_call_that_would_sleep_is_our_mistake_when_it_is_not_awaited() -> None:
    async def main(loop: VirtualLoop) -> None:
        node = LocalNode(Device(), loop)
        file = node.open()
        handle = file.call(SyncobjCreate()).handle
        with pytest.raises(AssertionError):
            file.call(SyncobjWait((handle,), loop.now_ns() + MS, WaitFlag.FOR_SUBMIT))
        file.close()
        node.close()

    run_virtual(main)


def test_one_task_wakes_another_through_the_machine() -> None:
    async def main(loop: VirtualLoop) -> int | None:
        node = LocalNode(Device(), loop)
        file = node.open()
        handle = file.call(SyncobjCreate()).handle
        wait = asyncio.ensure_future(file.wait(SyncobjWait((handle,), (1 << 63) - 1, WaitFlag.FOR_SUBMIT)))
        await sleep_until(loop, loop.now_ns() + MS)
        file.call(SyncobjSignal((handle,)))
        first = (await wait).first_signaled
        file.close()
        node.close()
        return first

    assert run_virtual(main) == 0


def test_cancelling_is_a_signal() -> None:
    async def main(loop: VirtualLoop) -> None:
        node = LocalNode(Device(), loop)
        file = node.open()
        handle = file.call(SyncobjCreate()).handle
        wait = asyncio.ensure_future(file.wait(SyncobjWait((handle,), (1 << 63) - 1, WaitFlag.FOR_SUBMIT)))
        await asyncio.sleep(0)
        wait.cancel()
        with pytest.raises(asyncio.CancelledError):
            await wait
        assert not file.file.calls
        file.close()
        node.close()

    run_virtual(main)


def test_the_descriptor_of_a_file_polls_while_there_are_events() -> None:
    async def main(loop: VirtualLoop) -> list[bool]:
        node = LocalNode(Device(), loop)
        file = node.open()
        seen = [readable(file.fileno())]
        for sequence in (1, 2):
            file.file.reserve_event()
            file.file.send_event(FlipComplete(0, 1, sequence, 1))
        seen.append(readable(file.fileno()))
        assert [event.sequence for event in file.read_events()] == [1, 2]
        seen.append(readable(file.fileno()))
        file.close()
        node.close()
        return seen

    assert run_virtual(main) == [False, True, False]


def test_the_loop_hears_of_closed_descriptors() -> None:
    async def main(loop: VirtualLoop) -> int:
        node = LocalNode(Device(), loop)
        file = node.open()
        timeline = file.call(SwSyncCreateTimeline()).fd
        fence = file.call(SwSyncCreateFence(timeline, 1)).fd
        file.close_fd(timeline)
        await sleep_until(loop, loop.now_ns() + 1)
        status = file.call(SyncFileInfo(fence)).status
        file.close_fd(fence)
        file.close()
        node.close()
        return status

    assert run_virtual(main) == -2


def test_an_eventfd_wakes_the_loop() -> None:
    async def main(loop: VirtualLoop) -> int:
        node = LocalNode(Device(), loop)
        file = node.open()
        timeline = file.call(SwSyncCreateTimeline()).fd
        fence = file.call(SwSyncCreateFence(timeline, 1)).fd
        handle = file.call(SyncobjCreate()).handle
        file.call(SyncobjFdToHandle(fence, handle, HandleFlag.SYNC_FILE))
        event = Fd(os.eventfd(0, os.EFD_NONBLOCK))
        file.call(SyncobjEventfd(handle, 0, event))
        woken = asyncio.Event()
        loop.add_reader(event, woken.set)
        loop.call_at_ns(loop.now_ns() + MS, lambda: file.call(SwSyncInc(timeline)))
        await woken.wait()
        loop.remove_reader(event)
        count = os.eventfd_read(event)
        for fd in (event, fence, timeline):
            file.close_fd(fd)
        file.close()
        node.close()
        return count

    assert run_virtual(main) == 1


def test_two_files_share_objects_by_descriptor() -> None:
    async def main(loop: VirtualLoop) -> None:
        node = LocalNode(Device(), loop)
        one, two = node.open(), node.open("render")
        handle = one.call(SyncobjCreate()).handle
        fd = one.call(SyncobjHandleToFd(handle)).fd
        other = two.call(SyncobjFdToHandle(fd)).handle
        one.close()
        two.call(SyncobjSignal((other,)))
        two.close_fd(fd)
        two.close()
        node.close()

    run_virtual(main)


def readable(fd: int) -> bool:
    poller = select.poll()
    poller.register(fd, select.POLLIN)
    return bool(poller.poll(0))
