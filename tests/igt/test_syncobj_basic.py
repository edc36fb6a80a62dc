"""IGT's syncobj_basic: handles and descriptors of syncobjs, and what is refused."""

from errno import EINVAL

from igt.machine import Machine
from igt.place import Place
from igt.program import Program

from syncline.kms_model.uapi import (
    CreateFlag,
    Fd,
    SyncobjCreate,
    SyncobjDestroy,
    SyncobjFdToHandle,
    SyncobjHandleToFd,
    SyncobjWait,
)

BAD = 0xDEAD_BEEF
program = Program("syncobj_basic")
program.refuses(
    EINVAL,
    {
        "bad-destroy": SyncobjDestroy(BAD),
        "bad-create-flags": SyncobjCreate(BAD),
        "bad-handle-to-fd": SyncobjHandleToFd(BAD),
        "bad-fd-to-handle": SyncobjFdToHandle(Fd(-1)),
        "bad-flags-handle-to-fd": SyncobjHandleToFd(0, flags=BAD),
        "bad-flags-fd-to-handle": SyncobjFdToHandle(Fd(0), flags=BAD),
        "bad-pad-handle-to-fd": SyncobjHandleToFd(0, pad=BAD),
        "bad-pad-fd-to-handle": SyncobjFdToHandle(Fd(0), pad=BAD),
    },
)


@program.subtest("illegal-fd-to-handle")
async def the_device_is_no_syncobj(machine: Machine) -> None:
    assert machine.errno(SyncobjFdToHandle(Fd(machine.file.fileno()))) == EINVAL


@program.subtest("bad-destroy-pad")
async def a_refused_destroy_destroys_nothing(machine: Machine) -> None:
    handle = machine.create()
    assert machine.errno(SyncobjDestroy(handle, pad=BAD)) == EINVAL
    machine.call(SyncobjDestroy(handle))


@program.subtest("create-signaled")
async def a_syncobj_can_be_born_signalled(machine: Machine) -> None:
    handle = machine.create(CreateFlag.SIGNALED)
    machine.call(SyncobjWait((handle,)))
    machine.call(SyncobjDestroy(handle))


@program.subtest("test-valid-cycle")
async def an_import_gives_a_handle_of_its_own(machine: Machine) -> None:
    first = machine.create()
    fd = machine.call(SyncobjHandleToFd(first)).fd
    second = machine.call(SyncobjFdToHandle(fd)).handle
    machine.close(fd)
    assert first != second
    machine.call(SyncobjDestroy(first))
    machine.call(SyncobjDestroy(second))


def test_syncobj_basic(machine: Place, subtest: str) -> None:
    machine.run(program, subtest)


def test_all_of_syncobj_basic_is_here() -> None:
    program.assert_complete()
