"""IGT's dmabuf_sync_file: fences of a buffer taken out as a sync_file, and sync_files put in.

A dma-buf of this machine is a memfd, of which poll(2) always says that it is ready: `DmaBufPoll` takes its place.
"""

import select
from functools import partial

from igt.machine import Machine, polls_in
from igt.place import Place
from igt.program import Program

from syncline.kms_model.uapi import (
    CreateDumb,
    DmaBufExportSyncFile,
    DmaBufImportSyncFile,
    DmaBufPoll,
    DmaBufSyncFlag,
    Fd,
    PrimeHandleToFd,
    VgemFenceAttach,
    VgemFenceSignal,
    VgemFlag,
)

READ = DmaBufSyncFlag.READ
WRITE = DmaBufSyncFlag.WRITE
RW = READ | WRITE
IDLE = (False, False, False)
BUSY = (True, True, True)
READ_BY_SOMEBODY = (False, True, True)
program = Program("dmabuf_sync_file")


class Buffer:
    """A buffer of vgem, its dma-buf, and the fences on it."""

    def __init__(self, machine: Machine) -> None:
        self._machine = machine
        self._handle = machine.call(CreateDumb(1, 1, 32)).handle
        self._dmabuf = machine.call(PrimeHandleToFd(self._handle)).fd

    def attach(self, flags: int = 0) -> int:
        return self._machine.call(VgemFenceAttach(self._handle, flags)).out_fence

    def signal(self, fence: int) -> None:
        self._machine.call(VgemFenceSignal(fence))

    def export(self, flags: int) -> Fd:
        return self._machine.call(DmaBufExportSyncFile(self._dmabuf, flags)).fd

    def put(self, timeline: Fd, value: int, flags: int) -> None:
        fence = self._machine.fence(timeline, value)
        self._machine.call(DmaBufImportSyncFile(self._dmabuf, flags, fence))
        self._machine.close(fence)

    def state(self) -> tuple[bool, ...]:
        """Is it busy for readers, for writers, for both? The buffer and a sync_file taken out of it agree."""
        of_buffer = [self._is_busy(flags) for flags in (READ, WRITE, RW)]
        of_file = [self._is_exported_busy(flags) for flags in (READ, WRITE, RW)]
        assert of_buffer == of_file
        return tuple(of_buffer)

    def _is_exported_busy(self, flags: int) -> bool:
        sync_file = self.export(flags)
        busy = not polls_in(sync_file)
        self._machine.close(sync_file)
        return busy

    def _is_busy(self, flags: int) -> bool:
        event = select.POLLOUT if flags & WRITE else select.POLLIN
        return not self._machine.call(DmaBufPoll(self._dmabuf, event)).ready


@program.subtest("export-basic")
async def a_sync_file_has_the_fences_of_the_access_it_is_for(machine: Machine) -> None:
    buffer = Buffer(machine)
    assert buffer.state() == IDLE
    fence = buffer.attach()
    assert buffer.state() == READ_BY_SOMEBODY
    buffer.signal(fence)
    assert buffer.state() == IDLE
    fence = buffer.attach(VgemFlag.WRITE)
    assert buffer.state() == BUSY
    buffer.signal(fence)
    assert buffer.state() == IDLE


@program.subtest("export-before-signal")
async def an_exported_sync_file_signals_with_its_fences(machine: Machine) -> None:
    buffer = Buffer(machine)
    assert buffer.state() == IDLE
    for flags, readable in ((0, (True, False)), (VgemFlag.WRITE, (False, False))):
        fence = buffer.attach(flags)
        files = buffer.export(READ), buffer.export(WRITE)
        assert tuple(map(polls_in, files)) == readable
        buffer.signal(fence)
        assert tuple(map(polls_in, files)) == (True, True)


@program.subtest("export-multiwait")
async def a_sync_file_waits_for_all_of_its_fences_and_for_no_later_one(machine: Machine) -> None:
    buffer = Buffer(machine)
    first, second = buffer.attach(), buffer.attach()
    sync_file = buffer.export(WRITE)
    third = buffer.attach()
    assert not polls_in(sync_file)
    buffer.signal(first)
    assert not polls_in(sync_file)
    buffer.signal(second)
    assert polls_in(sync_file)
    buffer.signal(third)


@program.subtest("export-wait-after-attach")
async def a_sync_file_is_a_snapshot(machine: Machine) -> None:
    buffer = Buffer(machine)
    before = buffer.export(READ), buffer.export(WRITE)
    first = buffer.attach(VgemFlag.WRITE)
    assert all(map(polls_in, before))

    between = buffer.export(READ), buffer.export(WRITE)
    assert not any(map(polls_in, between))
    buffer.signal(first)
    second = buffer.attach(VgemFlag.WRITE)
    assert all(map(polls_in, between))

    assert buffer.state() == BUSY
    buffer.signal(second)


@program.subtest("import-basic")
async def an_imported_fence_keeps_off_whom_it_says(machine: Machine) -> None:
    buffer, timeline = Buffer(machine), machine.timeline()
    assert buffer.state() == IDLE
    for value, (flags, state) in enumerate(((READ, READ_BY_SOMEBODY), (WRITE, BUSY), (RW, BUSY)), 1):
        buffer.put(timeline, value, flags)
        assert buffer.state() == state
        machine.inc(timeline)
        assert buffer.state() == IDLE


async def import_multiple(machine: Machine, *, written: bool) -> None:
    """32 readers and perhaps a writer. Readers keep off writers, the writer everybody."""
    buffer, readers, writer = Buffer(machine), [machine.timeline() for _ in range(32)], machine.timeline()
    for timeline in readers:
        buffer.put(timeline, 1, READ)
    if written:
        buffer.put(writer, 1, WRITE)
    read_file, write_file = buffer.export(READ), buffer.export(WRITE)

    for timeline in reversed(readers):
        assert buffer.state() == (BUSY if written else READ_BY_SOMEBODY)
        assert polls_in(read_file) != written
        assert not polls_in(write_file)
        machine.inc(timeline)
    assert buffer.state() == (BUSY if written else IDLE)
    assert [polls_in(read_file), polls_in(write_file)] == [not written] * 2

    machine.inc(writer)
    assert buffer.state() == IDLE
    assert polls_in(read_file)
    assert polls_in(write_file)


program.add("import-multiple-read-only", partial(import_multiple, written=False))
program.add("import-multiple-read-write", partial(import_multiple, written=True))


def test_dmabuf_sync_file(machine: Place, subtest: str) -> None:
    machine.run(program, subtest)


def test_all_of_dmabuf_sync_file_is_here() -> None:
    program.assert_complete()
