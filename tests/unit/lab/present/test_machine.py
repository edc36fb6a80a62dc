"""How far a run is to be trusted, in sentences."""

import os

from msgspec.structs import replace

from syncline.lab.present.machine import Machine, cpu_ns, memory_bytes

QUIET = Machine(
    clock="CLOCK_MONOTONIC through a timerfd", cores=2, cpu="any", kernel="6", python="3.11", syncline="0.1",
    load_before=0.1, load_after=0.4, others_percent=2.0, stolen_percent=0.0, ticks=500,
    lateness_p50_ns=60_000, lateness_p99_ns=110_000, lateness_max_ns=900_000,
)  # fmt: skip


def test_a_quiet_machine_is_told_from_a_busy_one() -> None:
    assert not QUIET.is_busy
    assert replace(QUIET, others_percent=11.0).is_busy
    assert replace(QUIET, stolen_percent=11.0).is_busy


def test_the_lateness_of_ticks_is_the_first_thing_said() -> None:
    first, second = QUIET.sentences

    assert first.startswith("Ticks rang 0.06 ms late on median, 0.11 ms at p99, 0.90 ms at worst")
    assert second.startswith("The machine was quiet: others used 2 % of a core")


def test_a_machine_that_stood_still_is_found_out() -> None:
    assert "It stood still for 7.44 s" in replace(QUIET, lateness_max_ns=7_440_000_000).sentences[-1]


def test_a_process_that_lives_has_used_something() -> None:
    assert cpu_ns(os.getpid()) > 0
    assert memory_bytes([os.getpid()]) > 0
