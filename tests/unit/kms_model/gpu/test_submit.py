"""The submit ioctl on a whole device: what it refuses, in which order, and what it publishes."""

import os
import select
from dataclasses import dataclass
from errno import E2BIG, EACCES, EAGAIN, ECANCELED, EINVAL, ENOENT, ESRCH, ETIME
from typing import Any, TypeVar

import msgspec
import pytest

from syncline.kms_model.buffers.buffer import GemObject
from syncline.kms_model.buffers.resv import Usage
from syncline.kms_model.device import Device
from syncline.kms_model.file import File
from syncline.kms_model.gpu.ioctls import MAX_RECTS
from syncline.kms_model.gpu.job import MAX_QUEUED
from syncline.kms_model.uapi import (
    Blit,
    Command,
    CreateDumb,
    DeviceError,
    Fd,
    Fill,
    Gradient,
    Point,
    Priority,
    Request,
    Submit,
    SubmitReply,
    SyncFileInfo,
    SyncobjCreate,
    SyncobjQuery,
    SyncobjTimelineSignal,
    Tag,
    Text,
)

MS = 1_000_000
SIZE = (64, 64)
PITCH = 256
WHOLE = (0, 0, 64, 64)
RED = 0xFFFF0000

R = TypeVar("R")


@dataclass
class Client:
    """One open of a device, and the time."""

    device: Device
    file: File

    def call(self, request: Request[R]) -> R:
        return self.device.call(self.file, request, self.device.now_ns).result()

    def errno(self, request: Request[Any]) -> int:
        with pytest.raises(DeviceError) as refusal:
            self.call(request)
        return refusal.value.errno

    def buffer(self) -> int:
        return self.call(CreateDumb(*SIZE)).handle

    def gem(self, handle: int) -> GemObject:
        gem = self.file.gems.get(handle)
        assert gem is not None
        return gem

    def run(self, ms: float) -> None:
        self.device.advance(self.device.now_ns + int(ms * MS))


def paint(target: int, *commands: Command, ms: float = 2, **more: Any) -> Submit:
    return Submit(target, SIZE, PITCH, commands, int(ms * MS), **more)


def blit(source: int, **more: Any) -> Blit:
    whole = Blit(source, SIZE, PITCH, (0, 0, 64 << 8, 64 << 8), WHOLE, (WHOLE,))
    return msgspec.structs.replace(whole, **more)


@pytest.fixture
def client() -> Client:
    device = Device()
    return Client(device, device.open())


def test_an_image_read_before_its_fence_is_visibly_unfinished(client: Client) -> None:
    target = client.buffer()
    client.call(paint(target, Fill(WHOLE, RED), ms=4))

    client.run(2)
    memory = client.gem(target).memory
    assert memory[: 32 * PITCH] == RED.to_bytes(4, "little") * 64 * 32
    assert not any(memory[32 * PITCH :])
    client.run(2)
    assert memory[:] == RED.to_bytes(4, "little") * 64 * 64


def test_a_chain_of_jobs_hands_pixels_on_by_timeline_points(client: Client) -> None:
    window, screen = client.buffer(), client.buffer()
    compositor = Client(client.device, client.device.open("render"))
    timeline = client.call(SyncobjCreate()).handle
    client.call(paint(window, Fill(WHOLE, RED), out_points=(Point(timeline, 7),)))
    compositor.file.gems.add(client.gem(window))

    reply = client.call(paint(screen, blit(window), in_points=(Point(timeline, 7),), out_fence=True))
    client.run(3.9)
    assert select.select([reply.out_fence], [], [], 0)[0] == []
    client.run(0.1)

    assert select.select([reply.out_fence], [], [], 0)[0] == [reply.out_fence]
    assert client.call(SyncobjQuery((timeline,))).points == (7,)
    assert client.gem(screen).memory[:] == client.gem(window).memory[:]
    os.close(reply.out_fence)


def test_a_job_waits_for_the_sync_file_it_was_given(client: Client) -> None:
    first = client.call(paint(client.buffer(), ms=5, out_fence=True))
    other = Client(client.device, client.device.open())
    target = other.buffer()

    reply = other.call(paint(target, ms=1, in_fence=first.out_fence, out_fence=True))
    client.run(5.9)
    assert other.call(SyncFileInfo(reply.out_fence)).status == 0
    client.run(0.1)
    assert other.call(SyncFileInfo(reply.out_fence)).status == 1
    os.close(first.out_fence)
    os.close(reply.out_fence)


def test_a_binary_out_point_replaces_a_timeline(client: Client) -> None:
    timeline = client.call(SyncobjCreate()).handle
    client.call(SyncobjTimelineSignal((timeline,), (5,)))

    client.call(paint(client.buffer(), out_points=(Point(timeline),)))

    assert client.call(SyncobjQuery((timeline,))).points == (0,)


def test_explicit_jobs_appear_in_the_reservation_as_bookkeeping_only(client: Client) -> None:
    target, source = client.buffer(), client.buffer()

    client.call(paint(target, blit(source)))

    for handle in (target, source):
        assert [usage for _, usage in client.gem(handle).resv.entries()] == [Usage.BOOKKEEP]


def test_implicit_jobs_publish_write_on_the_target_and_read_on_the_sources(client: Client) -> None:
    target, source = client.buffer(), client.buffer()

    client.call(paint(target, blit(source), blit(source), implicit=True))

    assert [usage for _, usage in client.gem(target).resv.entries()] == [Usage.WRITE]
    assert [usage for _, usage in client.gem(source).resv.entries()] == [Usage.READ]


def test_a_buffer_that_is_read_and_written_is_written(client: Client) -> None:
    target = client.buffer()

    client.call(paint(target, blit(target), implicit=True))

    assert [usage for _, usage in client.gem(target).resv.entries()] == [Usage.WRITE]


def test_implicit_sync_orders_a_reader_after_the_writer_and_the_next_writer_after_the_reader(
    client: Client,
) -> None:
    other = Client(client.device, client.device.open())
    window, screen = client.buffer(), other.buffer()
    shared = other.file.gems.add(client.gem(window))
    client.call(paint(window, Fill(WHOLE, RED), ms=4, implicit=True))
    client.run(0.1)

    other.call(paint(screen, blit(shared), ms=1, implicit=True))
    third = Client(client.device, client.device.open())
    again = third.file.gems.add(client.gem(window))
    third.call(paint(again, Fill(WHOLE, 0), ms=0, implicit=True))
    client.run(10)

    assert other.gem(screen).memory[:] == RED.to_bytes(4, "little") * 64 * 64
    assert not any(client.gem(window).memory[:])


def test_without_implicit_nobody_is_kept_from_reading_too_early(client: Client) -> None:
    other = Client(client.device, client.device.open())
    window, screen = client.buffer(), other.buffer()
    shared = other.file.gems.add(client.gem(window))
    client.call(paint(window, Fill(WHOLE, RED), ms=40))

    other.call(paint(screen, blit(shared), ms=1))
    client.run(100)

    black = (0xFF000000).to_bytes(4, "little")
    assert other.gem(screen).memory[:] == black * 64 * 64


def bad(request: Submit, **changes: Any) -> Submit:
    return msgspec.structs.replace(request, **changes)


def test_arguments_are_refused_with_the_errno_of_execbuffer(client: Client) -> None:
    target, empty = client.buffer(), client.call(SyncobjCreate()).handle
    good = paint(target)
    not_a_fence = Fd(os.memfd_create("not a sync_file"))

    table = [
        (bad(good, duration_ns=-1), EINVAL),
        (bad(good, priority=3), EINVAL),
        (bad(good, priority=-1), EINVAL),
        (bad(good, target=99), ENOENT),
        (bad(good, commands=(blit(99),)), ENOENT),
        (bad(good, target_size=(65, 64)), EINVAL),
        (bad(good, target_size=(64, 65)), EINVAL),
        (bad(good, pitch=254), EINVAL),
        (bad(good, out_points=(Point(99, 1),)), EINVAL),
        (bad(good, in_points=(Point(99, 1),)), ENOENT),
        (bad(good, in_points=(Point(empty, 0),)), EINVAL),
        (bad(good, in_points=(Point(empty, 4),)), EINVAL),
        (bad(good, in_fence=Fd(-2)), EINVAL),
        (bad(good, in_fence=Fd(1 << 40)), EINVAL),
        (bad(good, in_fence=not_a_fence), EINVAL),
        (bad(good, commands=(Fill(WHOLE, 0),) * (MAX_RECTS + 1)), E2BIG),
        (bad(good, commands=(blit(target, clip=(WHOLE,) * MAX_RECTS),)), E2BIG),
    ]

    for request, errno in table:
        assert client.errno(request) == errno, request
    assert client.gem(target).resv.entries() == ()
    os.close(not_a_fence)


@pytest.mark.parametrize(
    "command",
    [
        Fill((1 << 21, 0, 4, 4), 0),
        Fill(WHOLE, -1),
        Gradient(WHOLE, 0, 1 << 32),
        Gradient((0, 0, 4, 1 << 40), 0, 0),
        Text(0, 0, "x", 0, scale=0),
        Text(0, 0, "x" * 1000, 0),
        Tag(0, 1 << 30, 1, 1, 0),
        blit(1, transform=8),
        blit(1, transform=-1),
        blit(1, src=(1, 0, 64 << 8, 64 << 8)),
        blit(1, src=(-1, 0, 64, 64)),
        blit(1, src=(0, 0, 0, 64)),
        blit(1, dst=(0, 0, 0, 64)),
        blit(1, offset=4),
        blit(1, source_size=(32, 64), src=(0, 0, 33 << 8, 64 << 8)),
        blit(1, source_size=(32, 64), transform=1, src=(0, 0, 64 << 8, 33 << 8)),
    ],
)
def test_a_command_out_of_range_is_refused(client: Client, command: Command) -> None:
    assert client.buffer() == 1

    assert client.errno(paint(1, command)) == EINVAL


def test_buffers_are_looked_up_before_syncobjs_and_out_before_in(client: Client) -> None:
    target = client.buffer()

    assert client.errno(paint(99, out_points=(Point(99),), in_points=(Point(99),))) == ENOENT
    assert client.errno(paint(target, out_points=(Point(99),), in_points=(Point(99),))) == EINVAL
    assert client.errno(paint(target, in_points=(Point(99),), in_fence=Fd(-2))) == ENOENT


def test_high_priority_is_for_the_master(client: Client) -> None:
    other = Client(client.device, client.device.open())

    client.call(paint(client.buffer(), priority=Priority.HIGH))
    assert other.errno(paint(other.buffer(), priority=Priority.HIGH)) == EACCES


def test_a_flood_of_jobs_is_stopped_at_the_limit_of_its_own_queue(client: Client) -> None:
    target = client.buffer()
    for _ in range(MAX_QUEUED):
        client.call(paint(target))

    assert client.errno(paint(target)) == EAGAIN
    client.run(2)
    assert client.call(paint(target)).seqno == MAX_QUEUED + 1


def test_after_a_hang_the_context_is_refused_and_others_go_on(client: Client) -> None:
    other = Client(client.device, client.device.open())
    hung: SubmitReply = client.call(paint(client.buffer(), ms=60_000, out_fence=True))
    client.run(6_000)

    assert client.call(SyncFileInfo(hung.out_fence)).status == -ETIME
    assert client.errno(paint(client.buffer())) == ECANCELED
    assert other.call(paint(other.buffer())).seqno == 1
    os.close(hung.out_fence)


def test_closing_the_file_ends_its_waiting_jobs_with_esrch(client: Client) -> None:
    other = Client(client.device, client.device.open())
    long = client.call(paint(client.buffer(), ms=50, out_fence=True))
    reply = other.call(paint(other.buffer(), in_fence=long.out_fence, out_fence=True))

    client.device.close(other.file, client.device.now_ns)
    client.run(49)
    assert client.call(SyncFileInfo(reply.out_fence)).status == 0
    client.run(1)
    assert client.call(SyncFileInfo(reply.out_fence)).status == -ESRCH
    os.close(long.out_fence)
    os.close(reply.out_fence)


def test_a_buffer_whose_handle_is_closed_lives_until_its_job_is_done(client: Client) -> None:
    target = client.buffer()
    reply = client.call(paint(target, Fill(WHOLE, RED), out_fence=True))
    fd = client.gem(target).export(client.device.kernel.descriptors)

    client.device.close(client.file, client.device.now_ns)
    client.device.advance(client.device.now_ns + 10 * MS)

    assert os.pread(fd, 4, 0) == RED.to_bytes(4, "little")
    os.close(fd)
    os.close(reply.out_fence)


def test_every_sync_file_of_a_render_job_names_drm_sched(client: Client) -> None:
    reply = client.call(paint(client.buffer(), out_fence=True))

    info = client.call(SyncFileInfo(reply.out_fence, num_fences=1))

    assert (info.fences[0].driver_name, info.fences[0].obj_name) == ("drm_sched", "render")
    os.close(reply.out_fence)
