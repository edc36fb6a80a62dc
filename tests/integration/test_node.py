"""Real processes, real sockets, real descriptors: a node, its callers, and what happens when one of them dies."""

import asyncio
import mmap
import os
import select
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from errno import E2BIG, EBADF, EBUSY, EINVAL, ENODEV, ENOENT, ENOMEM, ENOSPC, ETIME
from pathlib import Path

import msgspec
import pytest

from syncline.kms_model.loops import RealLoop, run_real
from syncline.kms_model.packet import PACKET_MAX
from syncline.kms_model.remote import RemoteFile
from syncline.kms_model.uapi import (
    DEBUG_NODE,
    AtomicFlag,
    AtomicReply,
    Blit,
    ClearFaults,
    ClientCap,
    CreateDumb,
    DeviceError,
    Fd,
    Fill,
    FlipComplete,
    GemClose,
    HandleReply,
    InjectFault,
    ModeAddFb2,
    ModeAtomic,
    ModeCreateBlob,
    ModeGetConnector,
    ModeGetPlane,
    ModeGetResources,
    ModeObjGetProperties,
    Point,
    PrimeFdToHandle,
    PrimeHandleToFd,
    Request,
    SetClientCap,
    Submit,
    SyncFileInfo,
    SyncFileMerge,
    SyncobjCreate,
    SyncobjDestroy,
    SyncobjEventfd,
    SyncobjFdToHandle,
    SyncobjHandleToFd,
    SyncobjQuery,
    SyncobjTimelineSignal,
    SyncobjTimelineWait,
    SyncobjTransfer,
    WaitFlag,
    WaitVblank,
    encode_mode,
)

MS = 1_000_000
FOREVER = (1 << 63) - 1
RED = 0xFFFF0000


@dataclass
class NodeProcess:
    """A node in a process of its own."""

    path: Path
    process: "subprocess.Popen[bytes]"

    def open(self) -> RemoteFile:
        return RemoteFile(self.path)

    def descriptors(self, file: RemoteFile) -> int:
        """How many it has open. The round trip makes sure that it is done with the calls before."""
        file.call(SyncobjDestroy(file.call(SyncobjCreate()).handle))
        return len(list(Path(f"/proc/{self.process.pid}/fd").iterdir()))

    def resident_bytes(self) -> int:
        return int(Path(f"/proc/{self.process.pid}/statm").read_text().split()[1]) * mmap.PAGESIZE


def start(path: Path, *words: str) -> NodeProcess:
    """Start a node and return when callers may connect."""
    reader, writer = os.pipe()
    command = [
        sys.executable,
        "-m",
        "syncline.kms_model",
        "--socket",
        str(path),
        "--ready",
        f"fd:{writer}",
        *words,
    ]
    process = subprocess.Popen(command, pass_fds=[writer])
    os.close(writer)
    told = os.read(reader, 100)
    os.close(reader)
    if told != b"ready\n":
        raise AssertionError(f"the node ended with {process.wait()} before it was ready")
    return NodeProcess(path, process)


@pytest.fixture
def node(tmp_path: Path) -> Iterator[NodeProcess]:
    running = start(tmp_path / "syncline" / "card0")
    yield running
    running.process.terminate()
    assert running.process.wait(10) in {0, -signal.SIGKILL}


@pytest.fixture
def file(node: NodeProcess) -> Iterator[RemoteFile]:
    opened = node.open()
    yield opened
    opened.close()


def errno_of(file: RemoteFile, request: "Request[object]") -> int:
    with pytest.raises(DeviceError) as refusal:
        file.call(request)
    return refusal.value.errno


@dataclass
class Child:
    """A forked process with one end of a socket pair. It runs `life` and never comes back."""

    pid: int
    sock: socket.socket

    def kill(self) -> None:
        os.kill(self.pid, signal.SIGKILL)
        os.waitpid(self.pid, 0)

    def reap(self) -> int:
        return os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])


def fork(life: Callable[[socket.socket], None]) -> Child:
    ours, theirs = socket.socketpair()
    pid = os.fork()
    if pid:
        theirs.close()
        return Child(pid, ours)
    try:
        ours.close()
        life(theirs)
        os._exit(0)
    finally:
        os._exit(1)


def test_a_process_signals_a_point_that_another_waits_for(node: NodeProcess, file: RemoteFile) -> None:
    def life(sock: socket.socket) -> None:
        mine = node.open()
        handle = mine.call(SyncobjCreate()).handle
        socket.send_fds(sock, [b"timeline"], [mine.call(SyncobjHandleToFd(handle)).fd])
        assert sock.recv(10) == b"go"
        mine.call(SyncobjTimelineSignal((handle,), (3,)))

    child = fork(life)
    _, (fd,), _, _ = socket.recv_fds(child.sock, 100, 1)
    handle = file.call(SyncobjFdToHandle(Fd(fd))).handle
    eventfd = os.eventfd(0)
    file.call(SyncobjEventfd(handle, 3, Fd(eventfd)))

    child.sock.send(b"go")
    file.call(SyncobjTimelineWait((handle,), (3,), FOREVER, WaitFlag.FOR_SUBMIT))

    assert os.eventfd_read(eventfd) == 1
    assert file.call(SyncobjQuery((handle,))).points == (3,)
    assert child.reap() == 0
    os.close(eventfd)
    os.close(fd)
    child.sock.close()


def test_a_killed_caller_takes_its_own_things_along_and_nothing_else(
    node: NodeProcess, file: RemoteFile
) -> None:
    file.call(SyncobjCreate())
    before = node.descriptors(file)

    def life(sock: socket.socket) -> None:
        mine = node.open()
        handles = [mine.call(CreateDumb(64, 64)).handle for _ in range(20)]
        timeline = mine.call(SyncobjCreate()).handle
        for handle in handles:
            mine.call(Submit(handle, (64, 64), 256, (), 50 * MS, out_points=(Point(timeline, handle),)))
        socket.send_fds(sock, [b"x"], [mine.call(SyncobjHandleToFd(timeline)).fd])
        mine.call(SyncobjTimelineWait((timeline,), (999,), FOREVER, WaitFlag.FOR_SUBMIT))

    child = fork(life)
    _, (fd,), _, _ = socket.recv_fds(child.sock, 100, 1)
    child.kill()

    timeline = file.call(SyncobjFdToHandle(Fd(fd))).handle
    file.call(SyncobjTimelineWait((timeline,), (20,), FOREVER))
    assert file.call(SyncobjQuery((timeline,))).points == (20,)
    file.call(SyncobjDestroy(timeline))
    os.close(fd)
    assert file.call(SyncobjCreate()) == HandleReply(2)
    assert node.descriptors(file) == before
    child.sock.close()


def test_garbage_from_one_process_is_no_business_of_another(node: NodeProcess, file: RemoteFile) -> None:
    rude = node.open()
    rude._sock.send(b"\xff" * 1000)

    assert errno_of(rude, SyncobjCreate()) == ENODEV
    assert file.call(SyncobjCreate()) == HandleReply(1)
    rude.close()


def test_ten_thousand_objects_come_and_go_without_a_trace(node: NodeProcess, file: RemoteFile) -> None:
    def rounds(count: int) -> None:
        for _ in range(count):
            (created, exported, _), failed = file.batch(
                [SyncobjCreate(), SyncobjHandleToFd(1), SyncobjDestroy(1)]
            )
            assert failed is None
            assert created == HandleReply(1)
            os.close(exported.fd)
            (_, exported, _), failed = file.batch([CreateDumb(64, 64), PrimeHandleToFd(1), GemClose(1)])
            assert failed is None
            os.close(exported.fd)

    rounds(1_000)
    descriptors, resident = node.descriptors(file), node.resident_bytes()
    rounds(5_000)

    assert node.descriptors(file) == descriptors
    assert node.resident_bytes() - resident < 1 << 20


def test_what_a_job_paints_is_read_through_the_exported_buffer(file: RemoteFile) -> None:
    target = file.call(CreateDumb(64, 64)).handle
    fd = file.call(PrimeHandleToFd(target)).fd
    pixels = mmap.mmap(fd, 64 * 64 * 4, mmap.MAP_SHARED, mmap.PROT_READ)

    fill = Fill((0, 0, 64, 64), RED)
    fence = file.call(Submit(target, (64, 64), 256, (fill,), 20 * MS, out_fence=True)).out_fence

    assert not any(pixels[-4:])
    assert select.select([fence], [], [])[0] == [fence]
    assert pixels[:] == RED.to_bytes(4, "little") * 64 * 64
    assert file.call(SyncFileInfo(fence)).status == 1
    file.close_fd(fence)
    pixels.close()
    os.close(fd)


def test_a_buffer_is_one_object_in_every_process(node: NodeProcess, file: RemoteFile) -> None:
    other = node.open()
    fd = file.call(PrimeHandleToFd(file.call(CreateDumb(64, 64)).handle)).fd

    first = other.call(PrimeFdToHandle(fd))

    assert other.call(PrimeFdToHandle(fd)) == first
    os.close(fd)
    other.close()


def test_bad_descriptors_reach_the_device_as_bad_ones(file: RemoteFile) -> None:
    file.call(SyncobjCreate())
    target = file.call(CreateDumb(64, 64)).handle
    good = file.call(Submit(target, (64, 64), 256, (), 0, out_fence=True)).out_fence
    closed = Fd(os.dup(0))
    os.close(closed)

    for bad in (closed, Fd(-1), Fd(1 << 40)):
        assert errno_of(file, SyncobjEventfd(1, 1, bad)) == EBADF
        assert errno_of(file, SyncobjFdToHandle(bad)) == EINVAL
        assert errno_of(file, SyncFileMerge(good, bad)) == ENOENT
    assert errno_of(file, Submit(target, (64, 64), 256, (), 0, in_fence=closed)) == EINVAL
    assert file.call(SyncFileInfo(good)).num_fences == 1
    os.close(good)


def test_a_list_as_large_as_a_packet_passes_and_a_larger_one_is_refused_here(file: RemoteFile) -> None:
    handle = file.call(CreateDumb(64, 64)).handle
    clip = tuple((x, y, 1, 1) for x in range(15) for y in range(32))
    blit = Blit(handle, (64, 64), 256, (0, 0, 64 << 8, 64 << 8), (0, 0, 64, 64), clip)
    submit = Submit(handle, (64, 64), 256, (blit,), 0)
    assert file.call(submit).seqno == 1

    many = msgspec.structs.replace(submit, commands=(blit,) * 110)
    assert len(msgspec.msgpack.encode(many)) > PACKET_MAX
    assert errno_of(file, many) == E2BIG
    assert file.call(submit).seqno == 2


def test_waiting_leaves_the_loop_free(file: RemoteFile) -> None:
    file.call(SyncobjCreate())
    forever = SyncobjTimelineWait((1,), (1,), FOREVER, WaitFlag.FOR_SUBMIT)

    async def life(loop: RealLoop) -> None:
        sleeper = asyncio.ensure_future(file.wait(forever))
        with pytest.raises(DeviceError) as refusal:
            await file.wait(SyncobjTimelineWait((1,), (1,), loop.now_ns() + 5 * MS, WaitFlag.FOR_SUBMIT))
        assert refusal.value.errno == ETIME
        assert file.call(SyncobjQuery((1,))).points == (0,)
        file.call(SyncobjTimelineSignal((1,), (1,)))
        await sleeper

    run_real(life)


def test_cancelling_a_wait_is_a_signal_for_the_call(file: RemoteFile) -> None:
    source, target = (file.call(SyncobjCreate()).handle for _ in range(2))
    transfer = SyncobjTransfer(source, 1, target, 1, WaitFlag.FOR_SUBMIT)

    async def life(_: RealLoop) -> None:
        abandoned = asyncio.ensure_future(file.wait(transfer))
        await asyncio.sleep(0)
        abandoned.cancel()
        with pytest.raises(asyncio.CancelledError):
            await abandoned

    run_real(life)
    file.call(SyncobjTimelineSignal((source,), (1,)))
    assert file.call(SyncobjQuery((source, target))).points == (1, 0)
    assert file._asked == {}
    assert file._outcomes == {}


def test_when_the_node_is_killed_everybody_hears_enodev(node: NodeProcess, file: RemoteFile) -> None:
    file.call(SyncobjCreate())

    async def life(_: RealLoop) -> None:
        forever = SyncobjTimelineWait((1,), (1,), FOREVER, WaitFlag.FOR_SUBMIT)
        sleeper = asyncio.ensure_future(file.wait(forever))
        await asyncio.sleep(0)
        node.process.kill()
        with pytest.raises(DeviceError) as refusal:
            await sleeper
        assert refusal.value.errno == ENODEV

    run_real(life)
    assert select.select([file.fileno()], [], [], 0)[0]
    with pytest.raises(DeviceError) as refusal:
        file.read_events()
    assert refusal.value.errno == ENODEV
    assert errno_of(file, SyncobjCreate()) == ENODEV


def test_sigterm_ends_a_node_cleanly(tmp_path: Path) -> None:
    running = start(tmp_path / "card0")
    file = running.open()

    running.process.terminate()

    assert running.process.wait(10) == 0
    assert not running.path.exists()
    assert errno_of(file, SyncobjCreate()) == ENODEV
    file.close()


def test_a_second_node_says_one_sentence_and_a_dead_one_is_succeeded(node: NodeProcess) -> None:
    second = subprocess.run(
        [sys.executable, "-m", "syncline.kms_model", "--socket", str(node.path)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert second.returncode == 2
    assert second.stderr.count("\n") == 1
    assert "already serves" in second.stderr

    node.process.kill()
    node.process.wait()
    assert node.path.exists()
    successor = start(node.path)
    file = successor.open()
    assert file.call(SyncobjCreate()) == HandleReply(1)
    file.close()
    successor.process.terminate()
    assert successor.process.wait(10) == 0


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["--socket", "/proc/x/card0"], "cannot make the folder /proc/x"),
        (["--socket", "card0", "--ready", "/proc/x"], "cannot write to /proc/x"),
        (["--socket", "card0", "--ready", "fd:999"], "cannot write to fd:999"),
        (["--socket", "card0", "--events", "fd:999"], "cannot write events to fd:999"),
    ],
)
def test_what_a_node_cannot_do_is_one_sentence_and_nothing_is_left(
    tmp_path: Path, words: list[str], sentence: str
) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "syncline.kms_model", *words],
        capture_output=True,
        text=True,
        check=False,
        cwd=tmp_path,
    )

    assert (done.returncode, done.stdout) == (2, "")
    assert sentence in done.stderr
    assert done.stderr.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


def test_the_event_stream_is_lines_of_json(tmp_path: Path) -> None:
    running = start(tmp_path / "card0", "--events", str(tmp_path / "events"))
    file = running.open()
    target = file.call(CreateDumb(64, 64)).handle
    reply = file.call(Submit(target, (64, 64), 256, (), MS, out_fence=True, label="frame 1"))
    select.select([reply.out_fence], [], [])
    os.close(reply.out_fence)
    file.close()
    running.process.terminate()
    assert running.process.wait(10) == 0

    events = [msgspec.json.decode(line) for line in (tmp_path / "events").read_bytes().splitlines()]

    assert [event["stage"] for event in events if event["ev"] == "job"] == ["queued", "run", "done"]


@dataclass
class Screen:
    """The first CRTC with its primary plane and connector, and the names of their properties."""

    file: RemoteFile
    crtc: int
    plane: int
    connector: int

    def prop(self, obj: int, name: str) -> int:
        properties = self.file.call(ModeObjGetProperties(obj)).properties
        return next(prop.prop_id for prop in properties if prop.name == name)

    def props(self, obj: int, **values: int) -> list[tuple[int, int, int]]:
        return [(obj, self.prop(obj, name), value) for name, value in values.items()]


@pytest.fixture
def screen(file: RemoteFile) -> Screen:
    file.call(SetClientCap(ClientCap.ATOMIC))
    resources = file.call(ModeGetResources())
    crtc = resources.crtcs[0]
    plane = next(
        plane
        for plane in resources.planes
        if crtc in file.call(ModeGetPlane(plane)).possible_crtcs
        and any(p.name == "type" and p.value == 1 for p in file.call(ModeObjGetProperties(plane)).properties)
    )
    return Screen(file, crtc, plane, resources.connectors[0])


def modeset(screen: Screen) -> tuple[int, list[tuple[int, int, int]]]:
    """Framebuffer id, and the properties of a commit that shows it on a CRTC that is off."""
    mode = screen.file.call(ModeGetConnector(screen.connector)).modes[0]
    dumb = screen.file.call(CreateDumb(mode.hdisplay, mode.vdisplay))
    fb = screen.file.call(ModeAddFb2(mode.hdisplay, mode.vdisplay, 0x34325258, dumb.handle, dumb.pitch)).fb_id
    blob = screen.file.call(ModeCreateBlob(encode_mode(mode))).blob_id
    size = {"SRC_W": mode.hdisplay << 16, "SRC_H": mode.vdisplay << 16}
    size |= {"CRTC_W": mode.hdisplay, "CRTC_H": mode.vdisplay}
    return fb, [
        *screen.props(screen.crtc, MODE_ID=blob, ACTIVE=1),
        *screen.props(screen.connector, CRTC_ID=screen.crtc),
        *screen.props(screen.plane, FB_ID=fb, CRTC_ID=screen.crtc, **size),
    ]


def test_a_flip_waits_for_a_fence_of_the_caller_and_its_event_makes_the_file_readable(screen: Screen) -> None:
    file = screen.file
    fb, props = modeset(screen)
    event = AtomicFlag.PAGE_FLIP_EVENT
    file.call(ModeAtomic(event | AtomicFlag.ALLOW_MODESET, tuple(props), user_data=1))
    target = file.call(CreateDumb(64, 64)).handle
    fence = file.call(Submit(target, (64, 64), 256, (), 30 * MS, out_fence=True)).out_fence
    flip = [
        *screen.props(screen.plane, FB_ID=fb, IN_FENCE_FD=fence),
        *screen.props(screen.crtc, OUT_FENCE_PTR=4096),
    ]

    reply = file.call(ModeAtomic(event | AtomicFlag.NONBLOCK, tuple(flip), user_data=2))
    assert isinstance(reply, AtomicReply)
    ((pointer, out_fence),) = reply.out_fences
    events: list[FlipComplete] = []
    while len(events) < 2:
        assert select.select([file.fileno()], [], [])[0]
        events += file.read_events()

    assert pointer == 4096
    assert [event.user_data for event in events] == [1, 2]
    assert select.select([out_fence], [], [], 0)[0] == [out_fence]
    fence_info = file.call(SyncFileInfo(fence, num_fences=1)).fences[0]
    assert events[1].time_ns >= fence_info.timestamp_ns
    os.close(fence)
    os.close(out_fence)


def test_an_event_that_a_call_met_on_its_way_keeps_the_file_readable(screen: Screen) -> None:
    file = screen.file
    assert not select.select([file.fileno()], [], [], 0)[0]
    _, props = modeset(screen)
    flags = AtomicFlag.PAGE_FLIP_EVENT | AtomicFlag.ALLOW_MODESET | AtomicFlag.NONBLOCK
    reply = file.call(ModeAtomic(flags, (*props, *screen.props(screen.crtc, OUT_FENCE_PTR=1)), user_data=7))
    out_fence = reply.out_fences[0][1]
    assert select.select([out_fence], [], [])[0]

    file.call(SyncobjCreate())

    assert select.select([file.fileno()], [], [], 0)[0]
    assert [event.user_data for event in file.read_events()] == [7]
    assert not select.select([file.fileno()], [], [], 0)[0]
    os.close(out_fence)


def test_unread_events_take_the_room_that_drm_gives_them(screen: Screen) -> None:
    file = screen.file
    _, props = modeset(screen)
    file.call(ModeAtomic(AtomicFlag.ALLOW_MODESET, tuple(props)))
    past = WaitVblank(screen.crtc, 0, event=True)
    for _ in range(128):
        file.call(past)

    assert errno_of(file, past) == ENOMEM
    assert len(file.read_events()) == 128
    assert file.call(past) is not None
    assert len(file.read_events()) == 1


def test_a_closed_descriptor_as_a_fence_of_a_plane_is_einval(screen: Screen) -> None:
    fb, props = modeset(screen)
    closed = os.dup(0)
    os.close(closed)

    for bad in (closed, 0, 1 << 31, -2):
        fence = screen.props(screen.plane, IN_FENCE_FD=bad)
        commit = ModeAtomic(AtomicFlag.ALLOW_MODESET | AtomicFlag.TEST_ONLY, (*props, *fence))
        assert errno_of(screen.file, commit) == EINVAL, (fb, bad)


# -- faults ------------------------------------------------------------------------------------------


def test_faults_are_injected_from_outside_while_the_node_runs(tmp_path: Path) -> None:
    node = start(tmp_path / "card0", "--allow-faults", "--fault", "SyncobjCreate=ENOSPC:2")
    card, debug = RemoteFile(node.path), RemoteFile(node.path, DEBUG_NODE)

    assert card.call(SyncobjCreate()).handle == 1
    assert errno_of(card, SyncobjCreate()) == ENOSPC
    debug.call(InjectFault("SyncobjCreate=EBUSY:1:*"))
    assert errno_of(card, SyncobjCreate()) == EBUSY
    debug.call(ClearFaults())
    assert card.call(SyncobjCreate()).handle == 2
    debug.call(InjectFault("unplug"))
    assert errno_of(card, SyncobjCreate()) == ENODEV

    card.close()
    debug.close()
    node.process.terminate()
    assert node.process.wait(10) == 0


def test_a_full_disk_ends_the_events_and_not_the_node(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    node = start(tmp_path / "card0", "--events", "/dev/full")
    card = RemoteFile(node.path)
    submit = _painting(card)
    for _ in range(3):
        card.call(submit)
    card.close()
    node.process.terminate()

    assert node.process.wait(10) == 1
    assert capfd.readouterr().err == (
        "syncline device: no more events are written to /dev/full: No space left on device\n"
    )


def _painting(card: RemoteFile) -> Submit:
    """A job that is traced."""
    target = card.call(CreateDumb(width=1, height=1))
    return Submit(target=target.handle, target_size=(1, 1), pitch=target.pitch, commands=(), duration_ns=0)
