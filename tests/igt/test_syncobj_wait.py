"""IGT's syncobj_wait: waiting for binary syncobjs, and resetting and signalling them."""

from errno import EINVAL, ENOENT, ETIME

from igt.flavour import BINARY
from igt.machine import Machine
from igt.matrix import cases
from igt.place import Place
from igt.program import Program
from igt.waits import shared

from syncline.kms_model.uapi import CreateFlag, SyncobjReset, SyncobjSignal, SyncobjWait, WaitFlag

BAD = 0xDEAD_BEEF
program = Program("syncobj_wait")
program.refuses(0, {"wait-zero-handles": SyncobjWait(())})
program.refuses(ENOENT, {"invalid-wait-illegal-handle": SyncobjWait((0,))})
program.refuses(EINVAL, {"invalid-wait-bad-flags": SyncobjWait((), flags=BAD)})
for verb, request in (("reset", SyncobjReset), ("signal", SyncobjSignal)):
    program.refuses(
        EINVAL,
        {f"invalid-{verb}-zero-handles": request(()), f"invalid-{verb}-bad-pad": request((0,), pad=BAD)},
    )
    program.refuses(ENOENT, {f"invalid-{verb}-illegal-handle": request((0,))})


@program.subtest("invalid-reset-one-illegal-handle")
async def one_illegal_handle_and_nothing_is_reset(machine: Machine) -> None:
    first, last = machine.create(CreateFlag.SIGNALED), machine.create(CreateFlag.SIGNALED)
    assert machine.errno(SyncobjReset((first, 0, last))) == ENOENT
    machine.call(SyncobjWait((first,)))
    machine.call(SyncobjWait((last,)))


@program.subtest("invalid-signal-one-illegal-handle")
async def one_illegal_handle_and_nothing_is_signalled(machine: Machine) -> None:
    first, last = machine.create(), machine.create()
    assert machine.errno(SyncobjSignal((first, 0, last))) == ENOENT
    assert machine.errno(SyncobjWait((first,))) == EINVAL
    assert machine.errno(SyncobjWait((last,))) == EINVAL


@program.subtest("signal")
async def a_signal_submits_and_signals(machine: Machine) -> None:
    handle = machine.create()
    assert machine.errno(SyncobjWait((handle,))) == EINVAL
    assert machine.errno(SyncobjWait((handle,), flags=WaitFlag.FOR_SUBMIT)) == ETIME
    machine.call(SyncobjSignal((handle,)))
    machine.call(SyncobjWait((handle,)))
    machine.call(SyncobjWait((handle,), flags=WaitFlag.FOR_SUBMIT))


for case in cases(BINARY):
    program.add(case.name, case.play)
for name, story in shared(BINARY):
    program.add(name, story)


def test_syncobj_wait(machine: Place, subtest: str) -> None:
    machine.run(program, subtest)


def test_all_of_syncobj_wait_is_here() -> None:
    program.assert_complete()
