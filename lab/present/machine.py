"""What the machine was doing meanwhile: how late its clock rang, and how much of it others used."""

import os
import platform
import resource
import time
from collections.abc import Callable, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Final

import msgspec

from syncline.kms_model.loops import NS_PER_S, Loop, sleep_until
from syncline.lab.spread import percentile

PROBE_NS: Final = NS_PER_S // 100
BUSY_PERCENT: Final = 10.0
"""Of one core, used by others or stolen: from there on frames are late for reasons not measured here."""

STANDSTILL_NS: Final = NS_PER_S // 10
"""A tick so late was not delayed by load: a virtual machine was paused, or a laptop slept."""


class Machine(msgspec.Struct, frozen=True, kw_only=True):
    """Lateness in ns: of a timer of our own that rang every 10 ms during the run. Percents are of one core."""

    clock: str
    cores: int
    cpu: str
    kernel: str
    python: str
    syncline: str
    load_before: float
    load_after: float
    others_percent: float
    stolen_percent: float
    ticks: int
    lateness_p50_ns: int
    lateness_p99_ns: int
    lateness_max_ns: int

    @property
    def is_busy(self) -> bool:
        return max(self.others_percent, self.stolen_percent) > BUSY_PERCENT

    @property
    def sentences(self) -> list[str]:
        """How far the numbers can be trusted."""
        p50, p99, worst = (
            each / 1e6 for each in (self.lateness_p50_ns, self.lateness_p99_ns, self.lateness_max_ns)
        )
        late = f"Ticks rang {p50:.2f} ms late on median, {p99:.2f} ms at p99, {worst:.2f} ms at worst"
        used = f"others used {self.others_percent:.0f} % of a core, {self.stolen_percent:.0f} % were stolen by the host"
        verdict = "The machine was busy with other things" if self.is_busy else "The machine was quiet"
        load = f"load {self.load_before:.1f} before, {self.load_after:.1f} after"
        said = [f"{late} ({self.clock}): no number is better than that.", f"{verdict}: {used}; {load}."]
        if self.lateness_max_ns > STANDSTILL_NS:
            said.append(f"It stood still for {worst / 1000:.2f} s at one time: the worst values are of that.")
        return said


class Probe:
    """Made before the run; `watch` goes along with it; `read` sums up."""

    def __init__(self) -> None:
        self._lateness_ns: list[int] = []
        self._load = os.getloadavg()[0]
        self._begun_ns = time.monotonic_ns()
        self._jiffies = _jiffies()
        self._own_s = _own_cpu_s()

    async def watch(self, loop: Loop, goes_on: Callable[[], bool]) -> None:
        """Ring every 10 ms while `goes_on()`, and note how late."""
        when_ns = loop.now_ns()
        while goes_on():
            when_ns = max(when_ns + PROBE_NS, loop.now_ns())
            await sleep_until(loop, when_ns)
            self._lateness_ns.append(loop.now_ns() - when_ns)

    def read(self) -> Machine:
        """After every process of the run has ended: only then their CPU time is known to be ours."""
        elapsed_s = (time.monotonic_ns() - self._begun_ns) / NS_PER_S
        busy, stolen = (after - before for before, after in zip(self._jiffies, _jiffies(), strict=True))
        hertz = os.sysconf("SC_CLK_TCK")
        others_s = max(0.0, busy / hertz - (_own_cpu_s() - self._own_s))
        lateness_ns = self._lateness_ns or [0]
        return Machine(
            clock="CLOCK_MONOTONIC through a timerfd",
            cores=len(os.sched_getaffinity(0)),
            cpu=_cpu(),
            kernel=os.uname().release,
            python=platform.python_version(),
            syncline=version("syncline"),
            load_before=self._load,
            load_after=os.getloadavg()[0],
            others_percent=round(100 * others_s / elapsed_s, 1),
            stolen_percent=round(100 * stolen / hertz / elapsed_s, 1),
            ticks=len(self._lateness_ns),
            lateness_p50_ns=percentile(lateness_ns, 50) or 0,
            lateness_p99_ns=percentile(lateness_ns, 99) or 0,
            lateness_max_ns=max(lateness_ns),
        )


def _jiffies() -> tuple[int, int]:
    """Busy and stolen since boot, over all cores: /proc/stat, whose busy columns are user, nice, system, irq, softirq."""
    columns = [int(word) for word in Path("/proc/stat").read_text().splitlines()[0].split()[1:]]
    user, nice, system, _idle, _iowait, irq, softirq, stolen = columns[:8]
    return user + nice + system + irq + softirq, stolen


def _own_cpu_s() -> float:
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(each.ru_utime + each.ru_stime for each in used)


def _cpu() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.machine()


def cpu_ns(pid: int) -> int:
    """CPU time that a process has had, all its threads: /proc/PID/task/*/schedstat."""
    return sum(
        int((task / "schedstat").read_text().split()[0]) for task in Path(f"/proc/{pid}/task").iterdir()
    )


def memory_bytes(pids: Sequence[int]) -> int:
    """Resident memory of these processes, files aside: RssAnon and RssShmem, which the kernel has at hand."""
    total = 0
    for pid in pids:
        for line in Path(f"/proc/{pid}/status").read_text().splitlines():
            if line.startswith(("RssAnon:", "RssShmem:")):
                total += int(line.split()[1]) * 1024
    return total
