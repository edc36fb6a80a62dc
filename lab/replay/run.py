"""One scenario on one device: a fresh process on a fresh machine, and what came of it."""

from typing import Final

from syncline.kms_model.checker import Ledger
from syncline.kms_model.profiles import Profile
from syncline.lab.replay.machine import KernelName, Machine
from syncline.lab.replay.perform import perform
from syncline.lab.replay.process import Fault, Process, Skip
from syncline.lab.replay.result import Run
from syncline.lab.replay.scenario import Scenario
from syncline.lab.replay.threads import Stuck, Threads

NS_PER_S: Final = 1_000_000_000
BOOTED_NS: Final = 100 * NS_PER_S
"""Instants of a run are "large", as on a machine that has been up for a while."""


def run_scenario(
    scenario: Scenario,
    device: str,
    kernel: KernelName,
    *,
    ledger: Ledger | None = None,
    other: Profile | None = None,
) -> Run:
    """`kernel` names one of `machine.KERNELS`. An exception is a fault of the model. `ledger`: under the checker.

    `other` takes the place of the driver of its name.
    """
    machine = Machine(kernel, now_ns=BOOTED_NS, ledger=ledger, other=other)
    threads = Threads(machine, start_ns=BOOTED_NS)
    process = Process(machine, threads, device)
    run = Run("ok")
    try:
        threads.run(_main(scenario, process, run), limit_ns=round(scenario.limit_s * NS_PER_S))
    except Stuck:
        run = Run("killed: no answer within the limit")
    except Skip as skip:
        run.status = f"skipped: {skip}"
    except Fault as fault:
        run.status = f"runner error: {fault}"
    finally:
        process.end()
        machine.close()
    run.kernel_log = machine.warnings
    return run


async def _main(scenario: Scenario, process: Process, run: Run) -> None:
    for op in scenario.ops:
        result = await perform(op, process)
        run.ops.append(result)
        if op.required and op.bind is not None and not result.ok:
            raise Skip(f"required op failed: {result.op} {result.errno}")
        await process.threads.breathe()
