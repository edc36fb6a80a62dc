"""Descriptors belong to messages in order, have one owner at a time, and are never forgotten."""

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from syncline.protocol.connection import Limits
from syncline.protocol.display import Global
from syncline.protocol.fd import ReceivedFd, duplicate_all
from syncline.protocol.object import NewId, Proxy, Resource
from syncline.protocol.outbox import FDS_PER_PACKET


class ServedPool(Resource):
    interface = "wl_shm_pool"

    def create_buffer(
        self, id: NewId, offset: int, width: int, height: int, stride: int, format: int
    ) -> None: ...

    def destroy(self) -> None: ...

    def resize(self, size: int) -> None: ...


class ServedShm(Resource):
    """Keeps the descriptors of even sizes, only looks at those of odd ones, refuses negative ones."""

    interface = "wl_shm"
    up_to = 1

    def __init__(self, new: NewId) -> None:
        super().__init__(new)
        self.log: list[str] = []
        self.kept: list[int] = []

    def create_pool(self, id: NewId, fd: ReceivedFd, size: int) -> None:
        if size < 0:
            raise self.error(2, "no such size")
        ServedPool(id)
        self.log.append(name_of(fd.fileno()))
        if size % 2 == 0:
            self.kept.append(fd.take())

    def on_destroyed(self) -> None:
        for each in self.kept:
            os.close(each)


class ServedKeyboard(Resource):
    interface = "wl_keyboard"
    up_to = 7

    def release(self) -> None: ...


class ServedSeat(Resource):
    interface = "wl_seat"
    up_to = 7

    def get_pointer(self, id: NewId) -> None: ...

    def get_keyboard(self, id: NewId) -> None:
        ServedKeyboard(id)

    def get_touch(self, id: NewId) -> None: ...

    def release(self) -> None: ...


class Shm(Proxy):
    interface = "wl_shm"
    ignored = ("format",)


class Pool(Proxy):
    interface = "wl_shm_pool"


class Seat(Proxy):
    interface = "wl_seat"
    ignored = ("capabilities", "name")


class Keyboard(Proxy):
    interface = "wl_keyboard"
    ignored = ("keymap", "enter", "leave", "key", "modifiers", "repeat_info")
    up_to = 7


OFFERS = [Global("wl_shm", 1, ServedShm), Global("wl_seat", 7, ServedSeat)]


def open_fds() -> set[int]:
    return {int(link.name) for link in Path("/proc/self/fd").iterdir() if link.exists()}


def name_of(fd: int) -> str:
    return str(Path(f"/proc/self/fd/{fd}").readlink()).removeprefix("/memfd:").removesuffix(" (deleted)")


@pytest.fixture(autouse=True)
def _nothing_leaks() -> Iterator[None]:
    before = open_fds()
    yield
    assert open_fds() == before


@pytest.fixture
def talk(_nothing_leaks: None, converse: Callable[..., Any]) -> Any:
    return converse(OFFERS)


@pytest.fixture
def memfd(_nothing_leaks: None) -> Iterator[Callable[[str], int]]:
    """Makes named descriptors that the test owns."""
    made: list[int] = []

    def make(name: str) -> int:
        made.append(os.memfd_create(name))
        return made[-1]

    yield make
    for each in made:
        os.close(each)


Memfd = Callable[[str], int]


def test_descriptors_follow_the_order_of_their_messages(talk: Any, memfd: Memfd) -> None:
    shm = talk.registry.bind_first(Shm)
    for at, name in enumerate(["one", "two", "three"]):
        shm.request_new("create_pool", Pool, memfd(name), at)

    talk.pump()

    served = talk.server.objects[shm.id]
    assert served.log == ["one", "two", "three"]
    assert [name_of(each) for each in served.kept] == ["one", "three"]


def test_the_sender_keeps_its_own(talk: Any, memfd: Memfd) -> None:
    mine = memfd("mine")
    talk.registry.bind_first(Shm).request_new("create_pool", Pool, mine, 1)
    talk.pump()

    assert name_of(mine) == "mine"


def test_a_refused_request_closes_what_came_with_it_and_after_it(talk: Any, memfd: Memfd) -> None:
    shm = talk.registry.bind_first(Shm)
    for size in (-1, 2, 3):
        shm.request_new("create_pool", Pool, memfd("x"), size)

    talk.pump()

    assert talk.client.error.code == 2
    assert talk.server.objects[shm.id].log == []


def test_a_message_without_its_descriptor_is_an_error(talk: Any) -> None:
    shm = talk.registry.bind_first(Shm)
    talk.client.send_raw(shm.id, 0, (4).to_bytes(4, "little") + (4096).to_bytes(4, "little"))

    talk.pump()

    assert (talk.client.error.object_id, talk.client.error.code) == (1, 1)


def test_a_descriptor_may_come_before_its_message(talk: Any, memfd: Memfd) -> None:
    shm = talk.registry.bind_first(Shm)
    shm.request_new("create_pool", Pool, memfd("early"), 1)
    ((data, fds),) = talk.client.take_output()

    talk.server.receive(data[:5], fds)
    talk.server.receive(data[5:])

    assert talk.server.objects[shm.id].log == ["early"]


def test_hoarding_descriptors_is_an_error(converse: Callable[..., Any], memfd: Memfd) -> None:
    talk = converse(OFFERS, limits=Limits(queued_fds=4))

    talk.server.receive(b"", duplicate_all([memfd("x")] * 4))
    assert talk.server.error is None
    talk.server.receive(b"", duplicate_all([memfd("x")]))

    assert (talk.server.error.object_id, talk.server.error.code) == (1, 2)


def test_descriptors_behind_an_error_do_not_wait_for_the_hangup(talk: Any, memfd: Memfd) -> None:
    shm = talk.registry.bind_first(Shm)
    shm.request_new("create_pool", Pool, memfd("refused"), -1)
    shm.request_new("create_pool", Pool, memfd("behind it"), 1)
    ((data, fds),) = talk.client.take_output()

    talk.server.receive(data, fds)

    assert not set(fds) & open_fds()


def test_descriptors_of_a_connection_that_ends_are_closed(talk: Any, memfd: Memfd) -> None:
    shm = talk.registry.bind_first(Shm)
    talk.server.receive(b"", duplicate_all([memfd("never asked for")]))
    shm.request_new("create_pool", Pool, memfd("never sent"), 1)

    talk.client.hang_up()
    talk.server.hang_up()
    talk.server.receive(b"late", duplicate_all([memfd("after the end")]))


def test_an_event_nobody_wants_closes_its_descriptor(talk: Any, memfd: Memfd) -> None:
    keyboard = talk.registry.bind_first(Seat).request_new("get_keyboard", Keyboard)
    talk.pump()

    talk.server.objects[keyboard.id].send("keymap", 1, memfd("keymap"), 6)
    talk.pump()

    assert talk.client.error is None


def test_an_event_to_a_destroyed_object_takes_its_own_descriptor_and_no_other(
    talk: Any, memfd: Memfd
) -> None:
    seat = talk.registry.bind_first(Seat)
    gone, kept = (seat.request_new("get_keyboard", Keyboard) for _ in range(2))
    talk.pump()
    heard: list[str] = []
    kept.incoming = tuple(
        (decode, (lambda _self, _format, fd, _size: heard.append(name_of(fd.fileno()))), particulars, plain)
        for decode, _, particulars, plain in kept.incoming[:1]
    )

    gone.send("release")
    for each, name in ((gone, "for the dead"), (kept, "for the living")):
        talk.server.objects[each.id].send("keymap", 1, memfd(name), 6)
    talk.to_client()

    assert heard == ["for the living"]


def test_a_packet_has_no_more_descriptors_than_libwayland_can_take(talk: Any, memfd: Memfd) -> None:
    shm = talk.registry.bind_first(Shm)
    for at in range(FDS_PER_PACKET + 2):
        shm.request_new("create_pool", Pool, memfd(f"{at}"), 1)

    packets = talk.client.take_output()
    assert [len(fds) for _, fds in packets] == [FDS_PER_PACKET, 2]

    for data, fds in packets:
        talk.server.receive(data, fds)
    assert talk.server.objects[shm.id].log == [f"{at}" for at in range(FDS_PER_PACKET + 2)]


def test_a_received_descriptor_is_closed_once_and_not_after_it_was_taken(memfd: Memfd) -> None:
    lent = ReceivedFd(os.dup(memfd("lent")))
    lent.close()
    lent.close()
    with pytest.raises(AssertionError, match="has been taken"):
        lent.fileno()

    kept = ReceivedFd(os.dup(memfd("kept")))
    number = kept.take()
    kept.close()
    assert name_of(number) == "kept"
    os.close(number)


def test_duplicating_is_all_or_nothing(memfd: Memfd) -> None:
    with pytest.raises(OSError, match="Bad file descriptor"):
        duplicate_all([memfd("fine"), 2**30])
