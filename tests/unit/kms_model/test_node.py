"""A node and raw sockets in one process, on virtual time: what a peer may say, and what it gets for the rest."""

import asyncio
import logging
import os
import socket
import stat
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from errno import EBADF, EBUSY, EINVAL, EMSGSIZE, ENODEV, ENOENT, ETIME
from pathlib import Path
from typing import Any

import pytest

from syncline.kms_model import node as node_module
from syncline.kms_model.command import main, with_outputs
from syncline.kms_model.device import Device
from syncline.kms_model.loops import VirtualLoop, run_virtual
from syncline.kms_model.node import Node, NodeError, claimed, default_path
from syncline.kms_model.packet import (
    FDS_MAX,
    PACKET_MAX,
    VERSION,
    Batch,
    BatchDone,
    Call,
    Done,
    Down,
    Failed,
    Hello,
    Interrupt,
    Welcome,
    close_all,
    decode_down,
    decode_reply,
    encode,
    received,
    rights,
)
from syncline.kms_model.peer import CALLS_MAX
from syncline.kms_model.profiles import SYNCLINE, VGEM, VKMS
from syncline.kms_model.task import ERESTARTSYS
from syncline.kms_model.uapi import (
    DEBUG_NODE,
    CreateDumb,
    Fd,
    Fill,
    HandleReply,
    InjectFault,
    Point,
    Request,
    Submit,
    SyncobjCreate,
    SyncobjDestroy,
    SyncobjEventfd,
    SyncobjFdToHandle,
    SyncobjHandleToFd,
    SyncobjQuery,
    SyncobjQueryReply,
    SyncobjSignal,
    SyncobjTimelineSignal,
    SyncobjTimelineWait,
    SyncobjWait,
    WaitFlag,
)

MS = 1_000_000
FOREVER = (1 << 63) - 1


def open_fds() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


class Caller:
    """The other end of a connection, saying exactly what it is told to."""

    def __init__(self, loop: VirtualLoop, path: Path) -> None:
        self._loop = loop
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.sock.setblocking(False)
        self.sock.connect(str(path))
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 2 * PACKET_MAX)
        self.fds: list[int] = []

    def say(self, packet: Hello | Call[Any] | Batch[Any] | Interrupt, fds: Sequence[int] = ()) -> None:
        self.say_bytes(encode(packet), fds)

    def say_bytes(self, data: bytes, fds: Sequence[int] = ()) -> None:
        self.sock.sendmsg((data,), rights(fds))

    async def hear(self) -> Down | None:
        """The next packet, its descriptors in `fds`; None: the node has hung up."""
        readable = asyncio.Event()
        self._loop.add_reader(self.sock.fileno(), readable.set)
        await readable.wait()
        self._loop.remove_reader(self.sock.fileno())
        try:
            data, ancillary, _, _ = self.sock.recvmsg(PACKET_MAX, 4096)
        except ConnectionResetError:
            return None
        self.fds = received(ancillary)
        return decode_down(memoryview(data)) if data else None

    async def greet(self) -> "Caller":
        self.say(Hello(VERSION, "card"))
        assert isinstance(await self.hear(), Welcome)
        return self

    async def ask(self, request: Request[Any], serial: int = 1, fds: Sequence[int] = ()) -> Any:
        """The reply, or the errno."""
        self.say(Call(serial, request, tuple(range(1000, 1000 + len(fds)))), fds)
        answer = await self.hear()
        if isinstance(answer, Failed):
            assert answer.serial == serial
            return answer.errno
        assert isinstance(answer, Done)
        assert answer.serial == serial
        return decode_reply[type(request)](answer.reply)


class Bench:
    def __init__(self, loop: VirtualLoop, path: Path, device: Device) -> None:
        self.loop = loop
        self.path = path
        self.device = device
        self.callers: list[Caller] = []

    def caller(self) -> Caller:
        caller = Caller(self.loop, self.path)
        self.callers.append(caller)
        return caller

    async def greeted(self) -> Caller:
        return await self.caller().greet()


@asynccontextmanager
async def bench(loop: VirtualLoop, path: Path, device: Device) -> AsyncIterator[Bench]:
    with claimed(path) as listener:
        served = Node(device, loop, listener)
        running = Bench(loop, path, device)
        try:
            yield running
        finally:
            for caller in running.callers:
                caller.sock.close()
            served.close()
            device.kernel.descriptors.close()


def story(path: Path, tell: Any, profile: Any = SYNCLINE) -> None:
    """Run `tell(bench)` with a node at `path`. Nobody may leave a descriptor behind."""

    async def run(loop: VirtualLoop) -> None:
        async with bench(loop, path, Device(profile)) as running:
            await tell(running)

    run_virtual(run)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "syncline" / "card0"


def test_a_call_is_answered_under_its_serial(path: Path) -> None:
    async def tell(on: Bench) -> None:
        caller = await on.greeted()

        assert await caller.ask(SyncobjCreate(), serial=77) == HandleReply(1)
        assert await caller.ask(SyncobjDestroy(5), serial=78) == EINVAL

    story(path, tell)


def test_every_connection_is_an_open_with_handles_of_its_own(path: Path) -> None:
    async def tell(on: Bench) -> None:
        one, other = await on.greeted(), await on.greeted()

        assert await one.ask(SyncobjCreate()) == HandleReply(1)
        assert await other.ask(SyncobjCreate()) == HandleReply(1)

    story(path, tell)


def test_a_node_that_is_not_there_is_refused_by_errno(path: Path) -> None:
    async def tell(on: Bench) -> None:
        caller = on.caller()
        caller.say(Hello(VERSION, "render"))

        answer = await caller.hear()

        assert isinstance(answer, Failed)
        assert answer.errno == ENODEV

    story(path, tell, VKMS)


def test_a_sleeping_call_is_answered_when_it_ends_and_others_go_on_meanwhile(path: Path) -> None:
    async def tell(on: Bench) -> None:
        caller = await on.greeted()
        await caller.ask(SyncobjCreate())
        sleep = SyncobjWait((1,), on.loop.now_ns() + 50 * MS, WaitFlag.FOR_SUBMIT)
        caller.say(Call(2, sleep))

        assert await caller.ask(SyncobjQuery((1,)), serial=3) == SyncobjQueryReply((0,))
        before_ns = on.loop.now_ns()
        answer = await caller.hear()

        assert isinstance(answer, Failed)
        assert (answer.serial, answer.errno) == (2, ETIME)
        assert on.loop.now_ns() - before_ns == 50 * MS

    story(path, tell)


def test_another_call_wakes_the_sleeper_and_is_answered_before_it(path: Path) -> None:
    async def tell(on: Bench) -> None:
        caller = await on.greeted()
        await caller.ask(SyncobjCreate())
        caller.say(Call(2, SyncobjWait((1,), FOREVER, WaitFlag.FOR_SUBMIT)))
        caller.say(Call(3, SyncobjSignal((1,))))

        answers = [await caller.hear(), await caller.hear()]

        assert [answer.serial for answer in answers if isinstance(answer, Done)] == [3, 2]

    story(path, tell)


def test_an_interrupt_ends_a_sleeping_call_with_erestartsys(path: Path) -> None:
    async def tell(on: Bench) -> None:
        caller = await on.greeted()
        await caller.ask(SyncobjCreate())
        caller.say(Call(2, SyncobjWait((1,), FOREVER, WaitFlag.FOR_SUBMIT)))
        caller.say(Interrupt(2))

        answer = await caller.hear()

        assert isinstance(answer, Failed)
        assert (answer.serial, answer.errno) == (2, ERESTARTSYS)

    story(path, tell)


def test_an_interrupt_that_comes_too_late_changes_nothing(path: Path) -> None:
    async def tell(on: Bench) -> None:
        caller = await on.greeted()
        caller.say(Interrupt(12))

        assert await caller.ask(SyncobjCreate()) == HandleReply(1)

    story(path, tell)


def test_descriptors_travel_both_ways_and_mean_the_same_object(path: Path) -> None:
    async def tell(on: Bench) -> None:
        one, other = await on.greeted(), await on.greeted()
        await one.ask(SyncobjCreate())
        await one.ask(SyncobjTimelineSignal((1,), (9,)))
        reply = await one.ask(SyncobjHandleToFd(1))
        (fd,) = one.fds

        handle = await other.ask(SyncobjFdToHandle(Fd(1000)), fds=[fd])
        assert await other.ask(SyncobjQuery((handle.handle,))) == SyncobjQueryReply((9,))
        assert reply.fd >= 0
        os.close(fd)

    story(path, tell)


def test_a_callers_bad_descriptor_gets_the_kernels_errno(path: Path) -> None:
    async def tell(on: Bench) -> None:
        caller = await on.greeted()
        await caller.ask(SyncobjCreate())

        for number in (-1, 55, 1 << 20, (1 << 31) - 1):
            assert await caller.ask(SyncobjEventfd(1, 1, Fd(number))) == EBADF
        assert await caller.ask(SyncobjEventfd(99, 1, Fd(55))) == ENOENT

    story(path, tell)


def test_a_batch_stops_at_the_first_error_and_tells_what_came_before(path: Path) -> None:
    async def tell(on: Bench) -> None:
        caller = await on.greeted()
        caller.say(Batch(5, (SyncobjCreate(), SyncobjCreate(), SyncobjDestroy(99), SyncobjCreate())))

        answer = await caller.hear()

        assert isinstance(answer, BatchDone)
        assert len(answer.replies) == 2
        assert answer.failed == Failed(5, EINVAL, answer.failed.why if answer.failed else "")
        assert await caller.ask(SyncobjCreate()) == HandleReply(3)

    story(path, tell)


def test_a_batch_sleeps_where_its_calls_sleep(path: Path) -> None:
    async def tell(on: Bench) -> None:
        caller = await on.greeted()
        later_ns = on.loop.now_ns() + 5 * MS
        wait = SyncobjTimelineWait((1,), (1,), later_ns, WaitFlag.FOR_SUBMIT)
        signal = SyncobjTimelineSignal((1,), (1,))
        caller.say(
            Batch(1, (SyncobjCreate(), SyncobjTimelineWait((1,), (1,), FOREVER, WaitFlag.FOR_SUBMIT), wait))
        )
        caller.say(Call(2, signal))

        first = await caller.hear()
        second = await caller.hear()

        assert {type(first), type(second)} == {Done, BatchDone}
        done = first if isinstance(first, BatchDone) else second
        assert isinstance(done, BatchDone)
        assert done.failed is None
        assert len(done.replies) == 3

    story(path, tell)


HOSTILE = [
    ("garbage", b"\xc1\xc1\xc1"),
    ("a long text", b"GET / HTTP/1.1\r\n\r\n" * 100),
    ("an unknown call", b"\x94\x01\x01\x92\xa4Nope\x00\x90"),
    ("an answer", encode(Done(1, None))),
    ("a second hello", encode(Hello(VERSION, "card"))),
    ("an empty batch", encode(Batch(1, ()))),
    ("descriptors promised and not sent", encode(Call(1, SyncobjCreate(), (3, 4)))),
    ("more than a packet", b"\x00" * (PACKET_MAX + 1)),
]


@pytest.mark.parametrize(("what", "data"), HOSTILE, ids=[what for what, _ in HOSTILE])
def test_who_does_not_speak_the_language_is_disconnected_alone_and_logged_once(
    path: Path, caplog: pytest.LogCaptureFixture, what: str, data: bytes
) -> None:
    async def tell(on: Bench) -> None:
        rude, other = await on.greeted(), await on.greeted()

        rude.say_bytes(data)

        assert await rude.hear() is None
        assert await other.ask(SyncobjCreate()) == HandleReply(1)

    with caplog.at_level(logging.WARNING):
        story(path, tell)
    assert len(caplog.records) == 1
    assert f"process {os.getpid()} disconnected" in caplog.text


@pytest.mark.parametrize("first", [Call(1, SyncobjCreate()), Interrupt(1), Hello(VERSION + 1, "card")])
def test_the_first_packet_must_be_a_hello_of_this_version(path: Path, first: Any) -> None:
    async def tell(on: Bench) -> None:
        caller = on.caller()
        caller.say(first)

        assert await caller.hear() is None

    story(path, tell)


def test_a_flood_of_descriptors_disconnects_and_leaves_none_behind(path: Path) -> None:
    async def tell(on: Bench) -> None:
        rude = await on.greeted()
        before = open_fds()
        fds = [os.dup(0) for _ in range(FDS_MAX + 1)]
        rude.say(Call(1, SyncobjCreate(), tuple(fds)), fds)
        close_all(fds)

        assert await rude.hear() is None
        assert open_fds() == before - 1

    story(path, tell)


def test_descriptors_beside_garbage_are_closed(path: Path) -> None:
    async def tell(on: Bench) -> None:
        rude = await on.greeted()
        before = open_fds()
        rude.say_bytes(b"\xc1", [0, 0, 0])

        assert await rude.hear() is None
        assert open_fds() == before - 1

    story(path, tell)


def test_more_sleeping_calls_than_threads_would_fit_disconnect(path: Path) -> None:
    async def tell(on: Bench) -> None:
        rude = await on.greeted()
        await rude.ask(SyncobjCreate())
        for serial in range(2, CALLS_MAX + 3):
            rude.say(Call(serial, SyncobjWait((1,), FOREVER, WaitFlag.FOR_SUBMIT)))
            await asyncio.sleep(0)

        assert await rude.hear() is None

    story(path, tell)


@pytest.mark.parametrize("allows_faults", [True, False])
def test_the_debug_node_is_there_for_its_owner_if_the_device_was_made_with_one(
    path: Path, allows_faults: bool
) -> None:
    async def run(loop: VirtualLoop) -> None:
        async with bench(loop, path, Device(allows_faults=allows_faults)) as on:
            master, tester = await on.greeted(), on.caller()
            tester.say(Hello(VERSION, DEBUG_NODE))
            answer = await tester.hear()
            if not allows_faults:
                assert isinstance(answer, Failed)
                assert answer.errno == ENODEV
                return
            assert isinstance(answer, Welcome)
            await tester.ask(InjectFault("SyncobjCreate=EBUSY"))
            assert await master.ask(SyncobjCreate()) == EBUSY
            assert await tester.ask(InjectFault("rain"), serial=2) == EINVAL

    run_virtual(run)


def test_a_serial_that_is_in_use_disconnects(path: Path) -> None:
    async def tell(on: Bench) -> None:
        rude = await on.greeted()
        await rude.ask(SyncobjCreate())
        rude.say(Call(2, SyncobjWait((1,), FOREVER, WaitFlag.FOR_SUBMIT)))
        rude.say(Call(2, SyncobjQuery((1,))))

        assert await rude.hear() is None

    story(path, tell)


def test_who_never_reads_is_not_read_from_and_loses_nothing(path: Path) -> None:
    async def tell(on: Bench) -> None:
        lazy, other = await on.greeted(), await on.greeted()
        await lazy.ask(SyncobjCreate())
        asked = 0
        query = SyncobjQuery((1,) * 5_000)
        for serial in range(2, 2_000):
            try:
                lazy.say(Call(serial, query))
            except BlockingIOError:
                break
            asked += 1
            assert await other.ask(SyncobjCreate()) != EINVAL
        assert 10 < asked < 1_000

        for serial in range(2, 2 + asked):
            answer = await lazy.hear()
            assert isinstance(answer, Done)
            assert answer.serial == serial

    story(path, tell)


def test_a_reply_that_fits_no_packet_is_an_error_and_not_silence(path: Path) -> None:
    async def tell(on: Bench) -> None:
        caller = await on.greeted()
        await caller.ask(SyncobjCreate())
        await caller.ask(SyncobjTimelineSignal((1,), (1 << 40,)))

        assert await caller.ask(SyncobjQuery((1,) * 100_000)) == EMSGSIZE

    story(path, tell)


def test_when_a_peer_dies_its_jobs_and_handles_go_and_its_exports_stay(path: Path) -> None:
    async def tell(on: Bench) -> None:
        dying, other = await on.greeted(), await on.greeted()
        await dying.ask(CreateDumb(64, 64))
        await dying.ask(SyncobjCreate())
        whole = Fill((0, 0, 64, 64), 0)
        submit = Submit(1, (64, 64), 256, (whole,), 5 * MS, out_points=(Point(1, 1),))
        await dying.ask(submit)
        await dying.ask(SyncobjHandleToFd(1))
        (fd,) = dying.fds

        handle = (await other.ask(SyncobjFdToHandle(Fd(1000)), fds=[fd])).handle
        os.close(fd)
        dying.sock.close()

        reply = await other.ask(SyncobjTimelineWait((handle,), (1,), FOREVER))
        assert reply != ETIME
        assert await other.ask(SyncobjQuery((handle,))) == SyncobjQueryReply((1,))
        assert len(on.device.files) == 1

    story(path, tell)


def test_the_socket_is_for_its_owner_only_and_gone_in_the_end(path: Path) -> None:
    with claimed(path):
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    assert not path.exists()


def test_a_living_node_is_not_taken_over(path: Path) -> None:
    with claimed(path), pytest.raises(NodeError, match="already serves"), claimed(path):
        pass


def test_the_socket_of_a_dead_node_is_taken_over(path: Path) -> None:
    path.parent.mkdir()
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as dead:
        dead.bind(str(path))
        dead.listen()

    with claimed(path), socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as probe:
        probe.connect(str(path))


def test_a_file_that_is_no_socket_is_left_alone(path: Path) -> None:
    path.parent.mkdir()
    path.write_text("precious")

    with pytest.raises(NodeError, match="cannot make the socket"), claimed(path):
        pass
    assert path.read_text() == "precious"


def test_a_successor_s_socket_is_not_unlinked(path: Path) -> None:
    with claimed(path):
        path.unlink()
        path.write_text("the next one's")
    assert path.exists()


def test_the_default_place_is_in_the_runtime_directory() -> None:
    assert default_path("/run/user/7") == Path("/run/user/7/syncline/card0")
    with pytest.raises(NodeError, match="XDG_RUNTIME_DIR"):
        default_path(None)


def test_screens_can_be_chosen_by_text() -> None:
    crtcs = with_outputs(SYNCLINE, ["1920x1080@59.94", "800x600", "640x480@120"]).crtcs

    assert [(crtc.output.width, crtc.output.refresh_mhz) for crtc in crtcs] == [
        (1920, 59_940),
        (800, 60_000),
        (640, 120_000),
    ]
    assert len({crtc.output.name for crtc in crtcs}) == 3


@pytest.mark.parametrize(
    "text", ["", "1920", "1920x", "0x600", "800x600@0", "800x600@60Hz", "-1x5", "99999x5"]
)
def test_a_screen_that_makes_no_sense_is_refused(text: str) -> None:
    with pytest.raises(NodeError):
        with_outputs(SYNCLINE, [text])


def test_a_device_without_display_has_no_screens_to_choose() -> None:
    with pytest.raises(NodeError, match="no display"):
        with_outputs(VGEM, ["800x600"])


@pytest.mark.parametrize(
    ("words", "hint"),
    [
        (["--profile", "nvidia"], "there is no profile nvidia"),
        (["--output", "large"], "1920x1080@60"),
        (["--bogus"], "--bogus"),
    ],
)
def test_a_bad_command_line_is_one_sentence_and_exit_2(
    words: list[str], hint: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["--socket", str(tmp_path / "card0"), *words]) == 2
    assert hint in capsys.readouterr().err


def test_the_limit_of_connections_makes_the_next_one_wait(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(node_module, "PEERS_MAX", 2)

    async def tell(on: Bench) -> None:
        first, _second = await on.greeted(), await on.greeted()
        third = on.caller()
        third.say(Hello(VERSION, "card"))
        assert await first.ask(SyncobjCreate()) == HandleReply(1)
        assert len(on.device.files) == 2

        first.sock.close()

        assert isinstance(await third.hear(), Welcome)

    story(path, tell)
