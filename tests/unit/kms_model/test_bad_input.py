"""Whatever is wrong with a call, and whichever it is: an errno, and nothing has changed."""

import os
from dataclasses import replace
from errno import EINTR
from pathlib import Path
from typing import Any, Final, get_args, get_origin, get_type_hints

import msgspec
import pytest
from census import Census
from display import Client, World
from hypothesis import given, settings, strategies as st

from syncline.kms_model import packet, uapi
from syncline.kms_model.file import File
from syncline.kms_model.kms.mode import Output
from syncline.kms_model.profiles import SYNCLINE, CrtcLayout
from syncline.kms_model.quirks import UPSTREAM
from syncline.kms_model.task import ERESTARTSYS
from syncline.kms_model.uapi import AtomicFlag, DeviceError, Fd, HandleFlag, Request

RECORDS: Final = {
    record.__name__: record
    for record in vars(uapi).values()
    if isinstance(record, type) and issubclass(record, Request) and record is not Request
}
SMALL: Final = replace(
    SYNCLINE,
    crtcs=(CrtcLayout(output=Output("One", 64, 64), overlays=1, cursor=True, writeback=True),),
    modes=(),
)
POINT_FILE: Final = HandleFlag.SYNC_FILE | HandleFlag.TIMELINE
UNIMPORTANT: Final = frozenset(
    {
        ("Crtc", "fence_seqno"),  # out-fences count on, also for commits that fail (kernel.md 3.2)
        ("Connector", "fence_seqno"),
        ("Kernel", "_contexts"),
        ("Kernel", "trace"),
        ("Tickets", "_stamps"),  # of ww acquire contexts
    }
)
NUMBERS: Final = (
    -1,
    0,
    1,
    2,
    77,
    255,
    1 << 31,
    (1 << 32) - 1,
    1 << 32,
    1 << 63,
    (1 << 64) - 1,
    -(1 << 63),
    1 << 70,
)


class Bench:
    """A machine in the middle of things: every kind of object is there, signalled and not, shown and not."""

    def __init__(self) -> None:
        self.world = World(SMALL, UPSTREAM, allows_faults=True)
        kernel = self.world.device.kernel
        kernel.observer = kernel.trace = kernel.accesses = None
        self.client = client = Client(self.world, writeback=True)
        self.shown = client.light_up()
        self.dma_buf = client.dma_buf(client.handle)
        self.gem = client.handle
        self.spare = client.framebuffer()
        self.blob = client.blob(b"anything")
        self.sw_timeline = client.timeline()
        self.done, self.pending = client.fence(self.sw_timeline, 1), client.fence(self.sw_timeline, 2)
        client.signal(self.sw_timeline)
        client.call(uapi.DmaBufImportSyncFile(Fd(self.dma_buf), 1, Fd(self.pending)))
        self.empty, self.binary, self.timeline = (client.call(uapi.SyncobjCreate()).handle for _ in range(3))
        client.call(uapi.SyncobjFdToHandle(Fd(self.pending), self.binary, HandleFlag.SYNC_FILE))
        for point, sync_file in ((1, self.done), (3, self.pending)):
            client.call(uapi.SyncobjFdToHandle(Fd(sync_file), self.timeline, POINT_FILE, 0, point))
        client.call(uapi.SyncobjQuery((self.timeline,)))
        self.syncobj_fd = client.call(uapi.SyncobjHandleToFd(self.timeline)).fd
        self.user = client.user_fence()
        self.vgem = client.call(uapi.VgemFenceAttach(self.gem)).out_fence
        self.address = client.call(uapi.TokenAddress()).address
        self.token = client.call(uapi.TokenExport(Fd(self.pending), self.address)).token
        self.eventfd = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
        self.nothing = os.open(os.devnull, os.O_RDWR | os.O_CLOEXEC)
        self.pidfd = os.pidfd_open(os.getpid())
        self.stranger = self.world.device.open()
        self.debug = self.world.device.open(uapi.DEBUG_NODE)
        self.world.fds += [self.syncobj_fd, self.eventfd, self.nothing, self.pidfd]

    def good(self) -> dict[type[Request[Any]], Request[Any]]:
        """Every call as it should be made."""
        client, ids = self.client, self.client.ids
        commit = client.request(
            AtomicFlag.NONBLOCK | AtomicFlag.PAGE_FLIP_EVENT,
            ("primary0", "FB_ID", self.spare),
            ("primary0", "IN_FENCE_FD", self.pending),
            ("crtc0", "OUT_FENCE_PTR", 0x1000),
            ("writeback0", "CRTC_ID", ids["crtc0"]),
        )
        fill = uapi.Fill((0, 0, 4, 4), 0)
        submit = uapi.Submit(
            self.gem,
            (16, 16),
            64,
            (fill,),
            1,
            (uapi.Point(self.binary),),
            (uapi.Point(self.empty),),
            Fd(self.done),
        )
        requests: tuple[Request[Any], ...] = (
            uapi.CreateDumb(16, 16),
            uapi.GemClose(self.gem),
            uapi.PrimeHandleToFd(self.gem, os.O_CLOEXEC),
            uapi.PrimeFdToHandle(Fd(self.dma_buf)),
            uapi.DmaBufExportSyncFile(Fd(self.dma_buf), 1),
            uapi.DmaBufImportSyncFile(Fd(self.dma_buf), 1, Fd(self.pending)),
            uapi.DmaBufPoll(Fd(self.dma_buf), 5),
            uapi.DmaBufSync(Fd(self.dma_buf), 2),
            uapi.GemAttachUserFence(self.gem, self.user, 1),
            submit,
            uapi.ModeGetResources(),
            uapi.ModeGetConnector(ids["conn0"]),
            uapi.ModeGetPlane(ids["primary0"]),
            uapi.ModeObjGetProperties(ids["crtc0"]),
            uapi.ModeCreateBlob(b"data"),
            uapi.ModeDestroyBlob(self.blob),
            uapi.ModeAddFb2(64, 64, uapi.FORMAT_XRGB8888, self.gem, 256),
            uapi.ModeRmFb(self.spare),
            commit,
            uapi.ModePageFlip(ids["crtc0"], self.spare, 1),
            uapi.SetMaster(),
            uapi.DropMaster(),
            uapi.CrtcGetSequence(ids["crtc0"]),
            uapi.WaitVblank(ids["crtc0"], 1 << 20, event=True),
            uapi.SyncFileMerge(Fd(self.pending), Fd(self.done), "both"),
            uapi.SyncFileInfo(Fd(self.pending), 8),
            uapi.SyncFileSetDeadline(Fd(self.pending), 5),
            uapi.SwSyncCreateTimeline(),
            uapi.SwSyncCreateFence(Fd(self.sw_timeline), 9, "late"),
            uapi.SwSyncInc(Fd(self.sw_timeline), 1),
            uapi.SwSyncGetDeadline(Fd(self.sw_timeline), Fd(self.pending)),
            uapi.VgemFenceAttach(self.gem),
            uapi.VgemFenceSignal(self.vgem),
            uapi.GetCap(uapi.Cap.SYNCOBJ),
            uapi.SetClientCap(uapi.ClientCap.ASPECT_RATIO),
            uapi.SyncobjCreate(),
            uapi.SyncobjDestroy(self.empty),
            uapi.SyncobjHandleToFd(self.timeline, POINT_FILE, 0, 3),
            uapi.SyncobjFdToHandle(Fd(self.pending), self.timeline, POINT_FILE, 0, 5),
            uapi.SyncobjTransfer(self.binary, 0, self.timeline, 5, 0),
            uapi.SyncobjWait((self.binary,), 1 << 60),
            uapi.SyncobjTimelineWait((self.timeline, self.user), (3, 1), 1 << 60, 2),
            uapi.SyncobjEventfd(self.timeline, 3, Fd(self.eventfd), 0),
            uapi.SyncobjReset((self.binary, self.timeline)),
            uapi.SyncobjSignal((self.binary, self.timeline)),
            uapi.SyncobjTimelineSignal((self.timeline, self.user), (7, 7)),
            uapi.SyncobjQuery((self.timeline, self.user)),
            uapi.TokenAddress(),
            uapi.TokenExport(Fd(self.pending), self.address),
            uapi.TokenRedeem(self.token),
            uapi.SyncobjCreateUser(),
            uapi.SyncobjQueryType(self.user),
            uapi.SyncobjSetSignaller(self.user, Fd(self.pidfd)),
            uapi.SyncobjMapUser(self.user, write=True),
            uapi.InjectFault("lost-flip:2"),
            uapi.ClearFaults(),
        )
        return {type(request): request for request in requests}

    @property
    def foreign(self) -> tuple[int, ...]:
        """Descriptors of every kind, closed ones, and numbers that are none."""
        kinds = (self.sw_timeline, self.pending, self.dma_buf, self.syncobj_fd, self.eventfd, self.nothing)
        return (*kinds, self.pidfd, -1, 9_999, (1 << 31) - 1, 1 << 40)

    def census(self) -> Census:
        return Census(self.world.device, unimportant=UNIMPORTANT)

    def try_it(self, file: File, request: Request[Any]) -> tuple[int, ...]:
        """Make a call, and interrupt it if it sleeps. Its errno, if it is refused: then all is as before."""
        before, fds = self.census(), open_descriptors()
        pending = self.world.device.call(file, request, self.world.now_ns)
        pending.interrupt()
        try:
            self.world.fds += descriptors_in(pending.result())
        except DeviceError as refusal:
            assert open_descriptors() <= fds
            if refusal.errno not in (EINTR, ERESTARTSYS):  # a sleeper's fences go on signalling
                assert before.changes(self.census()) == []
                return (refusal.errno,)
        return ()

    def end(self) -> None:
        """As `World.close`, but that a vblank which was asked for may be years away."""
        world = self.world
        while world.fds:
            os.close(world.fds.pop())
        world.device.collect(world.now_ns)
        for file in tuple(world.device.files):
            world.run_until_done(world.device.close(file, world.now_ns))
        world.device.kernel.descriptors.close()


def bad(draw: Any, bench: Bench, hint: Any, value: Any) -> Any:
    """Something else of the type `hint` in the place of `value`."""
    if hint is Fd:
        return Fd(draw(st.sampled_from(bench.foreign)))
    if hint is int:
        return draw(st.sampled_from((*NUMBERS, value ^ 1, value + 1)))
    if hint is bool:
        return not value
    if hint in (str, bytes):
        texts = ("", "x" * 100, "no-such-thing", "\0", "memory:0", "é" * 40)
        text = draw(st.sampled_from(texts))
        return text if hint is str else text.encode()
    if get_origin(hint) is tuple:
        return bad_tuple(draw, bench, hint, value)
    if isinstance(value, msgspec.Struct):
        return spoilt(draw, bench, value)
    return draw(st.sampled_from((None, *NUMBERS))) if int in get_args(hint) else value


def bad_tuple(draw: Any, bench: Bench, hint: Any, value: Any) -> tuple[Any, ...]:
    """Shorter, or with one bad member."""
    if value is None or not value or (draw(st.booleans()) and ... in get_args(hint)):
        return value[:-1] if value else ()
    at = draw(st.integers(0, len(value) - 1))
    kinds = get_args(hint)
    kind = kinds[0] if ... in kinds else kinds[at]
    worse = (
        bad_property(draw, bench, value[at])
        if kind == tuple[int, int, int]
        else bad(draw, bench, kind, value[at])
    )
    return (*value[:at], worse, *value[at + 1 :])


def bad_property(draw: Any, bench: Bench, triple: tuple[int, int, int]) -> tuple[int, int, int]:
    """Of an atomic commit; its value may be a descriptor."""
    at = draw(st.integers(0, 2))
    values = (*NUMBERS, *bench.foreign) if at == 2 else NUMBERS
    changed = list(triple)
    changed[at] = draw(st.sampled_from(values))
    return changed[0], changed[1], changed[2]


def spoilt(draw: Any, bench: Bench, record: Any) -> Any:
    """`record` with one or two fields bad."""
    hints = get_type_hints(type(record))
    names = record.__struct_fields__
    if not names:
        return record
    wrong = draw(st.lists(st.sampled_from(names), min_size=1, max_size=2, unique=True))
    return msgspec.structs.replace(
        record, **{name: bad(draw, bench, hints[name], getattr(record, name)) for name in wrong}
    )


def descriptors_in(reply: object) -> list[int]:
    """What a call gave away."""
    if isinstance(reply, uapi.AtomicReply):
        return [fd for _, fd in reply.out_fences if fd >= 0]
    if isinstance(reply, uapi.SubmitReply):
        return [reply.out_fence] if reply.out_fence >= 0 else []
    return [reply.fd] if isinstance(reply, uapi.FdReply | uapi.SyncobjMapUserReply) else []


def open_descriptors() -> set[str]:
    return {path.name for path in Path("/proc/self/fd").iterdir()}


def test_there_is_a_good_example_of_every_call() -> None:
    bench = Bench()
    assert set(bench.good()) == set(RECORDS.values())
    bench.end()


@pytest.mark.parametrize("record", RECORDS.values(), ids=RECORDS)
def test_a_refused_call_changes_nothing(record: type[Request[Any]]) -> None:
    refusals: list[int] = []

    @settings(max_examples=12)
    @given(st.data())
    def try_something(data: st.DataObject) -> None:
        bench = Bench()
        try:
            request = spoilt(data.draw, bench, bench.good()[record])
            files = [bench.client.file, bench.stranger] + [bench.debug] * record.__module__.endswith(".debug")
            refusals.extend(bench.try_it(data.draw(st.sampled_from(files)), request))
        finally:
            bench.end()

    try_something()
    assert refusals or not record.__struct_fields__
    assert all(0 < errno < ERESTARTSYS for errno in refusals)


@pytest.mark.parametrize("record", RECORDS.values(), ids=RECORDS)
def test_a_value_of_the_wrong_type_does_not_reach_the_machine(record: type[Request[Any]]) -> None:
    """The node disconnects whoever sends one (test_node.py)."""
    bench = Bench()
    good = msgspec.to_builtins(bench.good()[record], builtin_types=(bytes,))
    bench.end()
    assert packet.decode_up(memoryview(msgspec.msgpack.encode([1, 7, good])))

    for at in range(1, len(good)):
        for wrong in ({}, 0.5, [[]]):
            with pytest.raises(msgspec.ValidationError):
                packet.decode_up(
                    memoryview(msgspec.msgpack.encode([1, 7, [*good[:at], wrong, *good[at + 1 :]]]))
                )
