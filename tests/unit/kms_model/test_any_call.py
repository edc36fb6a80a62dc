"""Whatever user space says, in whatever order: a reply, a refusal, or a sleep that ends. Never a fault of ours."""

import gc
import os
import random
from collections.abc import Callable
from typing import Any

import msgspec
import pytest

from syncline.kms_model import uapi
from syncline.kms_model.buffers.buffer import DmaBuf
from syncline.kms_model.device import Device
from syncline.kms_model.fences.sw_sync import SwSyncTimeline
from syncline.kms_model.fences.sync_file import SyncFile
from syncline.kms_model.syncobj.syncobj import Syncobj
from syncline.kms_model.uapi import DeviceError

MS = 1_000_000
STEPS = 400
CALLS = [
    uapi.SyncobjCreate,
    uapi.SyncobjDestroy,
    *[uapi.SyncobjHandleToFd, uapi.SyncobjFdToHandle] * 2,
    uapi.SyncobjTransfer,
    uapi.SyncobjWait,
    uapi.SyncobjTimelineWait,
    uapi.SyncobjEventfd,
    uapi.SyncobjReset,
    uapi.SyncobjSignal,
    uapi.SyncobjTimelineSignal,
    uapi.SyncobjQuery,
    uapi.SyncobjCreateUser,
    uapi.SyncobjQueryType,
    uapi.SyncobjMapUser,
    uapi.SyncobjSetSignaller,
    uapi.SyncFileMerge,
    uapi.SyncFileInfo,
    uapi.SyncFileSetDeadline,
    uapi.SwSyncCreateTimeline,
    *[uapi.SwSyncCreateFence] * 2,
    uapi.SwSyncInc,
    uapi.SwSyncGetDeadline,
    uapi.VgemFenceAttach,
    uapi.VgemFenceSignal,
    uapi.CreateDumb,
    uapi.GemClose,
    uapi.PrimeHandleToFd,
    uapi.PrimeFdToHandle,
    uapi.DmaBufExportSyncFile,
    uapi.DmaBufImportSyncFile,
    uapi.DmaBufSync,
]
ABSURD = [-1, -(1 << 63), 1 << 31, (1 << 63) - 1, 1 << 63, (1 << 64) - 1, -(1 << 70), 1 << 70]
FLAGS = {
    uapi.DmaBufExportSyncFile: [1, 2, 3],
    uapi.DmaBufImportSyncFile: [1, 2, 3],
    uapi.DmaBufSync: [1, 2, 3, 5],
    uapi.SyncobjHandleToFd: [0, 1, 3, 3, 1 << 31],
    uapi.SyncobjFdToHandle: [0, 1, 3, 3],
    uapi.SyncobjTransfer: [0, 0, 2],
    uapi.SyncobjWait: [0, 1, 2, 3, 8, 10],
    uapi.SyncobjTimelineWait: [0, 1, 2, 3, 6, 7, 8, 10],
    uapi.SyncobjEventfd: [0, 4],
    uapi.SyncobjCreate: [0, 1],
    uapi.VgemFenceAttach: [0, 1],
}
WANTED = {
    uapi.SyncobjFdToHandle: (Syncobj, SyncFile),
    uapi.SyncFileInfo: (SyncFile,),
    uapi.SyncFileSetDeadline: (SyncFile,),
    uapi.PrimeFdToHandle: (DmaBuf,),
    uapi.DmaBufExportSyncFile: (DmaBuf,),
    uapi.DmaBufImportSyncFile: (DmaBuf,),
    uapi.DmaBufSync: (DmaBuf,),
}


class Session:
    """Two files, mostly sensible arguments, now and then absurd ones."""

    def __init__(self, seed: int) -> None:
        self.dice = random.Random(seed)
        self.device = Device()
        self.device.advance(100 * MS)
        self.files = [self.device.open(), self.device.open()]
        self.own = [os.eventfd(0, os.EFD_NONBLOCK), os.open("/dev/null", os.O_RDWR)]
        self.fds: list[int] = []
        self.sleeping: list[Any] = []
        self.errnos: set[int] = set()

    def step(self) -> None:
        verbs: list[Callable[[], None]] = [self.call, self.close_fd, self.wait, self.interrupt, self.reopen]
        self.dice.choices(verbs, (200, 6, 4, 2, 1))[0]()
        self.sleeping = [pending for pending in self.sleeping if not pending.done]

    def call(self) -> None:
        kind = self.dice.choice(CALLS)
        request = kind(
            **{field.name: self._value(kind, field.name) for field in msgspec.structs.fields(kind)}
        )
        pending = self.device.call(self.dice.choice(self.files), request, self.device.now_ns)
        pending.add_done_callback(self._ended)
        if not pending.done:
            self.sleeping.append(pending)

    def close_fd(self) -> None:
        if self.fds:
            os.close(self.fds.pop(self.dice.randrange(len(self.fds))))
            self.device.collect(self.device.now_ns)

    def wait(self) -> None:
        self.device.advance(self.device.now_ns + self.dice.choice([1, 20, 5_000, 11_000]) * MS)

    def interrupt(self) -> None:
        if self.sleeping:
            self.dice.choice(self.sleeping).interrupt()

    def reopen(self) -> None:
        which = self.dice.randrange(2)
        self.device.close(self.files[which], self.device.now_ns)
        self.files[which] = self.device.open()

    def end(self) -> None:
        for file in self.files:
            self.device.close(file, self.device.now_ns)
        for fd in self.fds + self.own:
            os.close(fd)
        gc.collect()
        self.device.collect(self.device.now_ns)

    def _ended(self, pending: Any) -> None:
        try:
            reply = pending.result()
        except DeviceError as refusal:
            self.errnos.add(refusal.errno)
        else:
            self.fds += [reply.fd] if isinstance(reply, uapi.FdReply | uapi.SyncobjMapUserReply) else []

    def _value(self, kind: Any, name: str) -> Any:
        dice = self.dice
        if (
            name in {"fd", "fd1", "fd2", "timeline", "sync_file", "fence"}
            and kind is not uapi.VgemFenceSignal
        ):
            return self._descriptor(kind, name)
        if name == "flags":
            return dice.choice(FLAGS.get(kind, [0]))
        fixed = {
            "width": 8,
            "height": 8,
            "bpp": 32,
            "pidfd": -1,
            "queue": 0,
            "pad": 0,
            "name": "x",
            "null_points": False,
        }
        if name in fixed:
            return fixed[name]
        if name == "write":
            return dice.random() < 0.5
        if name == "handles":
            return tuple(dice.randint(1, 4) for _ in range(dice.randint(1, 3)))
        if name == "points":
            return tuple(self._number() for _ in range(3)) if dice.random() < 0.95 else None
        if name == "count":
            return None if dice.random() < 0.97 else dice.choice([0, 1, 2, 1 << 31])
        if name == "timeout_ns":
            return dice.choice([0, self.device.now_ns + 50 * MS, self.device.now_ns + 10_000 * MS, *ABSURD])
        if name in {"handle", "src_handle", "dst_handle"}:
            return dice.randint(1, 4)
        return self._number()

    def _number(self) -> int:
        return self.dice.randint(0, 5) if self.dice.random() < 0.97 else self.dice.choice(ABSURD)

    def _descriptor(self, kind: Any, name: str) -> int:
        if kind is uapi.SyncobjEventfd:
            return self.own[0]
        if self.dice.random() < 0.05:
            return self.dice.choice([*self.own, -1, 9_999, 1 << 40])
        wanted = WANTED.get(kind, (SyncFile,)) if name == "fd" else (SyncFile,)
        if name == "timeline":
            wanted = (SwSyncTimeline,)
        find = self.device.kernel.descriptors.find
        fitting = [fd for fd in self.fds if any(find(fd, thing) for thing in wanted)]
        return self.dice.choice(fitting or self.own)


@pytest.mark.parametrize("seed", range(40))
def test_any_session_ends_well_and_leaves_nothing_behind(seed: int) -> None:
    session = Session(seed)
    for _ in range(STEPS):
        session.step()
    session.end()
    assert all(pending.done for pending in session.sleeping)
    assert all(0 < errno <= 512 for errno in session.errnos)
    assert not session.device.kernel.descriptors.known()
    session.device.kernel.descriptors.close()
