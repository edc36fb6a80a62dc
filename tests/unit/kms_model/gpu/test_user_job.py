"""Jobs that wait for user fences on the engine: they run when the number is there, and promise nothing to anybody."""

import os
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from errno import EINVAL, ENOENT
from typing import Any, TypeVar

import pytest

from syncline.kms_model.device import Device
from syncline.kms_model.file import File
from syncline.kms_model.profiles import SYNCLINE, Poison
from syncline.kms_model.uapi import (
    CreateDumb,
    DeviceError,
    Fd,
    Point,
    Request,
    Submit,
    SyncobjCreate,
    SyncobjCreateUser,
    SyncobjFdToHandle,
    SyncobjHandleToFd,
    SyncobjQuery,
    SyncobjQueryType,
    SyncobjTimelineSignal,
)

MS = 1_000_000
R = TypeVar("R")


@dataclass
class Client:
    device: Device
    file: File
    fds: list[Fd] = field(default_factory=list)

    def call(self, request: Request[R]) -> R:
        return self.device.call(self.file, request, self.device.now_ns).result()

    def errno(self, request: Request[Any]) -> int:
        with pytest.raises(DeviceError) as refusal:
            self.call(request)
        return refusal.value.errno

    def submit(self, *, ms: float = 1, **more: Any) -> Submit:
        return Submit(self.call(CreateDumb(16, 16)).handle, (16, 16), 64, (), int(ms * MS), **more)

    def query(self, handle: int) -> int:
        return self.call(SyncobjQuery((handle,))).points[0]

    def share(self, handle: int, other: "Client") -> int:
        """The handle that `other` has of the same user fence."""
        fd = self.call(SyncobjHandleToFd(handle)).fd
        try:
            return other.call(SyncobjFdToHandle(fd)).handle
        finally:
            os.close(fd)

    def run(self, ms: float) -> None:
        self.device.advance(self.device.now_ns + int(ms * MS))


@pytest.fixture
def device() -> Iterator[Device]:
    device = Device()
    yield device
    device.kernel.descriptors.close()


@pytest.fixture
def client(device: Device) -> Client:
    return Client(device, device.open())


@pytest.fixture
def other(device: Device) -> Client:
    return Client(device, device.open())


def test_a_job_runs_when_the_number_is_reached_and_raises_the_next(client: Client, other: Client) -> None:
    ready = other.call(SyncobjCreateUser()).handle
    mine, done = other.share(ready, client), client.call(SyncobjCreateUser()).handle

    client.call(client.submit(ms=2, user_in_points=(Point(mine, 3),), out_points=(Point(done, 1),)))
    client.run(50)
    other.call(SyncobjTimelineSignal((ready,), (2,)))
    client.run(50)
    assert client.query(done) == 0
    other.call(SyncobjTimelineSignal((ready,), (3,)))
    client.run(1.9)
    assert client.query(done) == 0
    client.run(0.1)
    assert client.query(done) == 1


def test_a_number_that_is_there_already_holds_nothing_up(client: Client) -> None:
    ready = client.call(SyncobjCreateUser(initial_value=5)).handle
    done = client.call(SyncobjCreateUser()).handle

    client.call(
        client.submit(user_in_points=(Point(ready, 5), Point(ready, 2)), out_points=(Point(done, 1),))
    )
    client.run(1)

    assert client.query(done) == 1


@pytest.mark.requirement("K1")
def test_no_dma_fence_comes_to_wait_for_user_space(client: Client) -> None:
    ready = client.call(SyncobjCreateUser()).handle
    waiting = client.submit(user_in_points=(Point(ready, 1),))
    client.call(waiting)
    timeline = client.call(SyncobjCreate()).handle

    client.call(client.submit(ms=1, out_points=(Point(timeline, 1),)))
    client.run(1)

    assert client.query(timeline) == 1, "a later job of the same file is not behind it"
    gem = client.file.gems.get(waiting.target)
    assert gem is not None
    assert gem.resv.entries() == ()


@pytest.mark.requirement("UR1")
def test_a_job_with_user_in_points_shows_user_fences_only(client: Client) -> None:
    signalled = client.call(SyncobjCreateUser(initial_value=9)).handle
    binary = client.call(SyncobjCreate()).handle
    wait = (Point(signalled, 1),)

    assert client.errno(client.submit(user_in_points=wait, out_fence=True)) == EINVAL
    assert client.errno(client.submit(user_in_points=wait, implicit=True)) == EINVAL
    assert client.errno(client.submit(user_in_points=wait, out_points=(Point(binary, 1),))) == EINVAL


def test_only_points_of_user_syncobjs_are_waited_for_in_memory(client: Client) -> None:
    user, binary = client.call(SyncobjCreateUser()).handle, client.call(SyncobjCreate()).handle

    assert client.errno(client.submit(user_in_points=(Point(99, 1),))) == ENOENT
    assert client.errno(client.submit(user_in_points=(Point(binary, 1),))) == EINVAL
    assert client.errno(client.submit(user_in_points=(Point(user, 0),))) == EINVAL
    assert client.errno(client.submit(in_points=(Point(user, 1),))) == EINVAL


@pytest.mark.requirement("UR2")
def test_fences_of_both_kinds_are_waited_for_together(client: Client) -> None:
    ready, done = (client.call(SyncobjCreateUser()).handle for _ in range(2))
    timeline = client.call(SyncobjCreate()).handle
    client.call(client.submit(ms=5, out_points=(Point(timeline, 1),)))
    both = {"user_in_points": (Point(ready, 1),), "in_points": (Point(timeline, 1),)}
    client.call(client.submit(ms=1, out_points=(Point(done, 1),), **both))

    client.call(SyncobjTimelineSignal((ready,), (1,)))
    client.run(5.9)
    assert client.query(done) == 0
    client.run(0.1)
    assert client.query(done) == 1


def test_a_dead_signaller_releases_the_job(client: Client, other: Client) -> None:
    ready = other.call(SyncobjCreateUser()).handle
    mine, done = other.share(ready, client), client.call(SyncobjCreateUser()).handle
    client.call(client.submit(user_in_points=(Point(mine, 1),), out_points=(Point(done, 1),)))

    client.device.close(other.file, client.device.now_ns)
    client.run(1)

    assert client.query(done) == 1


@pytest.mark.parametrize(("poison", "ran"), [(Poison.VALUE_AND_STATUS, True), (Poison.STATUS_ONLY, False)])
def test_an_engine_reads_numbers_not_statuses(poison: Poison, ran: bool) -> None:
    device = Device(replace(SYNCLINE, poison=poison))
    client, other = Client(device, device.open()), Client(device, device.open())
    ready = other.call(SyncobjCreateUser()).handle
    mine, done = other.share(ready, client), client.call(SyncobjCreateUser()).handle
    client.call(client.submit(user_in_points=(Point(mine, 1),), out_points=(Point(done, 1),)))

    device.close(other.file, device.now_ns)
    client.run(1000)

    assert client.query(done) == ran
    device.kernel.descriptors.close()


def test_a_file_that_closes_does_not_wait_for_anybodys_number(client: Client, other: Client) -> None:
    ready, done = other.call(SyncobjCreateUser()).handle, other.call(SyncobjCreateUser()).handle
    mine, out = other.share(ready, client), other.share(done, client)
    client.call(client.submit(user_in_points=(Point(mine, 1),), out_points=(Point(out, 1),)))
    client.call(client.submit(user_in_points=(Point(mine, 2),), out_points=(Point(out, 2),)))

    client.device.close(client.file, client.device.now_ns)

    assert other.query(done) == 2
    assert other.call(SyncobjQueryType(done)).status != 0
    other.call(SyncobjTimelineSignal((ready,), (9,)))
    other.run(10)
