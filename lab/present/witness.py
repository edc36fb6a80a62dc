"""The witness of standstills: a thread on every core that wakes every 2 ms and notes when it was late.

It preempts the device, the compositor and the clients, so that no slowness of theirs can make it late and none is excused
by it. Only in the kernel could they hold it up: by a call that cannot be preempted for a millisecond, or by taking 95 % of
a core for a second under SCHED_RR, as the rest is then kept for others (sched_rt_runtime_us).

`python -m syncline.lab.present.witness` writes a line when it watches and its Statement when it is sent SIGTERM.
"""

import gc
import os
import signal
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from threading import Event
from typing import Final

import msgspec

from syncline.kms_model.loops import DEVICE_PRIORITY, NS_PER_S, be_prompt
from syncline.lab.present.standstill import NOBODY, Standstill, Statement

PRIORITY: Final = DEVICE_PRIORITY + 1
STEP_NS: Final = 2_000_000
LATE_NS: Final = 1_000_000
"""Later than that is a standstill: a wake-up takes some hundredths of it."""


def main() -> int:
    """Until SIGTERM. Without SCHED_RR it does nothing at all."""
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
    gc.disable()
    is_first = be_prompt(PRIORITY)  # this thread too: it holds the interpreter's lock when it is told to end
    _say(b"watching")
    _say(msgspec.json.encode(_watch_all() if is_first else _keep_out()))
    return 0


def _say(line: bytes) -> None:
    sys.stdout.buffer.write(line + b"\n")
    sys.stdout.flush()


def _keep_out() -> Statement:
    signal.sigwait({signal.SIGTERM})
    return NOBODY


def _watch_all() -> Statement:
    cores = sorted(os.sched_getaffinity(0))
    ended = Event()
    begun_ns, used_ns = time.monotonic_ns(), time.process_time_ns()
    with ThreadPoolExecutor(len(cores)) as pool:
        watches = [
            pool.submit(_watch, core, STEP_NS * index // len(cores), ended)
            for index, core in enumerate(cores)
        ]
        signal.sigwait({signal.SIGTERM})
        ended.set()
        standstills = [each for watch in watches for each in watch.result()]
    used_ns = time.process_time_ns() - used_ns
    return Statement(
        priority=PRIORITY,
        cpu_percent=round(100 * used_ns / (time.monotonic_ns() - begun_ns), 2),
        standstills=standstills,
    )


def _watch(core: int, phase_ns: int, ended: Event) -> list[Standstill]:
    """Wake at multiples of STEP_NS and `phase_ns`: all cores at once would wait for each other's interpreter lock."""
    os.sched_setaffinity(0, {core})
    be_prompt(PRIORITY)  # a thread does not inherit it
    noted: list[Standstill] = []
    due_ns = time.monotonic_ns() // STEP_NS * STEP_NS + STEP_NS + phase_ns
    while not ended.is_set():
        time.sleep(max(0, due_ns - time.monotonic_ns()) / NS_PER_S)
        woken_ns = time.monotonic_ns()
        if woken_ns - due_ns > LATE_NS:
            noted.append(Standstill(core=core, from_ns=due_ns, to_ns=woken_ns))
        due_ns += (woken_ns - due_ns) // STEP_NS * STEP_NS + STEP_NS
    return noted


if __name__ == "__main__":
    raise SystemExit(main())
